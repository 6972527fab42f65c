"""The figures: what is drawn against the data, texts that can be read whatever the experiment, and the same bytes."""

import io
import math
from itertools import combinations, product

import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from pipeline.analysis import comparison, estimators
from pipeline.datasets import DATASETS, circles
from pipeline.figures import data_figures, plane, style, training_figures
from tests.analysis.test_comparison import models
from tests.marks import slow

TRAIN, TEST = circles(30, 0.05, 1), circles(20, 0.05, 2)
RUNS = models({"he": [0.7, 0.9, 1.0], "zeros": [0.5, 0.5, 0.5]})
COMPARED = comparison.compare(RUNS, 0.95, 0.9)
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
    "he": plane.square(plane.EXTENT, data_figures.GRID)[0].reshape(data_figures.GRID, -1),
    "zeros": np.full((data_figures.GRID, data_figures.GRID), 0.5),
}


NAN, INF = math.nan, math.inf
MANY = [f"{'W' * 40}_{'m' * 20}_{i:02}" for i in range(12)]  # 64 wide letters each


def texts_of(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that the figure shows, and its box in pixels; tick labels only where the axis has the tick."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    with matplotlib.style.context(["default", style.STYLE]):
        figure.draw_without_rendering()  # half the time of drawing; the layout and the size of texts are the same
    hidden = set()
    for ax in figure.axes:
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            outside = [tick for tick in ticks if not low <= tick.get_loc() <= high or not ax.axison]
            hidden |= {id(label) for tick in outside for label in (tick.label1, tick.label2)}
        if not ax.get_visible():
            hidden |= {id(text) for text in ax.findobj(Text)}
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and id(text) not in hidden]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def unreadable(figure: Figure) -> list[str]:
    """The texts of a figure that overlap each other by over a pixel, or leave the figure."""
    texts = texts_of(figure)
    assert texts
    area = figure.bbox
    outside = [
        f"{text!r} leaves the figure"
        for text, box in texts
        if box.x0 < area.x0 - 1 or box.y0 < area.y0 - 1 or box.x1 > area.x1 + 1 or box.y1 > area.y1 + 1
    ]
    boxes = [(text, Bbox.from_extents(box.x0 + 0.5, box.y0 + 0.5, box.x1 - 0.5, box.y1 - 0.5)) for text, box in texts]
    return outside + [f"{a!r} overlaps {b!r}" for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def test_texts_that_overlap_or_leave_the_figure_are_found() -> None:
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    ax.annotate("one", (0.5, 0.5), xycoords="axes fraction")
    assert unreadable(figure) == []
    ax.annotate("two", (0.51, 0.5), xycoords="axes fraction")
    ax.annotate("three", (1.1, 0.9), xycoords="axes fraction")
    ax.annotate("below", (0.2, -0.08), xycoords="axes fraction")  # on the labels of the ticks
    found = unreadable(figure)
    assert found[0] == "'three' leaves the figure"
    assert "'one' overlaps 'two'" in found
    assert any("'below'" in problem for problem in found)


def costs(names: list[str], values: list[list[float]], iterations: list[int]) -> pd.DataFrame:
    """The same curves for all `names`: a seed for each list of `values`, a cost for each iteration."""
    rows = [
        (name, seed, iteration, cost)
        for name in names
        for seed, own in enumerate(values)
        for iteration, cost in zip(iterations, own, strict=True)
    ]
    return pd.DataFrame(rows, columns=["initializer", "seed", "iteration", "cost"])


def curves_of(curves: pd.DataFrame, published: pd.DataFrame | None = None, seed: int = 0) -> Figure:
    published = PUBLISHED[:0] if published is None else published
    return training_figures.cost_curves(comparison.cost_bands(curves), curves, published, seed)


def drawn(name: str) -> Figure:
    if name == "data":
        return data_figures.data(TRAIN, TEST)
    if name == "pictures":
        return data_figures.data(*DATASETS["digits"].split(40, 20, 0.0, 1, 2))
    if name == "two_of_many":
        return data_figures.data(*DATASETS["breast_cancer"].split(40, 20, 0.0, 1, 2))
    if name == "confusions":
        return data_figures.confusions({"he": np.eye(10) * 7 + 1, "zeros": np.zeros((10, 10))}, 3)
    if name == "cost_curves":
        return training_figures.cost_curves(comparison.cost_bands(CURVES), CURVES, PUBLISHED, 0)
    if name == "boundaries":
        return data_figures.boundaries(PROBABILITIES, *TRAIN, 0)
    return training_figures.accuracy(RUNS, COMPARED, 0, 0.9, 0.95)


ALL = ["data", "cost_curves", "boundaries", "accuracy", "two_of_many", *slow("pictures", "confusions")]


@pytest.mark.parametrize("name", ALL)
def test_same_bytes_each_time_and_under_any_settings(name: str) -> None:
    first = style.png(drawn(name))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 40, "lines.linewidth": 9}):
        assert style.png(drawn(name)) == first
    assert first.startswith(b"\x89PNG")
    assert not any(
        chunk in first for chunk in (b"tEXt", b"tIME", b"iTXt", b"zTXt")
    )  # a date or a version would be there
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 40}):
        pixels = style.image(drawn(name))
    assert np.array_equal(pixels, Image.open(io.BytesIO(first)))  # the file's pixels without the file


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
    assert [text.get_text() for text in he.texts] == ["starts at up to 40"]
    assert not zeros.texts


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].texts]


def test_without_published_costs_there_is_no_such_entry() -> None:
    entries = ["median over seeds", "middle half of the seeds", "all seeds", "seed 0"]
    assert legend_of(curves_of(CURVES, PUBLISHED)) == [*entries, "published, seed 0"]
    assert legend_of(curves_of(CURVES)) == entries
    assert legend_of(curves_of(CURVES, PUBLISHED[PUBLISHED["initializer"] == "x10"])) == entries


def line(ax: Axes, colour: str) -> Line2D:
    """The first curve of this colour; markers have no line, and the line of 0 comes after all curves."""
    found = next(one for one in ax.lines if one.get_color() == colour and one.get_linestyle() != "None")
    return found


def corners(band: PolyCollection) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for path in band.get_paths() for x, y in path.vertices}


def test_cost_curves_draw_median_quartiles_extremes_and_one_seed() -> None:
    """Five seeds, so that the quartiles are the second and the fourth cost; all five and their order differ."""
    values = [[4.0, 0.5], [1.0, 0.9], [2.0, 0.7], [5.0, 0.8], [3.0, 0.6]]
    (ax,) = curves_of(costs(["he"], values, [0, 1000]), seed=3).axes
    assert line(ax, "black").get_xydata().tolist() == [[0.0, 3.0], [1000.0, 0.7]]
    assert line(ax, style.ACCENT).get_xydata().tolist() == [[0.0, 5.0], [1000.0, 0.8]]
    everything, half = (band for band in ax.collections if isinstance(band, PolyCollection))
    assert corners(everything) == {(0.0, 1.0), (0.0, 5.0), (1000.0, 0.5), (1000.0, 0.9)}
    assert corners(half) == {(0.0, 2.0), (0.0, 4.0), (1000.0, 0.6), (1000.0, 0.8)}
    assert [matplotlib.colors.to_hex(band.get_facecolor()[0]) for band in (everything, half)] == [
        style.LIGHTEST,
        style.MIDDLE,
    ]
    assert ax.get_ylim()[1] == 10.0
    assert not ax.texts


def test_seeds_that_diverged_are_counted_and_their_costs_are_above_all_others() -> None:
    """Two of four are not finite at the end: the median is none, the band of all leaves the axis at its top."""
    values = [[0.7, 0.6, 0.5], [0.7, 0.8, NAN], [0.7, 2.0, INF], [0.7, 0.9, 0.8]]
    figure = curves_of(costs(["he"], values, [0, 10, 20]), seed=1)
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["diverged: 2 of 4 seeds"]
    assert line(ax, "black").get_ydata()[:2].tolist() == [0.7, pytest.approx(0.85)]
    assert np.isnan(line(ax, "black").get_ydata()[2])
    everything, half = (corners(band) for band in ax.collections if isinstance(band, PolyCollection))
    top = ax.get_ylim()[1]
    assert (20.0, 0.5) in everything
    assert max(y for x, y in everything if x == 20.0) > top
    assert max(y for x, y in half if x == 20.0) > top
    crosses = [one.get_xydata().tolist() for one in ax.lines if one.get_marker() == "x"]
    assert crosses == [[[10.0, pytest.approx(0.85)]], [[10.0, 0.8]]]
    assert legend_of(figure)[-1] == "last finite cost"


def test_a_median_that_ends_above_the_common_axis_has_an_axis_that_shows_it() -> None:
    low, high = costs(["he"], [[0.7, 0.2]] * 3, [0, 10]), costs(["x"], [[0.7, 1.8e20]] * 3, [0, 10])
    he, x = curves_of(pd.concat([low, high])).axes
    assert he.get_ylim()[1] == 10.0
    assert not he.texts
    assert line(x, "black").get_ydata().tolist() == [0.7, 1.8e20]
    assert x.get_ylim()[0] < 0.7 < 1.8e20 < x.get_ylim()[1]
    assert [text.get_text() for text in x.texts] == ["separate cost axis\nfinal cost above 10: 3 of 3 seeds"]
    assert x.yaxis.get_tick_params()["labelleft"]
    (only,) = curves_of(high).axes
    assert [text.get_text() for text in only.texts] == ["final cost above 10: 3 of 3 seeds"]


@pytest.mark.parametrize(("above", "texts"), [(2, ["separate cost axis"]), (1, ["starts at up to 300"])])
def test_a_median_above_the_common_axis_in_half_of_the_records_has_its_own(above: int, texts: list[str]) -> None:
    high = [300.0, 20.0 if above == 2 else 6.0, 5.0, 4.0]
    low = costs(["he"], [[0.7, 0.6, 0.5, 0.4]], [0, 10, 20, 30])
    he, x = curves_of(pd.concat([low, costs(["x"], [high], [0, 10, 20, 30])])).axes
    assert he.get_ylim()[1] == 10.0
    assert (x.get_ylim()[1] > 300.0) == (above == 2)
    assert [text.get_text() for text in x.texts] == texts


@pytest.mark.parametrize("n", [2, training_figures.FEW, training_figures.FEW + 1])
def test_few_records_are_dots_that_no_edge_cuts(n: int) -> None:
    figure = curves_of(costs(["he"], [[0.7] * n, [0.6] * n], [100 * i for i in range(n)]))
    (ax,) = figure.axes
    in_legend = {one.get_color(): one.get_marker() for one in figure.legends[0].get_lines()}
    for colour in ("black", style.ACCENT):
        few = line(ax, colour)
        assert (few.get_marker() == ".") == (n <= training_figures.FEW) == (in_legend[colour] == ".")
        radius = few.get_markersize() / 4 / 72 * 150  # pixels at 150 dpi; the dot is half of the marker's size
        x0, x1 = ax.transData.transform([(0.0, 0.7), (100.0 * (n - 1), 0.7)])[:, 0]
        if n <= training_figures.FEW:
            assert ax.bbox.x0 + radius < x0 < x1 < ax.bbox.x1 - radius
        else:
            assert ax.get_xlim() == (0.0, 100.0 * (n - 1))


def test_a_cost_of_0_lies_on_a_line_with_its_label_and_a_tiny_one_is_not_lost() -> None:
    (ax,) = curves_of(costs(["he"], [[0.7, 1e-3, 0.0]] * 2, [0, 10, 20])).axes
    zero = line(ax, "black").get_ydata()[2]
    assert line(ax, "black").get_ydata()[:2].tolist() == [0.7, 1e-3]
    assert ax.get_ylim()[0] < zero < 1e-3
    assert dict(zip(ax.get_yticks(), labels_of(ax), strict=True))[zero] == "0"
    assert any(list(one.get_ydata()) == [zero, zero] for one in ax.lines)
    (ax,) = curves_of(costs(["he"], [[0.7, 1e-7, 1e-12]] * 2, [0, 10, 20])).axes
    assert line(ax, "black").get_ydata().tolist() == [0.7, 1e-7, 1e-8]
    assert labels_of(ax)[0] == r"$\leq 10^{-8}$"
    assert ax.get_yticks()[0] == 1e-8


def labels_of(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize(
    ("last", "label", "ticks"),
    [
        (10, "iteration", {0: "0", 5: "5", 10: "10"}),
        (15000, "iteration (thousands)", {0: "0", 5000: "5", 15000: "15"}),
        (10**7, "iteration (millions)", {0: "0", 5 * 10**6: "5", 10**7: "10"}),
    ],
)
def test_iterations_have_a_unit_that_suits_their_number(last: int, label: str, ticks: dict[int, str]) -> None:
    figure = curves_of(costs(["he"], [[0.7, 0.6]], [0, last]))
    assert figure.get_supxlabel() == label
    axis = figure.axes[0].xaxis
    found = {round(place): axis.get_major_formatter()(place) for place in axis.get_ticklocs()}
    assert ticks.items() <= found.items()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (181501633552295002112.0, "1.8e20"),
        (4773.4, "4,773"),
        (99999.4, "99,999"),
        (1e5, "1e5"),
        (40.0, "40"),
        (-10000.0, "-10,000"),
        (0.693147, "0.693"),
        (0.0, "0"),
        (0.00012345, "0.000123"),
        (1.24e-5, "1.2e-5"),
        (1e-300, "1e-300"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert style.number(value) == text


@pytest.mark.parametrize("name", ["he", "W" * 64, "random_x10", "a_name_of_some_length_that_goes_on", *MANY[:1]])
def test_wrapped_lines_are_the_text_and_fit(name: str) -> None:
    lines = style.wrapped(name, 2.0, 10.0, "bold").split("\n")
    assert "".join(lines) == name
    figure = Figure(figsize=(8, 2), dpi=100)
    for text in lines:
        box = figure.text(0.0, 0.5, text, fontsize=10, fontweight="bold").get_window_extent()
        assert box.width <= 2.0 * 100 + 2  # pixels: the renderer rounds
    assert len(lines) == 1 or all(2 * len(text) > min(map(len, lines)) for text in lines[:-1])


@pytest.mark.parametrize(
    ("values", "least", "low", "high"),
    [
        ([0.7], 1e-8, 0.1, 10.0),
        ([1e-300, 1e300], 1e-100, 1.0, 1.0),
        ([0.0, 1.0], 1e-8, 1.0, 1.0),
        ([0.0], 1e-18, 1e-17, 1.0),
        ([NAN, INF], 1e-8, 0.1, 10.0),
        ([], 1e-8, 0.1, 10.0),
        ([3.0, 5.0], 1e-8, 3.0, 5.0),
        ([0.0, 1e308], 1e-18, 1.0, 1.0),
    ],
)
def test_a_logarithmic_axis_has_a_place_for_every_finite_value(
    values: list[float], least: float, low: float, high: float
) -> None:
    scale = style.log_scale([values], least, low, high)
    figure = Figure()
    ax = figure.subplots()
    scale.apply(ax)
    bottom, top = ax.get_ylim()
    placed = scale.place(values)
    for value, place in zip(values, placed, strict=True):
        assert (bottom < place <= top or place == least) if math.isfinite(value) and value < 1e307 else True
        assert math.isnan(place) == (not math.isfinite(value))
        assert place == (scale.zero if value == 0.0 else max(value, least)) or math.isnan(place)
    assert math.isnan(scale.zero) == (0.0 not in values)
    assert 2 <= len(scale.ticks) == len(scale.labels) <= style.TICKS + 1
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert all(bottom <= tick <= top for tick in scale.ticks)


@pytest.mark.parametrize("published", [PUBLISHED, PUBLISHED.iloc[:0], PUBLISHED.iloc[1:]])  # x10 has no panel here
def test_the_legend_names_published_costs_only_where_some_are_drawn(published: pd.DataFrame) -> None:
    figure = training_figures.cost_curves(comparison.cost_bands(CURVES), CURVES[CURVES["seed"] == 0], published, 0)
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert ("published, seed 0" in labels) == (published is PUBLISHED)
    drawn = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert bool(drawn) == (published is PUBLISHED)


def test_one_panel_for_each_of_many_initializers() -> None:
    figure = data_figures.boundaries({str(i): PROBABILITIES["he"] for i in range(6)}, *TRAIN, 0)
    assert [ax.get_visible() for ax in figure.axes] == [True] * 6 + [False] * 2


def test_every_model_is_a_point_at_its_own_accuracy() -> None:
    """Training on the left, test on the right; the mean, its interval and the marked seed below the points."""
    runs = RUNS.assign(test_accuracy=[0.1, 0.2, 0.4, 0.5, 0.6, 0.8])
    compared = comparison.compare(runs, 0.95, 0.9)
    axes = training_figures.accuracy(runs, compared, 2, 0.9, 0.95).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["training accuracy", "test accuracy"]
    for ax, metric in zip(axes, ("train_accuracy", "test_accuracy"), strict=True):
        points = [one for one in ax.lines if one.get_marker() == "o"]
        for row, name, shown in zip((0, 1), ("he", "zeros"), points, strict=True):
            values = runs.loc[runs["initializer"] == name, metric].tolist()
            assert sorted(shown.get_xdata()) == values
            assert np.abs(np.array(shown.get_ydata()) - row).max() < 0.35
            below = [one for one in ax.lines if list(one.get_ydata()) == [row + 0.33] * len(one.get_ydata())]
            triangle, interval, mean = below
            assert (triangle.get_marker(), triangle.get_xdata()) == ("^", [values[2]])
            assert mean.get_xdata() == [pytest.approx(sum(values) / 3, rel=1e-15)]
            limits = estimators.mean_interval(values, 0.95)
            assert list(interval.get_xdata()) == list(limits) or np.isnan(interval.get_xdata()).all()
        (target,) = (one for one in ax.lines if one.get_linestyle() == ":")
        assert list(target.get_xdata()) == [0.9, 0.9]
    assert len(set(axes[0].lines[4].get_ydata())) == 3  # equal values side by side
    assert labels_of(axes[0]) == ["he", "zeros"]


def test_accuracies_say_which_models_diverged_and_the_exact_target() -> None:
    runs = RUNS.assign(behaviour=["diverged", "target reached", "diverged", *["target not reached"] * 3])
    figure = training_figures.accuracy(runs, COMPARED, 0, 0.995, 0.999)
    assert labels_of(figure.axes[0]) == ["he\ndiverged: 2 of 3 seeds", "zeros"]
    assert legend_of(figure) == ["one model", "mean, 99.9 % interval", "seed 0", "target: 99.5 %"]


def test_close_accuracies_have_different_labels() -> None:
    runs = models({"he": [0.991, 0.992, 0.996]}).assign(test_accuracy=[0.991, 0.992, 0.996])
    figure = training_figures.accuracy(runs, comparison.compare(runs, 0.95, 0.99).assign(**NO_INTERVAL), 0, 0.99, 0.95)
    labels = [text for text, _ in texts_of(figure) if text.endswith(" %") and "target" not in text]
    assert len(set(labels)) == len(labels) / 2 > 2  # on both panels


NO_INTERVAL = {f"{kind}_accuracy_{end}": NAN for kind in ("train", "test") for end in ("low", "high")}


def test_square_is_row_after_row() -> None:
    points = plane.square(plane.EXTENT, data_figures.GRID)
    assert points.shape == (2, data_figures.GRID**2)
    assert points[:, 0].tolist() == [-1.5, -1.5]
    assert points[:, 1].tolist() == [-1.5 + 3 / (data_figures.GRID - 1), -1.5]
    assert points[:, -1].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("n", [1, 4, 5, 7, 8])
def test_panels_above_a_gap_have_labels_on_their_horizontal_axis(n: int) -> None:
    """Rows have four panels: those with no panel below are the last four; the first of each row has vertical labels."""
    names = [f"i{k}" for k in range(n)]
    (X, Y) = TRAIN
    figures = [
        data_figures.confusions(dict.fromkeys(names, np.eye(3)), 3),
        data_figures.boundaries(dict.fromkeys(names, np.linspace(0.0, 1.0, 25).reshape(5, 5)), X, Y, 3),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        axes = [ax for ax in figure.axes if ax.get_visible()]
        below = [
            bool(ax.get_xlabel()) and any(tick.label1.get_visible() for tick in ax.xaxis.majorTicks) for ax in axes
        ]
        left = [bool(ax.get_ylabel()) and any(tick.label1.get_visible() for tick in ax.yaxis.majorTicks) for ax in axes]
        assert below == [k >= n - 4 for k in range(n)]
        assert left == [k % 4 == 0 for k in range(n)]


def test_confusions_say_how_many() -> None:
    he, zeros = drawn("confusions").axes[:2]
    assert sorted(text.get_text() for text in he.texts) == ["1"] * 90 + ["8"] * 10
    assert [text.get_text() for text in zeros.texts] == ["diverged: output is NaN"]
    image = he.images[0].get_array()
    assert (image[3, 3], image[3, 4]) == (8, 1)


def test_inputs_beyond_the_plane_are_said() -> None:
    (legend,) = drawn("two_of_many").legends
    assert legend.get_title().get_text() == "the first two of 30 inputs"
    assert [text.get_text() for text in drawn("data").legends[0].texts] == ["class 0", "class 1"]


def regions(ax: Axes) -> list[bool]:
    """Whether each class has a region."""
    filled = [c for c in ax.collections if not isinstance(c, PathCollection) and len(c.get_facecolor()) == 2]
    return [len(path.vertices) > 0 for path in filled[0].get_paths()] if filled else [False, False]


def test_a_model_without_finite_outputs_predicts_no_class() -> None:
    half = np.where(
        plane.square(plane.EXTENT, data_figures.GRID)[0].reshape(data_figures.GRID, -1) > 0.5, NAN, PROBABILITIES["he"]
    )
    probabilities = PROBABILITIES | {"none": np.full((data_figures.GRID, data_figures.GRID), NAN), "half": half}
    figure = data_figures.boundaries(probabilities, *TRAIN, 0)
    he, zeros, none, partly = figure.axes
    assert [regions(ax) for ax in (he, zeros, none)] == [[True, True], [True, False], [False, False]]
    assert not he.texts
    assert not zeros.texts
    assert [text.get_text() for text in none.texts] == ["diverged: output is NaN"]
    assert [text.get_text() for text in partly.texts] == ["diverged: output is NaN where white"]
    assert legend_of(figure) == ["class 0", "class 1", "predicted class 0", "predicted class 1"]
    assert style.png(figure)


def test_boundaries_show_every_sample() -> None:
    X, Y = TRAIN
    assert plane.extent(X) == 1.5
    far = 3.0 * X
    half = plane.extent(far)
    assert np.abs(far).max() < half <= 1.02 * np.abs(far).max() + 0.5
    assert np.abs(plane.square(half, data_figures.GRID)).max() == half
    for ax in data_figures.boundaries(PROBABILITIES, far, Y, 0).axes:
        assert (ax.get_xlim(), ax.get_ylim()) == ((-half, half),) * 2
        points = np.concatenate([c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)])
        assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, far.T.tolist()))
        edge = max(path.vertices.max() for c in ax.collections for path in c.get_paths() if len(path.vertices) > 9)
        assert edge >= half  # the regions fill the square


def test_the_data_are_drawn_where_they_are() -> None:
    for ax, (X, Y) in zip(drawn("data").axes, (TRAIN, TEST), strict=True):
        for label, points in enumerate(ax.collections):
            assert points.get_offsets().tolist() == X[:, Y[0] == label].T.tolist()
    one = data_figures.data((TRAIN[0][:1], TRAIN[1]), (TEST[0][:1], TEST[1]))
    assert unreadable(one) == []
    zeros, ones = one.axes[0].collections
    assert zeros.get_offsets()[:, 0].tolist() == TRAIN[0][0, TRAIN[1][0] == 0].tolist()
    assert set(ones.get_offsets()[:, 1].tolist()) == {1.0}
    classes = TRAIN[0], np.arange(30.0)[None] % 10
    looks = [
        (line.get_marker(), line.get_markerfacecolor())
        for line in data_figures.data(classes, TEST).legends[0].get_lines()
    ]
    assert len(set(looks)) == len({marker for marker, _ in looks}) == 10


@pytest.mark.parametrize(("n", "title"), [(5, "all 5"), (40, "the first 24 of 40"), *slow((24, "all 24"))])
def test_pictures_leave_no_empty_frames(n: int, title: str) -> None:
    figure = data_figures.data(*DATASETS["digits"].split(n, 20, 0.0, 1, 2))
    assert figure.get_suptitle() == f"Training samples and their classes: {title}"
    assert sum(len(ax.images) for ax in figure.axes) == min(n, 24)
    assert not any(ax.axison for ax in figure.axes)
    assert unreadable(figure) == []


# Texts, whatever the experiment

CASES = {
    "usual": [[0.9, 0.2, 0.1], [40.0, 0.3, 0.2], [0.8, 0.1, 0.05]],
    "diverged": [[0.7, 1.8e20, NAN], [40.0, 0.3, 0.2], [0.7, INF, INF]],
    "huge": [[0.7, 1e150, 1.8e300]] * 3,
    "none finite": [[NAN, NAN, NAN]] * 3,
    "zeros": [[0.7, 1e-12, 0.0]] * 3,
    "all zero": [[0.0, 0.0, 0.0]],
    "constant": [[0.6931, 0.6931, 0.6931]],
}


@pytest.mark.slow
@pytest.mark.parametrize(("case", "n"), [*product(CASES, [12]), ("usual", 1), ("usual", 2), ("diverged", 3)])
def test_cost_curves_can_be_read(case: str, n: int) -> None:
    names = MANY[:n] if n > 3 else ["x", "he", "zeros"][:n]
    curves = costs(names, CASES[case], [0, 500_000, 1_000_000])
    published = pd.DataFrame({"initializer": names[:1], "iteration": [0], "cost_median": [0.88]})
    assert unreadable(curves_of(curves, published)) == []


@pytest.mark.parametrize("case", ["usual", "huge"])
def test_panels_with_and_without_the_common_axis_can_be_read(case: str) -> None:
    names = ["a", "b", "c", "d", "e"]
    parts = [costs([name], CASES[case if i % 2 else "usual"], [0, 5, 10]) for i, name in enumerate(names)]
    assert unreadable(curves_of(pd.concat(parts))) == []


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 12])
def test_boundaries_and_confusions_can_be_read(n: int) -> None:
    names = MANY[:n] if n > 3 else ["x", "he", "zeros"][:n]
    grid = np.full((7, 7), NAN)
    grid[:n] = 0.5
    assert unreadable(data_figures.boundaries(dict.fromkeys(names, grid), 2.0 * TRAIN[0], TRAIN[1], 4294967295)) == []
    for counts in (np.full((10, 10), 888.0), np.full((10, 10), 1234.0), np.full((2, 2), 12345.0), np.zeros((10, 10))):
        others = dict.fromkeys(names, np.zeros_like(counts))  # a single panel with all its numbers
        assert unreadable(data_figures.confusions(others | {names[0]: counts}, 4294967295)) == []


@pytest.mark.parametrize(("n", "seeds"), [(1, 1), (1, 1000), (2, 3), (12, 3)])
def test_accuracies_can_be_read(n: int, seeds: int) -> None:
    names = MANY[:n] if n > 3 else ["x", "he"][:n]
    runs = models({name: [0.5] * seeds for name in names}).assign(behaviour="diverged")
    compared = comparison.compare(runs, 0.95, 0.9)
    assert unreadable(training_figures.accuracy(runs, compared, 0, 0.995, 0.999)) == []


@pytest.mark.parametrize("name", ALL)
def test_other_figures_can_be_read(name: str) -> None:
    assert unreadable(drawn(name)) == []
