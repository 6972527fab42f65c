"""The figure of a parameter sweep."""

import math
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, PercentFormatter

from pipeline.figures.style import ACCENT, COST_TOP, DARK, LIGHTEST, MIDDLE, PANELS, styled

LOWEST = 1e-4  # nats; lower costs lie at the edge
LONGEST = 24  # characters of a name
DECADE = 10.0  # ratio of largest to smallest value from which the axis is logarithmic


@styled
def study(
    compared: pd.DataFrame, best: pd.DataFrame, parameter: str, usual: Any, target: float, confidence: float
) -> Figure:
    """Final cost and share of seeds that reach the target against a parameter: two panels per initializer.

    `compared` and `best` are the tables of `experiments.sweep`; `usual` is the value in params.yaml, drawn if it is a
    number; `target` and `confidence` are shares.
    """
    names = compared["initializer"].unique().tolist()
    n_columns = min(len(names), PANELS)
    n_rows = math.ceil(len(names) / n_columns)
    figure = Figure(figsize=(max(4.0, 2.6 * n_columns), 3.1 * n_rows + 0.8), layout="constrained")
    grid = figure.subplots(2 * n_rows, n_columns, squeeze=False, sharex=True, height_ratios=[2.2, 1.0] * n_rows)
    for place in range(n_rows * n_columns):
        row, column = divmod(place, n_columns)
        costs, shares = grid[2 * row, column], grid[2 * row + 1, column]
        if place >= len(names):
            costs.set_visible(False)
            shares.set_visible(False)
            continue
        rows = compared[compared["initializer"] == names[place]]
        chosen = best[best["initializer"] == names[place]].iloc[0]
        for name in names:
            other = compared[compared["initializer"] == name]
            costs.plot(other["value"], _clipped(other["median"]), color=MIDDLE, linewidth=0.7)
        _costs(costs, rows, chosen)
        _shares(shares, rows, chosen)
        costs.set_title(_short(names[place]))
        if isinstance(usual, int | float):
            for ax in (costs, shares):
                ax.axvline(usual, color="black", linewidth=0.8, linestyle=":")
        for ax in (costs, shares):
            ax.tick_params(labelleft=column == 0, labelbottom=ax is shares and place + n_columns >= len(names))
    _axis(grid[0, 0], compared)
    lowest = max(LOWEST, compared["low"].min()) if compared["low"].notna().any() else LOWEST
    for ax in grid[0::2].ravel():
        ax.set(yscale="log", ylim=(0.7 * min(lowest, 0.1), COST_TOP))
        ax.yaxis.set_major_locator(LogLocator(numticks=9))
        ax.yaxis.minorticks_off()
        ax.yaxis.set_major_formatter("{x:g}")
    for ax in grid[1::2].ravel():
        ax.set(ylim=(-0.1, 1.1), yticks=[0.0, 0.5, 1.0])
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    figure.supxlabel(parameter.replace("_", " ").rpartition(".")[2], fontsize=9)
    figure.supylabel(f"above: final cost (nats); below: seeds that reach {100 * target:g} %", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], color="black", marker="o", markersize=3.6, label="median"),
        Patch(color=MIDDLE, label="middle half of the seeds"),
        Line2D([], [], color=DARK, marker="s", markersize=3.6, label=f"share and its {100 * confidence:g} % interval"),
        Line2D([], [], color=ACCENT, marker="o", markersize=6, linestyle="", label="best"),
        Line2D([], [], color=MIDDLE, linewidth=0.7, label="others"),
    ]
    if (_clipped(compared["median"]) == COST_TOP).any():
        handles.insert(
            1, Line2D([], [], color="black", marker="^", linestyle="", label=f"median above {COST_TOP:g}, or diverged")
        )
    if isinstance(usual, int | float):
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=":", label="params.yaml"))
    wide = len(handles) if len(handles) <= 6 else 4
    figure.legend(handles=handles, loc="outside upper center", ncols=wide if n_columns == PANELS else 2)
    return figure


def _costs(ax: Axes, rows: pd.DataFrame, chosen: Any) -> None:
    low, median, high = (_clipped(rows[column]) for column in ("low", "median", "high"))
    ax.fill_between(rows["value"], low, high, color=MIDDLE, alpha=0.7, linewidth=0)
    ax.plot(rows["value"], median, "o-", color="black", linewidth=1.4, markersize=3.6)
    above = median == COST_TOP
    ax.plot(rows["value"][above], median[above], "^", color="black", clip_on=False, in_layout=False)
    if not math.isnan(chosen["best"]):
        best = min(chosen["median"], COST_TOP)
        marker = "^" if best == COST_TOP else "o"
        ax.plot([chosen["best"]], [best], marker, color=ACCENT, markersize=6, clip_on=False, in_layout=False)


def _clipped(costs: pd.Series) -> pd.Series:
    """The costs limited to COST_TOP; one that is not finite counts as larger."""
    return costs.where(costs < COST_TOP, COST_TOP)


def _short(name: str) -> str:
    """A name shortened to LONGEST characters."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 + 1 :]}"


def _shares(ax: Axes, rows: pd.DataFrame, chosen: Any) -> None:
    ax.fill_between(rows["value"], rows["share_low"], rows["share_high"], color=LIGHTEST, linewidth=0)
    ax.plot(rows["value"], rows["share"], "s-", color=DARK, linewidth=1.4, markersize=3.6)
    if not math.isnan(chosen["best"]):
        ax.plot([chosen["best"]], [chosen["share"]], "o", color=ACCENT, markersize=6)


def _axis(ax: Axes, compared: pd.DataFrame) -> None:
    """The common axis of the parameter: logarithmic where its values span a decade."""
    smallest, largest = compared["value"].min(), compared["value"].max()
    if smallest > 0 and largest / smallest >= DECADE:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(numticks=7))
        ax.xaxis.minorticks_off()
        ax.xaxis.set_major_formatter("{x:g}")
