"""The variance of the squared singular values s² of the Jacobian grows in proportion to the depth. With Gaussian
weights the rate is at least 1 per layer; with orthogonal weights on the critical line it goes to 0 with σ_w² → 1,
so that all singular values of a deep network can be close to 1 (dynamical isometry).

Setting: 30 tanh layers of 300 units, 8 seeds, no training, at two points of the critical line, where the mean of s²
is 1. The Jacobian is that of a layer's activations by the inputs, at one random input of the fixed point's variance;
its spread is measured by traces, n ‖J Jᵀ‖² / ‖J‖⁴ - 1. Theory is that of infinitely wide layers, from which the mean
of networks can differ by more than its interval, which the bands of 15 % allow for.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import AfterValidator, Field

from pipeline.analysis.estimators import mean
from pipeline.config.replications import Counts, Positive, Related, different, holds, layers, recipes
from pipeline.config.schema import Initializers, Network, Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.spectra import layer_jacobians, squared_spread
from pipeline.figures.style import ACCENT, DARK, legend_above, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.replications.drawing import line_and_points
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds, written
from pipeline.replications.networks import measured_by_seed, network, unit_columns
from pipeline.theory.isometry import squared_spread as expected_spread
from pipeline.theory.mean_field import fixed_points

TITLE = "Pennington et al. 2017, Resurrecting the sigmoid in deep learning through dynamical isometry"
FIGURE = (
    "The paper shows the distribution of the singular values at single depths, for theory and networks. Here it is "
    "the relative variance of their squares, for which the paper has a formula, against depth."
)

QUANTITY = "variance over squared mean of s², {} weights, {} layers, (σ_w², σ_b²) = ({}, {})"
NAMES = {"gaussian": "Gaussian"}


class Point(Section):
    """The variances of weights, times fan_in, and of biases."""

    sigma_w2: Positive
    sigma_b2: Positive


POINTS = "a list of one or more different entries {sigma_w2: ..., sigma_b2: ...}"


class Own(Related):
    """The depths and the points of the critical line."""

    depths: Counts
    reported: Counts
    points: Annotated[tuple[Point, ...], Field(description=POINTS), AfterValidator(different)]

    def problems(self) -> list[str]:
        """The reported depths are measured."""
        allowed = f"one of replication.depths, {', '.join(map(str, self.depths))}"
        unknown = [depth for depth in self.reported if depth not in self.depths]
        return [holds("replication.reported", unknown[0], allowed)] if unknown else []


class Settings(Related):
    """The sections of params.yaml."""

    network: Annotated[Network, layers(1, "tanh", width=2, equal=True)]
    seeds: Seeds
    initializers: Annotated[Initializers, recipes("orthogonal", "gaussian")]
    replication: Own

    def problems(self) -> list[str]:
        """The depths are in the network."""
        deepest, n_layers = self.replication.depths[-1], len(self.network.hidden_sizes)
        allowed = f"at most {n_layers}, the number of layers of network.hidden_sizes"
        return [holds("replication.depths", deepest, allowed)] if deepest > n_layers else []


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    own = settings.replication
    return [
        QUANTITY.format(NAMES.get(name, name), depth, written(point.sigma_w2), written(point.sigma_b2))
        for name in settings.initializers
        for depth in own.reported
        for point in own.points
    ]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.initializers) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """The spread of s^2 at each depth, averaged over seeds; inputs have the variance that the fixed point requires."""
    own, activations = settings.replication, settings.network.activations
    widths = settings.network.hidden_sizes
    dims = [widths[0], *widths, 1]
    q_stars = [fixed_points(point.sigma_w2, point.sigma_b2, activations[0])[-1] for point in own.points]

    def one(name: str, seed: int) -> list[list[float]]:
        """The spread of each point, the same draws scaled, at each depth."""
        spec = NetworkSpec(dims, activations, np.ones((widths[0], 1)))
        drawn = network(settings.initializers[name], seed, spec, 1.0)
        spreads = []
        for point, q in zip(own.points, q_stars, strict=True):
            gain, bias_std = math.sqrt(point.sigma_w2), math.sqrt(point.sigma_b2)
            scale = math.sqrt((q - point.sigma_b2) / point.sigma_w2)
            X = unit_columns(np.random.RandomState([seed, 2]), widths[0], 1) * scale
            models = [(W * gain, b * bias_std) for W, b in drawn]
            jacobians = enumerate(layer_jacobians(models, X, activations))
            spreads.append([float(squared_spread(J)[0]) for depth, J in jacobians if depth in own.depths])
        return spreads

    found = measured_by_seed(one, list(settings.initializers), settings.seeds, advance)
    measurements: list[Measurement] = []
    table = []
    for name in settings.initializers:
        for k, point in enumerate(own.points):
            for i, depth in enumerate(own.depths):
                values = [spreads[k][i] for spreads in found[name]]
                theory = expected_spread(depth, q_stars[k], activations[0], name == "orthogonal")
                if depth in own.reported:
                    text = QUANTITY.format(
                        NAMES.get(name, name), depth, written(point.sigma_w2), written(point.sigma_b2)
                    )
                    measurements.append(mean_over_seeds(text, values, theory))
                table.append((name, point.sigma_w2, point.sigma_b2, depth, mean(values), theory))
    columns = ["initializer", "sigma_w2", "sigma_b2", "depth", "spread", "theory"]
    return Replication(measurements, {"depths": pd.DataFrame(table, columns=columns)})


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The spread over the depth for each point of the critical line, with theory's lines, which have slope 1."""
    rows = tables["depths"]
    points = list(dict.fromkeys(zip(rows["sigma_w2"], rows["sigma_b2"], strict=True)))
    figure = Figure(figsize=(4.5 * len(points), 3.6), layout="constrained")
    panels = figure.subplots(1, len(points), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(rows["initializer"]))
    ticks = sorted(set(rows["depth"]))
    for (weights, biases), ax in zip(points, panels, strict=True):
        for name, colour, marker in zip(names, (DARK, ACCENT), "os", strict=False):
            part = rows[(rows["initializer"] == name) & (rows["sigma_w2"] == weights) & (rows["sigma_b2"] == biases)]
            line_and_points(ax, part["depth"], part["theory"], part["spread"], colour, marker, 1.4)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(ticks, [f"{depth}" for depth in ticks])
        ax.set_xticks([], minor=True)
        ax.set_title(f"$\\sigma_w^2$ = {written(weights)}, $\\sigma_b^2$ = {written(biases)}")
        ax.set_xlabel("depth (layers)")
    panels[0].set_ylabel("variance over squared mean of $s^2$")
    handles = [
        Line2D([], [], color=colour, marker=marker, label=f"{NAMES.get(name, name)} weights")
        for name, colour, marker in zip(names, (DARK, ACCENT), "os", strict=False)
    ]
    legend_above(figure, handles, "Lines: theory of wide layers. Points: networks, mean over the seeds.")
    return figure
