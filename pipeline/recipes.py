"""From a recipe in params.yaml to newborn models: finding it, checking its settings, and what it may have besides.

A recipe is a name of `initializers` or `network_initializers`, or the place of a function of the user's own,
`own.my_module:my_function`, which is called as my_function(rng, fan_out, fan_in, **settings) and returns W
(fan_out, fan_in), or W and b (fan_out, 1). It draws from `rng`, a RandomState, and from nothing else.
"""

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

from pipeline import catalogue
from pipeline.initializers import RECIPES, Parameters
from pipeline.network_initializers import NETWORK_RECIPES, Birth
from pipeline.sums import Array
from pipeline.wording import dotted, fits, folded, hint, nearest, shown, word

OWN = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
WATCHED = Path("own")  # the folder that DVC watches for the user's own recipes
DRAWS = ("rng", "fan_out", "fan_in")  # what a user's function is called with, besides its settings
KINDS = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false"}
EVERY = {"gain": 1.0, "bias": 0.0}  # what every recipe may be given besides its settings, and what not given means
MUST_BE = "it must be a recipe of docs/initializers.md, or own.my_module:my_function"

Factory = Callable[..., Any]


def find(recipe: str) -> Factory:
    """The factory of a recipe: settings to an initializer. Raises ValueError with the end of a sentence about it."""
    if recipe in RECIPES:
        return RECIPES[recipe]
    if recipe in NETWORK_RECIPES:
        return NETWORK_RECIPES[recipe]
    if not (place := OWN.fullmatch(recipe)):
        raise ValueError(f"{MUST_BE}{hint(suggestion(recipe))}")
    function = own_function(*place.groups())
    wanted = list(inspect.signature(function).parameters)
    if tuple(wanted[:3]) != DRAWS:
        raise ValueError(f"its first arguments must be rng, fan_out, fan_in, and are {', '.join(wanted[:3]) or 'none'}")

    def factory_of_own(**settings: Any) -> Any:
        return lambda rng, fan_out, fan_in: function(rng, fan_out, fan_in, **settings)

    return factory_of_own


def suggestion(name: str) -> str:
    """The recipe to suggest for an unknown name, for the end of a question; empty if there is none.

    A framework's name stands for the law that it has there: HeNormal is Keras', and truncated. Other names are compared
    with the recipes and the frameworks' names, ignoring case and punctuation.
    """
    own, others = [*RECIPES, *NETWORK_RECIPES], catalogue.framework_names()
    close = name if name in others else nearest(name, [*own, *others])
    if close in own or not close:
        return close
    recipe, framework = others[close]
    return recipe if folded(recipe) == folded(close) else f"{recipe}, which {framework} calls {close}"


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
        raise ValueError(
            f"{module_name} must have a function {function_name}{hint(nearest(function_name, dir(module)))}"
        )
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


def problems(recipe: str, settings: dict[str, Any], key: str) -> list[str]:
    """Sentences for what is wrong with the settings of a recipe that can be found. Whole floats become floats."""
    wanted = settings_of(recipe)
    missing = {s for s, parameter in wanted.items() if s not in settings and parameter.default is parameter.empty}
    sentences = []
    for setting in [s for s in settings if s not in wanted]:
        close = nearest(setting, [*wanted, *EVERY, "layers"])
        missing.discard(close)  # one slip, one sentence
        has = f"the recipe {recipe} has {', '.join([*wanted, *EVERY, 'layers'])}{hint(close)}"
        sentences.append(f"{dotted(key, setting)} is unknown; {has}.")
    for setting, parameter in wanted.items():
        kind = parameter.annotation
        may_be = KINDS.get(kind, "a number, text, true or false")
        if setting in missing:
            sentences.append(f"{key}.{setting} is missing; the recipe {recipe} needs it, and it must be {may_be}.")
        elif setting in settings and not any(fits(settings[setting], k) for k in ([kind] if kind in KINDS else KINDS)):
            sentences.append(f"{key}.{setting} holds {shown(settings[setting])}; it must be {may_be}.")
        elif setting in settings and kind is float:
            settings[setting] = float(settings[setting])
    return sentences or trial(recipe, settings, key)


def trial(recipe: str, settings: dict[str, Any], key: str) -> list[str]:
    """What the factory itself says against its settings: "sd must be greater than 0, not -1.0"."""
    try:
        find(recipe)(**settings)
    except (ValueError, ArithmeticError) as error:
        setting, _, clause = str(error).partition(" ")
        if setting not in settings:
            return [f"{key} holds settings that do not work: {error}."]
        return [f"{key}.{setting} holds {shown(settings[setting])}; it {clause.partition(', not ')[0]}."]
    return []


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


def born(recipe: Recipe, seed: int, birth: Birth) -> Parameters:
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
        W, b = checked(drawn, fan_out, fan_in)
        gain = recipe.gain if layer.gain is None else layer.gain
        bias = recipe.bias if layer.bias is None else layer.bias
        parameters.append((W * gain, b + bias))
    return parameters


def checked(drawn: Any, fan_out: int, fan_in: int) -> tuple[Array, Array]:
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


def tried(recipe: Recipe, seed: int, birth: Birth) -> str:
    """The end of a sentence about what is wrong with the models of a recipe, or nothing: born twice from one seed."""
    try:
        first, second = (born(recipe, seed, birth) for _ in range(2))
    except Exception as error:  # whatever the user's code does
        if isinstance(error, ValueError) and str(error).startswith("gives "):
            return str(error)
        return f"does not work: {type(error).__name__}: {error}".splitlines()[0]
    pairs = [(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)]
    if any(a.tobytes() != b.tobytes() for a, b in pairs):
        return "gives other weights when called again with the same seed; it must draw from rng alone"
    return ""


def read(given: dict[str, Any], key: str, n_layers: int | None) -> tuple[Recipe | None, list[str]]:
    """A recipe as it stands in params.yaml under `key`, for a network of so many layers, and what is wrong with it."""
    settings, sentences = dict(given), []
    recipe = settings.pop("recipe", None)
    layers = settings.pop("layers", {})
    every, wrong = options(settings, key)
    sentences += wrong
    if "recipe" not in given:
        sentences.append(f"{key}.recipe is missing; {MUST_BE}.")
    else:
        sentences += named(recipe, settings, key)
    if not isinstance(layers, dict):
        allowed = "a mapping from numbers of layers to what they have otherwise, as {3: {gain: 0.5}}"
        sentences.append(f"{key}.layers holds {shown(layers)}; it must be {allowed}.")
        layers = {}
    exceptions = {}
    for number, layer in layers.items():
        here = f"{key}.layers[{word(number)}]"
        l = int(number) if isinstance(number, str) and number.isdecimal() else number
        if not fits(l, int) or l < 1 or (n_layers is not None and l > n_layers):
            last = f" to {n_layers}, the output's" if n_layers is not None else ""
            sentences.append(
                f"{key}.layers holds {shown(number)}; a layer's number must be a whole number from 1{last}."
            )
        elif not isinstance(layer, dict):
            sentences.append(f"{here} holds {shown(layer)}; it must be a recipe or options, as {{gain: 0.5}}.")
        else:
            exceptions[l], wrong = read_layer(dict(layer), here)
            sentences += wrong
    if sentences:
        return None, sentences
    return Recipe(recipe, settings, **{**EVERY, **every}, layers=exceptions), []


def read_layer(settings: dict[str, Any], key: str) -> tuple[Layer, list[str]]:
    """What one layer has otherwise, and what is wrong with it."""
    recipe = settings.pop("recipe", None)
    every, sentences = options(settings, key)
    if recipe in NETWORK_RECIPES:
        sentences.append(f"{key}.recipe holds {shown(recipe)}, which makes whole networks; it must be one for a layer.")
    elif recipe is not None:
        sentences += named(recipe, settings, key)
    else:
        has = "a layer has recipe, its settings, gain and bias"
        sentences += [f"{dotted(key, s)} is unknown; {has}{hint(nearest(s, ['recipe', *EVERY]))}." for s in settings]
    return Layer(recipe, settings, **every), sentences


def options(settings: dict[str, Any], key: str) -> tuple[dict[str, float], list[str]]:
    """Gain and bias taken out of the settings, as far as they are given."""
    given = {name: settings.pop(name) for name in EVERY if name in settings}
    wrong = [
        f"{key}.{name} holds {shown(x)}; it must be a finite number." for name, x in given.items() if not fits(x, float)
    ]
    return {name: float(x) for name, x in given.items() if fits(x, float)}, wrong


def named(recipe: Any, settings: dict[str, Any], key: str) -> list[str]:
    """What is wrong with a recipe's name or its settings."""
    if not isinstance(recipe, str):
        return [f"{key}.recipe holds {shown(recipe)}; {MUST_BE}."]
    try:
        find(recipe)
    except ValueError as error:
        return [f"{key}.recipe holds {shown(recipe)}; {error}."]
    return problems(recipe, settings, key)
