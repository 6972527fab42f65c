"""Decision boundaries as small images, one per model, without Matplotlib, which takes 0.2 s for each."""

import io

import numpy as np
from PIL import Image, ImageDraw

from pipeline.figures.data_figures import CLASSES, EXTENT, REGIONS, extent
from pipeline.numerics.sums import Array

GRID = 121  # grid points along a side, at which the network is evaluated
SIDE = 3 * GRID  # pixels
FINE = 4  # samples are drawn larger by this factor, then reduced, for smooth edges
RADIUS = 4.5  # of a sample, in pixels


def square(half: float = EXTENT) -> Array:
    """The points (2, GRID^2) of the square of half side `half` about 0, row after row along x2."""
    axis = np.linspace(-half, half, GRID)
    return np.stack([np.tile(axis, GRID), np.repeat(axis, GRID)])


def samples(X: Array, Y: Array) -> Image.Image:
    """The samples, X (2, m) and Y (1, m), on a transparent ground, to be drawn over the image of a model.

    The image shows the square of half side `extent(X)`.
    """
    half = extent(X)
    image = Image.new("RGBA", (SIDE * FINE, SIDE * FINE))
    draw = ImageDraw.Draw(image)
    middle, radius = (SIDE * FINE - 1) / 2, RADIUS * FINE
    for x1, x2, label in zip(*X, Y[0], strict=True):
        x, y = middle * (1.0 + x1 / half), middle * (1.0 - x2 / half)
        marker, colour = CLASSES[int(label) % len(CLASSES)]
        shape = draw.ellipse if marker == "o" else draw.rectangle
        r = radius if marker == "o" else 0.85 * radius
        shape((x - r, y - r, x + r, y + r), fill=colour, outline="black", width=FINE)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def boundary(probability: Array, over: Image.Image) -> Image.Image:
    """The image of the predicted class, from `probability` (GRID^2,) of class 1 at `square`, with the image `over`.

    White where the probability is NaN: the model diverged.
    """
    rows = probability.reshape(GRID, GRID)[::-1].astype(np.float32)
    smooth = np.asarray(Image.fromarray(rows).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    side = smooth > 0.5
    edge = np.zeros_like(side)
    edge[1:] |= side[1:] != side[:-1]
    edge[:, 1:] |= side[:, 1:] != side[:, :-1]
    region = np.where(np.isnan(smooth), np.uint8(3), side.astype(np.uint8))
    numbers = Image.fromarray(np.where(edge & ~np.isnan(smooth), np.uint8(2), region), mode="P")
    numbers.putpalette(bytes.fromhex("".join((*REGIONS, "#000000", "#ffffff")).replace("#", "")))
    image = numbers.convert("RGB")
    image.paste(over, mask=over)
    return image


def png(image: Image.Image) -> bytes:
    """The image as PNG with 64 colours."""
    buffer = io.BytesIO()
    few = image.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(buffer, format="png", compress_level=3)
    return buffer.getvalue()
