"""The figures: tidy values in, a Figure out; nothing is shown or saved here. Made to be read in black and white too.

Whatever the reader's own matplotlib settings are, the picture is the same.
"""

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, ParamSpec

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike

from pipeline.sums import Array

P = ParamSpec("P")
Layout = Literal["constrained", "compressed"]  # compressed: for panels of equal aspect

STYLE = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
PANELS = 4  # in a row
COLUMN = 2.6  # inches, the width of a column of panels
LEGEND_COLUMN = 2.05  # inches
TITLE_WIDTH = 2.0  # inches, of a panel's title
TITLE_SIZES = (10.0, 7.5)  # points: of a title of one line, and of one of more
LABEL_WIDTH = 1.7  # inches, of an initializer's name beside its row
NOTE = 7.5  # points, the size of a text that belongs to a panel
LINE = 10.0  # points, the height of a line of it
EXTENT = 1.5  # the square [-1.5, 1.5] x [-1.5, 1.5] of the decision boundaries, larger if samples lie outside
GRID = 241  # points along its side
PIXELS = 8  # the side of a picture among the data
DARK, LIGHT = "#1b4965", "#f2a65a"  # of class 0 and class 1: far apart in brightness as well
CLASSES = [  # marker and colour
    *[("o", DARK), ("s", LIGHT), ("^", "#ffffff"), ("D", "#6b8f71"), ("v", "#b3261e")],
    *[("P", "#d9d9d9"), ("X", "#7b5ea7"), ("<", "#f7e08b"), (">", "#8c8c8c"), ("*", "#000000")],
]
REGIONS = ["#c9d6df", "#fdf0e1"]  # where a model sees which
COST_TOP = 10.0  # nats: where the common axis of the costs ends
COST_LEAST = 1e-8  # nats: smaller costs are drawn here
TICKS = 7  # labels on a logarithmic axis, at most
BEYOND = 1e308  # drawn for a cost that is not finite: it counts as above all others
PRINTED = "published, seed 3"
NO_OUTPUT = "diverged: output is NaN"
LIGHTEST, MIDDLE, ACCENT = "#e6e6e6", "#bcbcbc", "#b3261e"


def extent(X: Array) -> float:
    """Half the side of the square about 0 in which all samples X (2, m) lie: EXTENT, or a larger multiple of 0.5."""
    return max(EXTENT, math.ceil(2.04 * float(np.abs(X[:2]).max(initial=0.0))) / 2)


def square(half: float = EXTENT) -> Array:
    """The points (2, GRID^2) of the square of half side `half` about 0, row after row along x2."""
    axis = np.linspace(-half, half, GRID)
    return np.stack([np.tile(axis, GRID), np.repeat(axis, GRID)])


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in STYLE, over matplotlib's defaults and not the reader's own."""

    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return drawn


def png(figure: Figure) -> bytes:
    """The picture as PNG without date or version: the same figure, the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE]):
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def number(value: float) -> str:
    """4,773, 0.693, 1.8e20: two or three significant digits, or a whole number below 100,000."""
    if 1e3 <= abs(value) < 99999.5:
        return f"{value:,.0f}"
    text = f"{value:.3g}" if 1e-4 <= abs(value) < 1e3 or value == 0 else f"{value:.1e}".replace(".0e", "e")
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> str:
    """`text` in lines of at most `width` inches at `size` points, broken after an underscore or space if possible."""
    font = FontProperties(size=size, weight=weight)
    lines: list[str] = []
    line = ""
    for letter in text:
        if line and text_to_path.get_text_width_height_descent(line + letter, font, False)[0] > 72.0 * width:
            cut = max(line.rfind("_"), line.rfind(" ")) + 1
            cut = cut if 2 * cut > len(line) else len(line)
            lines.append(line[:cut].rstrip())
            line = line[cut:]
        line += letter
    return "\n".join([*lines, line])


def subtitles(panels: Sequence[Axes], texts: Sequence[Sequence[str]]) -> None:
    """Write the lines of each panel's text between its title and its axes, and make the figure higher by as much."""
    n_lines = max(map(len, texts))
    if not n_lines:
        return
    figure = panels[0].get_figure()
    grid = panels[0].get_gridspec()
    assert isinstance(figure, Figure)
    assert grid is not None
    figure.set_figheight(figure.get_figheight() + LINE * n_lines * grid.nrows / 72.0)
    for ax, lines in zip(panels, texts, strict=True):
        title = ax.get_title(loc="left")
        ax.set_title(title, fontsize=TITLE_SIZES["\n" in title], pad=6.0 + LINE * n_lines)
        if lines:
            text = ax.annotate("\n".join(lines), (0.0, 1.0), (0.0, 4.0), "axes fraction", "offset points")
            text.set(fontsize=NOTE, verticalalignment="bottom")


class LogScale(NamedTuple):
    """A logarithmic axis with a line for 0 below it."""

    bottom: float  # the smallest value with a place of its own
    top: float
    zero: float  # where 0 is drawn; nan if no value is 0
    ticks: Sequence[float]
    labels: Sequence[str]

    def place(self, values: ArrayLike) -> Array:
        """Where `values` are drawn: 0 on the line of 0, smaller ones at the bottom, nan where they are not finite."""
        given = np.asarray(values, dtype=np.float64)
        placed = np.where(np.isfinite(given), np.maximum(given, self.bottom), np.nan)
        return np.where(given == 0.0, self.zero, placed)

    def apply(self, ax: Axes) -> None:
        """Give the vertical axis of `ax` this scale, and `ax` a line where 0 is."""
        lowest = self.bottom if math.isnan(self.zero) else self.zero * math.sqrt(self.zero / self.bottom)
        ax.set_ylim(lowest, self.top)  # before the scale, which would look for limits of its own
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(FixedLocator(self.ticks))
        ax.yaxis.set_major_formatter(FixedFormatter(self.labels))
        ax.yaxis.set_minor_locator(NullLocator())
        if not math.isnan(self.zero):
            ax.axhline(self.zero, color="black", linewidth=0.6, zorder=1)


def log_scale(values: Iterable[ArrayLike], least: float, low: float, high: float, room: float = 1.25) -> LogScale:
    """A logarithmic axis for all finite `values` of at least 0, and from `low` to `high` in any case.

    Values below `least` share its place, and its label says so; there are `room`-fold margins.
    """
    found = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in values])
    found = found[np.isfinite(found) & (found >= 0.0)]
    positive = found[found > 0.0]
    smallest, largest = min([low, *positive.tolist()]), max([high, *positive.tolist()])
    clipped = smallest < least
    bottom = least if clipped else smallest / room
    top = min(max(largest, bottom), 1e307) * room
    first, last = math.ceil(math.log10(bottom) - 1e-9), math.floor(math.log10(top) + 1e-9)
    if last - first < 1:  # a single decade or none: two of them give the axis its numbers
        first, last = math.floor(math.log10(bottom)), math.ceil(math.log10(top))
        bottom, top = min(bottom, 10.0**first), max(top, 10.0**last)
    step = -(-(last - first + 1) // TICKS)
    decades = range(first, last + 1, step) if clipped else [d for d in range(first, last + 1) if d % step == 0]
    plain = -4 <= first and last <= 4
    labels = [f"{10.0**decade:g}" if plain else f"$10^{{{decade}}}$" for decade in decades]
    ticks = [10.0**decade for decade in decades]
    if clipped:
        labels[0] = f"≤ {labels[0]}"
    zero = math.nan
    if len(positive) < len(found):
        zero = 10.0 ** (1.125 * math.log10(bottom) - 0.125 * math.log10(top))  # an eighth of the axis below it
        ticks, labels = [zero, *ticks], ["0", *labels]
    return LogScale(bottom, top, zero, ticks, labels)


@styled
def data(train: tuple[Array, Array], test: tuple[Array, Array]) -> Figure:
    """The training and the test samples, X (n_0, m) and Y (1, m) each: as points of the plane, or as pictures.

    Of more than two inputs that are no picture the first two are drawn; a single one against the class.
    """
    n_inputs = len(train[0])
    if n_inputs == PIXELS * PIXELS:
        return _pictures(train)
    figure = Figure(figsize=(8, 4.3), layout="compressed")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, (X, Y), title in zip(axes, (train, test), ("training", "test"), strict=True):
        points = X[:2] if n_inputs > 1 else np.concatenate([X, Y])  # a single input against the class
        _points(ax, points, Y, size=16)
        _plane(ax, f"{Y.shape[1]} {title} sample{'s' if Y.shape[1] != 1 else ''}")
        if n_inputs == 1:
            ax.set_aspect("auto")
            ax.set_ylabel("class" if ax is axes[0] else "")
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        elif np.abs(X[:2]).max() < EXTENT:
            _square(ax, EXTENT)
    n_classes = int(max(train[1].max(), test[1].max())) + 1
    more = "" if n_inputs <= 2 else f"the first two of {n_inputs} inputs"
    figure.legend(handles=_class_handles(n_classes), title=more, loc="outside lower center", ncols=min(n_classes, 5))
    return figure


def _pictures(train: tuple[Array, Array]) -> Figure:
    """The first training samples as grey pictures, their classes above."""
    X, Y = train
    n_rows = min(3, -(-Y.shape[1] // 8))
    figure = Figure(figsize=(8, 0.6 + n_rows), layout="compressed")
    panels = figure.subplots(n_rows, 8).ravel()
    for ax in panels:
        ax.set_axis_off()
    for ax, pixels, label in zip(panels, X.T, Y[0], strict=False):
        ax.imshow(pixels.reshape(PIXELS, PIXELS), cmap="Greys", vmin=0.0)
        ax.set_title(f"{label:.0f}", fontsize=8, loc="center")
    n_shown = min(len(panels), Y.shape[1])
    which = f"the first {n_shown} of {Y.shape[1]}" if n_shown < Y.shape[1] else f"all {n_shown}"
    figure.suptitle(f"Training samples and their classes: {which}", fontsize=10)
    return figure


@styled
def cost_curves(bands: pd.DataFrame, curves: pd.DataFrame, published: pd.DataFrame, seed: int) -> Figure:
    """Cost against iterations, one panel per initializer: the spread over seeds, the model of `seed`, published costs.

    `bands` has columns initializer, iteration, min, q25, median, q75, max; `curves`, of all seeds, initializer, seed,
    iteration, cost; `published`, which may be empty, initializer, iteration, cost_median. A cost that is not finite
    counts as above all others. All panels share the axis of costs, up to COST_TOP, but those of which the median ends
    above it; how many seeds diverged is written in the panel.
    """
    names = bands["initializer"].unique().tolist()
    height = 2.25 if len(names) > 2 else 3.4  # one or two panels have room
    figure, panels = small_multiples(names, "constrained", height=height, sharex=True)
    spreads = {name: bands[bands["initializer"] == name] for name in names}
    facts = {name: published[published["initializer"] == name] for name in names}
    common, scales = _cost_scales(spreads, facts)
    notes: list[list[str]] = []
    stopped = False
    for place, (name, ax) in enumerate(zip(names, panels, strict=True)):
        band, scale, models = spreads[name], scales[name], curves[curves["initializer"] == name]
        own, at = models[models["seed"] == seed], band["iteration"]
        limits = {key: np.where(np.isfinite(band[key]), scale.place(band[key]), BEYOND) for key in BAND}
        ax.fill_between(at, limits["min"], limits["max"], color=LIGHTEST, linewidth=0)
        ax.fill_between(at, limits["q25"], limits["q75"], color=MIDDLE, linewidth=0)
        ax.plot(at, scale.place(band["median"]), color="black", linewidth=1.6)
        ax.plot(own["iteration"], scale.place(own["cost"]), color=ACCENT, linewidth=1.1, dashes=(4, 1.5))
        for rows, key, colour in ((band, "median", "black"), (own, "cost", ACCENT)):
            finite = rows[np.isfinite(rows[key])]
            if 0 < len(finite) < len(rows):  # where the line ends
                stopped = True
                end = finite.iloc[-1:]
                ax.plot(end["iteration"], scale.place(end[key]), "x", color=colour, clip_on=False)
        points = facts[name]
        if len(points):
            at, costs = points["iteration"], scale.place(points["cost_median"])
            ax.plot(at, costs, "o", color="black", markerfacecolor="white", markersize=3.6)
        scale.apply(ax)
        ax.tick_params(labelleft=place % PANELS == 0 or scale is not scales[names[place - 1]])
        notes.append(_cost_notes(band, models, scale, other=scale is not common))
    subtitles(panels, notes)
    panels[0].set_xlim(0, bands["iteration"].max())
    figure.supxlabel(_thousands(panels[0], int(bands["iteration"].max())), fontsize=9)
    figure.supylabel("cost (mean cross-entropy, nats)", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], color="black", linewidth=1.6, label="median over seeds"),
        Patch(color=MIDDLE, label="middle half of the seeds"),
        Patch(color=LIGHTEST, label="all seeds"),
        Line2D([], [], color=ACCENT, linewidth=1.1, dashes=(4, 1.5), label=f"seed {seed}"),
    ]
    if any(map(len, facts.values())):
        dots = Line2D([], [], color="black", marker="o", markersize=3.6, linestyle="", label=PRINTED)
        dots.set_markerfacecolor("white")
        handles.append(dots)
    if stopped:
        handles.append(Line2D([], [], color="black", marker="x", linestyle="", label="last finite cost"))
    legend_above(figure, handles)
    return figure


BAND = ("min", "q25", "median", "q75", "max")


def _cost_scales(
    spreads: Mapping[str, pd.DataFrame], facts: Mapping[str, pd.DataFrame]
) -> tuple[LogScale, dict[str, LogScale]]:
    """The common axis, and the axis of each initializer: its own where its median cost ends above COST_TOP."""
    ends = {}
    for name, band in spreads.items():
        finite = band["median"][np.isfinite(band["median"])]
        ends[name] = finite.iloc[-1] if len(finite) else 0.0
    within = [name for name in spreads if ends[name] <= COST_TOP]
    costs = {name: [*(band[key] for key in BAND), facts[name]["cost_median"]] for name, band in spreads.items()}
    if not within:
        common = log_scale([part for parts in costs.values() for part in parts], COST_LEAST, COST_TOP, COST_TOP)
        return common, dict.fromkeys(spreads, common)
    shown = [part.where(part <= COST_TOP) for name in within for part in costs[name]]
    common = log_scale(shown, COST_LEAST, 0.1, COST_TOP)._replace(top=COST_TOP)
    own = {name: log_scale(costs[name], COST_LEAST, COST_TOP, COST_TOP) for name in spreads if name not in within}
    return common, {name: own.get(name, common) for name in spreads}


def _cost_notes(band: pd.DataFrame, models: pd.DataFrame, scale: LogScale, other: bool) -> list[str]:
    """What the curves cannot show: where they start beyond the axis, how many seeds diverged or ended high."""
    notes = ["separate cost axis"] if other else []
    start = band["max"].iloc[0]
    if scale.top < start < math.inf:
        notes.append(f"starts at up to {number(start)}")
    n_seeds = models["seed"].nunique()
    n_diverged = models.loc[~np.isfinite(models["cost"]), "seed"].nunique()
    final = models.loc[models["iteration"] == models["iteration"].max(), "cost"]
    n_above = int(((final > COST_TOP) & np.isfinite(final)).sum())
    if n_diverged:
        notes.append(f"diverged: {n_diverged} of {n_seeds} seeds")
    if n_above:
        notes.append(f"final cost above {COST_TOP:g}: {n_above} of {n_seeds} seeds")
    return notes


def _thousands(ax: Axes, last: int) -> str:
    """Ticks of an axis of iterations, in thousands or millions where there are many; gives the axis's label."""
    unit, name = (1, "") if last < 2000 else (1000, " (thousands)") if last < 2_000_000 else (10**6, " (millions)")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda iteration, _: f"{iteration / unit:g}"))
    return f"iteration{name}"


@styled
def boundaries(probabilities: Mapping[str, Array], X: Array, Y: Array, seed: int) -> Figure:
    """The class that the trained model of `seed` predicts in the plane, one panel per initializer, and its samples.

    Each of `probabilities` is (GRID, GRID) over the square of half side `extent(X)`, rows along x2; a model that
    diverged has nan.
    """
    figure, panels = small_multiples(list(probabilities), "compressed", height=2.7, sharex=True, sharey=True)
    undefined = []
    for probability, ax in zip(probabilities.values(), panels, strict=True):
        boundary(ax, probability, X, Y)
        undefined.append(np.isnan(probability))
        _plane(ax)
        _square(ax, extent(X))
    subtitles(
        panels, [[] if not nan.any() else [NO_OUTPUT if nan.all() else f"{NO_OUTPUT} where white"] for nan in undefined]
    )
    _heading(figure, f"Training samples and predicted classes, seed {seed}")
    patches = [Patch(facecolor=colour, edgecolor="black", linewidth=0.3) for colour in REGIONS]
    for label, patch in enumerate(patches):
        patch.set_label(f"predicted class {label}")
    handles = [*_class_handles(2), *patches]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if len(panels) > 2 else 2)
    return figure


@styled
def confusions(counts: Mapping[str, Array], seed: int) -> Figure:
    """Counts of test samples by class and predicted class for the trained model of `seed`, one panel per initializer.

    For data without a plane to draw boundaries in. Each of `counts` is (classes, classes): true, then predicted; a
    model without any finite output has zeros.
    """
    figure, panels = small_multiples(list(counts), "compressed", height=2.7, sharex=True, sharey=True)
    for matrix, ax in zip(counts.values(), panels, strict=True):
        most = matrix.sum(axis=1).max()
        ax.imshow(matrix, cmap="Greys", vmin=0, vmax=max(most, 1.0))
        size = 8 if len(matrix) < 5 else 6 if most < 1000 else 4.5
        for (true, predicted), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if 2 * count > most else "black"
                ax.text(predicted, true, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=size)
        ax.grid(visible=False)
        ax.set_xticks(range(len(matrix)))
        ax.set_yticks(range(len(matrix)))
        ax.set_xlabel("predicted class")
        ax.set_ylabel("class")
        ax.label_outer()
    subtitles(panels, [[] if matrix.any() else [NO_OUTPUT] for matrix in counts.values()])
    _heading(figure, f"Test samples by class, seed {seed}")
    return figure


def boundary(ax: Axes, probability: Array, X: Array, Y: Array) -> None:
    """Both regions, the line between them, and the samples; no region where the output of the model is nan."""
    axis = np.linspace(-extent(X), extent(X), len(probability))
    defined = ~np.isnan(probability)
    if defined.any():
        side = np.ma.masked_where(~defined, probability > 0.5).astype(float)
        ax.contourf(axis, axis, side, levels=[-0.5, 0.5, 1.5], colors=REGIONS)
        if side.min() < side.max():
            ax.contour(axis, axis, probability, levels=[0.5], colors="black", linewidths=1.1)
    _points(ax, X, Y, size=5)


@styled
def accuracy(runs: pd.DataFrame, compared: pd.DataFrame, seed: int, target: float, confidence: float) -> Figure:
    """The accuracy of every model as a point, with the mean over seeds, its interval, and one seed marked.

    How many models of an initializer diverged stands below its name.
    """
    names = runs["initializer"].unique().tolist()
    labels = []
    for name in names:
        group = runs[runs["initializer"] == name]
        label = wrapped(name, LABEL_WIDTH, TITLE_SIZES[1])
        n_diverged = int((group["behaviour"] == "diverged").sum())
        labels.append(label + (f"\ndiverged: {n_diverged} of {len(group)} seeds" if n_diverged else ""))
    tallest = max(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(10, 1.4 + max(0.42, 0.15 * (tallest + 1)) * len(names)), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, metric, title in zip(axes, ("train_accuracy", "test_accuracy"), ("training", "test"), strict=True):
        for row, name in enumerate(names):
            group = runs[runs["initializer"] == name]
            values = group[metric].tolist()
            ax.plot(values, row + _swarm(values), "o", color=DARK, alpha=0.55, markersize=3, markeredgewidth=0)
            own = group[group["seed"] == seed][metric].tolist()
            ax.plot(own, [row + 0.33] * len(own), "^", color=ACCENT, markersize=5)
            summary = compared[compared["initializer"] == name].iloc[0]
            low, high = summary[f"{metric}_low"], summary[f"{metric}_high"]
            ax.plot([low, high], [row + 0.33] * 2, color="black", linewidth=1)  # nan draws nothing
            ax.plot([summary[f"{metric}_mean"]], [row + 0.33], "|", color="black", markersize=9, markeredgewidth=1.8)
        ax.axvline(target, color="black", linewidth=0.8, linestyle=":")
        ax.set_title(f"{title} accuracy")
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), labels, fontsize=9 if tallest == 1 else TITLE_SIZES[1])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=DARK, marker="o", linestyle="", markersize=3, label="one model"),
        Line2D([], [], color="black", marker="|", markersize=9, label=f"mean, {100 * confidence:g} % interval"),
        Line2D([], [], color=ACCENT, marker="^", linestyle="", markersize=5, label=f"seed {seed}"),
        Line2D([], [], color="black", linestyle=":", linewidth=0.8, label=f"target: {100 * target:g} %"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def small_multiples(names: Sequence[str], layout: Layout, *, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure of one panel for each of `names`, its title, in rows of PANELS of `height` inches.

    The last row may be shorter; the panels above its gaps have labels on their horizontal axis as well.
    """
    n = len(names)
    n_columns = min(n, PANELS)
    n_rows = math.ceil(n / n_columns)
    width = max(4.0, COLUMN * n_columns)
    bold = [wrapped(name, TITLE_WIDTH, TITLE_SIZES[0], "bold") for name in names]
    titles = [
        title if title == name else wrapped(name, TITLE_WIDTH, TITLE_SIZES[1], "bold")
        for name, title in zip(names, bold, strict=True)
    ]
    n_lines = max(title.count("\n") for title in titles)
    figure = Figure(figsize=(width, (height + 0.14 * n_lines) * n_rows + 0.7), layout=layout)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, **shared)
    panels = grid.ravel().tolist()
    for empty in panels[n:]:
        empty.set_visible(False)
    for ax in panels[max(0, n - n_columns) : n]:
        ax.tick_params(labelbottom=True)
    for ax, title in zip(panels[:n], titles, strict=True):
        ax.set_title(title, fontsize=TITLE_SIZES["\n" in title])
    return figure, panels[:n]


def legend_above(figure: Figure, handles: Sequence[Artist], title: str = "") -> None:
    """A legend over all panels, in as many columns as the figure is wide; it gets higher with every further line."""
    columns = max(1, min(len(handles), int(figure.get_figwidth() / LEGEND_COLUMN)))
    title = wrapped(title, figure.get_figwidth() - 0.3, 9.0)
    n_lines = -(-len(handles) // columns) + (title.count("\n") + 1 if title else 0)
    figure.set_figheight(figure.get_figheight() + 0.19 * (n_lines - 1))
    figure.legend(handles=handles, title=title, loc="outside upper center", ncols=columns)


def _heading(figure: Figure, text: str) -> None:
    """A line of text over all panels; the figure gets higher by as much."""
    lines = wrapped(text, figure.get_figwidth() - 0.2, 10.0)
    figure.set_figheight(figure.get_figheight() + 0.2 * (1 + lines.count("\n")))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=10)


def _points(ax: Axes, X: Array, Y: Array, size: float) -> None:
    for label in range(int(Y.max()) + 1):
        marker, colour = CLASSES[label % len(CLASSES)]
        x1, x2 = X[:, Y[0] == label]
        ax.scatter(x1, x2, s=size, marker=marker, c=colour, edgecolors="black", linewidths=0.3)


def _class_handles(n_classes: int) -> list[Line2D]:
    handles = []
    for label in range(n_classes):
        marker, colour = CLASSES[label % len(CLASSES)]
        line = Line2D([], [], color="black", linestyle="", marker=marker, markersize=5, label=f"class {label}")
        line.set(markerfacecolor=colour, markeredgewidth=0.3)
        handles.append(line)
    return handles


def _plane(ax: Axes, title: str = "") -> None:
    if title:
        ax.set_title(title)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    ax.label_outer()


def _square(ax: Axes, half: float) -> None:
    ax.set_xlim(-half, half)
    ax.set_ylim(-half, half)
    ticks = [-1, 0, 1] if half < 2 else MaxNLocator(3, integer=True, symmetric=True).tick_values(-half, half)
    shown = [tick for tick in ticks if abs(tick) <= half]
    ax.set_xticks(shown)
    ax.set_yticks(shown)


def _swarm(values: Sequence[float], width: float = 0.012, height: float = 0.5) -> Array:
    """Heights that keep points with nearly the same value apart: stacked about 0 in order, within `height`."""
    bins: dict[int, list[int]] = {}
    for index, value in enumerate(values):
        bins.setdefault(round(value / width), []).append(index)
    heights = np.zeros(len(values))
    step = min(0.1, height / max(map(len, bins.values())))
    for members in bins.values():
        for place, index in enumerate(members):
            heights[index] = (place - (len(members) - 1) / 2) * step
    return heights - 0.08
