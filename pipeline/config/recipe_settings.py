"""Recipes of params.yaml as checked `Recipe` objects, and messages for what is invalid in them."""

import re
from typing import Any

from pipeline.config.messages import fits, folded, hint, nearest, printable, shown, unknown_key
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.initializers.recipes import MUST_BE, OWN, Layer, Recipe, find, sample_parameters, settings_of
from pipeline.initializers.registry import Entry

SETTING_KINDS = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false"}
COMMON_SETTINGS = {"gain": 1.0, "bias": 0.0}  # settings of all recipes, with their defaults


def framework_names() -> dict[str, tuple[str, str]]:
    """The names of the recipes in PyTorch, Keras and JAX: {name: (recipe, framework)}.

    A name of several recipes or frameworks belongs to the first: `kaiming_normal_` is he_normal.
    """
    names: dict[str, tuple[str, str]] = {}
    entries: list[tuple[str, Entry[Any]]] = [*RECIPES.items(), *NETWORK_RECIPES.items()]
    for recipe, entry in entries:
        for framework, cell in (("PyTorch", entry.pytorch), ("Keras", entry.keras), ("JAX", entry.jax)):
            if call := re.search(r"`([\w.]+)", cell):
                names.setdefault(call[1], (recipe, framework))
    return names


def suggestion(name: str) -> str:
    """The recipe to suggest for an unknown name, with the framework that uses the name; empty if there is none.

    A name of a framework means its distribution there: HeNormal is that of Keras, a truncated normal. Other names are
    compared with those of recipes and frameworks, ignoring case and punctuation.
    """
    own, others = [*RECIPES, *NETWORK_RECIPES], framework_names()
    close = name if name in others else nearest(name, [*own, *others])
    if close in own or not close:
        return close
    recipe, framework = others[close]
    return recipe if folded(recipe) == folded(close) else f"{recipe}, which {framework} calls {close}"


def setting_problems(recipe: str, settings: dict[str, Any], key: str) -> list[str]:
    """Messages for invalid settings of an existing recipe at `key`. Ints for float settings are converted in place."""
    wanted = settings_of(recipe)
    missing = {s for s, parameter in wanted.items() if s not in settings and parameter.default is parameter.empty}
    messages = []
    for setting in [s for s in settings if s not in wanted]:
        known = [*wanted, *COMMON_SETTINGS, "layers"]
        message, replacement = unknown_key(key, setting, known, f"the recipe {recipe}")
        missing.discard(replacement)  # one message for a misspelled or renamed key
        messages.append(message)
    for setting, parameter in wanted.items():
        kind = parameter.annotation
        may_be = SETTING_KINDS.get(kind, "a number, text, true or false")
        if setting in missing:
            messages.append(f"{key}.{setting} is missing; the recipe {recipe} requires it: {may_be}.")
        elif setting in settings and not any(
            fits(settings[setting], k) for k in ([kind] if kind in SETTING_KINDS else SETTING_KINDS)
        ):
            messages.append(f"{key}.{setting} holds {shown(settings[setting])}; it must be {may_be}.")
        elif setting in settings and kind is float:
            settings[setting] = float(settings[setting])
    return messages or factory_problems(recipe, settings, key)


def factory_problems(recipe: str, settings: dict[str, Any], key: str) -> list[str]:
    """Messages for settings that the factory rejects with a ValueError: "std must be greater than 0, not -1.0"."""
    try:
        find(recipe)(**settings)
    except (ValueError, ArithmeticError) as error:
        setting, _, clause = str(error).partition(" ")
        if setting not in settings:
            return [f"{key} has invalid settings: {error}."]
        return [f"{key}.{setting} holds {shown(settings[setting])}; it {clause.partition(', not ')[0]}."]
    return []


def dry_run(recipe: Recipe, seed: int, network: NetworkSpec) -> str:
    """Sample a model twice from one seed; return what is wrong with it, to follow the recipe's key, or ""."""
    try:
        first, second = (sample_parameters(recipe, seed, network) for _ in range(2))
    except Exception as error:  # the user's code may raise anything
        if isinstance(error, ValueError) and str(error).startswith("returned "):
            return str(error)
        return f"raised {type(error).__name__}: {error}".splitlines()[0]
    pairs = [(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)]
    if any(a.tobytes() != b.tobytes() for a, b in pairs):
        return "returned different weights when called again with the same seed; it must draw from rng only"
    return ""


def read_recipe(given: dict[str, Any], key: str, n_layers: int | None) -> tuple[Recipe | None, list[str]]:
    """The recipe in section `key` of params.yaml for a network of `n_layers` (None: unknown), or None and messages."""
    settings, messages = dict(given), []
    recipe = settings.pop("recipe", None)
    layers = settings.pop("layers", {})
    every, found = pop_common_settings(settings, key)
    messages += found
    if "recipe" not in given:
        messages.append(f"{key}.recipe is missing; {MUST_BE}.")
    else:
        messages += name_problems(recipe, settings, key)
    if not isinstance(layers, dict):
        allowed = "a mapping from layer numbers to the settings of these layers, such as {3: {gain: 0.5}}"
        messages.append(f"{key}.layers holds {shown(layers)}; it must be {allowed}.")
        layers = {}
    exceptions = {}
    for number, layer in layers.items():
        here = f"{key}.layers[{printable(number)}]"
        l = int(number) if isinstance(number, str) and number.isdecimal() else number
        if not fits(l, int) or l < 1 or (n_layers is not None and l > n_layers):
            last = f" to {n_layers}, the output layer" if n_layers is not None else ""
            messages.append(f"{key}.layers holds {shown(number)}; layer numbers must be whole numbers from 1{last}.")
        elif not isinstance(layer, dict):
            messages.append(f"{here} holds {shown(layer)}; it must be a recipe or settings, such as {{gain: 0.5}}.")
        else:
            exceptions[l], found = read_layer(dict(layer), here)
            messages += found
    if messages:
        return None, messages
    return Recipe(recipe, settings, **{**COMMON_SETTINGS, **every}, layers=exceptions), []


def read_layer(settings: dict[str, Any], key: str) -> tuple[Layer, list[str]]:
    """The exception for one layer, at `key`, and messages for what is invalid."""
    recipe = settings.pop("recipe", None)
    every, messages = pop_common_settings(settings, key)
    if recipe in NETWORK_RECIPES:
        messages.append(
            f"{key}.recipe holds {shown(recipe)}, a recipe for whole networks; it must be a recipe for a layer."
        )
    elif recipe is not None:
        messages += name_problems(recipe, settings, key)
    else:
        known = ["recipe", *COMMON_SETTINGS]
        messages += [unknown_key(key, s, known, "a layer without recipe")[0] for s in settings]
    return Layer(recipe, settings, **every), messages


def pop_common_settings(settings: dict[str, Any], key: str) -> tuple[dict[str, float], list[str]]:
    """Remove gain and bias from the settings; return the valid ones, and messages for the others."""
    given = {name: settings.pop(name) for name in COMMON_SETTINGS if name in settings}
    found = [
        f"{key}.{name} holds {shown(x)}; it must be a finite number." for name, x in given.items() if not fits(x, float)
    ]
    return {name: float(x) for name, x in given.items() if fits(x, float)}, found


def name_problems(recipe: Any, settings: dict[str, Any], key: str) -> list[str]:
    """Messages for an invalid recipe name or, if it is valid, for invalid settings."""
    if not isinstance(recipe, str):
        return [f"{key}.recipe holds {shown(recipe)}; {MUST_BE}."]
    try:
        find(recipe)
    except ValueError as error:
        question = "" if OWN.fullmatch(recipe) else hint(suggestion(recipe))
        return [f"{key}.recipe holds {shown(recipe)}; {error}{question}."]
    return setting_problems(recipe, settings, key)
