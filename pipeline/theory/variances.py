"""The variances of initial parameters that mean-field theory requires, from a recipe in params.yaml.

Theory assumes random weights that are uncorrelated, symmetrically distributed about 0 and of equal variance within a
layer. Most recipes satisfy this; the others have a reason why there is no prediction. Both are registered with the
recipes in `initializers`; this module applies gains, biases and exceptions for single layers. The bits are the same on
every computer.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe, settings_of
from pipeline.initializers.registry import Variances
from pipeline.networks.activations import Activation

ERRORS = 5.0  # standard errors; the mean of independent draws exceeds them once in two million


class Law(NamedTuple):
    """The distribution of a layer's parameters: uncorrelated and symmetric, of mean 0 and these variances."""

    weight: float  # Var(W_ij)
    bias: float  # Var(b_i)
    normal: bool  # whether weights are independent normal of variance above 0, as `finite_width` requires


def laws(recipe: Recipe, spec: NetworkSpec) -> list[Law] | str:
    """The `Law` of each layer 1 ... L of the models of `recipes.sample_parameters`.

    If theory does not apply, the reason as a clause: "has weights of mean 0.5, but theory assumes mean 0". Raises
    ValueError for an activation for which `random_walk` or `critical_normal` raises it.
    """
    network = NETWORK_RECIPES.get(recipe.recipe)
    whole = network.variances(spec, **_with_defaults(recipe.recipe, recipe.settings)) if network else None
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
    return not recipe.used <= {*RECIPES, *NETWORK_RECIPES}


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


def _law(drawn: Variances, gain: float, bias: float) -> Law | str:
    """The law after the gain is applied to the weights and the bias is added to the biases; or a reason."""
    mean, variance = drawn.mean * gain, drawn.weight * (gain * gain)
    if mean != 0.0:
        return f"weights of mean {mean:.6g}, but theory assumes mean 0"
    if bias != 0.0:
        return f"biases of mean {bias:.6g}, but theory assumes mean 0"
    if not variance < math.inf:
        return "weights whose variance exceeds 1.8e308, beyond the range of the calculation"
    return Law(variance, drawn.bias, drawn.normal and variance > 0.0)


def _drawn_layer(name: str, settings: Mapping[str, Any], fan_out: int, fan_in: int) -> Variances | str:
    if name not in RECIPES:
        return "user-defined weights, whose distribution is unknown"
    return RECIPES[name].variances(fan_out, fan_in, **_with_defaults(name, settings))


def _with_defaults(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe, completed by its default values."""
    defaults = {setting: wanted.default for setting, wanted in settings_of(name).items()}
    return {**defaults, **settings}
