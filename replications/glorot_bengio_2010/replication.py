"""Under the standard initialization, activations of tanh layers decrease from layer to layer and back-propagated
gradients decrease towards the inputs; under the normalized one, both keep a similar size. The gradients of the
weights, products of both, have nearly equal sizes in all layers in either case. The paper gives about 0.5 and 0.8 for
the mean singular value of a layer's Jacobian; the weights alone, which are measured here, have 0.490 and 0.849.

Setting: five hidden layers of 1,000 tanh units, 1,000 inputs from N(0, 1), cross-entropy of 10 random classes, 300
samples, 10 seeds, no training. Standard: U(-1/√n, 1/√n), of variance 1 / (3 n). Normalized: U(-√(6/(n_in + n_out)),
...). Theory is that of wide layers (Poole et al. 2016; Schoenholz et al. 2017) and the quarter circle law; the mean of
networks can differ from it by more than its interval, which the bands allow for.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.analysis.estimators import mean
from pipeline.config.replications import Count, Related, holds, layers, number, whole
from pipeline.config.schema import Initializers, Network, Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.geometry import weight_gradient_square
from pipeline.diagnostics.signals import derivatives_by_Z, forward, layer_moments
from pipeline.diagnostics.spectra import rounded, singular_values
from pipeline.figures.style import legend_above, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe
from pipeline.networks.reference import cost_slope
from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array
from pipeline.replications.drawing import shades
from pipeline.replications.measurement import Replication, mean_over_seeds
from pipeline.replications.networks import measured_by_seed, network
from pipeline.theory import variances
from pipeline.theory.isometry import mean_singular_value
from pipeline.theory.mean_field import moments, predicted_gradient, predicted_signal

TITLE = (
    "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, figures 6 and 7"
)
FIGURE = (
    "The paper shows the same histograms, standard above normalized, with one curve for each layer, for images of "
    "Shapeset-3×2. Here inputs are normal and labels random, gradients are divided by the standard deviation of the "
    "last hidden layer, and triangles mark the standard deviations that theory predicts."
)

A_STD = "standard deviation of the activations of layer {}, {} initialization"
DZ_STD = "back-propagated gradients of layer {} over layer {}, standard deviations, {} initialization"
DW_STD = "gradients of the weights of layer {} over layer {}, standard deviations, {} initialization"
SINGULAR = "mean singular value of the weights of layer 2, {} initialization"
EXTENT = {"activation": 1.0, "gradient": 2.4}  # half the width of the histograms; gradients over their std in layer 5


class Own(Section):
    """The inputs and the labels."""

    n_inputs: Count
    n_samples: Count
    n_classes: Annotated[int, whole(2)]
    n_spectra: Count
    bin_width: Annotated[float, number(0.001, 0.5, "from 0.001 to 0.5")]


class Settings(Related):
    """The sections of params.yaml."""

    network: Annotated[Network, layers(2, "tanh", width=2, equal=True)]
    seeds: Seeds
    initializers: Initializers
    replication: Own

    def problems(self) -> list[str]:
        """Theory applies to the initializers, and the spectra are of seeds that there are."""
        own, problems = self.replication, []
        spec = specification(self, np.ones((own.n_inputs, 1)))
        if own.n_spectra > len(self.seeds):
            allowed = f"at most {len(self.seeds)}, the number of seeds"
            problems.append(holds("replication.n_spectra", own.n_spectra, allowed))
        for name, recipe in self.initializers.items():
            laws = variances.laws(recipe, spec)
            if isinstance(laws, str):
                problems.append(f"initializers.{name} {laws}; it must be a recipe with theory.")
            elif not all(1e-6 <= law.weight * fan_in <= 1e6 for law, (fan_in, _) in zip(laws, spec.fans, strict=True)):
                allowed = "weights whose variance times fan_in is from 0.000001 to 1000000"
                problems.append(holds(f"initializers.{name}", recipe.recipe, allowed))
        return problems


def specification(settings: Any, X: Array) -> NetworkSpec:
    """The networks, with inputs X."""
    own = settings.replication
    dims = [own.n_inputs, *settings.network.hidden_sizes, own.n_classes]
    return NetworkSpec(dims, settings.network.activations, X)


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    n, names = len(settings.network.hidden_sizes), list(settings.initializers)
    ratios = [text.format(l, n, name) for text in (DZ_STD, DW_STD) for l in range(1, n) for name in names]
    stds = [A_STD.format(l, name) for l in range(1, n + 1) for name in names]
    return [*stds, *ratios, *(SINGULAR.format(name) for name in names)]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.initializers) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Standard deviations over units and samples of the hidden layers, averaged over seeds; histograms of one seed."""
    own, activations = settings.replication, settings.network.activations

    def one(name: str, seed: int) -> tuple[list[list[float]], float, list[Any]]:
        rng = np.random.RandomState([seed, 2])
        X = normal(rng, (own.n_inputs, own.n_samples))
        Y = rng.randint(0, own.n_classes, (1, own.n_samples)).astype(np.float64)
        models = network(settings.initializers[name], seed, specification(settings, X))
        Z, A = forward(models, X, activations)
        dZ = derivatives_by_Z(models, Z, A, cost_slope(Z[-1], Y) * (1.0 / own.n_samples), activations)
        stds = [[float(layer_moments(values).std[0]) for values in part] for part in (A[1:], dZ[:-1])]
        inputs = [X[None], *A[1:-1]]
        squares = [weight_gradient_square(d, a) for d, a in zip(dZ[:-1], inputs, strict=True)]
        stds.append([math.sqrt(float(square[0])) for square in squares])
        shapes: list[Any] = []
        if seed == settings.seeds[0]:
            values = [("activation", A[1:], 1.0), ("gradient", dZ[:-1], stds[1][-1])]
            for what, layers, unit in values:
                shapes += [_histogram(what, name, l, layer / unit, own.bin_width) for l, layer in enumerate(layers, 1)]
        if seed not in settings.seeds[: own.n_spectra]:
            return stds, math.nan, shapes
        return stds, mean(rounded(singular_values(models[1][0])[0]).tolist()), shapes

    found = measured_by_seed(one, list(settings.initializers), settings.seeds, advance)
    measurements, table = [], []
    for name, recipe in settings.initializers.items():
        of_seeds = found[name]
        spec = specification(settings, np.ones((own.n_inputs, 1)))
        a, dz, dw, singular = theory(recipe, spec)
        n_hidden = len(activations)
        for quantity, kind, expected in ((A_STD, 0, a), (DZ_STD, 1, dz), (DW_STD, 2, dw)):
            for l in range(n_hidden if kind == 0 else n_hidden - 1):
                text = quantity.format(*((l + 1, name) if kind == 0 else (l + 1, n_hidden, name)))
                last = [1.0 if kind == 0 else stds[kind][-1] for stds, _, _ in of_seeds]
                values = [stds[kind][l] / top for (stds, _, _), top in zip(of_seeds, last, strict=True)]
                measurements.append(mean_over_seeds(text, values, expected[l]))
        spectra = [s for _, s, _ in of_seeds[: own.n_spectra]]
        measurements.append(mean_over_seeds(SINGULAR.format(name), spectra, singular))
        table += [
            shape.assign(theory={"activation": a, "gradient": dz}[what][l - 1]) for what, l, shape in of_seeds[0][2]
        ]
    return Replication(measurements, {"histograms": pd.concat(table, ignore_index=True)})


def theory(recipe: Recipe, spec: NetworkSpec) -> tuple[list[float], list[float], list[float], float]:
    """Standard deviations of A_l, of dZ_l and dW_l over those of the last hidden layer, and the mean singular value.

    For inputs of mean square 1, in wide layers; that of dW_l follows because the factors dZ_l and A_(l-1) of a
    sample's gradient are independent, and samples of uncorrelated inputs as well.
    """
    laws = variances.laws(recipe, spec)
    assert not isinstance(laws, str)
    weights = [law.weight * fan_in for law, (fan_in, _) in zip(laws, spec.fans, strict=True)]
    q = predicted_signal(1.0, weights, [law.bias for law in laws], spec.activations)
    ratios = predicted_gradient(spec.layers_dims, weights, spec.activations, q)
    squares = [moments(phi, float(q_l)).square for phi, q_l in zip(spec.activations, q, strict=False)]
    a = [math.sqrt(square) for square in squares]
    dz = [math.sqrt(ratio / ratios[len(a) - 1]) for ratio in ratios[: len(a)]]
    dw = [gradient * before for gradient, before in zip(dz, [1.0, *a[:-1]], strict=True)]
    return a, dz, [value / dw[-1] for value in dw], mean_singular_value(weights[1])


def _histogram(what: str, name: str, l: int, values: Array, width: float) -> tuple[str, int, Any]:
    """The density of the values between the edges of bins of a width, as a table; values beyond are left out."""
    half = round(EXTENT[what] / width)
    edges = np.arange(-half, half + 1) * width
    places = np.searchsorted(edges, values.ravel(), side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)[1:-1]
    columns = {"what": what, "initializer": name, "layer": l, "value": (edges[:-1] + edges[1:]) * 0.5}
    return what, l, pd.DataFrame({**columns, "density": counts / (values.size * width)})


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """Histograms of the activations (their figure 6) and of the back-propagated gradients (7) of each hidden layer."""
    rows = tables["histograms"]
    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    names = list(dict.fromkeys(rows["initializer"]))
    panels = figure.subplots(len(names), 2, sharex="col", squeeze=False)
    for name, pair in zip(names, panels, strict=True):
        for what, ax in zip(EXTENT, pair, strict=True):
            part = rows[(rows["initializer"] == name) & (rows["what"] == what)]
            layers = sorted(set(part["layer"]))
            for l, colour in zip(layers, shades(len(layers)), strict=True):
                shape = part[part["layer"] == l]
                ax.plot(shape["value"], shape["density"], color=colour, linewidth=1.4, label=f"layer {l}")
                ax.plot(shape["theory"].iloc[:1], [0.0], marker="^", color=colour, clip_on=False, zorder=5)
            ax.set_title(
                f"{name.capitalize()}: {'activations' if what == 'activation' else 'back-propagated gradients'}"
            )
            ax.set_ylabel("density")
            ax.set_ylim(bottom=0.0)
    panels[-1][0].set_xlabel("activation")
    panels[-1][1].set_xlabel(f"gradient over the standard deviation of layer {rows['layer'].max()}")
    handles = panels[0][0].get_lines()[::2]
    theory_mark = Line2D([], [], color="black", marker="^", linestyle="", label="theory: standard deviation")
    legend_above(figure, [*handles, theory_mark])
    return figure
