"""params.yaml as typed values, checked as a whole before anything works. Its only reader.

Each problem is reported in one sentence: the key, what it holds, and what it may hold.

Long because every check that concerns more than one key is here.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from pipeline.config import recipe_settings, strict_yaml
from pipeline.config.messages import cut, dotted, fits, hint, nearest, shown, word
from pipeline.config.schema import (
    ALSO_CALLED,
    ENTRIES,
    MAX_SEED,
    MAX_SEEDS,
    NAMED,
    Params,
    Section,
    SeedRow,
    _file_name,
)
from pipeline.datasets import DATASETS
from pipeline.errors import UserError
from pipeline.initializers.recipes import Recipe
from pipeline.networks.activations import ACTIVATIONS


class ParamsError(UserError):
    """params.yaml cannot be used; the message is one sentence for each thing that is wrong."""


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check the file. Raises ParamsError with a sentence for each problem."""
    try:
        document = strict_yaml.read(Path(path))
    except strict_yaml.StrictYamlError as error:
        raise ParamsError(str(error)) from error
    return check(document, Path(path).name)


def check(document: Any, file: str = "params.yaml") -> Params:
    """Check a document read from YAML, of which `file` is the name in the sentences. Raises ParamsError."""
    if not isinstance(document, dict):
        sections = ", ".join(Params.model_fields)
        raise ParamsError(f"{file} holds {shown(document)}; it must hold the sections {sections}.")
    problems: list[str] = []
    document = _text_keys({key: part if key == "initializers" else _text_keys(part) for key, part in document.items()})
    if isinstance(document.get("seeds"), dict):
        document["seeds"] = _seed_row(document["seeds"], problems)
    if isinstance(document.get("seeds"), list):
        problems += _seed_problems(document["seeds"])
    if isinstance(document.get("training"), dict):
        problems += _record_problems(**document["training"])
    if isinstance(document.get("network"), dict):
        problems += _activation_problems(**document["network"])
    if isinstance(document.get("data"), dict):
        problems += _size_problems(**document["data"])
    if isinstance(document.get("comparison"), dict):
        problems += _comparison_problems(document["comparison"], document.get("initializers"), document.get("seeds"))
    if isinstance(document.get("initializers"), dict):
        document["initializers"] = _recipes(document["initializers"], _n_layers(document.get("network")), problems)
    try:
        params = Params.model_validate(document)
    except ValidationError as error:
        problems += _sentences(error, Params)
    if problems:
        raise ParamsError("\n".join(f"{file}: {problem}" for problem in dict.fromkeys(problems)))
    return params


def warnings(P: Params, file: str = "params.yaml") -> list[str]:
    """A sentence for each combination of values that is valid and hardly intended; `file` is named in each."""
    found = []
    data = DATASETS[P.data.name]
    if data.n_samples is None and P.data.train_seed == P.data.test_seed:
        found.append(
            f"data.train_seed and data.test_seed both hold {P.data.test_seed}: training and test samples come from the "
            "same random numbers, so that the test accuracy does not show generalization."
        )
    if data.n_samples is not None and P.data.noise > 0.0:
        found.append(
            f"data.noise holds {P.data.noise:g}, and {P.data.name} is measured data: normal noise of that standard "
            "deviation is added to every input. data.noise=0 leaves the samples as they are."
        )
    if (P.training.samples_per_step or 0) > P.data.n_train:
        found.append(
            f"training.batch_size holds {P.training.batch_size}, and there are {P.data.n_train} training samples: each "
            "step takes all of them, as with training.batch_size=full."
        )
    for one, other in combinations(P.initializers, 2):
        if P.initializers[one] == P.initializers[other]:
            found.append(
                f"initializers.{one} and initializers.{other} are the same recipe: their models are identical."
            )
    return [f"{file}: warning: {sentence}" for sentence in found]


def _seed_row(row: dict[str, Any], problems: list[str]) -> Any:
    try:
        seeds = SeedRow.model_validate(row)
    except ValidationError as error:
        problems += _sentences(error, SeedRow, "seeds")
        return (0,)  # valid, and not a list, so that no other check applies
    if seeds.last < seeds.first:
        problems.append(f"seeds.last holds {seeds.last}; it must be at least seeds.first, which is {seeds.first}.")
        return (0,)
    return list(range(seeds.first, min(seeds.last, seeds.first + MAX_SEEDS) + 1))


def _comparison_problems(comparison: dict[str, Any], initializers: Any, seeds: Any) -> list[str]:
    """Sentences for a reference that is no initializer and a seed that is not trained, where both sides are valid."""
    problems = []
    reference, seed = comparison.get("reference"), comparison.get("highlight_seed")
    names = list(initializers) if isinstance(initializers, dict) else []
    valid = names and all(map(_is_name, [*names, reference]))
    if isinstance(reference, str) and valid and reference not in names:
        allowed = f"one of the initializers, which are {', '.join(names)}{hint(nearest(reference, names))}"
        problems.append(f"comparison.reference holds {shown(reference)}; it must be {allowed}.")
    trained = seeds if isinstance(seeds, list) and all(map(_is_seed, seeds)) else []
    if _is_seed(seed) and trained and seed not in trained:
        allowed = f"one of the seeds that are trained, which are {_several(trained)}"
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
    """0 to 99; or 3, 14, 15."""
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return cut(", ".join(map(str, seeds)))


def _seed_problems(seeds: list[Any]) -> list[str]:
    if not seeds:
        return ["seeds holds no seed; it must hold at least one."]
    if len(seeds) > MAX_SEEDS:
        return [f"seeds holds more than {MAX_SEEDS} seeds; it must hold at most as many."]
    counts = Counter(seed for seed in seeds if type(seed) is int)
    return [f"seeds holds {shown(s)} more than once; each seed may stand once." for s, n in counts.items() if n > 1]


def _record_problems(iterations: Any = None, record_every: Any = None, **_: Any) -> list[str]:
    if not fits(iterations, int) or not fits(record_every, int) or not 1 <= iterations < record_every:
        return []
    allowed = f"a whole number from 1 to training.iterations, which is {shown(iterations)}"
    return [f"training.record_every holds {shown(record_every)}; it must be {allowed}."]


def _recipes(given: dict[Any, Any], n_layers: int | None, problems: list[str]) -> dict[str, Recipe]:
    """{name: {recipe, setting: value, ...}} as {name: Recipe}, each checked and tried."""
    if not given:
        problems.append("initializers holds no initializer; it must hold at least one.")
    problems += _name_problems(given)
    read = {}
    for name, recipe in given.items():
        key = dotted("initializers", word(name))
        if not isinstance(recipe, dict):
            problems.append(f"{key} holds {shown(recipe)}; it must be a recipe and its settings, as {{recipe: zeros}}.")
            continue
        made, wrong = recipe_settings.read_recipe(_text_keys(recipe), key, n_layers)
        problems += wrong
        if made:
            read[word(name)] = made
    return read


def _n_layers(network: Any) -> int | None:
    hidden = network.get("hidden_sizes") if isinstance(network, dict) else None
    return len(hidden) + 1 if isinstance(hidden, list) else None


def _size_problems(name: Any = None, n_train: Any = None, n_test: Any = None, **_: Any) -> list[str]:
    there_are = DATASETS[name].n_samples if isinstance(name, str) and name in DATASETS else None
    if there_are is None or not fits(n_train, int) or not fits(n_test, int) or n_train + n_test <= there_are:
        return []
    allowed = f"together at most {there_are}, the samples that {name} has"
    return [f"data.n_train and data.n_test hold {shown(n_train)} and {shown(n_test)}; they must be {allowed}."]


def _activation_problems(hidden_sizes: Any = None, activation: Any = None, **_: Any) -> list[str]:
    if not isinstance(hidden_sizes, list) or not isinstance(activation, list) or len(hidden_sizes) == len(activation):
        return []
    allowed = f"one activation for each hidden layer, of which there are {len(hidden_sizes)}, or a single one for all"
    return [f"network.activation holds {len(activation)} activations; it must be {allowed}."]


def _name_problems(names: Iterable[Any]) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    for name in names:
        try:
            other = seen.setdefault(_file_name(name).lower(), name)
        except ValueError:
            given = shown(name).removeprefix("the text ")
            problems.append(f"initializers holds the name {given}; a name becomes a file's and must be {NAMED}.")
            continue
        if other != name:
            one = "which are one file name on macOS and Windows; names must differ in more than case"
            problems.append(f"initializers holds {other} and {name}, {one}.")
    return problems


def _sentences(error: ValidationError, model: type[Section], prefix: str = "") -> list[str]:
    """pydantic's findings in plain words; a slip in a key is one sentence, not an unknown and a missing key."""
    findings = error.errors(include_url=False)
    missing = {finding["loc"] for finding in findings if finding["type"] == "missing"}
    unknown: list[str] = []
    for finding in findings:
        if finding["type"] == "extra_forbidden":
            *section, slip = finding["loc"]
            known = _section(model, section).model_fields
            close = nearest(str(slip), known)
            missing.discard((*section, close))
            parent = dotted(prefix, *section)
            has = f"{parent} has" if parent else "there are"
            unknown.append(f"{dotted(parent, slip)} is unknown; {has} {', '.join(known)}{hint(close)}.")
    others = [
        f"{(key := dotted(prefix, *finding['loc']))} "
        + ("is missing" if finding["loc"] in missing else f"holds {shown(finding['input'])}")
        + f"; it must be {_allowed(model, finding['loc'])}{hint(_suggestion(key, finding['input']))}."
        for finding in findings
        if finding["loc"] in missing or finding["type"] not in ("missing", "extra_forbidden")
    ]
    return unknown + others


def _suggestion(key: str, value: Any) -> str:
    """The data set or activation to suggest for an unknown name; empty if there is none."""
    if key == "data.name":
        return nearest(value, DATASETS) if isinstance(value, str) else ""
    if key != "network.activation":
        return ""
    names = value if isinstance(value, list) else [value]
    unknown = next((name for name in names if isinstance(name, str) and name not in ACTIVATIONS), "")
    close = nearest(unknown, [*ACTIVATIONS, *ALSO_CALLED])
    return ALSO_CALLED.get(close, close)


def _allowed(model: type[Section], path: tuple[int | str, ...]) -> str:
    """What the key at `path` may hold: the description of its field."""
    if isinstance(path[-1], int):
        return ENTRIES[str(path[-2])]
    field = _section(model, path[:-1]).model_fields[str(path[-1])]
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
        return f"a section with the keys {', '.join(field.annotation.model_fields)}"
    return str(field.description)


def _section(model: type[Section], path: Iterable[int | str]) -> type[Section]:
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    return model


def _text_keys(section: Any) -> Any:
    """A section with text for keys; one that was 7 or null is unknown in any case."""
    if not isinstance(section, dict):
        return section
    return {word(key): value for key, value in section.items()}


def main(arguments: list[str] | None = None) -> int:
    """Check the file named, or params.yaml, and say so."""
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
