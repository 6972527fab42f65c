"""The figures of newborn networks, in the manner of `figures`: tidy values in, a Figure out."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from pipeline.birth_report import chosen
from pipeline.diagnostics import bin_edges
from pipeline.figures import ACCENT, DARK, LIGHT, MIDDLE, legend_above, small_multiples, styled
from pipeline.sums import Array

RIDGE_BINS = 120  # even: 0 lies between two, and a ridge of ReLU starts there
NARROW = 1 / 20  # of a panel: a ridge within it is told in words
INSIDE = 0.99  # the share of the widest layer's values that a panel shows
SMALLEST = 1e-100  # of what a log axis shows
LETTERS = 15  # of a title, an inch


class Histogram(NamedTuple):
    """The values of a layer over all models: counts between `bin_edges`, from the bin `first` on."""

    first: int
    counts: Array


def pooled(units: Mapping[str, Any], n_layers: int) -> list[Histogram]:
    """The activations of each hidden layer, and the logits, over all models of units.npz."""
    keys = [*(f"a{l}" for l in range(1, n_layers)), f"z{n_layers}"]
    return [Histogram(int(units[f"{key}_first"]), units[key].sum(axis=0)) for key in keys]


def cumulative(histogram: Histogram) -> tuple[Array, Array, int]:
    """Edges, how many values other than 0 lie below each, and how many are 0 or nearly. What lies beyond the last edges
    is left out."""
    edges = bin_edges()
    counts = np.zeros(len(edges) + 1)
    counts[histogram.first : histogram.first + len(histogram.counts)] = histogram.counts
    middle = len(edges) // 2
    zeros = int(counts[middle])
    counts[[0, middle, -1]] = 0.0
    return edges, np.concatenate([[0.0], np.cumsum(counts[1:-1])]), zeros


def reach(histogram: Histogram) -> float:
    """The |value| within which INSIDE of the values lie that are not 0; 0 if all are."""
    edges, below, _ = cumulative(histogram)
    above = edges[len(edges) // 2 :]
    within = np.interp(above, edges, below) - np.interp(-above, edges, below)
    return float(above[np.searchsorted(within, INSIDE * below[-1])]) if below[-1] > 0.0 else 0.0


@styled
def activations(histograms: Mapping[str, Sequence[Histogram]]) -> Figure:
    """The distribution of the activations in each layer, and of the logits, a panel an initializer: a ridge a layer."""
    n_layers = max(map(len, histograms.values()))
    shown = chosen(n_layers)
    figure, panels = small_multiples(len(histograms), "constrained", height=0.9 + 0.42 * len(shown), sharey=True)
    for (name, layers), ax in zip(histograms.items(), panels, strict=True):
        ax.set_title(name)
        extent = max(reach(layers[l - 1]) for l in shown)
        for place, l in enumerate(shown):
            _ridge(ax, layers[l - 1], -float(place), extent or 1.0)
        ax.set_xlim(-(extent or 1.0), extent or 1.0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=3, symmetric=True))
        ax.xaxis.set_major_formatter(FuncFormatter(_short))
        ax.grid(visible=False)
    names = ["logits" if l == n_layers else f"layer {l}" for l in shown]
    panels[0].set_yticks([-float(place) for place in range(len(shown))], names)
    panels[0].set_ylim(0.85 - len(shown), 1.0)
    figure.supxlabel("activation", fontsize=9)
    text = (
        "Activations of the newborn networks, over all seeds, units and samples; each ridge scaled to its top, "
        "without zeros"
    )
    width = int(LETTERS * figure.get_figwidth())
    figure.suptitle(textwrap.fill(text, width), x=0.01, ha="left", fontsize=9)
    return figure


def _ridge(ax: Axes, histogram: Histogram, base: float, extent: float) -> None:
    """One layer: its density on `base`, on the left how many values are 0, on the right how many have no place."""
    edges, below, zeros = cumulative(histogram)
    bins = np.linspace(-extent, extent, RIDGE_BINS + 1)
    density = np.diff(np.interp(bins, edges, below))
    total = int(histogram.counts.sum())
    ax.axhline(base, color=MIDDLE, linewidth=0.6)
    if density.max() > 0.0:
        heights = base + 0.85 * density / density.max()
        ax.stairs(heights, bins, baseline=base, fill=True, color=DARK, alpha=0.75, linewidth=0)
    xy = ("axes fraction", "data")
    beyond = total - zeros - int(below[-1])
    own = reach(histogram)
    if 0.0 < own < NARROW * extent and not beyond:
        ax.annotate(f"within ±{_short(own)}", (0.97, base + 0.3), xycoords=xy, ha="right", fontsize=7.5)
    told = {"left": (zeros, 0.03, "0"), "right": (beyond, 0.97, f"beyond {_short(edges[-1])}")}
    for side, (count, place, what) in told.items():
        if count:
            words = f"{_share(count, total)} {what}"
            ax.annotate(words, (place, base + 0.3), xycoords=xy, ha=side, fontsize=7.5)


SCALES = [("z_square", "signal", DARK, "o"), ("gradient_ratio", "gradient", LIGHT, "s")]


@styled
def depth(measured: pd.DataFrame) -> Figure:
    """Size of signal and gradient in each layer, a panel an initializer: mean and range over seeds, and theory.

    `measured` has the columns of birth.csv; what is drawn are roots of z_square and of gradient_ratio.
    """
    names = measured["initializer"].unique().tolist()
    figure, panels = small_multiples(len(names), "constrained", height=2.25, sharex=True, sharey=True)
    ends: list[float] = []
    for name, ax in zip(names, panels, strict=True):
        ax.set_title(name)
        for quantity, _, colour, marker in SCALES:
            rows = measured[(measured["initializer"] == name) & (measured["quantity"] == quantity)]
            layers = rows["layer"].astype(float).to_numpy()
            mean, low, high, theory = (_root(rows[key]) for key in ("mean", "min", "max", "predicted"))
            ends += [value for value in [*mean, *low, *high, *theory] if SMALLEST <= value < math.inf]
            bottom = np.where(np.isnan(low), SMALLEST * 1e-3, low)
            ax.fill_between(layers, bottom, high, color=colour, alpha=0.25, linewidth=0)
            size = 4.0 if len(layers) <= 12 else 0.0
            ax.plot(layers, mean, marker, color=colour, markersize=size, linestyle="-", linewidth=1.4)
            ax.plot(layers, theory, color="black", linewidth=1.0, dashes=(3, 2))
        if not (measured[(measured["initializer"] == name) & (measured["quantity"] == "z_square")]["max"] > 0).any():
            ax.annotate("the signal is 0", (0.03, 0.05), xycoords="axes fraction", fontsize=7.5)
    panels[0].set_yscale("log")
    panels[0].set_ylim(0.5 * min(ends, default=0.1), 2.0 * max(ends, default=10.0))
    panels[0].yaxis.set_major_locator(LogLocator(numticks=7))
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    last = measured["layer"].max()
    panels[0].set_xlim(1 - 0.04 * last, 1.04 * last)
    figure.supxlabel("layer", fontsize=9)
    figure.supylabel("root mean square", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=label)
        for label, colour, marker in [("signal: pre-activations", DARK, "o"), ("gradient, over the last's", LIGHT, "s")]
    ]
    handles += [
        Patch(color=MIDDLE, label="all seeds"),
        Line2D([], [], color="black", linewidth=1.0, dashes=(3, 2), label="theory of the mean"),
    ]
    legend_above(figure, handles)
    return figure


SHARES = [
    ("distinct", "units that are told apart", DARK, (1, 0)),
    ("rank", "effective rank of the weights", "black", (1, 1)),
    ("saturated", "saturated outputs", ACCENT, (5, 1.5)),
    ("dead", "dead units", LIGHT, (3, 1, 1, 1)),
]


@styled
def along_training(shares: pd.DataFrame, seed: int) -> Figure:
    """Symmetry and saturation of the model of `seed` while it is trained, a panel an initializer.

    `shares` has the columns initializer, iteration, and those of SHARES, each a share of what is possible.
    """
    names = shares["initializer"].unique().tolist()
    figure, panels = small_multiples(len(names), "constrained", height=2.1, sharex=True, sharey=True)
    for name, ax in zip(names, panels, strict=True):
        rows = shares[shares["initializer"] == name]
        for column, _, colour, dashes in SHARES:
            ax.plot(rows["iteration"], rows[column], color=colour, dashes=dashes, linewidth=1.5, clip_on=False)
        ax.set_title(name)
    panels[0].set_ylim(0.0, 1.0)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _iterations(panels[0], shares)
    figure.supxlabel("iteration", fontsize=9)
    handles = [Line2D([], [], color=c, dashes=dashes, linewidth=1.5, label=label) for _, label, c, dashes in SHARES]
    title = f"Along the training of seed {seed}"
    legend_above(figure, handles, title)
    return figure


@styled
def reproducibility(twins: pd.DataFrame, seed: int) -> Figure:
    """How far apart two models end up of which one was born with the weights of its first layer a last bit larger.

    `twins` has the columns initializer, iteration, cost_difference and weight_difference; what is 0 is not drawn.
    """
    names = twins["initializer"].unique().tolist()
    figure, panels = small_multiples(len(names), "constrained", height=2.1, sharex=True, sharey=True)
    differences = [
        ("weight_difference", "largest difference of a weight", LIGHT, "s"),
        ("cost_difference", "difference of the costs", DARK, "o"),
    ]
    for name, ax in zip(names, panels, strict=True):
        rows = twins[twins["initializer"] == name]
        for column, _, colour, marker in differences:
            values = rows[column].where((rows[column] > 1e-20) & np.isfinite(rows[column]))
            ax.plot(rows["iteration"], values, marker, color=colour, markersize=3, linestyle="-", linewidth=1.2)
        ax.set_title(name)
        if not (rows["cost_difference"] > 0.0).any():
            ax.annotate("the costs stay equal", (0.03, 0.9), xycoords="axes fraction", fontsize=7.5)
    panels[0].set_ylim(1e-18, 10.0)  # before the scale, which would look for limits of its own
    panels[0].set_yscale("log")
    panels[0].yaxis.set_major_locator(LogLocator(numticks=7))
    panels[0].yaxis.set_minor_locator(NullLocator())
    _iterations(panels[0], twins)
    figure.supxlabel("iteration", fontsize=9)
    handles = [Line2D([], [], color=c, marker=m, markersize=3, label=label) for _, label, c, m in differences]
    title = f"What becomes of a last bit in the first weights of seed {seed}"
    legend_above(figure, handles, title)
    return figure


def _share(count: int, total: int) -> str:
    """50 % are; never 0 % of some, nor 100 % of less than all."""
    if count == total:
        return "all are"
    percent = 100.0 * count / total
    return "< 1 % are" if percent < 0.5 else "> 99 % are" if percent >= 99.5 else f"{percent:.0f} % are"


def _short(value: float, place: int = 0) -> str:
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _iterations(ax: Axes, rows: pd.DataFrame) -> None:
    """A log axis that has 0."""
    last = int(rows["iteration"].max())
    ax.set_xscale("symlog", linthresh=1.0, linscale=0.5)
    ax.set_xlim(0, last)
    ax.set_xticks([0, *(10**k for k in range(0, len(str(last)), 2))])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda iteration, _: f"{iteration:,.0f}"))


def _root(squares: pd.Series) -> Array:
    """nan for 0, which has no place on a log axis."""
    values = squares.to_numpy(dtype=np.float64)
    return np.sqrt(np.where(values > 0.0, values, np.nan))
