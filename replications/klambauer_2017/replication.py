"""(mean, variance) = (0, 1) of the activations is a stable fixed point of the map from one SELU layer to the next:
inputs of mean 0 and variance 1 keep both through all layers, and inputs of another variance converge to it.

Setting: 50 SELU layers of 256 units, weights of mean 0 and variance 1 / n, 20 seeds, no training; 100 normal inputs
for each of three variances. Mean and variance are over the units and samples of a layer. Theory is that of wide
layers.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pipeline.analysis.estimators import mean
from pipeline.config.replications import Count, Positives, layers, recipes
from pipeline.config.schema import Initializers, Network, Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.signals import forward, layer_moments
from pipeline.figures.style import ACCENT, DARK, LIGHT, legend_above, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.numerics.random import normal
from pipeline.replications.drawing import line_and_points, styles
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds
from pipeline.replications.networks import measured, network
from pipeline.theory.mean_field import moments, predicted_signal

TITLE = "Klambauer et al. 2017, Self-normalizing neural networks, theorem 1"
FIGURE = (
    "Figure 2 of the paper shows the map of mean and variance from one layer to the next as arrows in the plane, with "
    "its fixed point (0, 1). Here mean and variance of networks are followed through all layers from a few points of "
    "this plane."
)

MEAN = "mean of the activations of layer {}, inputs of variance {:g}"
VARIANCE = "variance of the activations of layer {}, inputs of variance {:g}"


class Own(Section):
    """The inputs."""

    n_inputs: Count
    n_samples: Count
    variances: Positives


class Settings(Section):
    """The sections of params.yaml."""

    network: Annotated[Network, layers(1, "selu")]
    seeds: Seeds
    initializers: Annotated[Initializers, recipes()]
    replication: Own


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    n_layers, own = len(settings.network.hidden_sizes), settings.replication
    return [text.format(n_layers, variance) for text in (MEAN, VARIANCE) for variance in own.variances]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Mean and variance over the units and samples of each layer, averaged over seeds."""
    own, activations = settings.replication, settings.network.activations
    (recipe,) = settings.initializers.values()
    spec = NetworkSpec([own.n_inputs, *settings.network.hidden_sizes, 1], activations, np.ones((own.n_inputs, 1)))

    def one(seed: int) -> list[list[tuple[float, float]]]:
        rng = np.random.RandomState([seed, 2])
        shape = (own.n_inputs, own.n_samples)
        X = np.concatenate([normal(rng, shape) * np.sqrt(variance) for variance in own.variances], axis=1)
        _, A = forward(network(recipe, seed, spec), X, activations)
        parts = []
        for k in range(len(own.variances)):
            columns = slice(k * own.n_samples, (k + 1) * own.n_samples)
            found = [layer_moments((layer if layer.ndim == 3 else layer[None])[:, :, columns]) for layer in A]
            parts.append([(float(one.mean[0]), float(one.std[0] * one.std[0])) for one in found])
        return parts

    found = measured(one, settings.seeds, advance)
    measurements: list[Measurement] = []
    table = []
    n_layers = len(activations)
    for k, variance in enumerate(own.variances):
        q = predicted_signal(variance, [1.0] * (n_layers + 1), [0.0] * (n_layers + 1), activations)
        expected = [(0.0, variance)]
        for phi, q_l in zip(activations, q, strict=False):
            of_layer = moments(phi, float(q_l))
            expected.append((of_layer.mean, of_layer.square - of_layer.mean * of_layer.mean))
        for l, theory in enumerate(expected):
            means, squares = ([parts[k][l][i] for parts in found] for i in range(2))
            table.append((variance, l, mean(means), mean(squares), *theory))
        measurements.append(mean_over_seeds(MEAN.format(n_layers, variance), means, theory[0]))
        measurements.append(mean_over_seeds(VARIANCE.format(n_layers, variance), squares, theory[1]))
    columns = ["input_variance", "layer", "mean", "variance", "mean_theory", "variance_theory"]
    return Replication(measurements, {"layers": pd.DataFrame(table, columns=columns)})


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """Mean and variance of each layer for each variance of the inputs, with theory's lines."""
    rows = tables["layers"]
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    variances = list(dict.fromkeys(rows["input_variance"]))
    for variance, (colour, marker) in zip(variances, styles(COLOURS, "osD", len(variances)), strict=True):
        part = rows[rows["input_variance"] == variance]
        for ax, what in zip(panels, ("mean", "variance"), strict=True):
            values, label = (part[f"{what}_theory"], part[what]), f"inputs of variance {variance:g}"
            line_and_points(ax, part["layer"], *values, colour, marker, label=label)
    for ax, what in zip(panels, ("mean", "variance"), strict=True):
        ax.set_title(f"{what.capitalize()} of the activations")
        ax.set_xlabel("layer (0: inputs)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_ylabel(what)
    panels[1].set_yscale("log")
    if 0.1 <= rows["variance"].min() and rows["variance"].max() <= 10.0:  # beyond, powers of 10 are labelled
        panels[1].set_yticks([0.2, 0.5, 1.0, 2.0, 5.0], ["0.2", "0.5", "1", "2", "5"])
        panels[1].yaxis.set_minor_locator(NullLocator())
    legend_above(
        figure, panels[0].get_lines()[1::2], "Lines: mean-field theory. Points: networks, mean over the seeds."
    )
    return figure


COLOURS = (DARK, ACCENT, LIGHT)  # of the variances of the inputs
