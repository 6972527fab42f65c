"""The small pictures of decision boundaries: what is where, in which colour."""

import numpy as np
from PIL import Image, ImageColor

from pipeline.figures.data_figures import CLASSES, REGIONS
from pipeline.figures.plane import EXTENT, extent, square
from pipeline.tracking import images

RIGHT = (square(EXTENT, images.GRID)[0] > 0.0).astype(float)  # class 1 where x1 > 0
TOP = (square(EXTENT, images.GRID)[1] > 0.0).astype(float)


def colour(image: Image.Image, x1: float, x2: float) -> str:
    """The colour at a point of the plane."""
    place = [(1 + x1 / EXTENT) / 2, (1 - x2 / EXTENT) / 2]
    pixel = image.convert("RGB").getpixel([round(p * (images.SIDE - 1)) for p in place])
    return "#{:02x}{:02x}{:02x}".format(*pixel)


def test_regions_lie_where_the_model_sees_the_classes() -> None:
    empty = images.markers(np.zeros((2, 0)), np.zeros((1, 0)))
    image = images.boundary(RIGHT, empty)
    assert [colour(image, x1, x2) for x1 in (-1, 1) for x2 in (-1, 1)] == [REGIONS[0]] * 2 + [REGIONS[1]] * 2
    image = images.boundary(TOP, empty)
    assert [colour(image, x1, x2) for x1 in (-1, 1) for x2 in (-1, 1)] == [REGIONS[0], REGIONS[1]] * 2


def test_a_line_parts_the_regions() -> None:
    image = images.boundary(RIGHT, images.markers(np.zeros((2, 0)), np.zeros((1, 0))))
    columns = (np.asarray(image) == 0).all(axis=2).all(axis=0)
    assert columns.sum() == 1
    assert abs(int(np.flatnonzero(columns)[0]) - images.SIDE / 2) <= 3  # between two points of the grid


def test_samples_lie_on_top_in_their_class_colours() -> None:
    X = np.array([[-1.0, 0.5, 0.5], [0.5, -1.0, 1.0]])
    image = images.boundary(RIGHT, images.markers(X, np.array([[0.0, 1.0, 0.0]])))
    found = [ImageColor.getrgb(colour(image, *x)) for x in X.T]
    expected = [ImageColor.getrgb(CLASSES[label][1]) for label in (0, 1, 0)]
    assert np.abs(np.array(found) - np.array(expected)).max() <= 1  # of 255: made smaller, they are rounded


def test_samples_beyond_the_usual_square_are_in_the_picture() -> None:
    X = np.array([[-2.0, 0.5], [0.5, 2.0]])
    half = extent(X)
    right = (square(half, images.GRID)[0] > 0.0).astype(float)
    image = images.boundary(right, images.markers(X, np.array([[0.0, 1.0]])))
    found = [ImageColor.getrgb(colour(image, *(x * EXTENT / half))) for x in X.T]
    expected = [ImageColor.getrgb(CLASSES[label][1]) for label in (0, 1)]
    assert np.abs(np.array(found) - np.array(expected)).max() <= 1  # of 255: made smaller, they are rounded


def test_where_a_diverged_model_has_no_output_the_picture_is_white() -> None:
    half = np.where(square(EXTENT, images.GRID)[0] > 0.5, np.nan, RIGHT)
    empty = images.markers(np.zeros((2, 0)), np.zeros((1, 0)))
    assert [colour(images.boundary(half, empty), x, 0.5) for x in (-1, 0.3, 1)] == [
        REGIONS[0],
        REGIONS[1],
        "#ffffff",
    ]
    assert colour(images.boundary(np.full(len(RIGHT), np.nan), empty), 0, 0) == "#ffffff"
