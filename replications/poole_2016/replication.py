"""The mean square q of the pre-activations converges within a few layers to the fixed point q* of the length map. The
length of a curve changes by a factor √χ₁ per layer: it decreases in the ordered phase, and in the chaotic phase it
grows exponentially with depth.

Setting: eight tanh layers of 1,000 units with normal weights and biases, σ_b = 0.3, 6 seeds, no training. The
pre-activations of the first layer are a circle of 1,000 points of mean square q*, and 24 random directions for each of
two other starts. Growth is the geometric mean over seven layers. Theory: q* and χ₁ of wide layers by quadrature, from
which the mean of networks can differ by more than its interval; the bands allow for that.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.analysis.estimators import mean
from pipeline.config.replications import (
    Count,
    Positives,
    Related,
    holds,
    layers,
    number,
    rule,
    same_in_all_layers,
    whole,
)
from pipeline.config.schema import Initializers, Network, Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.geometry import curve_length
from pipeline.diagnostics.signals import column_squares, elementwise, forward
from pipeline.figures.style import ACCENT, DARK, LIGHT, legend_above, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.numerics.elementary import circle, exp, log
from pipeline.numerics.matrices import orthonormal
from pipeline.numerics.sums import Array
from pipeline.replications.drawing import line_and_points, styles
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds
from pipeline.replications.networks import measured_by_seed, network, unit_columns
from pipeline.theory.mean_field import chi_1, fixed_points, length_map

TITLE = "Poole et al. 2016, Exponential expressivity in deep neural networks through transient chaos"
FIGURE = (
    "Figure 1 of the paper shows the length map, its fixed points, and q from layer to layer for three starts; figure "
    "4 the curvature, the expansion and the Grassmannian length of a circle from layer to layer, for theory and "
    "networks of 1,000 units. Here it is the Euclidean length, which grows as the root of the expansion, divided by "
    "that in layer 1; curvature is left out."
)

SQUARE = "mean square q of the pre-activations of layer {}, σ_w = {:g}"
REACHED = "mean square q of the pre-activations of layer {}, σ_w = {:g}, from {:g} q* in layer 1"
GROWTH = "growth of the length of the curve per layer, σ_w = {:g}"


class Own(Section):
    """Biases and the pre-activations of the first layer."""

    bias_std: Annotated[float, number(1e-6, 1e3, "from 0.000001 to 1000")]
    n_points: Annotated[int, whole(3)]
    n_others: Count
    starts: Positives


class Settings(Related):
    """The sections of params.yaml."""

    network: Annotated[Network, layers(2, "tanh", width=2, equal=True)]
    seeds: Seeds
    initializers: Annotated[Initializers, rule(same_in_all_layers)]
    replication: Own

    def problems(self) -> list[str]:
        """The gains, which name the quantities, are different and positive."""
        gains = [recipe.gain for recipe in self.initializers.values()]
        problems = []
        for k, (name, gain) in enumerate(zip(self.initializers, gains, strict=True)):
            if not 1e-3 <= gain <= 1e3 or f"{gain:g}" in [f"{other:g}" for other in gains[:k]]:
                allowed = "a number from 0.001 to 1000 that no other initializer has"
                problems.append(holds(f"initializers.{name}.gain", gain, allowed))
        return problems


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    last, gains = len(settings.network.hidden_sizes), [recipe.gain for recipe in settings.initializers.values()]
    reached = [REACHED.format(last, gain, start) for gain in gains for start in settings.replication.starts]
    return [*reached, *(SQUARE.format(last, gain) for gain in gains), *(GROWTH.format(gain) for gain in gains)]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.initializers) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """q of each layer and the growth of the curve's length, averaged over seeds, for each initializer."""
    own, activations = settings.replication, settings.network.activations
    phi, widths = activations[0], settings.network.hidden_sizes
    spec = NetworkSpec(widths, activations[1:-1], np.ones((widths[0], 1)))
    points = {name: _fixed_point(recipe.gain, own.bias_std, phi) for name, recipe in settings.initializers.items()}

    def one(name: str, seed: int) -> tuple[list[list[float]], list[float]]:
        first = _first_layer(points[name][0], widths[0], own, seed)
        models = network(settings.initializers[name], seed, spec, own.bias_std)
        Z, _ = forward(models, elementwise(phi.phi, first), spec.activations)
        layers = [first[None], *Z]
        groups = [slice(0, own.n_points)]
        groups += [
            slice(own.n_points + k * own.n_others, own.n_points + (k + 1) * own.n_others)
            for k in range(len(own.starts))
        ]
        squares = [column_squares(layer)[0] / layer.shape[1] for layer in layers]
        q = [[mean(square[group].tolist()) for square in squares] for group in groups]
        return q, [float(curve_length(layer[:, :, : own.n_points])[0]) for layer in layers]

    found = measured_by_seed(one, list(settings.initializers), settings.seeds, advance)
    measurements: list[Measurement] = []
    table = []
    last = len(widths)
    for name, recipe in settings.initializers.items():
        of_seeds = found[name]
        q_star, chi = points[name]
        gain = recipe.gain
        measurements.append(mean_over_seeds(SQUARE.format(last, gain), [q[0][-1] for q, _ in of_seeds], q_star))
        paths = [[q_star * start] for start in (1.0, *own.starts)]
        for path in paths:
            while len(path) < last:
                path.append(length_map(path[-1], gain * gain, own.bias_std * own.bias_std, phi))
        for k, start in enumerate(own.starts, 1):
            values = [q[k][-1] for q, _ in of_seeds]
            measurements.append(mean_over_seeds(REACHED.format(last, gain, start), values, paths[k][-1]))
        growths = [float(exp(log(lengths[-1] / lengths[0]) / (last - 1))) for _, lengths in of_seeds]
        measurements.append(mean_over_seeds(GROWTH.format(gain), growths, math.sqrt(chi)))
        for l in range(last):
            lengths = mean([lengths[l] / lengths[0] for _, lengths in of_seeds])
            expected = float(exp(0.5 * l * log(chi)))
            row = {"sigma_w": gain, "layer": l + 1, "length": lengths, "length_theory": expected}
            for k, start in enumerate((1.0, *own.starts)):
                row |= {f"q_{start:g}": mean([q[k][l] for q, _ in of_seeds]), f"q_{start:g}_theory": paths[k][l]}
            table.append(row)
    return Replication(measurements, {"layers": pd.DataFrame(table)})


def _fixed_point(gain: float, bias_std: float, phi: Any) -> tuple[float, float]:
    """q* and chi_1 there."""
    q = fixed_points(gain * gain, bias_std * bias_std, phi)[-1]
    return q, chi_1(q, gain * gain, phi)


def _first_layer(q: float, n: int, own: Own, seed: int) -> Array:
    """A circle in a random plane as columns (n, n_points) of mean square q, then random directions."""
    rng = np.random.RandomState([seed, 2])
    u, v = orthonormal(rng, n, 2).T * math.sqrt(n)
    cosine, sine = circle(np.arange(own.n_points) / own.n_points)
    parts = [math.sqrt(q) * (u[:, None] * cosine + v[:, None] * sine)]
    parts += [math.sqrt(q * start) * unit_columns(rng, n, own.n_others) for start in own.starts]
    return np.concatenate(parts, axis=1)


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """q of each layer (their figure 1), and the length of the curve (after their figure 4), with theory's lines."""
    rows = tables["layers"]
    gains = sorted(set(rows["sigma_w"]))
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    starts = [column for column in rows.columns if column.startswith("q_") and not column.endswith("_theory")]
    handles = []
    for gain, (colour, marker) in zip(gains, styles(COLOURS, "osD", len(gains)), strict=True):
        part = rows[rows["sigma_w"] == gain]
        for k, start in enumerate(starts):
            values = part[f"{start}_theory"], part[start]
            line_and_points(left, part["layer"], *values, colour, marker, 1.0 if k else 1.6, markersize=4)
        values = part["length_theory"], part["length"]
        line_and_points(right, part["layer"], *values, colour, marker, 1.4, markersize=5)
        handles.append(Line2D([], [], color=colour, marker=marker, label=rf"$\sigma_w$ = {gain:g}"))
    for ax in (left, right):
        ax.set_yscale("log")
        ax.set_xlabel("layer")
    left.set_title("Mean square of the pre-activations")
    left.set_ylabel("mean square $q$")
    right.set_title("Length of the curve")
    right.set_ylabel("length over that in layer 1")
    legend_above(figure, handles, "Lines: mean-field theory. Points: networks, mean over the seeds.")
    return figure


COLOURS = (DARK, ACCENT, LIGHT)  # of the initializers, from the smallest sigma_w
