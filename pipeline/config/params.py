"""Read params.yaml and check it as a whole: `load` returns its values with types.

Invalid parameters are rejected before any stage runs, with a one-line message for each problem: the key, its value and
the allowed values.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import recipe_settings, yaml_file
from pipeline.config.messages import cut, dotted, fits, hint, nearest, printable, shown, unknown_key
from pipeline.config.schema import (
    ALSO_CALLED,
    ENTRIES,
    MAX_SEED,
    MAX_SEEDS,
    NAMED,
    Params,
    Section,
    SeedRange,
    _file_name,
)
from pipeline.datasets import DATASETS
from pipeline.errors import UserError
from pipeline.initializers.recipes import Recipe
from pipeline.networks.activations import ACTIVATIONS


class ParamsError(UserError):
    """The parameters are invalid; the message has one line for each problem."""


def load(path: Path | str = "params.yaml") -> Params:
    """The checked parameters of a file. Raises ParamsError with one line for each problem."""
    try:
        document = yaml_file.read(Path(path))
    except yaml_file.YamlFileError as error:
        raise ParamsError(str(error)) from error
    return check(document, Path(path).name)


def check(document: Any, file: str = "params.yaml") -> Params:
    """The checked parameters of a document read from YAML; `file` is its name in messages. Raises ParamsError."""
    if not isinstance(document, dict):
        sections = ", ".join(Params.model_fields)
        raise ParamsError(f"{file} holds {shown(document)}; it must hold the sections {sections}.")
    problems: list[str] = []
    document = _text_keys({key: part if key == "initializers" else _text_keys(part) for key, part in document.items()})
    if isinstance(document.get("seeds"), dict):
        document["seeds"] = _seed_list(document["seeds"], problems)
    if isinstance(document.get("seeds"), list):
        problems += _seed_problems(document["seeds"])
    if isinstance(document.get("comparison"), dict):
        problems += _comparison_problems(document["comparison"], document.get("initializers"), document.get("seeds"))
    if isinstance(document.get("initializers"), dict):
        document["initializers"] = _recipes(document["initializers"], _n_layers(document.get("network")), problems)
    try:
        params = Params.model_validate(document)
    except ValidationError as error:
        problems += _messages(error, Params)
    if problems:
        raise ParamsError("\n".join(f"{file}: {problem}" for problem in dict.fromkeys(problems)))
    return params


def warnings(P: Params, file: str = "params.yaml") -> list[str]:
    """One line for each combination of values that is valid but probably not intended; each begins with `file`."""
    found = []
    data = DATASETS[P.data.name]
    if data.n_samples is None and P.data.train_seed == P.data.test_seed:
        found.append(
            f"data.train_seed and data.test_seed both hold {P.data.test_seed}: training and test samples are drawn "
            "from the same random numbers, so the test accuracy does not measure generalization."
        )
    if data.n_samples is not None and P.data.noise > 0.0:
        found.append(
            f"data.noise holds {P.data.noise:g}, and {P.data.name} is measured data: normal noise of this standard "
            "deviation is added to every input. Set it to 0 to use the samples unchanged."
        )
    if (P.training.samples_per_step or 0) > P.data.n_train:
        found.append(
            f"training.batch_size holds {P.training.batch_size}, and there are {P.data.n_train} training samples: "
            "every step uses all of them, as with `full`."
        )
    for one, other in combinations(P.initializers, 2):
        if P.initializers[one] == P.initializers[other]:
            found.append(
                f"initializers.{one} and initializers.{other} are the same recipe: their models are identical."
            )
    return [f"{file}: warning: {sentence}" for sentence in found]


def _seed_list(section: dict[str, Any], problems: list[str]) -> Any:
    """The seeds of {first, last} as a list; if it is invalid, append to `problems` and return a valid tuple."""
    try:
        seeds = SeedRange.model_validate(section)
    except ValidationError as error:
        problems += _messages(error, SeedRange, "seeds")
        return (0,)  # not a list, so that no other check applies
    if seeds.last < seeds.first:
        problems.append(f"seeds.last holds {seeds.last}; it must be at least seeds.first, which is {seeds.first}.")
        return (0,)
    return list(range(seeds.first, min(seeds.last, seeds.first + MAX_SEEDS) + 1))


def _comparison_problems(comparison: dict[str, Any], initializers: Any, seeds: Any) -> list[str]:
    """Messages for a reference that is not an initializer and for a highlighted seed that is not trained."""
    problems = []
    reference, seed = comparison.get("reference"), comparison.get("highlight_seed")
    names = list(initializers) if isinstance(initializers, dict) else []
    valid = names and all(map(_is_name, [*names, reference]))
    if isinstance(reference, str) and valid and reference not in names:
        allowed = f"one of the initializers {', '.join(names)}{hint(nearest(reference, names))}"
        problems.append(f"comparison.reference holds {shown(reference)}; it must be {allowed}.")
    trained = seeds if isinstance(seeds, list) and all(map(_is_seed, seeds)) else []
    if _is_seed(seed) and trained and seed not in trained:
        allowed = f"one of the seeds {_several(trained)}"
        problems.append(f"comparison.highlight_seed holds {seed}; it must be {allowed}.")
    return problems


def _is_name(name: Any) -> bool:
    try:
        _file_name(name)
    except ValueError:
        return False
    return True


def _is_seed(seed: Any) -> bool:
    return fits(seed, int) and 0 <= seed <= MAX_SEED


def _several(seeds: list[int]) -> str:
    """Seeds as text: "0 to 99" for consecutive ones, otherwise "3, 14, 15"."""
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return cut(", ".join(map(str, seeds)))


def _seed_problems(seeds: list[Any]) -> list[str]:
    if not seeds:
        return ["seeds is empty; it must hold at least one seed."]
    if len(seeds) > MAX_SEEDS:
        return [f"seeds holds more than {MAX_SEEDS} seeds; it must hold at most {MAX_SEEDS}."]
    counts = Counter(seed for seed in seeds if type(seed) is int)
    return [f"seeds holds {shown(s)} more than once; seeds must be unique." for s, n in counts.items() if n > 1]


def _recipes(given: dict[Any, Any], n_layers: int | None, problems: list[str]) -> dict[str, Recipe]:
    """The valid recipes of the section, {name: {recipe: ..., setting: ...}}; append to `problems` for the others."""
    if not given:
        problems.append("initializers is empty; it must hold at least one initializer.")
    problems += _name_problems(given)
    read = {}
    for name, recipe in given.items():
        key = dotted("initializers", printable(name))
        if not isinstance(recipe, dict):
            problems.append(
                f"{key} holds {shown(recipe)}; it must be a recipe and its settings, such as {{recipe: zeros}}."
            )
            continue
        made, found = recipe_settings.read_recipe(_text_keys(recipe), key, n_layers)
        problems += found
        if made:
            read[printable(name)] = made
    return read


def _n_layers(network: Any) -> int | None:
    """The number of layers of the section `network`, the output included; None if hidden_sizes is not a list."""
    hidden = network.get("hidden_sizes") if isinstance(network, dict) else None
    return len(hidden) + 1 if isinstance(hidden, list) else None


def _name_problems(names: Iterable[Any]) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    for name in names:
        try:
            other = seen.setdefault(_file_name(name).lower(), name)
        except ValueError:
            problems.append(
                f"initializers: {shown(name)} is not a valid name; names are used in file names and must be {NAMED}."
            )
            continue
        if other != name:
            reason = "which are the same file name on macOS and Windows; names must differ in more than case"
            problems.append(f"initializers holds {other} and {name}, {reason}.")
    return problems


def _messages(error: ValidationError, model: type[Section], prefix: str = "") -> list[str]:
    """The errors of pydantic as messages. A misspelled or renamed key gives one message: it is not missing as well."""
    findings = error.errors(include_url=False)
    missing = {finding["loc"] for finding in findings if finding["type"] == "missing"}
    unknown: list[str] = []
    for finding in findings:
        if finding["type"] == "extra_forbidden":
            *parents, key = finding["loc"]
            section = dotted(prefix, *parents)
            message, replacement = unknown_key(
                section, str(key), _section(model, parents).model_fields, section or "the file"
            )
            missing.discard((*parents, replacement))
            unknown.append(message)
    others = []
    for finding in findings:
        path, value, key = finding["loc"], finding["input"], dotted(prefix, *finding["loc"])
        if path in missing:
            others.append(f"{key} is missing; it must be {_allowed(model, path)}.")
        elif finding["type"] not in ("missing", "extra_forbidden"):
            allowed = str(finding.get("ctx", {}).get("error", "")) or _allowed(
                model, path
            )  # of a validator, or a field
            others.append(f"{key} holds {shown(value)}; it must be {allowed}{hint(_suggestion(key, value))}.")
    return unknown + others


def _suggestion(key: str, value: Any) -> str:
    """The data set or activation most similar to an unknown name at `key`; empty if there is none."""
    if key == "data.name":
        return nearest(value, DATASETS) if isinstance(value, str) else ""
    if key != "network.activation":
        return ""
    names = value if isinstance(value, list) else [value]
    unknown = next((name for name in names if isinstance(name, str) and name not in ACTIVATIONS), "")
    close = nearest(unknown, [*ACTIVATIONS, *ALSO_CALLED])
    return ALSO_CALLED.get(close, close)


def _allowed(model: type[Section], path: tuple[int | str, ...]) -> str:
    """The allowed values of the key at `path`: the description of its field."""
    if isinstance(path[-1], int):
        return ENTRIES[str(path[-2])]
    field = _section(model, path[:-1]).model_fields[str(path[-1])]
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
        return f"a section with the keys {', '.join(field.annotation.model_fields)}"
    return str(field.description)


def _section(model: type[Section], path: Iterable[int | str]) -> type[Section]:
    """The pydantic model of the section at `path`."""
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    return model


def _text_keys(section: Any) -> Any:
    """A section with all keys as text, so that 7 or null is reported as an unknown key; other values unchanged."""
    if not isinstance(section, dict):
        return section
    return {printable(key): value for key, value in section.items()}


def main(arguments: list[str] | None = None) -> int:
    """Check params.yaml or the file on the command line. Returns the exit code: 0 if it is valid, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.config.params", description="Check params.yaml.")
    parser.add_argument("path", nargs="?", default="params.yaml")
    path = parser.parse_args(arguments).path
    try:
        params = load(path)
    except ParamsError as error:
        print(error, file=sys.stderr)
        return 1
    for warning in warnings(params, Path(path).name):
        print(warning, file=sys.stderr)
    print(f"{path} is valid: {len(params.initializers)} initializers x {len(params.seeds)} seeds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
