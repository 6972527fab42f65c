"""In ReLU networks on the edge of chaos, which is He's initialization, the correlation c of two orthogonal inputs is
1/π, 0.4937, 0.6048, ... in layers 2, 3, 4, ... Inputs become indistinguishable as a power of the depth l, not
exponentially: 1 - c ~ 9π² / (2 l²), where l is the number of layers after the first. This law is approached slowly:
1 - c is a fifth below it at 100 layers, and 3 % at 1,000.

Setting: 8 layers of 1,000 units, 32 orthogonal inputs, 10 seeds, no training; and 10,000 iterations of the correlation
map, which gives c of a wide layer from c of the layer before; in layer 1, l = 0, it is 0. The rows of the asymptotic
law show 1 - c after l iterations of the map divided by 9π² / (2 l²). This quotient goes to 1. The band at 100
iterations, below 0.9, is that of a law that does not hold yet: that row passes if the quotient is still far from 1,
the other two if it is near 1.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.analysis.estimators import mean
from pipeline.config.replications import Counts, Related, holds, layers, recipes, whole
from pipeline.config.schema import Initializers, Network, Seeds
from pipeline.diagnostics.geometry import cosines
from pipeline.diagnostics.signals import forward
from pipeline.figures.style import ACCENT, DARK, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.numerics.matrices import orthonormal
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds
from pipeline.replications.networks import measured, network
from pipeline.theory.correlation import relu_correlation

TITLE = "Hayou et al. 2019, On the impact of the activation function on deep neural networks training"
FIGURE = (
    "The paper derives the law; its figures compare activation functions. Here the law is drawn beside the exact map "
    "of wide ReLU networks, and beside networks."
)

NETWORKS = "correlation of the pre-activations of two orthogonal inputs in layer {}"
MAP = "1 - c after {} iterations of the correlation map over 9π² / (2 l²)"


class Own(Related):
    """The inputs, and what is reported."""

    n_inputs: Annotated[int, whole(2)]
    n_samples: Annotated[int, whole(2)]
    layers: Counts
    map_depths: Counts

    def problems(self) -> list[str]:
        """The inputs can be orthogonal."""
        allowed = f"at most replication.n_inputs, {self.n_inputs}: more inputs cannot be mutually orthogonal"
        return [holds("replication.n_samples", self.n_samples, allowed)] if self.n_samples > self.n_inputs else []


class Settings(Related):
    """The sections of params.yaml."""

    network: Annotated[Network, layers(2, "relu", width=10)]
    seeds: Seeds
    initializers: Annotated[Initializers, recipes()]
    replication: Own

    def problems(self) -> list[str]:
        """The reported layers are in the network."""
        deepest, n_layers = self.replication.layers[-1], len(self.network.hidden_sizes)
        allowed = f"at most {n_layers}, the number of layers of network.hidden_sizes"
        return [holds("replication.layers", deepest, allowed)] if deepest > n_layers else []


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    own = settings.replication
    return [*map(NETWORKS.format, own.layers), *map(MAP.format, own.map_depths)]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Correlations in networks, averaged over pairs and seeds, and those of the map over its asymptotic law."""
    own, activations = settings.replication, settings.network.activations
    (recipe,) = settings.initializers.values()
    dims = [own.n_inputs, *settings.network.hidden_sizes]
    pairs = np.triu_indices(own.n_samples, 1)

    def one(seed: int) -> list[float]:
        X = orthonormal(np.random.RandomState([seed, 2]), own.n_inputs, own.n_samples)
        Z, _ = forward(network(recipe, seed, NetworkSpec(dims, activations[:-1], X)), X, activations[:-1])
        return [mean(cosines(layer)[0][pairs].tolist()) for layer in Z]

    found = measured(one, settings.seeds, advance)
    path = [0.0]
    while len(path) <= max(*own.map_depths, *own.layers):
        path.append(relu_correlation(path[-1]))
    measurements: list[Measurement] = []
    for layer in own.layers:
        values = [correlations[layer - 1] for correlations in found]
        measurements.append(mean_over_seeds(NETWORKS.format(layer), values, path[layer - 1]))
    for depth in own.map_depths:
        measurements.append(
            Measurement(
                MAP.format(depth), (1.0 - path[depth]) / asymptotic(depth), theory=1.0 if depth >= 1000 else math.nan
            )
        )
    depths = [l for l in range(1, own.map_depths[-1] + 1) if l % _step(l) == 0]
    law = pd.DataFrame([(l, 1.0 - path[l], asymptotic(l)) for l in depths], columns=["depth", "map", "asymptotic"])
    layers = [(l, mean([c[l] for c in found])) for l in range(1, len(dims) - 1)]
    return Replication(measurements, {"map": law, "networks": pd.DataFrame(layers, columns=["depth", "correlation"])})


def asymptotic(l: int) -> float:
    """9 pi^2 / (2 l^2), the leading term of 1 - c for large l."""
    return 9.0 * math.pi * math.pi / (2.0 * l * l)


def _step(l: int) -> int:
    """A tenth of the largest power of ten that is at most l, or 1: 1 for 57, 10 for 570."""
    return int("1" + "0" * max(0, len(str(l)) - 2))


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """1 - c over the depth: networks, the correlation map, and its asymptotic law."""
    law, networks = tables["map"], tables["networks"]
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    ax = figure.subplots()
    ax.plot(law["depth"], law["map"], color=DARK, linewidth=1.6, label="correlation map of wide networks")
    late = law[law["asymptotic"] < 2.0]
    label = "$9 \\pi^2 / (2 l^2)$"
    ax.plot(late["depth"], late["asymptotic"], color=ACCENT, linewidth=1.2, linestyle="--", label=label)
    style: dict[str, Any] = {"color": "black", "linestyle": "", "marker": "o", "markersize": 5, "zorder": 4}
    ax.plot(networks["depth"], 1.0 - networks["correlation"], **style, label="networks, mean over pairs and seeds")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("$l$, layers after the first")
    ax.set_ylabel("$1 - c$")
    ax.set_title("Correlation $c$ of two inputs that are orthogonal")
    ax.legend(loc="lower left")
    return figure
