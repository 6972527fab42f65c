"""Figures of the training: costs and accuracies. They are readable in black and white.

A function returns a Figure, which does not depend on the user's matplotlib settings.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.figures.style import (
    ACCENT,
    COST_TOP,
    DARK,
    LABEL_WIDTH,
    LIGHTEST,
    MIDDLE,
    PANELS,
    TITLE_SIZES,
    LogScale,
    legend_above,
    log_scale,
    number,
    small_multiples,
    styled,
    subtitles,
    wrapped,
)
from pipeline.numerics.sums import Array

COST_LEAST = 1e-8  # nats: smaller costs are drawn here
NEAR, SWARM = 0.012, 0.5  # difference of accuracies that are stacked; height of the highest stack, in rows
BEYOND = 1e308  # drawn for a cost that is not finite
FEW = 10  # iterations with records, up to which each has a dot


@styled
def cost_curves(bands: pd.DataFrame, curves: pd.DataFrame, published: pd.DataFrame, seed: int) -> Figure:
    """Cost against iterations, one panel per initializer: the spread over seeds, the model of `seed`, published costs.

    `bands` has columns initializer, iteration, min, q25, median, q75, max; `curves`, of all seeds, initializer, seed,
    iteration, cost; `published`, which may be empty, of models of `seed`: initializer, iteration, cost_median. A cost
    that is not finite counts as above all others. All panels share the cost axis, up to COST_TOP, except those whose
    median ends above it or is there in half of the records; the number of seeds that diverged is written in the panel.
    """
    names = bands["initializer"].unique().tolist()
    height = 2.25 if len(names) > 2 else 3.4  # one or two panels have room
    figure, panels = small_multiples(names, "constrained", height=height, sharex=True)
    spreads = {name: bands[bands["initializer"] == name] for name in names}
    facts = {name: published[published["initializer"] == name] for name in names}
    common, scales = _cost_scales(spreads, facts)
    notes: list[list[str]] = []
    stopped, last = False, int(bands["iteration"].max())
    dot, margin = (".", 0.03 * last) if bands["iteration"].nunique() <= FEW else ("", 0.0)
    for place, (name, ax) in enumerate(zip(names, panels, strict=True)):
        band, scale, models = spreads[name], scales[name], curves[curves["initializer"] == name]
        own, at = models[models["seed"] == seed], band["iteration"]
        limits = {key: np.where(np.isfinite(band[key]), scale.place(band[key]), BEYOND) for key in BAND}
        ax.fill_between(at, limits["min"], limits["max"], color=LIGHTEST, linewidth=0)
        ax.fill_between(at, limits["q25"], limits["q75"], color=MIDDLE, linewidth=0)
        ax.plot(at, scale.place(band["median"]), f"{dot}-", color="black", linewidth=1.6, markersize=9)
        costs = scale.place(own["cost"])
        ax.plot(own["iteration"], costs, f"{dot}-", color=ACCENT, linewidth=1.1, markersize=4.5, dashes=(4, 1.5))
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
    panels[0].set_xlim(-margin, last + margin)
    figure.supxlabel(_thousands(panels[0], last), fontsize=9)
    figure.supylabel("cost (mean cross-entropy, nats)", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], color="black", linewidth=1.6, marker=dot, markersize=9, label="median over seeds"),
        Patch(color=MIDDLE, label="middle half of the seeds"),
        Patch(color=LIGHTEST, label="all seeds"),
        Line2D([], [], color=ACCENT, linewidth=1.1, marker=dot, markersize=4.5, dashes=(4, 1.5), label=f"seed {seed}"),
    ]
    if any(map(len, facts.values())):
        dots = Line2D([], [], color="black", marker="o", markersize=3.6, linestyle="", label=f"published, seed {seed}")
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
    """The common axis, and the axis of each initializer.

    That is its own where its median cost ends above COST_TOP or is there in at least half of the records.
    """
    within = []
    for name, band in spreads.items():
        above = (band["median"][np.isfinite(band["median"])] > COST_TOP).tolist()
        if not above or (not above[-1] and 2 * above.count(True) < len(above)):
            within.append(name)
    costs = {name: [*(band[key] for key in BAND), facts[name]["cost_median"]] for name, band in spreads.items()}
    if not within:
        common = log_scale([part for parts in costs.values() for part in parts], COST_LEAST, COST_TOP, COST_TOP)
        return common, dict.fromkeys(spreads, common)
    shown = [part.where(part <= COST_TOP) for name in within for part in costs[name]]
    common = log_scale(shown, COST_LEAST, 0.1, COST_TOP)._replace(top=COST_TOP)
    own = {name: log_scale(costs[name], COST_LEAST, COST_TOP, COST_TOP) for name in spreads if name not in within}
    return common, {name: own.get(name, common) for name in spreads}


def _cost_notes(band: pd.DataFrame, models: pd.DataFrame, scale: LogScale, other: bool) -> list[str]:
    """Text for a panel: a start above the axis, and the numbers of seeds that diverged or ended above COST_TOP."""
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
    """Set the ticks of an iteration axis, in thousands or millions if `last` is large, and return the axis label."""
    unit, name = (1, "") if last < 2000 else (1000, " (thousands)") if last < 2_000_000 else (10**6, " (millions)")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(lambda iteration, _: f"{iteration / unit:g}")
    return f"iteration{name}"


@styled
def accuracy(runs: pd.DataFrame, compared: pd.DataFrame, seed: int, target: float, confidence: float) -> Figure:
    """The accuracy of every model as a point, with the mean over seeds and its interval; one seed is marked.

    `runs` and `compared` are the tables of runs.csv and comparison.csv. The number of models that diverged is written
    below the name of the initializer.
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


def _swarm(values: Sequence[float]) -> Array:
    """Vertical offsets that separate points with nearly equal values: stacked about 0 in order, within SWARM."""
    bins: dict[int, list[int]] = {}
    for index, value in enumerate(values):
        bins.setdefault(round(value / NEAR), []).append(index)
    heights = np.zeros(len(values))
    step = min(0.1, SWARM / max(map(len, bins.values())))
    for members in bins.values():
        for place, index in enumerate(members):
            heights[index] = (place - (len(members) - 1) / 2) * step
    return heights - 0.08
