"""Layer-sequential unit-variance (LSUV) initialization gives the pre-activations of every layer variance 1 on a batch
of data within ten steps. With it very deep networks learn; with Xavier initialization they do not.

Setting: the digits, ReLU layers of 100 units, networks of 10, 22 and 30 layers, 8 seeds. LSUV uses 512 samples, a
tolerance of 0.1 and at most ten steps per layer (the authors' code: 0.02 and 20); the variance is that of the
pre-activations over units and the same samples. The tolerance only decides whether a layer is rescaled. Rescaling
divides its weights by the standard deviation on these samples, so the variance is then 1 to rounding. Training: 5
epochs of batches of 64, momentum 0.9, rate 0.003; at 0.01 some seeds of LSUV diverge.
"""

from collections.abc import Callable
from typing import Annotated, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.config.replications import Count, Counts, Related, TenClasses, WholeRecords, holds, recipes
from pipeline.config.schema import Initializers, Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.signals import forward, layer_moments
from pipeline.figures.style import ACCENT, DARK, LIGHT, legend_above, styled
from pipeline.networks.activations import ACTIVATIONS
from pipeline.numerics.sums import Array
from pipeline.replications import drawing
from pipeline.replications.measurement import Measurement, Replication, count_over_seeds, median_over_seeds, of_seeds
from pipeline.replications.trained import Speed, cost_table, costs_of_training, deep, drawn, training_set
from pipeline.training.executors import n_cores

TITLE = "Mishkin and Matas 2016, All you need is a good init: layer-sequential unit variance"
FIGURE = (
    "The paper has algorithm 1 and reports the accuracy of convolutional networks on images. Here the left panel "
    "shows what the algorithm does, the variance of each layer before training, and the right one the training cost "
    "of fully connected networks on the digits."
)
NAMES = {"lsuv": "LSUV", "he": "He", "xavier": "Xavier"}
VARIANCE = "{} variance of a layer after LSUV, {} layers"
COST = "cost of {} after training, {} layers"
N_LOWER = "seeds with a lower cost for LSUV than for Xavier, {} layers"


class Own(Section):
    """The networks, and the samples of LSUV."""

    width: Count
    depths: Counts
    n_samples: Count


class Settings(Related):
    """The sections of params.yaml."""

    data: TenClasses
    training: WholeRecords
    seeds: Seeds
    initializers: Annotated[Initializers, recipes("lsuv", "he", "xavier")]
    replication: Own

    def problems(self) -> list[str]:
        """There are hidden layers, and the samples that LSUV requires."""
        own, problems = self.replication, []
        if own.depths[0] < 2:
            problems.append(holds("replication.depths", own.depths[0], "at least 2: a hidden layer and the output"))
        if own.n_samples > self.data.n_train:
            allowed = f"at most data.n_train, {self.data.n_train}"
            problems.append(holds("replication.n_samples", own.n_samples, allowed))
        return problems


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    depths = settings.replication.depths
    lower = of_seeds(N_LOWER.format(depths[-1]), len(settings.seeds))
    variances = [VARIANCE.format(word, depth) for word in ("smallest", "largest") for depth in depths]
    return [*variances, *(COST.format(name, depths[-1]) for name in NAMES.values()), lower]


def total(settings: Any) -> int:
    """The number of models that are trained."""
    return len(settings.initializers) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """The variances of all depths, then the training of the deepest; `advance` is called with numbers of models."""
    own, T, phi = settings.replication, settings.training, ACTIVATIONS["relu"]
    X, Y = training_set(settings.data)
    batch = X[:, : own.n_samples]
    measurements, layers, curves = [], [], []
    for depth in own.depths:
        spec = deep(settings.data, depth, own.width, phi, batch)
        chosen = settings.initializers if depth == own.depths[-1] else {"lsuv": settings.initializers["lsuv"]}
        models = {name: drawn(recipe, settings.seeds, spec) for name, recipe in chosen.items()}
        for name, stacked in models.items():
            Z, _ = forward(stacked, batch, spec.activations)
            variances = [variance(values).tolist() for values in Z]
            layers += [
                {"depth": depth, "initializer": name, "layer": l, "variance": value}
                for l, values in enumerate(variances, 1)
                for value in values
            ]
            if name == "lsuv":
                everything = [value for values in variances for value in values]
                for word, value in (("smallest", min(everything)), ("largest", max(everything))):
                    measurements.append(Measurement(VARIANCE.format(word, depth), value, theory=1.0))
    when = range(0, T.iterations + 1, T.record_every)
    final, speed = {}, Speed()
    for name, stacked in models.items():
        costs = costs_of_training(stacked, X, Y, spec.activations, T, when, settings.seeds, speed, advance)
        final[name] = costs[:, -1].tolist()
        curves.append(cost_table(costs.tolist(), settings, when, initializer=name))
        measurements.append(median_over_seeds(COST.format(NAMES[name], depth), final[name]))
    speed.report(n_cores())
    below = [a < b for a, b in zip(final["lsuv"], final["xavier"], strict=True)]
    measurements.append(count_over_seeds(N_LOWER.format(depth), below))
    tables = {"layers": pd.DataFrame(layers), "costs": pd.concat(curves, ignore_index=True)}
    return Replication(measurements, tables)


def variance(Z: Array) -> Array:
    """The variance (models,) of pre-activations (models, n, m) over units and samples."""
    std = layer_moments(Z).std
    return std * std


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The variance of each layer of the deepest networks, and the cost in training, with the medians over the seeds."""
    layers, costs = tables["layers"], tables["costs"]
    deepest = layers[layers["depth"] == layers["depth"].max()]
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour, dashes in STYLES:
        part = deepest[deepest["initializer"] == name]
        drawing.medians(left, part, "layer", "variance", color=colour, linestyle=dashes, linewidth=2.2)
        left.plot(part["layer"], part["variance"], ".", color=colour, markersize=3, alpha=0.5)
        drawing.costs(right, costs[costs["initializer"] == name], colour, dashes)
    left.set_yscale("log")
    left.set_title("Before training")
    left.set_xlabel("layer")
    left.set_ylabel("variance of the pre-activations")
    right.set_title("Training")
    right.set_xlabel("epoch")
    right.set_ylabel("training cost (nats)")
    handles = [Line2D([], [], color=colour, linestyle=dashes, label=NAMES[name]) for name, colour, dashes in STYLES]
    legend_above(
        figure, handles, f"{layers['depth'].max()} layers. Thick: median over the seeds. Thin and points: single seeds."
    )
    return figure


STYLES: tuple[tuple[str, str, Any], ...] = (("lsuv", DARK, "-"), ("he", LIGHT, "-."), ("xavier", ACCENT, "--"))
