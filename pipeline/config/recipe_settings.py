"""A recipe in params.yaml as a checked `Recipe`, and what is wrong with it."""

from typing import Any

from pipeline.config import frameworks
from pipeline.config.messages import dotted, fits, folded, hint, nearest, shown, word
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.initializers.recipes import MUST_BE, OWN, Layer, Recipe, find, sample_parameters, settings_of

SETTING_KINDS = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false"}
COMMON_SETTINGS = {
    "gain": 1.0,
    "bias": 0.0,
}  # what every recipe may be given besides its settings, and what not given means


def suggestion(name: str) -> str:
    """The recipe to suggest for an unknown name, for the end of a question; empty if there is none.

    A framework's name stands for the law that it has there: HeNormal is Keras', and truncated. Other names are compared
    with the recipes and the frameworks' names, ignoring case and punctuation.
    """
    own, others = [*RECIPES, *NETWORK_RECIPES], frameworks.framework_names()
    close = name if name in others else nearest(name, [*own, *others])
    if close in own or not close:
        return close
    recipe, framework = others[close]
    return recipe if folded(recipe) == folded(close) else f"{recipe}, which {framework} calls {close}"


def setting_problems(recipe: str, settings: dict[str, Any], key: str) -> list[str]:
    """Sentences for what is wrong with the settings of a recipe that can be found. Whole floats become floats."""
    wanted = settings_of(recipe)
    missing = {s for s, parameter in wanted.items() if s not in settings and parameter.default is parameter.empty}
    sentences = []
    for setting in [s for s in settings if s not in wanted]:
        close = nearest(setting, [*wanted, *COMMON_SETTINGS, "layers"])
        missing.discard(close)  # one slip, one sentence
        has = f"the recipe {recipe} has {', '.join([*wanted, *COMMON_SETTINGS, 'layers'])}{hint(close)}"
        sentences.append(f"{dotted(key, setting)} is unknown; {has}.")
    for setting, parameter in wanted.items():
        kind = parameter.annotation
        may_be = SETTING_KINDS.get(kind, "a number, text, true or false")
        if setting in missing:
            sentences.append(f"{key}.{setting} is missing; the recipe {recipe} needs it, and it must be {may_be}.")
        elif setting in settings and not any(
            fits(settings[setting], k) for k in ([kind] if kind in SETTING_KINDS else SETTING_KINDS)
        ):
            sentences.append(f"{key}.{setting} holds {shown(settings[setting])}; it must be {may_be}.")
        elif setting in settings and kind is float:
            settings[setting] = float(settings[setting])
    return sentences or factory_problems(recipe, settings, key)


def factory_problems(recipe: str, settings: dict[str, Any], key: str) -> list[str]:
    """What the factory itself says against its settings: "std must be greater than 0, not -1.0"."""
    try:
        find(recipe)(**settings)
    except (ValueError, ArithmeticError) as error:
        setting, _, clause = str(error).partition(" ")
        if setting not in settings:
            return [f"{key} holds settings that do not work: {error}."]
        return [f"{key}.{setting} holds {shown(settings[setting])}; it {clause.partition(', not ')[0]}."]
    return []


def dry_run(recipe: Recipe, seed: int, birth: NetworkSpec) -> str:
    """The end of a sentence about what is wrong with the models of a recipe, or nothing: born twice from one seed."""
    try:
        first, second = (sample_parameters(recipe, seed, birth) for _ in range(2))
    except Exception as error:  # whatever the user's code does
        if isinstance(error, ValueError) and str(error).startswith("returned "):
            return str(error)
        return f"raised {type(error).__name__}: {error}".splitlines()[0]
    pairs = [(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)]
    if any(a.tobytes() != b.tobytes() for a, b in pairs):
        return "returned different weights when called again with the same seed; it must draw from rng only"
    return ""


def read_recipe(given: dict[str, Any], key: str, n_layers: int | None) -> tuple[Recipe | None, list[str]]:
    """A recipe as it stands in params.yaml under `key`, for a network of so many layers, and what is wrong with it."""
    settings, sentences = dict(given), []
    recipe = settings.pop("recipe", None)
    layers = settings.pop("layers", {})
    every, wrong = pop_common_settings(settings, key)
    sentences += wrong
    if "recipe" not in given:
        sentences.append(f"{key}.recipe is missing; {MUST_BE}.")
    else:
        sentences += name_problems(recipe, settings, key)
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
    return Recipe(recipe, settings, **{**COMMON_SETTINGS, **every}, layers=exceptions), []


def read_layer(settings: dict[str, Any], key: str) -> tuple[Layer, list[str]]:
    """What one layer has otherwise, and what is wrong with it."""
    recipe = settings.pop("recipe", None)
    every, sentences = pop_common_settings(settings, key)
    if recipe in NETWORK_RECIPES:
        sentences.append(f"{key}.recipe holds {shown(recipe)}, which makes whole networks; it must be one for a layer.")
    elif recipe is not None:
        sentences += name_problems(recipe, settings, key)
    else:
        has = "a layer has recipe, its settings, gain and bias"
        sentences += [
            f"{dotted(key, s)} is unknown; {has}{hint(nearest(s, ['recipe', *COMMON_SETTINGS]))}." for s in settings
        ]
    return Layer(recipe, settings, **every), sentences


def pop_common_settings(settings: dict[str, Any], key: str) -> tuple[dict[str, float], list[str]]:
    """Gain and bias taken out of the settings, as far as they are given."""
    given = {name: settings.pop(name) for name in COMMON_SETTINGS if name in settings}
    wrong = [
        f"{key}.{name} holds {shown(x)}; it must be a finite number." for name, x in given.items() if not fits(x, float)
    ]
    return {name: float(x) for name, x in given.items() if fits(x, float)}, wrong


def name_problems(recipe: Any, settings: dict[str, Any], key: str) -> list[str]:
    """What is wrong with a recipe's name or its settings."""
    if not isinstance(recipe, str):
        return [f"{key}.recipe holds {shown(recipe)}; {MUST_BE}."]
    try:
        find(recipe)
    except ValueError as error:
        question = "" if OWN.fullmatch(recipe) else hint(suggestion(recipe))
        return [f"{key}.recipe holds {shown(recipe)}; {error}{question}."]
    return setting_problems(recipe, settings, key)
