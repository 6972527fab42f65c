"""Accuracy of trained networks against the variances of weights and biases, and against depth, with theory's lines."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, withStroke

COLOURS = "cividis"  # readable in greyscale and for the colour-blind
LARGEST = 1e6  # layers: infinite depth scales are drawn as this one
SMALLEST = 1e-3  # layers: smaller depth scales are drawn as this one
OUTLINE: Sequence[AbstractPathEffect] = [withStroke(linewidth=3.2, foreground="black")]
LINES: dict[str, Any] = {"color": "white", "linewidth": 1.8, "path_effects": OUTLINE}
BOUNDARY: dict[str, Any] = {"color": "#ff5a4f", "linewidth": 1.5}  # of trained cells
PUBLISHED = 6.0  # the multiple of xi_c in Schoenholz et al. 2017, figure 5


def edges(values: Sequence[float], logarithmic: bool = False) -> list[float]:
    """The boundaries of cells around ascending values: the means of neighbours, geometric ones if `logarithmic`."""
    if len(values) == 1:
        return [values[0] * 0.7, values[0] * 1.4] if logarithmic else [values[0] - 0.5, values[0] + 0.5]
    inner = [math.sqrt(a * b) if logarithmic else (a + b) / 2 for a, b in pairwise(values)]
    ends = [(values[0], inner[0]), (values[-1], inner[-1])]
    first, last = (end * end / edge if logarithmic else 2 * end - edge for end, edge in ends)
    return [first, *inner, last]


def handles(multiple: float, trained: float) -> list[Line2D]:
    """The handles of a legend of the lines in both panels: the fitted multiple, the accuracy of trained networks."""
    labels: dict[Any, str] = {
        "-": rf"{multiple:.1f} $\xi_c$ = depth (fitted)",
        ":": rf"{PUBLISHED:g} $\xi_c$ = depth (published)",
        "--": r"$\chi_1 = 1$ (edge of chaos)",
    }
    lines = [Line2D([], [], linestyle=dashes, label=label, **LINES) for dashes, label in labels.items()]
    return [*lines, Line2D([], [], label=f"trained: accuracy ≥ {trained:g}", **BOUNDARY)]


def limits(values: Sequence[float]) -> tuple[float, float]:
    """The first and last of ascending values, or the boundaries of the cell if there is only one."""
    return (values[0], values[-1]) if len(values) > 1 else (edges(values)[0], edges(values)[1])


def accuracy_mesh(ax: Axes, cells: Any, x: str, y: str, trained: float, logarithmic: bool = False) -> Any:
    """Draw the column `accuracy` of a pandas table of cells, one for each x and y, as colours from 0 to 1.

    Edges between cells of an accuracy of at least `trained` and others are drawn as lines. Returns the coloured mesh.
    """
    wide = cells.pivot(index=y, columns=x, values="accuracy")
    across, up = edges(list(wide.columns)), edges(list(wide.index), logarithmic)
    ax.grid(visible=False)
    mesh = ax.pcolormesh(across, up, wide.to_numpy(), cmap=COLOURS, vmin=0.0, vmax=1.0, rasterized=True)
    ax.add_collection(LineCollection(boundary(across, up, wide.to_numpy() >= trained), **BOUNDARY), autolim=False)
    return mesh


def boundary(across: Sequence[float], up: Sequence[float], chosen: Any) -> list[list[tuple[float, float]]]:
    """The edges, as pairs of points, between chosen and other cells, for `chosen` (rows, columns) of true and false.

    `across` and `up` are the boundaries of the columns and rows.
    """
    upright = [
        [(across[j + 1], up[i]), (across[j + 1], up[i + 1])] for i, j in np.argwhere(chosen[:, 1:] != chosen[:, :-1])
    ]
    level = [[(across[j], up[i + 1]), (across[j + 1], up[i + 1])] for i, j in np.argwhere(chosen[1:] != chosen[:-1])]
    return upright + level


def depth_panel(ax: Axes, cells: Any, theory: Any, multiple: float, critical: float, trained: float) -> Any:
    """Accuracy against sigma_w^2 and depth, with lines at multiples of xi_c and at the critical sigma_w^2.

    `cells` has the columns sigma_w2, depth and accuracy, `theory` sigma_w2 and xi_c. Returns the coloured mesh.
    """
    mesh = accuracy_mesh(ax, cells, "sigma_w2", "depth", trained, logarithmic=True)
    depths = sorted(set(cells["depth"]))
    boundaries = edges(depths, logarithmic=True)
    low, high = boundaries[0], boundaries[-1]
    xi = np.minimum(theory["xi_c"].to_numpy(), LARGEST)
    for factor, dashes in ((multiple, "-"), (PUBLISHED, ":")):
        ax.plot(theory["sigma_w2"], factor * xi, linestyle=dashes, **LINES)
    ax.plot([critical, critical], [low, high], linestyle="--", **LINES)
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ax.set_xlim(limits(sorted(set(cells["sigma_w2"]))))
    ax.set_yticks(depths, [f"{depth}" for depth in depths])
    ax.set_yticks([], minor=True)
    ax.set_xlabel(r"variance of the weights $\sigma_w^2$")
    ax.set_ylabel("depth (layers)")
    return mesh


def plane_panel(ax: Axes, cells: Any, edge: Any, multiple: float, depth: int, trained: float) -> Any:
    """Accuracy against sigma_w^2 and sigma_b^2, with the edge of chaos and contours of multiples of xi_c at the depth.

    `cells` has the columns sigma_w2, sigma_b2, xi_c and accuracy, `edge` sigma_b2 and the critical sigma_w2. Returns
    the coloured mesh.
    """
    mesh = accuracy_mesh(ax, cells, "sigma_w2", "sigma_b2", trained)
    xi = cells.pivot(index="sigma_b2", columns="sigma_w2", values="xi_c")
    across, up = list(xi.columns), list(xi.index)
    inverse = 1.0 / np.maximum(xi.to_numpy(), SMALLEST)  # nearly linear between cells, unlike xi_c
    for factor, dashes in ((multiple, "-"), (PUBLISHED, ":")):
        contour = ax.contour(across, up, inverse, [factor / depth], colors="white", linestyles=dashes, linewidths=1.8)
        contour.set(path_effects=OUTLINE)
    ax.plot(edge["sigma_w2"], edge["sigma_b2"], linestyle="--", **LINES)
    ax.set_xlim(limits(across))
    ax.set_ylim(limits(up))
    ax.set_xlabel(r"variance of the weights $\sigma_w^2$")
    ax.set_ylabel(r"variance of the biases $\sigma_b^2$")
    return mesh
