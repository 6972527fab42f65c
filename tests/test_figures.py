"""The figures as pictures with the same bytes each time, whatever the reader's settings."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_statistics import models

from pipeline import figures, statistics
from pipeline.datasets import DATASETS, circles

TRAIN, TEST = circles(30, 0.05, 1), circles(20, 0.05, 2)
RUNS = models({"he": [0.7, 0.9, 1.0], "zeros": [0.5, 0.5, 0.5]})
COMPARED = statistics.comparison(RUNS, 0.95, 0.9)
CURVES = pd.DataFrame(
    {
        "initializer": ["he"] * 6 + ["zeros"] * 6,
        "seed": [0, 0, 1, 1, 2, 2] * 2,
        "iteration": [0, 1000] * 6,
        "cost": [0.9, 0.1, 0.8, 0.2, 40.0, 0.3] + [0.7] * 6,
    }
)
PUBLISHED = pd.DataFrame({"initializer": ["he", "x10"], "iteration": [0, 0], "cost_median": [0.88, 9.0]})
PROBABILITIES = {
    "he": figures.square()[0].reshape(figures.GRID, -1),
    "zeros": np.full((figures.GRID, figures.GRID), 0.5),
}


def drawn(name: str) -> Figure:
    if name == "data":
        return figures.data(TRAIN, TEST)
    if name == "pictures":
        return figures.data(*DATASETS["digits"].split(40, 20, 0.0, 1, 2))
    if name == "two_of_many":
        return figures.data(*DATASETS["breast_cancer"].split(40, 20, 0.0, 1, 2))
    if name == "confusions":
        return figures.confusions({"he": np.eye(10) * 7 + 1, "zeros": np.zeros((10, 10))}, 3)
    if name == "cost_curves":
        return figures.cost_curves(statistics.cost_bands(CURVES), CURVES[CURVES["seed"] == 0], PUBLISHED, 0)
    if name == "boundaries":
        return figures.boundaries(PROBABILITIES, *TRAIN, 0)
    return figures.accuracy(RUNS, COMPARED, 0, 0.9, 0.95)


ALL = ["data", "pictures", "two_of_many", "cost_curves", "boundaries", "confusions", "accuracy"]


@pytest.mark.parametrize("name", ALL)
def test_same_bytes_each_time_and_under_any_settings(name: str) -> None:
    first = figures.png(drawn(name))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 40, "lines.linewidth": 9}):
        assert figures.png(drawn(name)) == first
    assert first.startswith(b"\x89PNG")
    assert not any(
        chunk in first for chunk in (b"tEXt", b"tIME", b"iTXt", b"zTXt")
    )  # a date or a version would be there


@pytest.mark.parametrize("name", ["boundaries", "data"])
def test_circles_are_round(name: str) -> None:
    for ax in drawn(name).axes:
        assert (ax.get_aspect(), ax.get_xlim(), ax.get_ylim()) == (1.0, (-1.5, 1.5), (-1.5, 1.5))


def test_published_costs_lie_on_their_own_panel() -> None:
    he, zeros = drawn("cost_curves").axes
    circles_of = [
        [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())] for ax in (he, zeros)
    ]
    assert [len(lines) for lines in circles_of] == [1, 0]
    assert circles_of[0][0].get_ydata().tolist() == [0.88]
    assert he.get_title(loc="left") == "he"
    assert [text.get_text() for text in he.texts] == ["starts as high as 40"]
    assert not zeros.texts


@pytest.mark.parametrize("published", [PUBLISHED, PUBLISHED.iloc[:0], PUBLISHED.iloc[1:]])  # x10 has no panel here
def test_the_legend_names_published_costs_only_where_some_are_drawn(published: pd.DataFrame) -> None:
    figure = figures.cost_curves(statistics.cost_bands(CURVES), CURVES[CURVES["seed"] == 0], published, 0)
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert ("published, seed 0" in labels) == (published is PUBLISHED)
    drawn = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert bool(drawn) == (published is PUBLISHED)


def test_one_panel_for_each_of_many_initializers() -> None:
    figure = figures.boundaries({str(i): PROBABILITIES["he"] for i in range(6)}, *TRAIN, 0)
    assert [ax.get_visible() for ax in figure.axes] == [True] * 6 + [False] * 2


def test_every_model_is_a_point() -> None:
    train, _ = drawn("accuracy").axes
    points = [line for line in train.lines if line.get_marker() == "o"]
    assert [sorted(line.get_xdata()) for line in points] == [[0.7, 0.9, 1.0], [0.5, 0.5, 0.5]]
    assert len(set(points[1].get_ydata())) == 3  # equal values side by side


def test_square_is_row_after_row() -> None:
    points = figures.square()
    assert points.shape == (2, figures.GRID**2)
    assert points[:, 0].tolist() == [-1.5, -1.5]
    assert points[:, 1].tolist() == [-1.5 + 3 / (figures.GRID - 1), -1.5]
    assert points[:, -1].tolist() == [1.5, 1.5]


def test_confusions_say_how_many() -> None:
    he, zeros = drawn("confusions").axes[:2]
    assert sorted(text.get_text() for text in he.texts) == ["1"] * 90 + ["8"] * 10
    assert not zeros.texts


def test_inputs_beyond_the_plane_are_said() -> None:
    (legend,) = drawn("two_of_many").legends
    assert legend.get_title().get_text() == "the first two of 30 inputs"
    assert [text.get_text() for text in drawn("data").legends[0].texts] == ["class 0", "class 1"]
