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
import traceback
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
    wanted = list(_parameters_of(function))
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
    except (Exception, SystemExit) as error:  # user code may raise anything on import
        why = reason(error).removeprefix("ModuleNotFoundError: ")
        close = in_own_folder(f"{module_name}:{function_name}")
        question = f" (did you mean {close}?)" if close else ""
        raise ValueError(f"{module_name} cannot be imported: {why}{question}") from error
    if not hasattr(module, function_name):
        functions = [name for name, value in vars(module).items() if callable(value)]
        question = "".join(
            f" (did you mean {name}?)" for name in difflib.get_close_matches(function_name, functions, 1)
        )
        raise ValueError(f"{module_name} has no function {function_name}{question}")
    found = getattr(module, function_name)
    if not callable(found):
        raise ValueError(f"{module_name}.{function_name} is not a function but {kind_of(found)}")
    file = Path(getattr(module, "__file__", None) or sys.executable).resolve()
    if file.is_relative_to(Path.cwd()) and not file.is_relative_to(WATCHED.resolve()):
        where = file.relative_to(Path.cwd()).as_posix()
        raise ValueError(f"{where} must be in the folder {WATCHED}, whose changes DVC detects")
    function: Callable[..., Any] = found
    return function


def in_own_folder(recipe: str) -> str:
    """The recipe own.my_module:my_function for another spelling of it, such as my_module:my_function or
    own/my_module.py:my_function; empty if the folder has no such module.
    """
    parts = [part for part in re.findall(r"\w+", recipe) if part not in (WATCHED.name, "py")]
    if len(parts) < 2 or not WATCHED.joinpath(*parts[:-1]).with_suffix(".py").is_file():
        return ""
    meant = f"{'.'.join([WATCHED.name, *parts[:-1]])}:{parts[-1]}"
    return meant if meant != recipe else ""


def failure(error: BaseException) -> str:
    """What is wrong with an initializer that raised this, as a verb phrase: returned ..., or raised ...."""
    if isinstance(error, ValueError) and str(error).startswith("returned "):
        return str(error)
    return f"raised {reason(error)}"


def reason(error: BaseException) -> str:
    """The type of an exception, the first line of its message, and the place in own/ that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(WATCHED.resolve())]
    place = ""
    if own:
        file = Path(own[-1].filename).resolve().relative_to(WATCHED.resolve())
        place = f" ({(WATCHED / file).as_posix()}, line {own[-1].lineno})"
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]]) + place


def kind_of(value: Any) -> str:
    """The type of a value with its article: an int, a list; None for None."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def settings_of(recipe: str) -> Mapping[str, inspect.Parameter]:
    """The settings of a recipe: the parameters of its factory, or of a user-defined function after the first three."""
    if place := OWN.fullmatch(recipe):
        return dict(list(_parameters_of(own_function(*place.groups())).items())[3:])
    return _parameters_of(find(recipe))


def _parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function, eval_str=True).parameters
    except Exception as error:  # a function without a signature, or an annotation that cannot be evaluated
        raise ValueError(f"its arguments cannot be read: {reason(error)}") from error


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
    if drawn is None:
        raise ValueError("returned None; expected W or (W, b)")
    both = drawn if isinstance(drawn, tuple) else (drawn, np.zeros((fan_out, 1)))
    if len(both) != 2:
        raise ValueError(f"returned {len(both)} values for a layer; expected W or (W, b)")
    for name, values, shape in zip("Wb", both, ((fan_out, fan_in), (fan_out, 1)), strict=True):
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            kind = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else kind_of(values)
            raise ValueError(f"returned {kind} for {name}; expected an array of float64")
        if values.shape != shape:
            raise ValueError(f"returned {name} of shape {values.shape}; expected {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"returned {name} with NaN or infinity; expected finite numbers")
    return both
