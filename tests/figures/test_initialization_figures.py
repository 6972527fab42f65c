"""The figures of networks at initialization and during training: what is drawn against the data, readable texts, and
the same bytes whatever the reader's settings."""

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import product

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from pipeline.diagnostics import histograms as diagnostics
from pipeline.figures import initialization_figures, style
from pipeline.figures.initialization_figures import Histogram
from pipeline.numerics.sums import Array
from tests.figures.test_training_figures import MANY, labels_of, unreadable
from tests.marks import slow
from tests.reporting.test_initialization_report import INITS, drawn_models, initialization_csv

NAN, INF = math.nan, math.inf
EDGES = diagnostics.bin_edges()
STEPS = np.array([0, 1, 2, 5, 10, 20, 50, 100, 200])
EVEN = (np.arange(2**16) + 0.5) / 2**16  # between 0 and 1


def histogram(values: Sequence[float] | Array) -> Histogram:
    """Of these values, from the first bin that holds one to the last, as units.npz has it."""
    counts = diagnostics.histogram(np.array([[values]], dtype=np.float64))[0]
    used = np.flatnonzero(counts)
    return Histogram(int(used[0]), counts[used[0] : used[-1] + 1])


def quantity_rows(names: Sequence[str], n_layers: int) -> pd.DataFrame:
    """initialization.csv with unique numbers: the smallest a hundredth of the mean, the largest and theory twice it."""
    made = initialization_csv(names, [2, *[3] * (n_layers - 1), 1], {})
    made["mean"] = 4.0 ** -np.arange(len(made)) if len(made) < 200 else 1.0 / (1.0 + np.arange(len(made)))
    made["min"], made["max"], made["predicted"] = made["mean"] / 100, made["mean"] * 2, made["mean"] * 2
    return made


def along(names: Sequence[str]) -> pd.DataFrame:
    """What `along_training.shares` gives, other numbers in every row."""
    made = pd.DataFrame({"initializer": np.repeat(names, len(STEPS)), "iteration": np.tile(STEPS, len(names))})
    rows = np.arange(len(made)) / len(made)
    return made.assign(unique_units=rows, rank=rows**2, saturated=1 - rows, dead=rows / 2)


def copies(names: Sequence[str]) -> pd.DataFrame:
    """What `trajectory.follow` gives of a model and its perturbed copy; the costs are the same at first."""
    made = pd.DataFrame({"initializer": np.repeat(names, len(STEPS)), "iteration": np.tile(STEPS, len(names))})
    grown = 1e-16 * 2.0 ** np.arange(len(made))
    return made.assign(
        cost=0.5, cost_difference=np.where(made["iteration"] < 5, 0.0, grown), weight_difference=3 * grown
    )


def ridges(names: Sequence[str], n_layers: int = 3) -> Figure:
    values = np.random.RandomState(0).randn(n_layers, 400)
    return initialization_figures.activations({name: [histogram(np.maximum(v, 0.0)) for v in values] for name in names})


DRAWN: dict[str, Callable[[Sequence[str]], Figure]] = {
    "activations": ridges,
    "depth": lambda names: initialization_figures.depth(quantity_rows(names, 3)),
    "along_training": lambda names: initialization_figures.along_training(along(names), 3),
    "reproducibility": lambda names: initialization_figures.reproducibility(copies(names), 3),
}


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_visible()]


def drawn(figure: Figure) -> bytes:
    """The picture; a warning of NumPy or matplotlib is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return style.png(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_same_bytes_each_time_and_under_any_settings(name: str) -> None:
    first = drawn(DRAWN[name](["a", "b"]))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 40, "lines.linewidth": 9}):
        assert drawn(DRAWN[name](["a", "b"])) == first
    assert first.startswith(b"\x89PNG")
    assert not any(chunk in first for chunk in (b"tEXt", b"tIME", b"iTXt", b"zTXt"))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("n", [1, 5])
def test_every_initializer_is_named(name: str, n: int) -> None:
    names = [f"initializer_{i}" for i in range(n)]
    figure = DRAWN[name](names)
    if name == "along_training":
        assert [ax.get_ylabel() for ax in figure.axes[::4]] == names
        assert len(figure.axes) == 4 * n
    else:
        assert [ax.get_title(loc="left") for ax in panels(figure)] == names
        assert len(figure.axes) == (1 if n == 1 else 8)
    if n == 1:
        assert drawn(figure)


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("n", [1, 3, 12])
def test_texts_can_be_read(name: str, n: int) -> None:
    assert unreadable(DRAWN[name](["x"] if n == 1 else MANY[:n])) == []


# The ridges


def ridge(ax: Axes, place: int = 0) -> tuple[Array, Array]:
    """The edges of the bars of a ridge, and their heights over the highest."""
    steps = sorted(
        (patch for patch in ax.patches if isinstance(patch, StepPatch)), key=lambda s: -s.get_data().baseline
    )
    heights, edges, base = steps[place].get_data()
    assert base == -place
    return edges, (heights - base) / initialization_figures.RIDGE


def one_ridge(values: Sequence[float] | Array) -> Axes:
    return panels(initialization_figures.activations({"x": [histogram(values)]}))[0]


VALUES = [-2.1, -1.3, -0.3, 0.0, 0.0, 1e-31, 0.53, 0.6, 3.3]  # 1e-31 is below 2^-100


def test_the_values_below_each_edge_are_counted() -> None:
    edges, below, zeros = initialization_figures.cumulative(histogram(VALUES))
    assert edges.tolist() == EDGES.tolist()
    assert zeros == 3
    others = [value for value in VALUES if abs(value) > 1e-30]
    assert below.tolist() == [sum(value < edge for value in others) for edge in EDGES]


def test_a_histogram_without_its_empty_ends_is_the_same() -> None:
    trimmed = histogram(VALUES)
    whole = np.zeros(len(EDGES) + 1)
    whole[trimmed.first : trimmed.first + len(trimmed.counts)] = trimmed.counts
    assert trimmed.first > 0
    for one, other in zip(
        initialization_figures.cumulative(trimmed), initialization_figures.cumulative(Histogram(0, whole)), strict=True
    ):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "values", [[0.3] * 98 + [-0.7, 5.0], [0.3] * 199 + [5.0], [1.0], [-1.0], [3e-20, -2e-20], [7.0] * 99 + [0.0] * 900]
)
def test_reach_is_the_first_edge_within_which_99_of_100_values_lie(values: list[float]) -> None:
    others = [abs(value) for value in values if value != 0.0]
    enough = (edge for edge in EDGES if edge > 0 and sum(value < edge for value in others) >= 0.99 * len(others))
    assert initialization_figures.reach(histogram(values)) == next(enough)


def test_nothing_but_zeros_has_no_reach() -> None:
    assert initialization_figures.reach(histogram([0.0, 0.0, 1e-40])) == 0.0


def test_a_uniform_law_gives_a_flat_ridge() -> None:
    ax = one_ridge(2.0 * EVEN - 1.0)
    edges, heights = ridge(ax)
    assert ax.get_xlim() == (-1.0, 1.0)
    assert (edges[0], edges[-1]) == (-1.0, 1.0)
    assert heights.max() == 1.0
    # 546 of the values lie in each of the 120 bars, but for one more or less at each end
    np.testing.assert_allclose(heights, 1.0, rtol=2 / 546)


def test_a_ridge_follows_the_law() -> None:
    """Of density 1 - x on [0, 1], and nothing below 0."""
    edges, heights = ridge(one_ridge(1.0 - np.sqrt(1.0 - EVEN)))
    extent = edges[-1]
    assert extent == 0.9375  # 15 / 16, the first edge beyond 0.9, within which 99 of 100 lie
    cdf = 1.0 - (1.0 - np.clip(edges, 0.0, 1.0)) ** 2
    share = np.diff(cdf)
    # the values of a bin count as evenly spread: half a bin, 1/32, times the slope 1 of the density
    np.testing.assert_allclose(heights, share / share.max(), atol=0.035)
    assert not heights[edges[1:] <= 0.0].any()
    assert heights.argmax() == np.flatnonzero(edges >= 0.0)[0]  # at 0 itself


def test_a_ridge_too_narrow_to_be_read_has_its_width_in_words() -> None:
    wide = 2.0 * EVEN - 1.0
    layers = {name: [histogram(wide / part), histogram(wide)] for name, part in (("x", 64), ("y", 16))}
    first, second = panels(initialization_figures.activations(layers))
    assert [text.get_text() for text in first.texts] == ["within ±0.0156"]
    assert not second.texts


def test_a_ridge_is_as_wide_as_its_layer_beside_the_others() -> None:
    wide, narrow = 2.0 * EVEN - 1.0, (2.0 * EVEN - 1.0) / 4
    ax = panels(initialization_figures.activations({"x": [histogram(narrow), histogram(wide)]}))[0]
    assert ax.get_xlim() == (-1.0, 1.0)
    edges, heights = ridge(ax)
    inside = (edges[1:] < 0.25) & (edges[:-1] > -0.25)
    outside = (edges[:-1] > 0.25) | (edges[1:] < -0.25)
    assert not heights[outside].any()
    np.testing.assert_allclose(heights[inside], 1.0, rtol=2 / 2160)
    np.testing.assert_allclose(ridge(ax, 1)[1], 1.0, rtol=2 / 546)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 0.0, 0.0], ["zero: 100 %"]),
        ([0.0, 1.0], ["zero: 50 %"]),
        ([0.0] * 52 + [1.0] * 48, ["zero: 52 %"]),
        ([0.0, -1.0, 1.0], ["zero: 33 %"]),
        ([-1.0, 1.0], []),
        ([0.0] * 3 + [1.0] * 997, ["zero: < 1 %"]),
        ([0.0] * 997 + [1.0] * 3, ["zero: > 99 %"]),
        ([0.0, INF], ["zero: 50 %", "off scale: 50 %"]),
        ([0.0, 1.0, -1e20, NAN], ["zero: 25 %", "off scale: 50 %"]),
        ([1e300], ["off scale: 100 %"]),
    ],
)
def test_what_a_ridge_leaves_out_is_written_above_it(values: list[float], words: list[str]) -> None:
    ax = one_ridge(values)
    assert [text.get_text() for text in ax.texts] == words
    assert all(text.xy[1] > initialization_figures.RIDGE for text in ax.texts)  # where no bar is
    assert ("off scale: beyond ±1.2e18" in ax.get_figure().get_suptitle()) == ("off scale" in " ".join(words))
    assert len(ax.patches) == any(0.0 < abs(value) < 1e18 for value in values)


def test_a_layer_has_its_own_place_and_words() -> None:
    layers = [histogram([0.0, 1.0]), histogram([-1.0, 1.0]), histogram([0.0])]
    figure = initialization_figures.activations({"x": layers, "y": layers})
    first, second = panels(figure)
    assert [label.get_text() for label in first.get_yticklabels()] == ["layer 1", "layer 2", "logits"]
    assert first.get_yticks().tolist() == [0.0, -1.0, -2.0]
    assert [(text.get_text(), math.floor(text.xy[1])) for text in second.texts] == [
        ("zero: 50 %", 0.0),
        ("zero: 100 %", -2.0),
    ]
    low, high = first.get_ylim()
    assert low < -2.0
    assert high > initialization_figures.RIDGE  # the top of the first ridge


def test_all_models_are_pooled() -> None:
    """From what units.npz has: the activations of the hidden layers, and the logits."""
    counts = {
        "a1": [[1, 0, 2], [0, 3, 4]],
        "a2": [[5], [6]],
        "z1": [[9], [9]],
        "z2": [[9], [9]],
        "z3": [[7, 8], [1, 1]],
    }
    units = {key: np.array(value, dtype=np.int32) for key, value in counts.items()}
    units |= {f"{key}_first": np.array(place) for place, key in enumerate(counts)}
    found = initialization_figures.pooled(units, 3)
    assert [(one.first, one.counts.tolist()) for one in found] == [(0, [1, 3, 6]), (1, [11]), (4, [8, 9])]
    (only,) = initialization_figures.pooled({"z1": units["z1"], "z1_first": units["z1_first"]}, 1)
    assert (only.first, only.counts.tolist()) == (2, [18])


# Signal and gradient against depth


def rows_of(measured: pd.DataFrame, name: str, quantity: str) -> pd.DataFrame:
    return measured[(measured["initializer"] == name) & (measured["quantity"] == quantity)]


def test_depth_draws_the_roots_of_the_table_and_theory() -> None:
    measured = quantity_rows(["a", "b"], 3)
    for name, ax in zip(("a", "b"), panels(initialization_figures.depth(measured)), strict=True):
        lines = [(line.get_xdata().tolist(), line.get_ydata().tolist(), line.get_linestyle()) for line in ax.lines]
        bands = [c.get_paths()[0].vertices for c in ax.collections if isinstance(c, PolyCollection)]
        assert (len(lines), len(bands)) == (4, 2)  # no value is 0, so there is no line of 0
        for place, quantity in enumerate(("preactivation_mean_square", "gradient_ratio")):
            rows = rows_of(measured, name, quantity)
            mean, low, high, theory = (
                [math.sqrt(value) for value in rows[key]] for key in ("mean", "min", "max", "predicted")
            )
            assert lines[2 * place : 2 * place + 2] == [([1.0, 2.0, 3.0], mean, "-"), ([1.0, 2.0, 3.0], theory, "--")]
            corners = {(float(x), float(y)) for x, y in bands[place]}
            assert corners == {*zip((1.0, 2.0, 3.0), low, strict=True), *zip((1.0, 2.0, 3.0), high, strict=True)}
        low, high = ax.get_ylim()
        assert ax.get_yscale() == "log"
        shown = measured[measured["quantity"].isin(["preactivation_mean_square", "gradient_ratio"])]
        assert low < math.sqrt(shown["min"].min())
        assert high > math.sqrt(shown["max"].max())
        assert not ax.texts


@pytest.mark.parametrize(("n_layers", "ticks"), [(1, [1]), (3, [1, 2, 3]), (6, [1, 2, 3, 4, 5, 6])])
def test_layers_are_whole_numbers_and_all_have_their_place(n_layers: int, ticks: list[int]) -> None:
    measured = quantity_rows(["a"], n_layers)
    measured["mean"] = measured["mean"].where(measured["layer"] == n_layers, 0.0)
    (ax,) = panels(initialization_figures.depth(measured))
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == ticks


def test_what_is_0_lies_on_a_line_with_its_label() -> None:
    """Of `a` only the last layer has a gradient, and no layer a signal; the band goes down to 0 where some seed has 0."""
    measured = quantity_rows(["a", "b"], 3)
    kept = (measured["initializer"] == "b") | ((measured["quantity"] == "gradient_ratio") & (measured["layer"] == 3))
    for key in ("mean", "min", "max", "predicted"):
        measured[key] = measured[key].where(kept, 0.0)
    measured.loc[(measured["initializer"] == "b") & (measured["layer"] == 2), "min"] = 0.0
    figure = initialization_figures.depth(measured)
    a, b = panels(figure)
    places = dict(zip(labels_of(a), a.get_yticks(), strict=True))
    zero = places.pop("0")
    assert a.get_ylim()[0] < zero < min(places.values())
    signal, _, gradient, *_ = (line.get_ydata() for line in a.lines)
    assert signal.tolist() == [zero] * 3
    last = rows_of(measured, "a", "gradient_ratio")["mean"].iloc[-1]
    assert gradient.tolist() == [zero, zero, math.sqrt(last)]
    for ax in (a, b):
        assert list(ax.lines[-1].get_ydata()) == [zero, zero]  # the line itself
        band = next(c for c in ax.collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
        assert min(y for x, y in band if x == 2.0) == zero
    assert not a.texts
    assert drawn(figure)


def test_what_is_not_finite_is_named() -> None:
    measured = quantity_rows(["a", "b"], 3)
    measured.loc[(measured["initializer"] == "a") & (measured["quantity"] == "gradient_ratio"), "mean"] = NAN
    a, b = panels(initialization_figures.depth(measured))
    assert [text.get_text() for text in a.texts] == ["not finite: gradient"]
    assert not b.texts


def test_the_axis_ends_at_what_can_be_drawn() -> None:
    measured = quantity_rows(["a"], 3)
    scales = measured["quantity"].isin(["preactivation_mean_square", "gradient_ratio"])
    measured.loc[scales & (measured["layer"] == 2), "min"] = 1e-240
    measured.loc[scales & (measured["layer"] == 3), "max"] = INF
    (ax,) = panels(initialization_figures.depth(measured))
    low, high = ax.get_ylim()
    assert 0.2e-100 < low < high < 1e101
    measured.loc[scales, ["mean", "min", "max", "predicted"]] = NAN
    assert drawn(initialization_figures.depth(measured))


# Odd shapes and numbers


def test_deep_networks_show_eight_ridges_and_every_layer_as_a_line() -> None:
    layers = [histogram([0.0] * l + [1.0] * (100 - l)) for l in range(1, 52)]
    figure = initialization_figures.activations({"a": layers})
    (ax,) = panels(figure)
    shown = [1, 8, 15, 22, 30, 37, 44]
    assert [label.get_text() for label in ax.get_yticklabels()] == [*(f"layer {l}" for l in shown), "logits"]
    assert [text.get_text() for text in ax.texts] == [f"zero: {l} %" for l in [*shown, 51]]
    assert drawn(figure)
    figure = initialization_figures.depth(quantity_rows(["a"], 51))
    (ax,) = panels(figure)
    assert [len(line.get_xdata()) for line in ax.lines] == [51] * 4
    assert ax.get_xlim()[0] > 0.0  # no layer 0
    assert {line.get_markersize() for line in ax.lines if line.get_marker() in ("o", "s")} == {0.0}
    assert drawn(figure)


@pytest.mark.parametrize("layers_dims", [[2, 1], *slow([2, 1, 1, 1], [2, 3])])
def test_networks_without_hidden_layers_or_of_single_units(layers_dims: list[int]) -> None:
    made, _, histograms = drawn_models(INITS, layers_dims)
    for figure in (initialization_figures.depth(made), initialization_figures.activations(histograms)):
        assert [ax.get_title(loc="left") for ax in panels(figure)] == list(INITS)
        assert drawn(figure)
    names = [label.get_text() for label in panels(figure)[0].get_yticklabels()]
    assert names == [*(f"layer {l}" for l in range(1, len(layers_dims) - 1)), "logits"]


def test_networks_without_hidden_layers_have_saturated_outputs_alone() -> None:
    figure = initialization_figures.along_training(along(["a"]).assign(unique_units=NAN, rank=NAN, dead=NAN), 3)
    texts = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert texts == [["no hidden layer"]] * 3 + [[]]
    assert unreadable(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("odd", [NAN, INF, 0.0, 1e308, 5e-324])
def test_what_is_not_finite_or_beyond_all_is_drawn_without_a_warning(odd: float) -> None:
    measured = quantity_rows(["a", "b"], 3)
    for layers, keys in (([2], ["mean"]), ([3], ["max"]), ([1], ["predicted"])):
        measured.loc[(measured["initializer"] == "a") & measured["layer"].isin(layers), keys] = odd
    measured.loc[measured["initializer"] == "b", ["mean", "min", "max", "predicted"]] = odd
    assert drawn(initialization_figures.depth(measured))
    rows = copies(["a", "b"])
    rows.loc[4:, ["cost_difference", "weight_difference"]] = odd
    figure = initialization_figures.reproducibility(rows, 3)
    assert not any(np.isinf(line.get_ydata()).any() for ax in panels(figure) for line in ax.lines)
    assert drawn(figure)
    assert unreadable(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("values", [[NAN, 1.0, 0.0], [INF, -INF, 2.0], [NAN], [1e300, 1e-300], [1e18, -1e18], [1e-30]])
def test_ridges_of_what_is_no_number_or_beyond_all(values: list[float]) -> None:
    figure = initialization_figures.activations({"a": [histogram(values)], "b": [histogram([0.5, -1.0])]})
    assert drawn(figure)
    assert unreadable(figure) == []


def test_the_longest_texts_of_a_ridge_do_not_meet() -> None:
    zeros_and_more = histogram([0.0] * 996 + [1e300] * 4)
    most = histogram([0.0] + [NAN] * 999)
    narrow = histogram([0.0] * 999 + [-1.2345e-25])
    layers = [zeros_and_more, most, narrow, histogram(2.0 * EVEN - 1.0)]
    figure = initialization_figures.activations(dict.fromkeys(MANY[:4], layers))
    texts = [text.get_text() for text in panels(figure)[0].texts]
    assert texts == [
        "zero: > 99 %",
        "off scale: < 1 %",
        "zero: < 1 %",
        "off scale: > 99 %",
        "zero: > 99 %",
        "within ±1.3e-25",  # the next edge, 20 / 16 of 2^-83
    ]
    assert unreadable(figure) == []


# Along training


LABELS = {0: "0", 1: "1", 100: "100", 10000: "$10^4$", 10**6: "$10^6$"}
TITLES = {
    "unique_units": "distinct units\n(of the hidden units)",
    "rank": "effective rank of the\nweights / full rank",
    "dead": "dead units\n(of the hidden units)",
    "saturated": "saturated outputs\n(of the outputs)",
}


def test_along_training_has_a_row_per_initializer_and_a_column_per_quantity() -> None:
    rows = along(["a", "b"])
    figure = initialization_figures.along_training(rows, 7)
    for place, ((name, (column, title)), ax) in enumerate(
        zip(product(("a", "b"), TITLES.items()), figure.axes, strict=True)
    ):
        own = rows[rows["initializer"] == name]
        (line,) = ax.lines
        assert line.get_xydata().tolist() == own[["iteration", column]].to_numpy(dtype=float).tolist()
        assert ax.get_title(loc="left") == (title if place < 4 else "")
        assert ax.get_ylabel() == (name if column == "unique_units" else "")
        assert labels_of(ax) == (["0", "0.5", "1"] if column == "rank" else ["0 %", "50 %", "100 %"])
        assert ax.get_yticks().tolist() == [0.0, 0.5, 1.0]
        assert ax.get_xlim() == (0.0, 200.0)
        assert ax.get_ylim()[0] < 0.0 < 1.0 < ax.get_ylim()[1]
        assert not ax.texts
    assert "seed 7" in figure.get_suptitle()


def test_a_model_that_diverges_says_when_beside_its_name() -> None:
    rows = along(MANY[:3])
    gone = (rows["initializer"] == MANY[1]) & (rows["iteration"] >= 50)
    rows.loc[gone | (rows["initializer"] == MANY[2]), ["unique_units", "rank", "saturated", "dead"]] = NAN
    figure = initialization_figures.along_training(rows, 7)
    labels = [ax.get_ylabel().partition("not ")[2] for ax in figure.axes[::4]]
    assert labels == ["", "finite from\niteration 50", "finite from\niteration 0"]
    assert [[text.get_text() for text in ax.texts] for ax in figure.axes[8:]] == [["not finite"]] * 4
    assert unreadable(figure) == []


@pytest.mark.parametrize(
    ("last", "ticks"),
    [
        (1, [0, 1]),
        (15000, [0, 1, 100, 10000]),
        *slow((40, [0, 1]), (100, [0, 1, 100]), (10**6, [0, 1, 100, 10000, 10**6])),
    ],
)
def test_the_axis_of_iterations_has_0_and_powers_of_10(last: int, ticks: list[int]) -> None:
    rows = along(["a", "b"])
    rows["iteration"] = np.where(rows["iteration"] == 200, last, np.minimum(rows["iteration"], last))
    figure = initialization_figures.along_training(rows, 3)
    for ax in figure.axes:
        assert ax.get_xticks().tolist() == ticks
        assert ax.get_xlim() == (0.0, last)
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == [LABELS[tick] for tick in ticks]
    assert unreadable(figure) == []


def test_reproducibility_draws_both_differences_and_0_on_its_line() -> None:
    rows = copies(["a", "b"])
    rows.loc[rows["initializer"] == "b", "cost_difference"] = 0.0
    figure = initialization_figures.reproducibility(rows, 7)
    a, b = panels(figure)
    places = dict(zip(labels_of(a), a.get_yticks(), strict=True))
    zero = places["0"]
    for name, ax in (("a", a), ("b", b)):
        own = rows[rows["initializer"] == name]
        weights, costs, line_of_0 = ax.lines
        assert weights.get_xydata().tolist() == own[["iteration", "weight_difference"]].to_numpy(dtype=float).tolist()
        assert costs.get_xdata().tolist() == STEPS.tolist()
        assert costs.get_ydata().tolist() == [value or zero for value in own["cost_difference"]]
        assert list(line_of_0.get_ydata()) == [zero, zero]
        assert ax.get_ylim()[0] < zero < own["weight_difference"].min()
    assert not a.texts
    assert [text.get_text() for text in b.texts] == ["identical costs throughout"]
    (legend,) = figure.legends
    assert "seed 7" in legend.get_title().get_text()
    entries = {text.get_text(): line.get_color() for text, line in zip(legend.texts, legend.get_lines(), strict=True)}
    assert entries["|difference| of cost (nats)"] == a.lines[1].get_color()
    assert entries["largest |difference| of a weight or bias"] == a.lines[0].get_color()


def test_differences_too_small_for_the_axis_share_a_labelled_place() -> None:
    """A perturbed weight that was 0 differs by the smallest number there is."""
    rows = copies(["a"]).assign(weight_difference=5e-324, cost_difference=0.0)
    (ax,) = panels(initialization_figures.reproducibility(rows, 3))
    weights, costs, _ = ax.lines
    assert set(weights.get_ydata()) == {1e-18}
    assert labels_of(ax)[:2] == ["0", r"$\leq 10^{-18}$"]
    assert ax.get_yticks()[1] == 1e-18
    assert set(costs.get_ydata()) == {ax.get_yticks()[0]}


@pytest.mark.parametrize("largest", [0.5, 1.0, 37.0])
def test_large_differences_stay_half_a_decade_below_the_upper_edge(largest: float) -> None:
    rows = copies(["a"])
    rows.loc[4:, "weight_difference"] = largest
    (ax,) = panels(initialization_figures.reproducibility(rows, 3))
    assert ax.get_ylim()[1] == pytest.approx(max(1.0, largest) * 10.0**0.5, rel=1e-12)


@pytest.mark.parametrize("largest", [1.0, 1e39])
def test_the_edges_of_the_axes_do_not_cut_markers(largest: float) -> None:
    """The squares of 3 points, which are 6 pixels, at the first and the last iteration are whole outside the axes."""
    figure = initialization_figures.reproducibility(copies(["a"]).assign(weight_difference=largest), 3)
    (ax,) = panels(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    red, green, blue = np.moveaxis(np.asarray(canvas.buffer_rgba())[:, :, :3].astype(int), 2, 0)
    orange = (red > 200) & (green < 200) & (blue < 150)  # style.LIGHT, and its edges, mixed with white
    row = len(orange) - round(ax.transData.transform((0.0, largest))[1])
    for outside in (round(ax.bbox.x0) - 3, round(ax.bbox.x1) + 1):  # beside the axis line
        half = orange[row - 6 : row + 6, outside : outside + 2]
        assert half.sum(axis=0).min() >= 6


def test_a_perturbed_copy_that_diverges_says_when() -> None:
    rows = copies(["a", "b"])
    rows.loc[(rows["initializer"] == "b") & (rows["iteration"] >= 20), ["cost_difference", "weight_difference"]] = NAN
    a, b = panels(initialization_figures.reproducibility(rows, 3))
    assert not a.texts
    assert [text.get_text() for text in b.texts] == ["diverged: cost not finite from iteration 20"]
    assert np.isnan(b.lines[1].get_ydata()).tolist() == (STEPS >= 20).tolist()
