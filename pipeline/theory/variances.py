"""The variances of a newborn network that mean-field theory needs, from a recipe as it stands in params.yaml. Pure.

Theory wants weights that are drawn, uncorrelated, as likely W as -W, and of one variance in a layer; of most recipes
they are. Of the others it has nothing to say, and here stands why. The bits are the same on every computer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pipeline.initializers.layerwise import DISTRIBUTIONS, FANS, SKLEARN_FACTORS
from pipeline.initializers.networkwise import NetworkSpec, critical_variances, random_walk_gains
from pipeline.initializers.recipes import Layer, Recipe, settings_of
from pipeline.networks.activations import Activation
from pipeline.numerics.elementary import NORMAL_MAX, normal_cdf, normal_pdf

ERRORS = 5.0  # standard errors: so far from 0 the mean of independent draws is once in two million


class Law(NamedTuple):
    """What mean-field theory knows of a layer: mean 0, entries of one variance, uncorrelated, as likely W as -W."""

    weight: float  # Var(W_ij)
    bias: float  # Var(b_i)
    normal: bool  # whether the weights are independent and normal, of a variance above 0: what `finite_width` wants


class Drawn(NamedTuple):
    """What a recipe draws for a layer, before its gain and its bias; the biases that it draws have mean 0."""

    weight: float
    bias: float = 0.0
    normal: bool = False
    mean: float = 0.0  # of the weights


def laws(recipe: Recipe, birth: NetworkSpec) -> list[Law] | str:
    """Of each layer 1 ... L of the models that `recipes.born` gives; or, where theory has nothing to say, the reason as
    the end of a sentence: "has weights of mean 0.5, and theory wants mean 0".

    Raises ValueError for an activation that `random_walk` or `critical_normal` refuses, as their births do.
    """
    network = NETWORKS.get(recipe.recipe)
    whole = network(birth, **_complete(recipe.recipe, recipe.settings)) if network else None
    found = []
    for l, (fan_in, fan_out) in enumerate(birth.fans, start=1):
        layer = recipe.layers.get(l, Layer())
        if layer.recipe is not None:
            drawn = _of_layer(layer.recipe, layer.settings, fan_out, fan_in)
        elif whole is not None:
            drawn = whole if isinstance(whole, str) else whole[l - 1]
        else:
            drawn = _of_layer(recipe.recipe, recipe.settings, fan_out, fan_in)
        gain = recipe.gain if layer.gain is None else layer.gain
        bias = recipe.bias if layer.bias is None else layer.bias
        law = drawn if isinstance(drawn, str) else _law(drawn, gain, bias)
        if isinstance(law, str):
            return f"has in layer {l} {law}" if l in recipe.layers else f"has {law}"
        found.append(law)
    return found


def without_theory(activations: Sequence[Activation]) -> str | None:
    """Why theory does not cover networks with these activations, as a reason of `laws`; None if it does."""
    for activation in activations:
        if activation.without_theory:
            return f"has the activation {activation.name}, which theory does not cover: {activation.without_theory}"
    return None


def is_own(recipe: Recipe) -> bool:
    """Whether a layer's weights come from the user's own code."""
    return not recipe.used <= {*LAYERS, *NETWORKS}


def estimated(columns: Mapping[str, Any], layers_dims: Sequence[int]) -> list[Law] | str:
    """The laws of models of the user's own making, from their weights: columns of `births` with a row a model and
    layer; or a reason as of `laws`. Whether the weights are drawn and uncorrelated is not looked at."""
    found, n_layers = [], len(layers_dims) - 1
    for l, (fan_in, fan_out) in enumerate(pairwise(layers_dims)):
        variances = []
        for kind, plural, n in (("weight", "weights", fan_in * fan_out), ("bias", "biases", fan_out)):
            means, squares = (columns[f"{kind}_{what}"][l::n_layers].tolist() for what in ("mean", "square"))
            centre, square = (math.fsum(values) / len(values) for values in (means, squares))
            if not abs(centre) <= ERRORS * math.sqrt(square / (len(means) * n)):
                return f"has in layer {l + 1} {plural} of mean {centre:.3g}, and theory wants mean 0"
            variances.append(square)
        found.append(Law(variances[0], variances[1], normal=False))
    return found


def truncated_moments(low: float, high: float) -> tuple[float, float]:
    """Mean and variance of N(0, 1) within [low, high], each within 1e-13 if a hundredth of the draws lies there.

    With the density p and the distribution function P: m = (p(low) - p(high)) / Z, Z = P(high) - P(low), and
    1 + (low p(low) - high p(high)) / Z - m^2.
    """
    a, b = max(low, -NORMAL_MAX), min(high, NORMAL_MAX)  # beyond, the density is 0
    density_a, density_b = float(normal_pdf(a)), float(normal_pdf(b))
    mass = float(normal_cdf(b)) - float(normal_cdf(a))
    mean = (density_a - density_b) / mass
    return mean, 1.0 + (a * density_a - b * density_b) / mass - mean * mean


def _law(drawn: Drawn, gain: float, bias: float) -> Law | str:
    """With the gain, which is of the weights alone, and the bias, which is added to those drawn."""
    mean, variance = drawn.mean * gain, drawn.weight * (gain * gain)
    if mean != 0.0:
        return f"weights of mean {mean:.6g}, and theory wants mean 0"
    if bias != 0.0:
        return f"biases of mean {bias:.6g}, and theory wants mean 0"
    if not variance < math.inf:
        return "weights whose variance is beyond 1.8e308, and theory cannot calculate with it"
    return Law(variance, drawn.bias, drawn.normal and variance > 0.0)


def _of_layer(name: str, settings: Mapping[str, Any], fan_out: int, fan_in: int) -> Drawn | str:
    if name not in LAYERS:
        return "weights of your own making, and theory does not know their law"
    return LAYERS[name](fan_out, fan_in, **_complete(name, settings))


def _complete(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe, with its own values for those not given."""
    defaults = {setting: wanted.default for setting, wanted in settings_of(name).items()}
    return {**defaults, **settings}


def _uniform(fan_out: int, fan_in: int, low: float, high: float) -> Drawn:
    return Drawn((high - low) * (high - low) / 12.0, mean=0.5 * low + 0.5 * high)


def _truncated(mean: float, std: float, low: float, high: float) -> Drawn:
    """N(mean, std^2) within mean + std [low, high]; it counts as normal where no double tells the variances apart."""
    shift, variance = truncated_moments(low, high)
    return Drawn(std * std * variance, normal=variance == 1.0, mean=mean + std * shift)


def _scaling(fan_out: int, fan_in: int, scale: float, mode: str, distribution: str) -> Drawn:
    return Drawn(scale / FANS[mode](fan_in, fan_out), normal=distribution == "normal")


def _scaled(distribution: str) -> dict[str, Callable[..., Drawn]]:
    """The named recipes that are `variance_scaling` of a distribution."""
    return {
        f"he_{distribution}": lambda fan_out, fan_in, negative_slope, mode: _scaling(
            fan_out, fan_in, 2.0 / (1.0 + negative_slope * negative_slope), mode, distribution
        ),
        f"xavier_{distribution}": lambda fan_out, fan_in: _scaling(fan_out, fan_in, 1.0, "fan_avg", distribution),
        f"lecun_{distribution}": lambda fan_out, fan_in: _scaling(fan_out, fan_in, 1.0, "fan_in", distribution),
    }


def _square_bounds(square: float) -> Drawn:
    """W and b ~ U(-r, r), r^2 = square."""
    return Drawn(square / 3.0, bias=square / 3.0)


def _sparse(std: float, kept: int, n: int) -> Drawn:
    """N(0, std^2) for `kept` of n weights, which ones being random, and 0 for the others."""
    return Drawn(std * std * (kept / n), normal=kept == n)


def _over_fan_in(birth: NetworkSpec, sigma_w2: list[float], sigma_b2: float = 0.0) -> list[Drawn]:
    """W ~ N(0, sigma_w2 / fan_in), b ~ N(0, sigma_b2), sigma_w2 of each layer."""
    return [
        Drawn(variance / fan_in, bias=sigma_b2, normal=True)
        for variance, (fan_in, _) in zip(sigma_w2, birth.fans, strict=True)
    ]


def _none(reason: str) -> Callable[..., str]:
    return lambda *shape, **settings: reason


NOT_DRAWN = "weights that are not drawn, and theory is of random ones"
OF_THE_DATA = "weights that depend on the training data, and theory is of weights that do not"

# (fan_out, fan_in, **settings) -> what is drawn, or why there is no law
LAYERS: dict[str, Callable[..., Drawn | str]] = {
    "zeros": lambda fan_out, fan_in: Drawn(0.0),
    "ones": lambda fan_out, fan_in: Drawn(0.0, mean=1.0),
    "constant": lambda fan_out, fan_in, value: Drawn(0.0, mean=value),
    "uniform": _uniform,
    "normal": lambda fan_out, fan_in, std: Drawn(std * std, normal=True),
    "truncated_normal": lambda fan_out, fan_in, std, low, high: _truncated(0.0, std, low, high),
    "truncated_normal_absolute": lambda fan_out, fan_in, std, mean, low, high: _truncated(
        mean, std, (low - mean) / std, (high - mean) / std
    ),
    "variance_scaling": _scaling,
    **{name: law for distribution in DISTRIBUTIONS for name, law in _scaled(distribution).items()},
    "pytorch_linear": lambda fan_out, fan_in: _square_bounds(1.0 / fan_in),
    "sklearn_mlp": lambda fan_out, fan_in, activation: _square_bounds(SKLEARN_FACTORS[activation] / (fan_in + fan_out)),
    "orthogonal": lambda fan_out, fan_in: Drawn(1.0 / max(fan_in, fan_out)),
    "identity": _none(NOT_DRAWN),
    "sparse": lambda fan_out, fan_in, sparsity, std: _sparse(std, fan_out - math.ceil(sparsity * fan_out), fan_out),
    "martens_sparse": lambda fan_out, fan_in, n_connections, std: _sparse(std, min(n_connections, fan_in), fan_in),
    "zero_init": _none(NOT_DRAWN),
}

# (birth, **settings) -> what is drawn for each layer, or why there is no law
NETWORKS: dict[str, Callable[..., list[Drawn] | str]] = {
    "lsuv": _none(OF_THE_DATA),
    "data_dependent": _none(OF_THE_DATA),
    "looks_linear": _none("weights that depend on each other, and theory wants them uncorrelated"),
    "random_walk": lambda birth, tanh_gain: _over_fan_in(birth, [g * g for g in random_walk_gains(birth, tanh_gain)]),
    "critical_normal": lambda birth, bias_variance: _over_fan_in(
        birth, critical_variances(birth, bias_variance), bias_variance
    ),
}
