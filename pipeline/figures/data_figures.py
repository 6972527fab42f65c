"""Figures of the data: samples, decision boundaries, confusion matrices."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipeline.figures.plane import EXTENT, extent
from pipeline.figures.style import DARK, LIGHT, _heading, outer_labels, small_multiples, styled, subtitles
from pipeline.numerics.sums import Array

GRID = 241  # points along a side of the square of the decision boundaries
PIXELS = 8  # side of an image in the data
CLASSES = [  # marker and colour
    *[("o", DARK), ("s", LIGHT), ("^", "#ffffff"), ("D", "#6b8f71"), ("v", "#b3261e")],
    *[("P", "#d9d9d9"), ("X", "#7b5ea7"), ("<", "#f7e08b"), (">", "#8c8c8c"), ("*", "#000000")],
]
REGIONS = ["#c9d6df", "#fdf0e1"]  # colours of the predicted classes 0 and 1
NO_OUTPUT = "diverged: output is NaN"


@styled
def data(train: tuple[Array, Array], test: tuple[Array, Array]) -> Figure:
    """The training and the test samples, X (n_0, m) and Y (1, m) each, as points in the plane or as images.

    With more than two inputs that are no image the first two are drawn; a single input is drawn against the class.
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
            ax.set(aspect="auto", ylabel="class" if ax is axes[0] else "")
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        elif np.abs(X[:2]).max() < EXTENT:
            _square(ax, EXTENT)
    n_classes = int(max(train[1].max(), test[1].max())) + 1
    more = "" if n_inputs <= 2 else f"the first two of {n_inputs} inputs"
    figure.legend(handles=_class_handles(n_classes), title=more, loc="outside lower center", ncols=min(n_classes, 5))
    return figure


def _pictures(train: tuple[Array, Array]) -> Figure:
    """The first training samples as grey-scale images with their classes as titles."""
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
    which = f"the first {n_shown} of {Y.shape[1]:,}" if n_shown < Y.shape[1] else f"all {n_shown}"
    figure.suptitle(f"Training samples and their classes: {which}", fontsize=10)
    return figure


@styled
def boundaries(probabilities: Mapping[str, Array], X: Array, Y: Array, seed: int) -> Figure:
    """The class predicted in the plane by the trained model of `seed`, and the samples: one panel per initializer.

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
    outer_labels(panels, "$x_1$", "$x_2$")
    subtitles(
        panels, [[] if not nan.any() else [NO_OUTPUT if nan.all() else f"{NO_OUTPUT} where white"] for nan in undefined]
    )
    _heading(figure, f"Training samples and predicted classes, seed {seed}")
    handles: list[Artist] = [*_class_handles(2)]
    for label, colour in enumerate(REGIONS):
        handles.append(Patch(facecolor=colour, edgecolor="black", linewidth=0.3, label=f"predicted class {label}"))
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
        ticks = range(len(matrix))
        ax.set(xticks=ticks, yticks=ticks)
    outer_labels(panels, "predicted class", "class")
    subtitles(panels, [[] if matrix.any() else [NO_OUTPUT] for matrix in counts.values()])
    _heading(figure, f"Test samples by class, seed {seed}")
    return figure


def boundary(ax: Axes, probability: Array, X: Array, Y: Array) -> None:
    """Draw the two regions, the boundary and the samples; no region where the output of the model is nan."""
    axis = np.linspace(-extent(X), extent(X), len(probability))
    defined = ~np.isnan(probability)
    if defined.any():
        side = np.ma.masked_where(~defined, probability > 0.5).astype(float)
        ax.contourf(axis, axis, side, levels=[-0.5, 0.5, 1.5], colors=REGIONS)
        if side.min() < side.max():
            ax.contour(axis, axis, probability, levels=[0.5], colors="black", linewidths=1.1)
    _points(ax, X, Y, size=5)


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
    ax.grid(visible=False)
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    ax.label_outer()


def _square(ax: Axes, half: float) -> None:
    ticks = [-1, 0, 1] if half < 2 else MaxNLocator(3, integer=True, symmetric=True).tick_values(-half, half)
    shown = [tick for tick in ticks if abs(tick) <= half]
    ax.set(xlim=(-half, half), ylim=(-half, half), xticks=shown, yticks=shown)
