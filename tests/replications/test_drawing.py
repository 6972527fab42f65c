"""What figures of replications draw, read back from the axes."""

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.replications import drawing


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def test_shades_are_evenly_spaced_from_dark_to_light() -> None:
    first, middle, last = drawing.shades(3)
    assert first == (0.11, 0.29, 0.41)
    assert middle == pytest.approx((0.53, 0.465, 0.38))
    assert last == pytest.approx((0.95, 0.64, 0.35))
    assert drawing.shades(1) == [first]


def test_theory_is_a_line_and_what_was_measured_points(ax: Axes) -> None:
    drawing.line_and_points(ax, [1, 2], [0.5, 0.25], [0.6, 0.2], "red", "s", label="width 2", markersize=4)
    theory, measured = ax.get_lines()
    assert theory.get_xydata().tolist() == [[1, 0.5], [2, 0.25]]
    assert (theory.get_linestyle(), theory.get_marker(), theory.get_linewidth()) == ("-", "None", 1.2)
    assert measured.get_xydata().tolist() == [[1, 0.6], [2, 0.2]]
    assert (measured.get_linestyle(), measured.get_marker(), measured.get_markersize()) == ("None", "s", 4)
    assert theory.get_color() == measured.get_color() == "red"
    assert measured.get_label() == "width 2"


def test_medians_are_those_of_rows_with_an_equal_abscissa(ax: Axes) -> None:
    rows = pd.DataFrame({"layer": [2, 1, 1, 2, 1, 2], "variance": [5.0, 9.0, 1.0, 7.0, 2.0, 100.0]})
    drawing.medians(ax, rows, "layer", "variance", color="blue")
    (line,) = ax.get_lines()
    assert line.get_xydata().tolist() == [[1, 2], [2, 7]]


def test_costs_are_a_thin_line_for_each_seed_and_their_median(ax: Axes) -> None:
    rows = pd.DataFrame({"seed": [4, 4, 7, 7, 9, 9], "epoch": [0.0, 1.5] * 3, "cost": [2.3, 1.0, 2.5, 0.5, 2.4, 3.0]})
    drawing.costs(ax, rows, "blue", "--")
    *seeds, median = [line.get_xydata().tolist() for line in ax.get_lines()]
    assert seeds == [[[0, 2.3], [1.5, 1.0]], [[0, 2.5], [1.5, 0.5]], [[0, 2.4], [1.5, 3.0]]]
    assert median == [[0, 2.4], [1.5, 1.0]]
    widths = [line.get_linewidth() for line in ax.get_lines()]
    assert max(widths[:-1]) < widths[-1]


@pytest.mark.parametrize(
    ("last", "ticks"),
    [
        (0.2, [0, 1]),
        (1.0, [0, 1]),
        (2.5, [0, 1, 2]),
        (5.0, [0, 2, 4]),
        (20.0, [0, 5, 10, 15, 20]),
        (100.0, [0, 50, 100]),
    ],
)
def test_whole_ticks(last: float, ticks: list[int]) -> None:
    assert list(drawing.whole_ticks(last)) == ticks


def test_styles_are_the_first_ones_or_different_shades() -> None:
    assert list(drawing.styles(("a", "b", "c"), "os", 2)) == [("a", "o"), ("b", "s")]
    more = list(drawing.styles(("a", "b", "c"), "os", 4))
    assert [marker for _, marker in more] == ["o", "s", "o", "s"]
    assert len({colour for colour, _ in more}) == 4
