"""Recipes of params.yaml as checked `Recipe` objects. Their settings follow from the signatures of their factories."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaValidator, core_schema

from pipeline.config.messages import corrected, dotted, fits, nearest, printable, shown
from pipeline.config.recipe_names import suggestion
from pipeline.config.validation import Allowed, Problems, messages, text_keys
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.initializers.recipes import MUST_BE, Layer, Recipe, failure, find, sample_parameters, settings_of

NUMBER = Allowed("a finite number", float)
KINDS = {  # by the annotation of a setting
    float: NUMBER,
    int: Allowed("a whole number", int),
    str: Allowed("text", str),
    bool: Allowed("true or false", bool),
}
SCALAR = Allowed("a number, text, true or false", (bool, int, float, str))  # without one of these annotations
COMMON = {"gain": NUMBER, "bias": NUMBER}  # settings of all recipes


def read_recipe(section: Any, key: str, n_layers: int | None) -> Recipe:
    """The recipe in section `key` of params.yaml for a network of `n_layers` (None: unknown). Raises Problems."""
    if not isinstance(section, dict):
        allowed = "a recipe and its settings, such as {recipe: zeros}"
        raise Problems([f"{key} holds {shown(section)}; it must be {allowed}."])
    section, problems, layers = text_keys(section), [], {}
    given = section.pop("layers", {})
    try:
        if "recipe" not in section:
            if misspelled := [name for name in section if nearest(name, ["recipe"])]:
                allowed = f"it must be one of recipe, {', '.join(COMMON)}, layers, or a setting of the recipe"
                raise Problems([corrected(f"{dotted(key, misspelled[0])} is unknown", "recipe", allowed)])
            raise Problems([f"{key}.recipe is missing; {MUST_BE}."])
        whole = _read_settings(section, key, ["layers"])
    except Problems as found:
        problems += found.messages
    if not isinstance(given, dict):
        allowed = "a mapping from layer numbers to the settings of these layers, such as {3: {gain: 0.5}}"
        problems.append(f"{key}.layers holds {shown(given)}; it must be {allowed}.")
        given = {}
    for number, layer in given.items():
        here = f"{key}.layers[{printable(number)}]"
        l = int(number) if isinstance(number, str) and number.isdecimal() else number
        if not fits(l, int) or l < 1 or (n_layers is not None and l > n_layers):
            last = f" to {n_layers}, the output layer" if n_layers is not None else ""
            problems.append(f"{key}.layers holds {shown(number)}; layer numbers must be whole numbers from 1{last}.")
        elif not isinstance(layer, dict):
            problems.append(f"{here} holds {shown(layer)}; it must be a recipe or settings, such as {{gain: 0.5}}.")
        elif isinstance(name := layer.get("recipe"), str) and name in NETWORK_RECIPES:
            allowed = "a recipe for a layer, not for a whole network"
            problems.append(f"{here}.recipe holds {shown(name)}; it must be {allowed}.")
        else:
            try:
                layers[l] = Layer(**_read_settings(text_keys(layer), here, ["recipe"]))
            except Problems as found:
                problems += found.messages
    if problems:
        raise Problems(problems)
    return Recipe(**whole, layers=layers)


def _read_settings(section: dict[str, Any], key: str, more: Sequence[str]) -> dict[str, Any]:
    """The fields of a `Recipe` or `Layer`: recipe, settings, gain and bias, as far as they are given.

    The section of a layer may be without a recipe. `more` are keys that it also has, for messages. Raises Problems.
    """
    if "recipe" not in section:
        return _checked(section, key, None, more)
    recipe = section["recipe"]
    try:
        find(Allowed("", str).check(recipe))
    except ValueError as error:
        allowed = str(error) or MUST_BE
        close = suggestion(recipe) if allowed == MUST_BE and isinstance(recipe, str) else ""
        raise Problems([corrected(f"{key}.recipe holds {shown(recipe)}", close, allowed)]) from error
    values = _checked({name: value for name, value in section.items() if name != "recipe"}, key, recipe, more)
    settings = {name: value for name, value in values.items() if name not in COMMON}
    try:
        find(recipe)(**settings)
    except (ValueError, ArithmeticError) as error:  # "std must be greater than 0, not -1.0"
        setting, _, clause = str(error).partition(" ")
        if setting not in settings:
            raise Problems([f"{key} has invalid settings: {error}."]) from error
        clause = clause.partition(", not ")[0]
        raise Problems([f"{key}.{setting} holds {shown(section[setting])}; it {clause}."]) from error
    return {"recipe": recipe, "settings": settings} | {name: values[name] for name in COMMON if name in values}


def _checked(section: dict[str, Any], key: str, recipe: str | None, more: Sequence[str]) -> dict[str, Any]:
    """The settings in a section, by a pydantic schema made from the signature of the recipe. Raises Problems."""
    wanted = settings_of(recipe) if recipe is not None else {}
    required = {name for name, parameter in wanted.items() if parameter.default is parameter.empty}
    rules = {name: KINDS.get(parameter.annotation, SCALAR) for name, parameter in wanted.items()} | COMMON
    rules |= {name: _bounded(rule, name, recipe, required) for name, rule in rules.items() if name in wanted and recipe}
    fields = {
        name: core_schema.typed_dict_field(rule.schema(), required=name in required) for name, rule in rules.items()
    }
    validator = SchemaValidator(core_schema.typed_dict_schema(fields, extra_behavior="forbid"))
    try:
        return dict(validator.validate_python(section))
    except ValidationError as error:
        keys = {name: rule.text for name, rule in rules.items()} | dict.fromkeys(more, "")
        owner = "a layer without recipe" if recipe is None else f"the recipe {recipe}"
        raise Problems(messages(error, keys, key, owner)) from error


def _bounded(rule: Allowed, name: str, recipe: str, required: Collection[str]) -> Allowed:
    """The rule with the bound of a setting in its text, which a factory reports for -inf: a finite number at least 1.

    The factory checks the bound itself.
    """
    try:
        find(recipe)(**dict.fromkeys(required, 1.0) | {name: -math.inf})
    except (ValueError, ArithmeticError) as error:
        setting, _, clause = str(error).partition(" must be ")
        if setting == name:
            bound = clause.removesuffix(", not -inf").partition(", which is")[0]
            return replace(rule, text=bound if bound.startswith("one of ") else f"{rule.text} {bound}")
    return rule


def dry_run(recipe: Recipe, seed: int, network: NetworkSpec) -> str:
    """Sample a model twice from one seed; return what is wrong with it, to follow the recipe's key, or ""."""
    try:
        first, second = (sample_parameters(recipe, seed, network) for _ in range(2))
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        return failure(error)
    pairs = [(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)]
    if any(a.tobytes() != b.tobytes() for a, b in pairs):
        return "returned different weights when called again with the same seed; it must draw from rng only"
    return ""
