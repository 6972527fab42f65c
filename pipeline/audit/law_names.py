"""Names of laws: from an initializer's name in the laboratory or a framework to that of the law in the catalogue.

"he_normal" is a normal distribution here and in PyTorch, which calls it kaiming_normal_, and one truncated at 2
standard deviations in Keras and JAX. So "he_normal" is a normal distribution, unless the model is of Keras or Flax;
"HeNormal", a name that only Keras has, is the truncated one everywhere.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.audit.judge import STRUCTURES
from pipeline.config.messages import corrected, fits, folded, shown
from pipeline.config.recipe_names import framework_names, suggestion
from pipeline.distributions.laws import BY_NAME
from pipeline.errors import UserError
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES
from pipeline.initializers.registry import Entry

COLUMNS = {"pytorch": "pytorch", "keras": "keras", "flax": "jax", "jax": "jax"}  # of the registry, by framework
CLOSE = 1e-3  # relative difference of settings that are written with few digits
ACCEPTED = "it must be an initializer of docs/initializers.md with its settings, such as he_normal or normal(std=0.02)"
DEFAULTS = {  # initializers of Keras and PyTorch without fixed settings, and what they draw without arguments
    "RandomNormal": "normal(std=0.05)",
    "TruncatedNormal": "truncated_normal(std=0.05)",
    "RandomUniform": "uniform(low=-0.05, high=0.05)",
    "normal_": "normal(std=1)",
    "uniform_": "uniform(low=0, high=1)",
}
FREE = {"normal": {"std"}, "truncated_normal": {"std"}, "uniform": {"low", "high"}}  # recipes with any such settings
FAR = 5.0  # standard deviations from which a bound cuts nothing off: 1 draw in two million is beyond
# Recipes whose scale PyTorch's argument `nonlinearity` changes, for those without a law of their own
KAIMING = {"relu": "he", "leaky_relu": "he", "linear": "lecun", "sigmoid": "lecun"}
OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


class Call(NamedTuple):
    """A name with arguments."""

    name: str  # without its module: kaiming_normal_ for torch.nn.init.kaiming_normal_
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


def value_of(node: ast.AST, names: Mapping[str, Any]) -> Any:
    """The value of an expression of numbers, texts, + - * / **, sqrt() and `names`. Raises ValueError for others."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.BinOp | ast.UnaryOp) and type(node.op) in OPERATORS:
        operands = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
        values = [value_of(operand, names) for operand in operands]
        small = all(fits(value, float) and abs(value) < 1e9 for value in values)
        if small and (not isinstance(node.op, ast.Pow) or values[1] == 2):
            return OPERATORS[type(node.op)](*values)
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sqrt" and len(node.args) == 1:
        return math.sqrt(value_of(node.args[0], names))
    if isinstance(node, ast.Name):
        return node.id  # a text without quotes, such as mode=fan_out
    raise ValueError(f"{ast.unparse(node)} is not a number")


def read_call(text: str) -> Call:
    """The call that a text is. Raises ValueError if it is none."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"{text} is not a name with settings") from None
    function = node.func if isinstance(node, ast.Call) else node
    if not isinstance(function, ast.Name | ast.Attribute):
        raise ValueError(f"{text} is not a name with settings")
    name = ast.unparse(function).rpartition(".")[2]
    if not isinstance(node, ast.Call):
        return Call(name, (), {})
    try:
        arguments = tuple(value_of(argument, {}) for argument in node.args)
        keywords = {each.arg: value_of(each.value, {}) for each in node.keywords if each.arg}
    except (ArithmeticError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return Call(name, arguments, keywords)


def cell_of(entry: Entry[Any], framework: str) -> ast.expr | None:
    """The name or call with which a framework draws a recipe, from the registry; None if there is none."""
    cell = getattr(entry, COLUMNS[framework]) if framework in COLUMNS else ""
    call = re.search(r"`([^`]+)`", cell)
    return ast.parse(call[1], mode="eval").body if call else None


def documented(laws: Sequence[str], expected: Sequence[str] = ()) -> list[str]:
    """The single names in names of laws, some joined by " = ": the expected ones first, then the others in order.

    Mistakes, and laws of a measured scale such as normal(std=0.141), are left out if there are others.
    """
    names = [name for law in laws for name in law.split(" = ")]
    in_catalogue = [name for name in names if name in BY_NAME or name in expected]
    kept = [name for name in in_catalogue if name in expected or BY_NAME[name].documented]
    return sorted(kept or in_catalogue or names, key=lambda name: name not in expected)


def law_of(name: str, framework: str = "") -> str:
    """The name in the catalogue, or of a structure, of an initializer's name in any framework.

    `framework` is that of the model: "pytorch", "keras", "flax", ... or "". Raises UserError, with a suggestion, for
    other names, and for laws that need settings and have none.
    """
    text = name.strip()
    try:
        call = read_call(text)
    except ValueError:
        if text in BY_NAME:  # a mistake, which is not a call
            return text
        raise _unknown(name) from None
    recipe, settings = _translated(call, framework)
    if (not call.arguments and not call.keywords) and recipe == call.name and text in BY_NAME:
        return text
    if recipe in STRUCTURES:
        return recipe
    if (found := _in_catalogue(recipe, settings)) is not None:
        return found
    if (
        recipe in FREE
        and set(settings) - {"mean"} == FREE[recipe]
        and all(fits(value, float) for value in settings.values())
    ):
        try:
            RECIPES[recipe].factory(**{key: value for key, value in settings.items() if key != "mean"})
        except ValueError as error:
            raise UserError(f"expect holds {shown(name)}; {error}.") from error
        return f"{recipe}({', '.join(f'{key}={value:.12g}' for key, value in settings.items())})"
    if recipe in NETWORK_RECIPES:
        raise UserError(f"expect holds {shown(name)}; weights of {recipe} depend on the network and have no law.")
    if recipe in FREE and not settings:
        raise UserError(f"expect holds {shown(name)}; {recipe} requires {' and '.join(sorted(FREE[recipe]))}.")
    if recipe in RECIPES:
        raise UserError(f"expect holds {shown(name)}; no law of the audit has these settings; {ACCEPTED}.")
    raise _unknown(name)


def _unknown(name: str) -> UserError:
    text = name.strip()
    close = suggestion(text) or next((rule for rule in BY_NAME if text and rule.startswith(text)), "")
    return UserError(corrected(f"expect holds {shown(name)}", close, ACCEPTED))


def _translated(call: Call, framework: str) -> tuple[str, dict[str, Any]]:
    """Recipe and settings for a name of `framework`, or else of the laboratory, or else of another framework."""
    bases = {rule.partition("(")[0] for rule in BY_NAME}
    recipe, column = call.name, ""
    if (own := _column_names(framework).get(folded(call.name))) is not None:
        recipe, column = own, framework
    elif call.name not in RECIPES and call.name not in bases and call.name not in STRUCTURES:
        others = framework_names() | {"Linear": ("pytorch_linear", "PyTorch")}
        exact = others.get(call.name)
        if exact is None:
            close = {folded(each): value for each, value in reversed(others.items())}
            close |= {folded(each): (each, "") for each in (*bases, *RECIPES)}
            exact = close.get(folded(call.name))
        if exact is not None:
            recipe, column = exact[0], {"PyTorch": "pytorch", "Keras": "keras", "JAX": "jax"}.get(exact[1], "")
    if not (call.arguments or call.keywords) and call.name in DEFAULTS and recipe != call.name:
        default = read_call(DEFAULTS[call.name])
        return default.name, dict(default.keywords)
    settings = dict(call.keywords)
    if call.name == "trunc_normal_":
        return _truncated(call)
    if recipe in RECIPES and column:
        settings = _settings(RECIPES[recipe], call, column)
    if recipe == "sklearn_mlp" and settings.get("activation", "relu") != "logistic":
        return "xavier_uniform", {}
    if nonlinearity := settings.pop("nonlinearity", ""):
        family = recipe.partition("_")[2]
        if base := KAIMING.get(nonlinearity):
            return f"{base}_{family}", settings
        return f"kaiming_{family}", settings | {"nonlinearity": nonlinearity}
    if recipe.startswith("kaiming_"):
        return f"he_{recipe.removeprefix('kaiming_')}", settings
    if recipe.startswith("he_") and abs(settings.get("negative_slope", 0.0) - math.sqrt(5.0)) < CLOSE:
        return "pytorch_linear", {}
    return recipe, settings


def _truncated(call: Call) -> tuple[str, dict[str, Any]]:
    """PyTorch's trunc_normal_(tensor, mean, std, a, b), whose bounds are values: if far away they cut nothing off."""
    given: dict[str, Any] = {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}
    given |= {**dict(zip(given, call.arguments, strict=False)), **call.keywords}
    if len(given) > 4 or not all(fits(value, float) for value in given.values()) or not given["std"] > 0.0:
        return "truncated_normal", given
    low, high = ((given[bound] - given["mean"]) / given["std"] for bound in "ab")
    settings = {"std": given["std"]} | ({"mean": given["mean"]} if given["mean"] else {})
    if low <= -FAR and high >= FAR:
        return "normal", settings
    return "truncated_normal", settings if _equal(low, -2.0) and _equal(high, 2.0) else given


def _settings(entry: Entry[Any], call: Call, framework: str) -> dict[str, Any]:
    """The settings of a recipe for the arguments of the framework's call."""
    cell = cell_of(entry, framework)
    names: dict[Any, str] = {"stddev": "std", "std": "std", "minval": "low", "maxval": "high", "scale": "high"}
    if isinstance(cell, ast.Call):
        if not (cell.keywords and cell.keywords[0].arg == "std"):  # normal_(tensor, mean, std)
            names |= {k: ast.unparse(each.value) for k, each in enumerate(cell.keywords)}
        names |= {k: ast.unparse(argument) for k, argument in enumerate(cell.args)}
        names |= {each.arg: ast.unparse(each.value) for each in cell.keywords if each.arg}
    given: dict[Any, Any] = dict(enumerate(call.arguments))
    given |= call.keywords
    return {names.get(key, str(key)): value for key, value in given.items()}


def _column_names(framework: str) -> dict[str, str]:
    """{folded name: recipe} of a framework."""
    found: dict[str, str] = {}
    for recipe, entry in RECIPES.items():
        cell = cell_of(entry, framework)
        if cell is not None:
            function = cell.func if isinstance(cell, ast.Call) else cell
            found.setdefault(folded(ast.unparse(function).rpartition(".")[2]), recipe)
    return found


def _in_catalogue(recipe: str, settings: Mapping[str, Any]) -> str | None:
    """The name in the catalogue with this recipe and these settings; settings at their defaults may be written."""
    defaults = {"gain": 1.0, "negative_slope": 0.0, "mode": "fan_in", "activation": "relu", "low": -2.0, "high": 2.0}
    defaults |= {"mean": 0.0}
    for rule in BY_NAME:
        try:
            known = read_call(rule)
        except ValueError:  # a mistake, which is not a call
            continue
        if known.name == recipe and all(
            _equal(settings.get(key, defaults.get(key)), known.keywords.get(key, defaults.get(key)))
            for key in {**settings, **known.keywords}
        ):
            return rule
    return None


def _equal(a: Any, b: Any) -> bool:
    if fits(a, float) and fits(b, float):
        return bool(abs(a - b) <= CLOSE * max(abs(a), abs(b)))
    return bool(a == b)
