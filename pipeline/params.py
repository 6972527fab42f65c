"""params.yaml as typed values, checked as a whole before anything works. Its only reader.

What is wrong is told in one sentence each: the key, what it holds, and what it may hold.
"""

import difflib
import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from pipeline.activations import ACTIVATIONS
from pipeline.datasets import DATASETS
from pipeline.initializers import RECIPES, Initializer

MAX_SEED = 2**32 - 1  # of RandomState
NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}  # of Windows


class ParamsError(ValueError):
    """params.yaml cannot be used; the message is one sentence for each thing that is wrong."""


def _finite(value: Any) -> float:
    if not _is(value, float):
        raise ValueError
    return float(value)


def _member(registry: Iterable[str]) -> AfterValidator:
    """A check that a name stands in `registry`."""

    def check(value: str) -> str:
        if value not in registry:
            raise ValueError
        return value

    return AfterValidator(check)


def _names(registry: Iterable[str]) -> Any:
    return Field(description=f"one of {', '.join(registry)}")


# Each description ends the sentence "... holds X; it must be ..."
WHOLE, SEED = "a whole number of at least 1", f"a whole number from 0 to {MAX_SEED}"
Number = Annotated[float, BeforeValidator(_finite)]
Positive = Annotated[Number, Field(gt=0, description="a number greater than 0")]
Count = Annotated[StrictInt, Field(ge=1, description=WHOLE)]
Seed = Annotated[StrictInt, Field(ge=0, le=MAX_SEED, description=SEED)]


class Section(BaseModel):
    """A part of params.yaml: every key there, and no other; not to be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """The data set."""

    name: Annotated[StrictStr, _member(DATASETS), _names(DATASETS)]
    n_train: Count
    n_test: Count
    noise: Annotated[Number, Field(ge=0, description="a number of at least 0")]
    train_seed: Seed
    test_seed: Seed


class Network(Section):
    """The layers between the inputs and the output."""

    hidden: Annotated[tuple[Count, ...], Field(description=f"a list, each entry {WHOLE}")]
    activation: Annotated[StrictStr, _member(ACTIVATIONS), _names(ACTIVATIONS)]


class Training(Section):
    """Gradient descent."""

    iterations: Count
    learning_rate: Positive
    record_every: Count


class Recipe(Section):
    """How an initializer is made: the recipe's name and its settings."""

    recipe: Annotated[StrictStr, _member(RECIPES), _names(RECIPES)]
    settings: dict[str, Any]

    def build(self) -> Initializer:
        """The initializer."""
        return RECIPES[self.recipe](**self.settings)


class Comparison(Section):
    """What the tables and figures single out."""

    tutorial_seed: Seed
    reference: Annotated[StrictStr, Field(description="the name of an initializer")]
    target_cost: Positive
    target_accuracy: Annotated[Number, Field(gt=0, le=1, description="a number greater than 0 and at most 1")]
    confidence: Annotated[Number, Field(gt=0, lt=1, description="a number greater than 0 and less than 1")]


class Params(Section):
    """The whole of params.yaml."""

    data: Data
    network: Network
    training: Training
    seeds: Annotated[tuple[Seed, ...], Field(description=f"a list, each entry {SEED}, or {{first: ..., last: ...}}")]
    initializers: Annotated[dict[str, Recipe], Field(description="a mapping from names to recipes")]
    comparison: Comparison


class SeedRow(Section):
    """{first, last}, short for every whole number from one to the other."""

    first: Seed
    last: Seed


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check the file. Raises ParamsError with a sentence for each problem."""
    return check(_read(Path(path)), Path(path).name)


def check(document: Any, file: str = "params.yaml") -> Params:
    """Check a document read from YAML, of which `file` is the name in the sentences."""
    if not isinstance(document, dict):
        raise ParamsError(
            f"{file} holds {_shown(document)}; it must hold the sections {', '.join(Params.model_fields)}."
        )
    problems: list[str] = []
    document = dict(document)
    if isinstance(document.get("seeds"), dict):
        document["seeds"] = _seed_row(document["seeds"], file, problems)
    if "seeds" in document:
        problems += _seed_problems(document["seeds"], file)
    if "initializers" in document:
        document["initializers"] = _recipes(document["initializers"], file, problems)
    try:
        params = Params.model_validate(document)
    except ValidationError as error:
        problems += _sentences(error, file, Params)
    if problems:
        raise ParamsError("\n".join(dict.fromkeys(problems)))
    return params


def _read(path: Path) -> Any:
    """The document, if YAML 1.2 (DVC) and YAML 1.1 (PyYAML and most others) read the same in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ParamsError(f"{path} is missing; run in the folder that holds it.") from error
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path.name} is not text in UTF-8.") from error
    try:
        new = YAML(typ="safe", pure=True).load(text)
        old = yaml.load(text, Loader=yaml.SafeLoader)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        key = re.search(r'duplicate key "?([^"\s]*)', str(error.problem))
        named = f"the key {key[1]}" if key else "a key"
        raise ParamsError(f"{path.name}: line {line} gives {named} a second time; every key may stand once.") from error
    except (YAMLError, yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the file"
        raise ParamsError(f"{path.name}: {where} is not YAML: {getattr(error, 'problem', None) or error}.") from error
    problems: list[str] = []
    _compare(new, old, "", path.name, problems)
    if problems:
        raise ParamsError("\n".join(problems))
    return new


def _compare(new: Any, old: Any, key: str, file: str, problems: list[str]) -> None:
    """A sentence for every leaf that YAML 1.2 and YAML 1.1 read differently."""
    if isinstance(new, dict) and isinstance(old, dict) and len(new) == len(old):
        for (name, value), (old_name, other) in zip(new.items(), old.items(), strict=True):
            here = f"{key}.{name}" if key else str(name)
            if repr(name) != repr(old_name):
                problems.append(_ambiguous(file, here, name, old_name))
            _compare(value, other, here, file, problems)
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, (value, other) in enumerate(zip(new, old, strict=True)):
            _compare(value, other, f"{key}[{index}]", file, problems)
    elif repr(new) != repr(old):
        problems.append(_ambiguous(file, key, new, old))


def _ambiguous(file: str, key: str, new: Any, old: Any) -> str:
    advice = f"write {float(new)!r}" if isinstance(new, float) else "write it so that it has one reading"
    return f"{file}: {key} holds what is {_shown(new)} in YAML 1.2 and {_shown(old)} in YAML 1.1; {advice}."


def _seed_row(row: dict[Any, Any], file: str, problems: list[str]) -> Any:
    try:
        seeds = SeedRow.model_validate(row)
    except ValidationError as error:
        problems += _sentences(error, file, SeedRow, ("seeds",))
        return [0]
    return list(range(seeds.first, seeds.last + 1))


def _seed_problems(seeds: Any, file: str) -> list[str]:
    if not isinstance(seeds, list):
        return []
    if not seeds:
        return [f"{file}: seeds holds no seed; it must hold at least one."]
    whole = [seed for seed in seeds if type(seed) is int]
    twice = sorted({seed for seed in whole if whole.count(seed) > 1}) if len(set(whole)) < len(whole) else []
    return [f"{file}: seeds holds {seed} more than once; each seed may stand once." for seed in twice]


def _recipes(given: Any, file: str, problems: list[str]) -> Any:
    """{name: {recipe, setting: value, ...}} as {name: {recipe, settings}}, the settings checked and tried."""
    if not isinstance(given, dict):
        return given
    if not given:
        problems.append(f"{file}: initializers holds no initializer; it must hold at least one.")
    problems += _name_problems(given, file)
    recipes = {}
    for name, recipe in given.items():
        key = f"initializers.{name}"
        if not isinstance(recipe, dict):
            problems.append(f"{file}: {key} holds {_shown(recipe)}; it must hold a recipe and its settings.")
            continue
        settings = {str(setting): value for setting, value in recipe.items() if setting != "recipe"}
        made = {"settings": settings} | ({"recipe": recipe["recipe"]} if "recipe" in recipe else {})
        recipes[str(name)] = made
        if isinstance(recipe.get("recipe"), str) and recipe["recipe"] in RECIPES:
            problems += _setting_problems(recipe["recipe"], settings, file, key)
    return recipes


def _name_problems(names: dict[Any, Any], file: str) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(NAME, name) or name.lower() in DEVICES:
            problems.append(
                f"{file}: initializers holds the name {_shown(name)}; a name is also a file's name and must be "
                "a letter, then up to 63 letters, digits or underscores, and no device of Windows."
            )
        elif name.lower() in seen:
            problems.append(
                f"{file}: initializers holds {seen[name.lower()]} and {name}, which are one file name on macOS "
                "and Windows; names must differ in more than case."
            )
        else:
            seen[name.lower()] = name
    return problems


def _setting_problems(recipe: str, settings: dict[Any, Any], file: str, key: str) -> list[str]:
    """What is wrong with the settings of a recipe: its factory's keyword arguments."""
    wanted = inspect.signature(RECIPES[recipe]).parameters
    problems = []
    for setting in settings:
        if setting not in wanted:
            problems.append(f"{file}: {key} has the unknown key {setting}; {_may_have(recipe, setting, list(wanted))}.")
    for setting, parameter in wanted.items():
        if setting not in settings:
            if parameter.default is parameter.empty:
                problems.append(f"{file}: {key} lacks {setting}, which the recipe {recipe} needs.")
            continue
        value, kind = settings[setting], parameter.annotation
        if not _is(value, kind):
            problems.append(f"{file}: {key}.{setting} holds {_shown(value)}; it must be {_article(kind)}.")
    if not problems:
        try:
            RECIPES[recipe](**settings)
        except ValueError as error:
            problems.append(f"{file}: {key}: {error}.")
    return problems


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0
    return type(value) is kind


def _article(kind: Any) -> str:
    return {float: "a finite number", int: "a whole number", str: "text"}.get(kind, str(kind))


def _may_have(recipe: str, key: str, known: list[str]) -> str:
    return f"the recipe {recipe} has {', '.join(known) or 'no settings'}{_nearest(key, known)}"


def _nearest(key: Any, known: list[str]) -> str:
    close = difflib.get_close_matches(str(key), known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _sentences(error: ValidationError, file: str, model: type[Section], prefix: tuple[str, ...] = ()) -> list[str]:
    """pydantic's findings in plain words."""
    sentences = []
    for finding in error.errors(include_url=False):
        path = finding["loc"]
        key, parent = _dotted(prefix + path), _dotted(prefix + path[:-1])
        if finding["type"] == "extra_forbidden":
            known = list(_section(model, path[:-1]).model_fields)
            has = f"{parent} has" if parent else "there are"
            sentences.append(f"{file}: {key} is unknown; {has} {', '.join(known)}{_nearest(path[-1], known)}.")
        elif finding["type"] == "missing":
            sentences.append(f"{file}: {key} is missing; it must be {_allowed(model, path)}.")
        else:
            sentences.append(f"{file}: {key} holds {_shown(finding['input'])}; it must be {_allowed(model, path)}.")
    return sentences


def _allowed(model: type[Section], path: tuple[Any, ...]) -> str:
    """What the key at `path` may hold: the description of its field."""
    words = ""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            field = model.model_fields[part]
            words = field.description or words
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                model = field.annotation
                words = f"a section with the keys {', '.join(model.model_fields)}"
            elif part == "initializers":
                model = Recipe
    return words


def _section(model: type[Section], path: tuple[Any, ...]) -> type[Section]:
    for part in path:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    return model


def _dotted(path: tuple[Any, ...]) -> str:
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {value!r}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def main(arguments: list[str]) -> int:
    """Check the file named, or params.yaml, and say so."""
    path = arguments[0] if arguments else "params.yaml"
    try:
        params = load(path)
    except ParamsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path} is valid: {len(params.initializers)} initializers x {len(params.seeds)} seeds.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
