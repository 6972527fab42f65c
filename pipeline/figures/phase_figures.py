"""The phase diagram of trained networks: accuracy against the variances of weights and biases, and against depth."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

COLOURS = "cividis"  # readable in greyscale and for the colour-blind
LARGEST = 1e6  # layers: infinite depth scales are drawn as this one
OUTLINE = [withStroke(linewidth=3.2, foreground="black")]


def edges(values: Sequence[float], logarithmic: bool = False) -> list[float]:
    """The boundaries of cells around ascending values, in the middle between neighbours."""
    if logarithmic:
        return [math.exp(edge) for edge in edges([math.log(value) for value in values])]
    if len(values) == 1:
        return [values[0] - 0.5, values[0] + 0.5]
    inner = [(a + b) / 2 for a, b in pairwise(values)]
    return [2 * values[0] - inner[0], *inner, 2 * values[-1] - inner[-1]]


def accuracy_mesh(ax: Axes, cells: Any, x: str, y: str, logarithmic: bool = False) -> Any:
    """Draw the column `accuracy` of a pandas table of cells, one for each x and y, as colours from 0 to 1."""
    wide = cells.pivot(index=y, columns=x, values="accuracy")
    across, up = edges(list(wide.columns)), edges(list(wide.index), logarithmic)
    ax.grid(visible=False)
    return ax.pcolormesh(across, up, wide.to_numpy(), cmap=COLOURS, vmin=0.0, vmax=1.0, rasterized=True)


def depth_panel(ax: Axes, cells: Any, theory: Any, multiple: float, critical: float) -> Any:
    """Accuracy against sigma_w^2 and depth, with lines at multiples of xi_c and at the critical sigma_w^2.

    `cells` has the columns sigma_w2, depth and accuracy, `theory` sigma_w2 and xi_c. Returns the coloured mesh.
    """
    mesh = accuracy_mesh(ax, cells, "sigma_w2", "depth", logarithmic=True)
    depths = sorted(set(cells["depth"]))
    low, high = edges(depths, logarithmic=True)[:: len(depths)]
    xi = np.minimum(theory["xi_c"].to_numpy(), LARGEST)
    for factor, dashes, label in ((multiple, "-", f"{multiple:.1f} ξ_c (fitted)"), (6.0, ":", "6 ξ_c (published)")):
        line = ax.plot(theory["sigma_w2"], factor * xi, color="white", linestyle=dashes, linewidth=1.8)
        line[0].set(path_effects=OUTLINE, label=label.replace("ξ_c", r"$\xi_c$"))
    line = ax.plot([critical, critical], [low, high], color="white", linestyle="--", linewidth=1.4)
    line[0].set(path_effects=OUTLINE, label=r"$\chi_1 = 1$")
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ax.set_xlim(*edges(sorted(set(cells["sigma_w2"])))[:: len(set(cells["sigma_w2"]))])
    ax.set_yticks(depths, [f"{depth}" for depth in depths])
    ax.set_yticks([], minor=True)
    ax.set_xlabel(r"variance of the weights $\sigma_w^2$")
    ax.set_ylabel("depth (layers)")
    return mesh
