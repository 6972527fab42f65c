"""The variances of initial parameters that mean-field theory requires, from a recipe in params.yaml.

Theory assumes random weights that are uncorrelated, symmetrically distributed about 0 and of equal variance within a
layer. Most recipes satisfy this; for the others this module gives the reason why there is no prediction. The bits are
the same on every computer.
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

ERRORS = 5.0  # standard errors; the mean of independent draws exceeds them once in two million


class Law(NamedTuple):
    """The distribution of a layer's parameters: uncorrelated and symmetric, of mean 0 and these variances."""

    weight: float  # Var(W_ij)
    bias: float  # Var(b_i)
    normal: bool  # whether weights are independent normal of variance above 0, as `finite_width` requires


class Drawn(NamedTuple):
    """The distribution of a layer's parameters before gain and bias are applied; drawn biases have mean 0."""

    weight: float
    bias: float = 0.0
    normal: bool = False
    mean: float = 0.0  # of the weights


def laws(recipe: Recipe, spec: NetworkSpec) -> list[Law] | str:
    """The `Law` of each layer 1 ... L of the models of `recipes.sample_parameters`.

    If theory does not apply, the reason as a clause: "has weights of mean 0.5, but theory assumes mean 0". Raises
    ValueError for an activation for which `random_walk` or `critical_normal` raises it.
    """
    network = NETWORKS.get(recipe.recipe)
    whole = network(spec, **_with_defaults(recipe.recipe, recipe.settings)) if network else None
    found = []
    for l, (fan_in, fan_out) in enumerate(spec.fans, start=1):
        layer = recipe.layers.get(l, Layer())
        if layer.recipe is not None:
            drawn = _drawn_layer(layer.recipe, layer.settings, fan_out, fan_in)
        elif whole is not None:
            drawn = whole if isinstance(whole, str) else whole[l - 1]
        else:
            drawn = _drawn_layer(recipe.recipe, recipe.settings, fan_out, fan_in)
        gain = recipe.gain if layer.gain is None else layer.gain
        bias = recipe.bias if layer.bias is None else layer.bias
        law = drawn if isinstance(drawn, str) else _law(drawn, gain, bias)
        if isinstance(law, str):
            return f"has in layer {l} {law}" if l in recipe.layers else f"has {law}"
        found.append(law)
    return found


def without_theory(activations: Sequence[Activation]) -> str | None:
    """The reason, as in `laws`, why theory does not cover networks with these activations; None if it does."""
    for activation in activations:
        if activation.without_theory:
            return f"has the activation {activation.name}, which theory does not cover: {activation.without_theory}"
    return None


def is_own(recipe: Recipe) -> bool:
    """Whether the weights of any layer come from a user-defined function."""
    return not recipe.used <= {*LAYERS, *NETWORKS}


def estimate(columns: Mapping[str, Any], layers_dims: Sequence[int]) -> list[Law] | str:
    """The laws of models with user-defined initializers, estimated from measurements of their parameters.

    `columns` has the measurements weight_mean, weight_mean_square, bias_mean and bias_mean_square, one row per model
    and layer. Returns a reason, as `laws` does, if a mean differs significantly from 0. Does not check that weights are
    random and uncorrelated.
    """
    found, n_layers = [], len(layers_dims) - 1
    for l, (fan_in, fan_out) in enumerate(pairwise(layers_dims)):
        variances = []
        for kind, plural, n in (("weight", "weights", fan_in * fan_out), ("bias", "biases", fan_out)):
            means, squares = (columns[f"{kind}_{what}"][l::n_layers].tolist() for what in ("mean", "mean_square"))
            centre, square = (math.fsum(values) / len(values) for values in (means, squares))
            if not abs(centre) <= ERRORS * math.sqrt(square / (len(means) * n)):
                return f"has in layer {l + 1} {plural} of mean {centre:.3g}, but theory assumes mean 0"
            variances.append(square)
        found.append(Law(variances[0], variances[1], normal=False))
    return found


def truncated_moments(low: float, high: float) -> tuple[float, float]:
    """Mean and variance of N(0, 1) truncated to [low, high]; error below 1e-13 if its probability is at least 0.01.

    With density p and distribution function P: the mean is m = (p(low) - p(high)) / Z, Z = P(high) - P(low), and the
    variance 1 + (low p(low) - high p(high)) / Z - m^2.
    """
    a, b = max(low, -NORMAL_MAX), min(high, NORMAL_MAX)  # the density is 0 beyond
    density_a, density_b = float(normal_pdf(a)), float(normal_pdf(b))
    mass = float(normal_cdf(b)) - float(normal_cdf(a))
    mean = (density_a - density_b) / mass
    return mean, 1.0 + (a * density_a - b * density_b) / mass - mean * mean


def _law(drawn: Drawn, gain: float, bias: float) -> Law | str:
    """The law after the gain is applied to the weights and the bias is added to the biases; or a reason."""
    mean, variance = drawn.mean * gain, drawn.weight * (gain * gain)
    if mean != 0.0:
        return f"weights of mean {mean:.6g}, but theory assumes mean 0"
    if bias != 0.0:
        return f"biases of mean {bias:.6g}, but theory assumes mean 0"
    if not variance < math.inf:
        return "weights whose variance exceeds 1.8e308, beyond the range of the calculation"
    return Law(variance, drawn.bias, drawn.normal and variance > 0.0)


def _drawn_layer(name: str, settings: Mapping[str, Any], fan_out: int, fan_in: int) -> Drawn | str:
    if name not in LAYERS:
        return "user-defined weights, whose distribution is unknown"
    return LAYERS[name](fan_out, fan_in, **_with_defaults(name, settings))


def _with_defaults(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe, completed by its default values."""
    defaults = {setting: wanted.default for setting, wanted in settings_of(name).items()}
    return {**defaults, **settings}


def _uniform(fan_out: int, fan_in: int, low: float, high: float) -> Drawn:
    return Drawn((high - low) * (high - low) / 12.0, mean=0.5 * low + 0.5 * high)


def _truncated(mean: float, std: float, low: float, high: float) -> Drawn:
    """N(mean, std^2) truncated to mean + std [low, high]; normal if the truncation does not change the variance."""
    shift, variance = truncated_moments(low, high)
    return Drawn(std * std * variance, normal=variance == 1.0, mean=mean + std * shift)


def _scaling(fan_out: int, fan_in: int, scale: float, mode: str, distribution: str) -> Drawn:
    return Drawn(scale / FANS[mode](fan_in, fan_out), normal=distribution == "normal")


def _scaled(distribution: str) -> dict[str, Callable[..., Drawn]]:
    """The laws of the named recipes that are `variance_scaling` with this distribution."""
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
    """N(0, std^2) for `kept` randomly chosen weights of n, and 0 for the others."""
    return Drawn(std * std * (kept / n), normal=kept == n)


def _over_fan_in(spec: NetworkSpec, sigma_w2: list[float], sigma_b2: float = 0.0) -> list[Drawn]:
    """W ~ N(0, sigma_w2 / fan_in), b ~ N(0, sigma_b2), with one sigma_w2 per layer."""
    return [
        Drawn(variance / fan_in, bias=sigma_b2, normal=True)
        for variance, (fan_in, _) in zip(sigma_w2, spec.fans, strict=True)
    ]


def _none(reason: str) -> Callable[..., str]:
    """A function of any arguments that returns the reason why there is no law."""
    return lambda *shape, **settings: reason


NOT_DRAWN = "deterministic weights, but theory assumes random ones"
OF_THE_DATA = "weights that depend on the training data, but theory assumes independent ones"

# (fan_out, fan_in, **settings) -> the distribution, or the reason why there is no law
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

# (spec, **settings) -> the distribution of each layer, or the reason why there is no law
NETWORKS: dict[str, Callable[..., list[Drawn] | str]] = {
    "lsuv": _none(OF_THE_DATA),
    "data_dependent": _none(OF_THE_DATA),
    "looks_linear": _none("weights that depend on each other, but theory assumes uncorrelated ones"),
    "random_walk": lambda spec, tanh_gain: _over_fan_in(spec, [g * g for g in random_walk_gains(spec, tanh_gain)]),
    "critical_normal": lambda spec, bias_variance: _over_fan_in(
        spec, critical_variances(spec, bias_variance), bias_variance
    ),
}
