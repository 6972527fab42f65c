"""Accuracy in the plane of variances and against depth: the lines reach the borders, and no legend covers a cell."""

import math

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pipeline.figures import phase_figures

VALUES = [0.5, 1.5, 2.0, 4.0]
CRITICAL = 1.7


def cells(column: str, others: list[float]) -> pd.DataFrame:
    rows = [(w, other, 6.0 / abs(w - CRITICAL), 0.5) for other in others for w in VALUES]
    return pd.DataFrame(rows, columns=["sigma_w2", column, "xi_c", "accuracy"])


def test_the_lines_of_depth_reach_the_borders_at_the_outermost_cells() -> None:
    theory = pd.DataFrame({"sigma_w2": [0.5, 1.0, 1.7, 4.0], "xi_c": [8.0, 14.0, math.inf, 4.0]})
    ax = Figure().subplots()
    phase_figures.depth_panel(ax, cells("depth", [10.0, 40.0]), theory, 3.5, CRITICAL, 0.5)
    assert ax.get_xlim() == (0.5, 4.0)
    assert ax.get_ylim() == pytest.approx((5.0, 80.0))  # half a cell, the factor 2, beyond the depths
    fitted, published, edge = ax.get_lines()
    for line, factor in ((fitted, 3.5), (published, 6.0)):
        x, y = line.get_data()
        assert (x[0], x[-1]) == ax.get_xlim()
        assert (y[0], y[-1]) == (8.0 * factor, 4.0 * factor)
    assert [list(one) for one in edge.get_data()] == [[CRITICAL, CRITICAL], list(ax.get_ylim())]
    assert ax.get_legend() is None


def test_the_contours_of_the_plane_lie_where_a_multiple_of_xi_c_is_the_depth() -> None:
    """1 / xi_c is linear between the cells, |sigma_w^2 - 1.7| / 6: a contour lies exactly where theory has it."""
    edge = pd.DataFrame({"sigma_b2": [0.1, 0.2], "sigma_w2": [CRITICAL, CRITICAL]})
    ax = Figure().subplots()
    phase_figures.plane_panel(ax, cells("sigma_b2", [0.1, 0.2]), edge, 3.5, 40, 0.5)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.5, 4.0), (0.1, 0.2))
    for contour, factor in zip(ax.collections[2:], (3.5, 6.0), strict=True):
        (path,) = contour.get_paths()
        left, right = CRITICAL - 6.0 * factor / 40.0, CRITICAL + 6.0 * factor / 40.0
        for x, _ in path.vertices:
            assert min(abs(x - left), abs(x - right)) < 1e-9
        assert sorted({round(float(y), 9) for _, y in path.vertices}) == [0.1, 0.2]
    assert ax.get_legend() is None


def test_the_boundary_of_trained_cells_is_at_the_edges_between_cells() -> None:
    """Of six cells three are trained, of which one has the accuracy 0.5 itself; NaN is not."""
    rows = [
        (0.5, 10.0, 0.9),
        (1.5, 10.0, 0.5),
        (2.5, 10.0, 0.4),
        (0.5, 40.0, 0.6),
        (1.5, 40.0, 0.2),
        (2.5, 40.0, math.nan),
    ]
    table = pd.DataFrame(rows, columns=["sigma_w2", "depth", "accuracy"])
    ax = Figure().subplots()
    phase_figures.accuracy_mesh(ax, table, "sigma_w2", "depth", 0.5, logarithmic=True)
    found = {
        tuple((round(float(x), 9), round(float(y), 9)) for x, y in line) for line in ax.collections[1].get_segments()
    }
    assert found == {
        ((2.0, 5.0), (2.0, 20.0)),  # between 0.5 and 0.4
        ((1.0, 20.0), (1.0, 80.0)),  # between 0.6 and 0.2
        ((1.0, 20.0), (2.0, 20.0)),  # between 0.5 and 0.2
    }
    assert len(ax.collections[1].get_segments()) == 3


def test_one_cell_is_drawn_whole() -> None:
    assert phase_figures.limits([2.0]) == (1.5, 2.5)


def test_the_legend_names_all_lines() -> None:
    labels = [one.get_label() for one in phase_figures.handles(3.86, 0.5)]
    assert labels == [
        r"3.9 $\xi_c$ = depth (fitted)",
        r"6 $\xi_c$ = depth (published)",
        r"$\chi_1 = 1$ (edge of chaos)",
        "trained: accuracy ≥ 0.5",
    ]
