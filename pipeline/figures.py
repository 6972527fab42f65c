"""The figures: tidy values in, a Figure out; nothing is shown or saved here. Made to be read in black and white too.

Whatever the reader's own matplotlib settings are, the picture is the same.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

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
LEGEND_COLUMN = 2.05  # inches
EXTENT = 1.5  # the square [-1.5, 1.5] x [-1.5, 1.5] of the decision boundaries
GRID = 241  # points along its side
PIXELS = 8  # the side of a picture among the data
DARK, LIGHT = "#1b4965", "#f2a65a"  # of class 0 and class 1: far apart in brightness as well
CLASSES = [("o", DARK), ("s", LIGHT)]  # marker and colour
REGIONS = ["#c9d6df", "#fdf0e1"]  # where a model sees which
COST_TOP = 10.0  # nats; what starts higher is said in words, so that the rest can be seen
LIGHTEST, MIDDLE, ACCENT = "#e6e6e6", "#bcbcbc", "#b3261e"


def square() -> Array:
    """The points (2, GRID^2) of the square on which a decision boundary is drawn, row after row along x2."""
    axis = np.linspace(-EXTENT, EXTENT, GRID)
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


@styled
def data(train: tuple[Array, Array], test: tuple[Array, Array]) -> Figure:
    """The training and the test samples, X (n_0, m) and Y (1, m) each: points of the plane, pictures, or two inputs."""
    n_inputs = len(train[0])
    if n_inputs == PIXELS * PIXELS:
        return _pictures(train)
    figure = Figure(figsize=(8, 4.3), layout="compressed")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, (X, Y), title in zip(axes, (train, test), ("training", "test"), strict=True):
        _points(ax, X[:2], Y, size=16)
        _plane(ax, f"{Y.shape[1]} {title} samples")
        if np.abs(X[:2]).max() < EXTENT:
            _square(ax)
    n_classes = int(train[1].max()) + 1
    more = "" if n_inputs == 2 else f"the first two of {n_inputs} inputs"
    figure.legend(handles=_class_handles(n_classes), title=more, loc="outside lower center", ncols=n_classes)
    return figure


def _pictures(train: tuple[Array, Array]) -> Figure:
    """The first training samples as grey pictures, their classes above."""
    X, Y = train
    figure = Figure(figsize=(8, 3.6), layout="compressed")
    for ax, pixels, label in zip(figure.subplots(3, 8).ravel(), X.T, Y[0], strict=False):
        ax.imshow(pixels.reshape(PIXELS, PIXELS), cmap="Greys")
        ax.set_title(f"{label:.0f}", fontsize=8, loc="center")
        ax.set_axis_off()
    figure.suptitle(f"The first of {Y.shape[1]} training samples", fontsize=10)
    return figure


@styled
def cost_curves(bands: pd.DataFrame, own: pd.DataFrame, published: pd.DataFrame, seed: int) -> Figure:
    """Cost against iterations, a panel an initializer: the spread over seeds, one seed on top, published costs if any.

    `bands` has columns initializer, iteration, min, q25, median, q75, max; `own`, the curves of `seed`, initializer,
    iteration, cost; `published`, costs that others published of models of `seed`, initializer, iteration, cost_median.
    """
    names = bands["initializer"].unique().tolist()
    height = 2.25 if len(names) > 2 else 3.4  # a few alone have room
    figure, panels = small_multiples(len(names), "constrained", height=height, sharex=True, sharey=True)
    for name, ax in zip(names, panels, strict=True):
        band, curve, facts = (table[table["initializer"] == name] for table in (bands, own, published))
        ax.fill_between(band["iteration"], band["min"], band["max"], color=LIGHTEST, linewidth=0)
        ax.fill_between(band["iteration"], band["q25"], band["q75"], color=MIDDLE, linewidth=0)
        ax.plot(band["iteration"], band["median"], color="black", linewidth=1.6)
        ax.plot(curve["iteration"], curve["cost"], color=ACCENT, linewidth=1.1, dashes=(4, 1.5))
        ax.plot(facts["iteration"], facts["cost_median"], "o", color="black", markerfacecolor="white", markersize=3.6)
        ax.set_title(name)
        if (start := band["max"].iloc[0]) > COST_TOP:
            text = f"starts as high as {start:,.0f}"
            ax.annotate(text, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=7.5)
    lowest = bands["min"].min()
    panels[0].set_yscale("log")
    panels[0].set_ylim(0.8 * max(1e-4, 0.1 if math.isnan(lowest) else min(lowest, 0.1)), COST_TOP)
    panels[0].yaxis.set_major_locator(LogLocator(numticks=9))
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
    panels[0].set_xlim(0, bands["iteration"].max())
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10], integer=True))
    panels[0].xaxis.set_major_formatter(FuncFormatter(lambda iteration, _: f"{iteration / 1000:g}"))
    figure.supxlabel("iteration (thousands)", fontsize=9)
    figure.supylabel("cost (mean cross-entropy, nats)", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], color="black", linewidth=1.6, label="median over seeds"),
        Patch(color=MIDDLE, label="middle half of the seeds"),
        Patch(color=LIGHTEST, label="all seeds"),
        Line2D([], [], color=ACCENT, linewidth=1.1, dashes=(4, 1.5), label=f"seed {seed}"),
    ]
    if published["initializer"].isin(names).any():
        points = Line2D([], [], color="black", marker="o", markerfacecolor="white", markersize=3.6, linestyle="")
        points.set_label(f"published, seed {seed}")
        handles.append(points)
    legend_above(figure, handles)
    return figure


@styled
def boundaries(probabilities: Mapping[str, Array], X: Array, Y: Array, seed: int) -> Figure:
    """Where the trained model of `seed` sees which class, a panel an initializer, the training samples on top.

    Each of `probabilities` is (GRID, GRID) over the square, rows along x2.
    """
    figure, panels = small_multiples(len(probabilities), "compressed", height=2.7, sharex=True, sharey=True)
    for (name, probability), ax in zip(probabilities.items(), panels, strict=True):
        boundary(ax, probability, X, Y)
        _plane(ax, name)
        _square(ax)
    figure.suptitle(f"Decision boundaries, seed {seed}", x=0.01, ha="left", fontsize=10)
    figure.legend(handles=_class_handles(2), loc="outside lower center", ncols=2)
    return figure


@styled
def confusions(counts: Mapping[str, Array], seed: int) -> Figure:
    """Which class the trained model of `seed` takes the test samples for, a panel an initializer.

    For data without a plane to draw boundaries in. Each of `counts` is (classes, classes): true, then predicted.
    """
    figure, panels = small_multiples(len(counts), "compressed", height=2.7, sharex=True, sharey=True)
    for (name, matrix), ax in zip(counts.items(), panels, strict=True):
        ax.imshow(matrix, cmap="Greys", vmin=0, vmax=matrix.sum(axis=1).max())
        for (true, predicted), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if 2 * count > matrix.sum(axis=1).max() else "black"
                ax.text(predicted, true, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=6)
        ax.set_title(name)
        ax.grid(visible=False)
        ax.set_xticks(range(len(matrix)))
        ax.set_yticks(range(len(matrix)))
        ax.set_xlabel("predicted class")
        ax.set_ylabel("class")
        ax.label_outer()
    figure.suptitle(f"Test samples by class, seed {seed}", x=0.01, ha="left", fontsize=10)
    return figure


def boundary(ax: Axes, probability: Array, X: Array, Y: Array) -> None:
    """Both regions, the line between them, and the samples."""
    axis = np.linspace(-EXTENT, EXTENT, len(probability))
    side = (probability > 0.5).astype(float)
    ax.contourf(axis, axis, side, levels=[-0.5, 0.5, 1.5], colors=REGIONS)
    if side.min() < side.max():
        ax.contour(axis, axis, probability, levels=[0.5], colors="black", linewidths=1.1)
    _points(ax, X, Y, size=5)


@styled
def accuracy(runs: pd.DataFrame, compared: pd.DataFrame, seed: int, target: float, confidence: float) -> Figure:
    """The accuracy of every model as a point, with the mean over seeds, its interval, and one seed marked."""
    names = runs["initializer"].unique().tolist()
    figure = Figure(figsize=(10, 1.4 + 0.42 * len(names)), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, metric, title in zip(axes, ("train_accuracy", "test_accuracy"), ("training", "test"), strict=True):
        for row, name in enumerate(names):
            group = runs[runs["initializer"] == name]
            values = group[metric].tolist()
            ax.plot(values, row + _swarm(values), "o", color=DARK, alpha=0.55, markersize=3, markeredgewidth=0)
            own = group[group["seed"] == seed][metric].tolist()
            ax.plot(own, [row + 0.33] * len(own), "^", color=ACCENT, markersize=5)
            told = compared[compared["initializer"] == name].iloc[0]
            low, high = told[f"{metric}_low"], told[f"{metric}_high"]
            ax.plot([low, high], [row + 0.33] * 2, color="black", linewidth=1)  # nan draws nothing
            ax.plot([told[f"{metric}_mean"]], [row + 0.33], "|", color="black", markersize=9, markeredgewidth=1.8)
        ax.axvline(target, color="black", linewidth=0.8, linestyle=":")
        ax.set_title(f"{title} accuracy")
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=DARK, marker="o", linestyle="", markersize=3, label="a model"),
        Line2D([], [], color="black", marker="|", markersize=9, label=f"mean and its {confidence:.0%} interval"),
        Line2D([], [], color=ACCENT, marker="^", linestyle="", markersize=5, label=f"seed {seed}"),
        Line2D([], [], color="black", linestyle=":", linewidth=0.8, label=f"{target:.0%}"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def small_multiples(
    n: int, layout: Literal["constrained", "compressed"], *, height: float, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of n panels in rows of PANELS; the last row may be shorter, and its panels keep their labels."""
    n_columns = min(n, PANELS)
    n_rows = math.ceil(n / n_columns)
    figure = Figure(figsize=(max(4.0, 2.6 * n_columns), height * n_rows + 0.7), layout=layout)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, **shared)
    panels = grid.ravel().tolist()
    for empty in panels[n:]:
        empty.set_visible(False)
    for ax in panels[max(0, n - n_columns) : n]:
        ax.tick_params(labelbottom=True)
    return figure, panels[:n]


def legend_above(figure: Figure, handles: Sequence[Artist], title: str = "") -> None:
    """A legend over all panels, in as many columns as the figure is wide."""
    columns = max(1, min(len(handles), int(figure.get_figwidth() / LEGEND_COLUMN)))
    figure.legend(handles=handles, title=title, loc="outside upper center", ncols=columns)


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


def _plane(ax: Axes, title: str) -> None:
    ax.set_title(title)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    ax.label_outer()


def _square(ax: Axes) -> None:
    ax.set_xlim(-EXTENT, EXTENT)
    ax.set_ylim(-EXTENT, EXTENT)
    ax.set_xticks([-1, 0, 1])
    ax.set_yticks([-1, 0, 1])


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
