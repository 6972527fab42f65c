"""Figures of networks at initialization and of the highlighted models during training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipeline.analysis.initialization_table import layers_to_show
from pipeline.diagnostics.histograms import bin_edges
from pipeline.figures.style import (
    DARK,
    LIGHT,
    MIDDLE,
    NOTE,
    legend_above,
    log_scale,
    number,
    small_multiples,
    styled,
    subtitles,
    wrapped,
)
from pipeline.numerics.sums import Array

LABEL = 1.1  # inches, of an initializer's name beside its row
RIDGE_BINS = 120  # even, so that 0 is an edge
MIN_RIDGE_WIDTH = 1 / 20  # of a panel: the width of a narrower ridge is given as text
INSIDE = 0.99  # share of the values of the widest layer within the limits of a panel
RIDGE = 0.62  # height of a ridge as a share of the distance between ridges; the rest is for text
SMALLEST = 1e-100  # of signals and gradients; smaller ones are drawn here
SMALLEST_DIFFERENCE = 1e-18  # between a model and its perturbed copy; smaller ones are drawn here


class Histogram(NamedTuple):
    """The values of a layer over all models: counts between `bin_edges`, from the bin `first` on."""

    first: int
    counts: Array


def pooled(units: Mapping[str, Any], n_layers: int) -> list[Histogram]:
    """The histograms of the activations of each hidden layer, and of the logits, over all models of units.npz."""
    keys = [*(f"a{l}" for l in range(1, n_layers)), f"z{n_layers}"]
    return [Histogram(int(units[f"{key}_first"]), units[key].sum(axis=0)) for key in keys]


def cumulative(histogram: Histogram) -> tuple[Array, Array, int]:
    """The bin edges, the number of values other than 0 below each, and the number of values in the bin of 0.

    Values beyond the first and the last edge are left out.
    """
    edges = bin_edges()
    counts = np.zeros(len(edges) + 1)
    counts[histogram.first : histogram.first + len(histogram.counts)] = histogram.counts
    middle = len(edges) // 2
    zeros = int(counts[middle])
    counts[[0, middle, -1]] = 0.0
    return edges, np.concatenate([[0.0], np.cumsum(counts[1:-1])]), zeros


def reach(histogram: Histogram) -> float:
    """The |value| below which a share INSIDE of the values other than 0 lies; 0 if all values are 0."""
    edges, below, _ = cumulative(histogram)
    above = edges[len(edges) // 2 :]
    within = np.interp(above, edges, below) - np.interp(-above, edges, below)
    return float(above[np.searchsorted(within, INSIDE * below[-1])]) if below[-1] > 0.0 else 0.0


@styled
def activations(histograms: Mapping[str, Sequence[Histogram]]) -> Figure:
    """Histograms of the activations in each layer and of the logits: a panel per initializer, a ridge per layer."""
    n_layers = max(map(len, histograms.values()))
    shown = layers_to_show(n_layers)
    names = list(histograms)
    figure, panels = small_multiples(names, "constrained", height=0.9 + 0.46 * len(shown), sharey=True)
    for layers, ax in zip(histograms.values(), panels, strict=True):
        extent = max(reach(layers[l - 1]) for l in shown)
        for place, l in enumerate(shown):
            _ridge(ax, layers[l - 1], -float(place), extent or 1.0)
        ax.set_xlim(-(extent or 1.0), extent or 1.0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=3, symmetric=True))
        ax.xaxis.set_major_formatter(lambda value, _: number(value))
        ax.grid(visible=False)
    rows = ["logits" if l == n_layers else f"layer {l}" for l in shown]
    panels[0].set_yticks([-float(place) for place in range(len(shown))], rows)
    panels[0].set_ylim(0.85 - len(shown), 1.0)
    figure.supxlabel("activation", fontsize=9)
    text = (
        "Activations at initialization, over all seeds, units and training samples: histograms without the zeros, "
        "each scaled to its maximum"
    )
    if any(_beyond(histogram) for layers in histograms.values() for histogram in layers):
        text += f"; off scale: beyond ±{number(bin_edges()[-1])}, or not finite"
    figure.suptitle(wrapped(text, figure.get_figwidth() - 0.3, 9.0), x=0.01, ha="left", fontsize=9)
    return figure


def _beyond(histogram: Histogram) -> int:
    """The number of values beyond the outer bin edges or not finite."""
    _, below, zeros = cumulative(histogram)
    return int(histogram.counts.sum()) - zeros - int(below[-1])


def _ridge(ax: Axes, histogram: Histogram, base: float, extent: float) -> None:
    """The histogram of one layer at height `base`; above it the share of zeros on the left, and on the right the share
    of values off scale or the width of a narrow ridge."""
    edges, below, zeros = cumulative(histogram)
    bins = np.linspace(-extent, extent, RIDGE_BINS + 1)
    density = np.diff(np.interp(bins, edges, below))
    total = int(histogram.counts.sum())
    ax.axhline(base, color=MIDDLE, linewidth=0.6)
    if density.max() > 0.0:
        heights = base + RIDGE * density / density.max()
        ax.stairs(heights, bins, baseline=base, fill=True, color=DARK, alpha=0.75, linewidth=0)
    own, beyond = reach(histogram), _beyond(histogram)
    left = f"zero: {_share(zeros, total)}" if zeros else ""
    right = f"off scale: {_share(beyond, total)}" if beyond else ""
    if 0.0 < own < MIN_RIDGE_WIDTH * extent and not beyond:
        right = f"within ±{number(own)}"
    for side, place, text in (("left", 0.02, left), ("right", 0.99, right)):
        if text:
            at, xycoords = (place, base + RIDGE + 0.05), ("axes fraction", "data")
            ax.annotate(text, at, xycoords=xycoords, ha=side, fontsize=NOTE - 0.5)


SCALES = [  # quantity, its name, colour and marker
    ("preactivation_mean_square", "signal: pre-activations", DARK, "o"),
    ("gradient_ratio", "gradient / gradient of the last layer", LIGHT, "s"),
]


@styled
def depth(measured: pd.DataFrame) -> Figure:
    """Size of signal and gradient in each layer, one panel per initializer: mean and range over seeds, and theory.

    `measured` has the columns of initialization.csv; the roots of preactivation_mean_square and of gradient_ratio are
    drawn.
    """
    names = measured["initializer"].unique().tolist()
    figure, panels = small_multiples(names, "constrained", height=2.25, sharex=True, sharey=True)
    keys = ["mean", "min", "max", "predicted"]
    roots = measured[measured["quantity"].isin([quantity for quantity, *_ in SCALES])].copy()
    roots[keys] = np.sqrt(roots[keys].astype(np.float64).where(roots[keys] >= 0.0))
    scale = log_scale([roots[keys]], SMALLEST, 1.0, 1.0, room=2.0)
    notes: list[list[str]] = []
    for name, ax in zip(names, panels, strict=True):
        own = roots[roots["initializer"] == name]
        for quantity, _, colour, marker in SCALES:
            rows = own[own["quantity"] == quantity]
            layers = rows["layer"].astype(float).to_numpy()
            mean, low, high, theory = (scale.place(rows[key]) for key in keys)
            ax.fill_between(layers, low, high, color=colour, alpha=0.25, linewidth=0)
            size = 4.0 if len(layers) <= 12 else 0.0
            ax.plot(layers, mean, marker, color=colour, markersize=size, linestyle="-", linewidth=1.4)
            ax.plot(layers, theory, color="black", linewidth=1.0, dashes=(3, 2))
        scale.apply(ax)
        defined = [np.isfinite(own.loc[own["quantity"] == quantity, "mean"]).any() for quantity, *_ in SCALES]
        labels = [label for (_, label, *_), known in zip(SCALES, defined, strict=True) if not known]
        notes.append([f"not finite: {label.partition(':')[0].partition(' ')[0]}" for label in labels])
    subtitles(panels, notes)
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    last = measured["layer"].max()
    panels[0].set_xlim(max(0.5, 1 - 0.04 * last), 1.04 * last)
    figure.supxlabel("layer", fontsize=9)
    figure.supylabel("root mean square", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=label) for _, label, colour, marker in SCALES
    ]
    handles += [
        Patch(color=MIDDLE, label="all seeds"),
        Line2D([], [], color="black", linewidth=1.0, dashes=(3, 2), label="predicted mean"),
    ]
    legend_above(figure, handles)
    return figure


class Quantity(NamedTuple):
    """A column of `along_training`: the column of its table, the title, and the tick labels at 0, 1/2 and 1."""

    column: str
    title: str
    labels: tuple[str, str, str]


PERCENT = ("0 %", "50 %", "100 %")
QUANTITIES = [
    Quantity("unique_units", "distinct units\n(of the hidden units)", PERCENT),
    Quantity("rank", "effective rank of the\nweights / full rank", ("0", "0.5", "1")),
    Quantity("dead", "dead units\n(of the hidden units)", PERCENT),
    Quantity("saturated", "saturated outputs\n(of the outputs)", PERCENT),
]


@styled
def along_training(shares: pd.DataFrame, seed: int) -> Figure:
    """Symmetry, rank and saturation of the model of `seed` during training: a row per initializer, a column each.

    `shares` has the columns initializer, iteration, and those of QUANTITIES, each from 0 to 1, or nan.
    """
    names = shares["initializer"].unique().tolist()
    tables = {name: shares[shares["initializer"] == name] for name in names}
    labels = []
    for name, rows in tables.items():
        undefined = rows["iteration"][~np.isfinite(rows["saturated"])]
        stop = f"\nnot finite from\niteration {number(undefined.iloc[0])}" if len(undefined) else ""
        labels.append(wrapped(name, LABEL, 8.0) + stop)
    height = max(0.72, 0.14 * (2 + max(label.count("\n") for label in labels)))
    figure = Figure(figsize=(10.4, height * len(names) + 1.5), layout="constrained")
    grid = figure.subplots(len(names), len(QUANTITIES), squeeze=False, sharex=True)
    for rows, label, panels in zip(tables.values(), labels, grid, strict=True):
        panels[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        for quantity, ax in zip(QUANTITIES, panels, strict=True):
            values = rows[quantity.column].astype(np.float64)
            ax.plot(rows["iteration"], values, "o-", color=DARK, linewidth=1.4, markersize=2.5, clip_on=False)
            ax.set_ylim(-0.1, 1.1)
            ax.set_yticks([0.0, 0.5, 1.0], quantity.labels, fontsize=7)
            if not np.isfinite(values).any():
                text = "no hidden layer" if np.isfinite(rows["saturated"]).any() else "not finite"
                ax.annotate(text, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", fontsize=NOTE)
    for quantity, ax in zip(QUANTITIES, grid[0], strict=True):
        ax.set_title(quantity.title, fontsize=9)
    _iterations(grid[0, 0], shares)
    figure.supxlabel("iteration", fontsize=9)
    figure.suptitle(f"The model of seed {seed} during training", x=0.01, ha="left", fontsize=10)
    return figure


DIFFERENCES = [  # column, label, colour and marker
    ("weight_difference", "largest |difference| of a weight or bias", LIGHT, "s"),
    ("cost_difference", "|difference| of cost (nats)", DARK, "o"),
]


@styled
def reproducibility(copies: pd.DataFrame, seed: int) -> Figure:
    """Differences between the model of `seed` and its perturbed copy (1 ulp in the first layer) during training.

    `copies` has the columns initializer, iteration, cost_difference and weight_difference; 0 has a line of its own.
    """
    names = copies["initializer"].unique().tolist()
    figure, panels = small_multiples(names, "constrained", height=2.1, sharex=True, sharey=True)
    scale = log_scale([copies[column] for column, *_ in DIFFERENCES], SMALLEST_DIFFERENCE, 1e-17, 1.0, room=10.0**0.5)
    notes: list[list[str]] = []
    for name, ax in zip(names, panels, strict=True):
        rows = copies[copies["initializer"] == name]
        for column, _, colour, marker in DIFFERENCES:
            values = scale.place(rows[column])
            ax.plot(rows["iteration"], values, f"{marker}-", color=colour, markersize=3, linewidth=1.2, clip_on=False)
        undefined = rows["iteration"][~np.isfinite(rows["cost_difference"])]
        diverged = [f"diverged: cost not finite from iteration {number(undefined.iloc[0])}"] if len(undefined) else []
        notes.append(diverged or ([] if rows["cost_difference"].any() else ["identical costs throughout"]))
        scale.apply(ax)
    subtitles(panels, notes)
    _iterations(panels[0], copies)
    figure.supxlabel("iteration", fontsize=9)
    handles = [Line2D([], [], color=c, marker=m, markersize=3, label=label) for _, label, c, m in DIFFERENCES]
    title = f"The model of seed {seed} and a copy with first-layer weights perturbed by 1 ulp"
    legend_above(figure, handles, title)
    return figure


def _share(count: int, total: int) -> str:
    """A share as text: 50 %; "< 1 %" and "> 99 %" instead of 0 % for some and 100 % for less than all."""
    percent = 100.0 * count / total
    if count == total:
        return "100 %"
    return "< 1 %" if percent < 0.5 else "> 99 %" if percent >= 99.5 else f"{percent:.0f} %"


def _iterations(ax: Axes, rows: pd.DataFrame) -> None:
    """Give `ax` an iteration axis that is linear below 1 and logarithmic above, with ticks at 0 and powers of 10."""
    last = int(rows["iteration"].max())
    decades = range(0, len(str(last)), 2)
    ax.set_xscale("symlog", linthresh=1.0, linscale=0.5)
    ax.set_xlim(0, last)
    labels = [f"{10**decade}" if decade < 4 else f"$10^{decade}$" for decade in decades]
    ax.set_xticks([0, *(10**decade for decade in decades)], ["0", *labels])
    ax.xaxis.minorticks_off()
