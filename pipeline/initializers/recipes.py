"""From a recipe in params.yaml to the initial parameters of models.

A recipe is a name in `layerwise.RECIPES` or `networkwise.NETWORK_RECIPES`, or a user-defined function written as
`own.my_module:my_function`. That function is called as my_function(rng, fan_out, fan_in, **settings), must return W
(fan_out, fan_in) or (W, b) with b (fan_out, 1), and must draw random numbers only from `rng`, a RandomState.
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
WATCHED = Path("own")  # the folder of user-defined recipes, on which the stages of dvc.yaml depend
MUST_BE = "it must be a recipe of docs/initializers.md, or own.my_module:my_function"
DRAWS = ("rng", "fan_out", "fan_in")  # the arguments of a user-defined function before its settings

Factory = Callable[..., Any]


def find(recipe: str) -> Factory:
    """The factory of a recipe, a function from settings to an initializer.

    Raises ValueError if there is none; the message is a clause that completes "KEY holds VALUE; ".
    """
    if recipe in RECIPES:
        return RECIPES[recipe].factory
    if recipe in NETWORK_RECIPES:
        return NETWORK_RECIPES[recipe].factory
    if not (place := OWN.fullmatch(recipe)):
        raise ValueError(MUST_BE)
    function = own_function(*place.groups())
    wanted = list(inspect.signature(function).parameters)
    if tuple(wanted[:3]) != DRAWS:
        raise ValueError(f"its first arguments must be rng, fan_out, fan_in, not {', '.join(wanted[:3]) or 'none'}")

    def factory_of_own(**settings: Any) -> Any:
        return lambda rng, fan_out, fan_in: function(rng, fan_out, fan_in, **settings)

    return factory_of_own


def own_function(module_name: str, function_name: str) -> Callable[..., Any]:
    """A user-defined function, imported from the current directory. Raises ValueError as `find` does."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # user code may raise anything on import
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{module_name} cannot be imported: {reason}") from error
    found = getattr(module, function_name, None)
    if not callable(found):
        close = difflib.get_close_matches(function_name, dir(module), 1)
        question = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"{module_name} has no function {function_name}{question}")
    file = Path(getattr(module, "__file__", None) or sys.executable).resolve()
    if file.is_relative_to(Path.cwd()) and not file.is_relative_to(WATCHED.resolve()):
        where = file.relative_to(Path.cwd()).as_posix()
        raise ValueError(f"{where} must be in the folder {WATCHED}, whose changes DVC detects")
    function: Callable[..., Any] = found
    return function


def settings_of(recipe: str) -> Mapping[str, inspect.Parameter]:
    """The settings of a recipe: the parameters of its factory, or of a user-defined function after the first three."""
    if place := OWN.fullmatch(recipe):
        parameters = inspect.signature(own_function(*place.groups()), eval_str=True).parameters
        return dict(list(parameters.items())[3:])
    return inspect.signature(find(recipe), eval_str=True).parameters


@dataclass(frozen=True)
class Layer:
    """The deviations of one layer from the recipe of the network; None means no deviation."""

    recipe: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    gain: float | None = None
    bias: float | None = None


@dataclass(frozen=True)
class Recipe:
    """The checked settings of an initializer in params.yaml."""

    recipe: str
    settings: dict[str, Any] = field(default_factory=dict)
    gain: float = 1.0  # factor applied to all weights
    bias: float = 0.0  # added to all biases
    layers: dict[int, Layer] = field(default_factory=dict)  # by the number of the layer, from 1

    @property
    def used(self) -> set[str]:
        """The names of all recipes in use, including those of single layers."""
        return {self.recipe, *(layer.recipe for layer in self.layers.values() if layer.recipe)}


def sample_parameters(recipe: Recipe, seed: int, spec: NetworkSpec) -> Parameters:
    """The initial parameters of one model: W (n_l, n_{l-1}) and b (n_l, 1) of each layer.

    All layers are drawn in order from one RandomState(seed). A layer with its own recipe is drawn in its turn, or, if
    the recipe of the network is networkwise, after the whole network. Raises ValueError as `validate_layer` does.
    """
    rng = np.random.RandomState(seed)
    init = find(recipe.recipe)(**recipe.settings)
    whole = init(rng, spec) if recipe.recipe in NETWORK_RECIPES else None
    parameters = []
    for l, (fan_in, fan_out) in enumerate(pairwise(spec.layers_dims), start=1):
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
    """(W, b) of a layer from the return value of an initializer, with zero biases if it returned W alone.

    Raises ValueError if it is not a finite float64 array of the required shape; the message begins with "returned".
    """
    both = drawn if isinstance(drawn, tuple) else (drawn, np.zeros((fan_out, 1)))
    if len(both) != 2:
        raise ValueError(f"returned {len(both)} values for a layer; expected W or (W, b)")
    for name, values, shape in zip("Wb", both, ((fan_out, fan_in), (fan_out, 1)), strict=True):
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            kind = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
            raise ValueError(f"returned {kind} for {name}; expected an array of float64")
        if values.shape != shape:
            raise ValueError(f"returned {name} of shape {values.shape}; expected {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"returned {name} with NaN or infinity; expected finite numbers")
    return both
