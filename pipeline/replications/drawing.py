"""What figures of several replications draw: theory beside measured points, medians over seeds, costs of training."""

import math
from collections.abc import Iterator, Sequence
from itertools import count, cycle, islice
from typing import Any

from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pipeline.analysis.estimators import quantile

DARKEST, LIGHTEST = (0.11, 0.29, 0.41), (0.95, 0.64, 0.35)  # RGB, from a dark blue to a light orange
Colour = str | tuple[float, ...]


def shades(n: int) -> list[tuple[float, ...]]:
    """n colours (RGB) evenly spaced from DARKEST to LIGHTEST, for the values of an ordered setting."""
    shares = [k / max(1, n - 1) for k in range(n)]
    return [tuple(low + (high - low) * share for low, high in zip(DARKEST, LIGHTEST, strict=True)) for share in shares]


def styles(colours: Sequence[Colour], markers: str, n: int) -> Iterator[tuple[Any, str]]:
    """n pairs of a colour and a marker: the first ones, or with more curves than colours n shades and all markers."""
    chosen = colours if n <= len(colours) else shades(n)
    return islice(zip(chosen, cycle(markers), strict=False), n)


def line_and_points(
    ax: Axes,
    x: ArrayLike,
    theory: ArrayLike,
    measured: ArrayLike,
    colour: Colour,
    marker: str,
    linewidth: float = 1.2,
    **style: Any,
) -> None:
    """Draw theory against x as a line, then measured values as points of the same colour, to which `style` applies."""
    ax.plot(x, theory, color=colour, linewidth=linewidth)
    ax.plot(x, measured, color=colour, linestyle="", marker=marker, **{"markersize": 3.5, **style})


def whole_ticks(last: float) -> range:
    """At most five whole numbers from 0 to `last` or more, evenly spaced by 1, 2, 5, 10, 20, ...: 0, 5, ..., 20."""
    steps = (digit * 10**k for k in count() for digit in (1, 2, 5))
    step = next(step for step in steps if last <= 4 * step)
    return range(0, max(1, math.floor(last)) + 1, step)


def medians(ax: Axes, rows: Any, x: str, y: str, **style: Any) -> None:
    """Draw the median of the column y over the rows with an equal x, against x."""
    found = {at: quantile(part[y].tolist(), 0.5) for at, part in rows.groupby(x)}
    ax.plot(list(found), list(found.values()), **style)


def costs(ax: Axes, rows: Any, colour: Colour, dashes: Any) -> None:
    """Draw costs in nats against epochs: thin lines for the seeds, a thick one for the median over them."""
    for _, one in rows.groupby("seed"):
        ax.plot(one["epoch"], one["cost"], color=colour, linestyle=dashes, linewidth=0.7, alpha=0.45)
    medians(ax, rows, "epoch", "cost", color=colour, linestyle=dashes, linewidth=2.2)
