"""From a recipe in params.yaml to newborn models: finding it, checking its settings, and what it may have besides.

A recipe is a name of `initializers` or `network_initializers`, or the place of a function of the user's own,
`own.my_module:my_function`, which is called as my_function(rng, fan_out, fan_in, **settings) and returns W
(fan_out, fan_in), or W and b (fan_out, 1). It draws from `rng`, a RandomState, and from nothing else.
"""

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array

OWN = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
WATCHED = Path("own")  # the folder that DVC watches for the user's own recipes
MUST_BE = "it must be a recipe of docs/initializers.md, or own.my_module:my_function"
DRAWS = ("rng", "fan_out", "fan_in")  # what a user's function is called with, besides its settings

Factory = Callable[..., Any]


def find(recipe: str) -> Factory:
    """The factory of a recipe: settings to an initializer. Raises ValueError with the end of a sentence about it."""
    if recipe in RECIPES:
        return RECIPES[recipe]
    if recipe in NETWORK_RECIPES:
        return NETWORK_RECIPES[recipe]
    if not (place := OWN.fullmatch(recipe)):
        raise ValueError(MUST_BE)
    function = own_function(*place.groups())
    wanted = list(inspect.signature(function).parameters)
    if tuple(wanted[:3]) != DRAWS:
        raise ValueError(f"its first arguments must be rng, fan_out, fan_in, and are {', '.join(wanted[:3]) or 'none'}")

    def factory_of_own(**settings: Any) -> Any:
        return lambda rng, fan_out, fan_in: function(rng, fan_out, fan_in, **settings)

    return factory_of_own


def own_function(module_name: str, function_name: str) -> Callable[..., Any]:
    """A function of the user's own. Raises ValueError as `find`."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's code does when it is imported
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{module_name} must be a module that can be imported, and cannot: {reason}") from error
    found = getattr(module, function_name, None)
    if not callable(found):
        close = difflib.get_close_matches(function_name, dir(module), 1)
        question = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"{module_name} must have a function {function_name}{question}")
    file = Path(getattr(module, "__file__", None) or sys.executable).resolve()
    if file.is_relative_to(Path.cwd()) and not file.is_relative_to(WATCHED.resolve()):
        where = file.relative_to(Path.cwd()).as_posix()
        raise ValueError(f"{where} must lie in the folder {WATCHED}, where DVC sees when it changes")
    function: Callable[..., Any] = found
    return function


def settings_of(recipe: str) -> Mapping[str, inspect.Parameter]:
    """The settings that a recipe takes: the keyword arguments of its factory, or of the user's function after three."""
    if place := OWN.fullmatch(recipe):
        parameters = inspect.signature(own_function(*place.groups()), eval_str=True).parameters
        return dict(list(parameters.items())[3:])
    return inspect.signature(find(recipe), eval_str=True).parameters


@dataclass(frozen=True)
class Layer:
    """What one layer has otherwise than the rest: None is as the rest."""

    recipe: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    gain: float | None = None
    bias: float | None = None


@dataclass(frozen=True)
class Recipe:
    """How the models of an initializer are born."""

    recipe: str
    settings: dict[str, Any] = field(default_factory=dict)
    gain: float = 1.0  # factor of all weights
    bias: float = 0.0  # added to all biases
    layers: dict[int, Layer] = field(default_factory=dict)  # l from 1: the layers that differ

    @property
    def used(self) -> set[str]:
        """The recipes that it takes, the layers' own included."""
        return {self.recipe, *(layer.recipe for layer in self.layers.values() if layer.recipe)}


def sample_parameters(recipe: Recipe, seed: int, birth: NetworkSpec) -> Parameters:
    """One model, W and b (n_l, 1) of each layer, drawn layer after layer from one stream of `seed`.

    A layer's own recipe draws in its layer's turn; where the others are drawn as a whole, after them. Raises ValueError
    with the end of a sentence if a recipe gives what it must not.
    """
    rng = np.random.RandomState(seed)
    init = find(recipe.recipe)(**recipe.settings)
    whole = init(rng, birth) if recipe.recipe in NETWORK_RECIPES else None
    parameters = []
    for l, (fan_in, fan_out) in enumerate(pairwise(birth.layers_dims), start=1):
        layer = recipe.layers.get(l, Layer())
        if layer.recipe is not None:
            drawn = find(layer.recipe)(**layer.settings)(rng, fan_out, fan_in)
        else:
            drawn = whole[l - 1] if whole is not None else init(rng, fan_out, fan_in)
        W, b = validate_layer(drawn, fan_out, fan_in)
        gain = recipe.gain if layer.gain is None else layer.gain
        bias = recipe.bias if layer.bias is None else layer.bias
        parameters.append((W * gain, b + bias))
    return parameters


def validate_layer(drawn: Any, fan_out: int, fan_in: int) -> tuple[Array, Array]:
    """W and b of a layer from what an initializer gave. Raises ValueError with the end of a sentence about it."""
    both = drawn if isinstance(drawn, tuple) else (drawn, np.zeros((fan_out, 1)))
    if len(both) != 2:
        raise ValueError(f"gives {len(both)} things for a layer; it must give W, or W and b")
    for name, values, shape in zip("Wb", both, ((fan_out, fan_in), (fan_out, 1)), strict=True):
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            kind = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
            raise ValueError(f"gives {kind} for {name}; it must be an array of float64")
        if values.shape != shape:
            raise ValueError(f"gives {name} of shape {values.shape}; it must be {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"gives {name} with nan or inf; every number must be finite")
    return both
