"""The sections of params.yaml as pydantic models.

A validator raises ValueError with the allowed values, or without a text: then the description of the field has them.
"""

import re
from collections import Counter
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from pipeline.config.audits import AUDITS, AuditSettings, audits
from pipeline.config.messages import Misspelled, corrected, cut, dotted, nearest, printable, shown
from pipeline.config.recipe_names import ALSO_CALLED
from pipeline.config.recipe_settings import read_recipe
from pipeline.config.validation import Allowed, Problems, Section, messages, one_of
from pipeline.datasets import DATASETS
from pipeline.initializers.recipes import Recipe
from pipeline.networks.activations import ACTIVATIONS, Activation

MAX_SEED = 2**32 - 1  # of RandomState
MAX_SEEDS = 100_000  # a slip such as {first: 0, last: 4294967295} must not fill the memory
NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
NAMED = "a letter, then up to 63 letters, digits or underscores, and not a device name of Windows such as nul"
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}  # of Windows


def is_file_name(name: Any) -> bool:
    """Whether a name is a valid file name on every platform."""
    return isinstance(name, str) and bool(re.fullmatch(NAME, name)) and name.lower() not in DEVICES


COUNT = Allowed("a whole number of at least 1", int, lambda n: n >= 1)
SEED = Allowed(f"a whole number from 0 to {MAX_SEED}", int, lambda n: 0 <= n <= MAX_SEED)
Count = Annotated[int, COUNT]
Seed = Annotated[int, SEED]
Positive = Annotated[float, Allowed("a number greater than 0", float, lambda x: x > 0)]
Momentum = Annotated[float, Allowed("a number of at least 0 and less than 1", float, lambda x: 0 <= x < 1)]


def _activation(value: Any, info: ValidationInfo) -> str | tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    unknown = [name for name in names if not isinstance(name, str) or name not in ACTIVATIONS]
    if unknown:
        close = next((nearest(name, [*ACTIVATIONS, *ALSO_CALLED]) for name in unknown if isinstance(name, str)), "")
        raise Misspelled(ACTIVATION, ALSO_CALLED.get(close, close))
    n_hidden = len(info.data.get("hidden_sizes", names))  # absent if invalid
    if isinstance(value, list) and len(value) != n_hidden:
        raise ValueError(f"a list of {n_hidden} activations, one for each hidden layer, or a single one for all")
    return tuple(names) if isinstance(value, list) else str(value)


def _batch_size(value: Any) -> int | str:
    if value != "full" and not COUNT.accepts(value):
        raise ValueError
    return value  # type: ignore[no-any-return]


def _seeds(value: Any) -> tuple[int, ...]:
    """The seeds of a list, or of {first, last}."""
    if isinstance(value, dict):
        try:
            chosen = SeedRange.model_validate(value)
        except ValidationError as error:
            raise Problems(messages(error, SeedRange.keys(), "seeds")) from error
        if chosen.last < chosen.first:
            allowed = f"at least seeds.first, which is {chosen.first}"
            raise Problems([f"seeds.last holds {chosen.last}; it must be {allowed}."])
        value = list(range(chosen.first, min(chosen.last, chosen.first + MAX_SEEDS) + 1))
    if not isinstance(value, list):
        raise ValueError
    if not value:
        raise Problems(["seeds is empty; it must hold at least one seed."])
    if len(value) > MAX_SEEDS:
        raise Problems([f"seeds holds more than {MAX_SEEDS} seeds; it must hold at most {MAX_SEEDS}."])
    problems = [
        f"{dotted('seeds', i)} holds {shown(seed)}; it must be {SEED.text}."
        for i, seed in enumerate(value)
        if not SEED.accepts(seed)
    ]
    counts = Counter(seed for seed in value if type(seed) is int)
    problems += [f"seeds holds {shown(s)} more than once; seeds must be unique." for s, n in counts.items() if n > 1]
    if problems:
        raise Problems(problems)
    return tuple(value)


def _initializers(section: Any, info: ValidationInfo) -> dict[str, Recipe]:
    """The recipes of the section, {name: {recipe: ..., setting: ...}}."""
    if not isinstance(section, dict):
        raise ValueError
    problems = [] if section else ["initializers is empty; it must hold at least one initializer."]
    n_layers = len(info.data["network"].hidden_sizes) + 1 if info.data.get("network") else None
    recipes: dict[str, Recipe] = {}
    seen: dict[str, str] = {}
    for name, value in section.items():
        if not is_file_name(name):
            reason = f"names are used in file names and must be {NAMED}"
            problems.append(f"initializers: {shown(name)} is not a valid name; {reason}.")
        elif (other := seen.setdefault(name.lower(), name)) != name:
            reason = "which are the same file name on macOS and Windows; names must differ in more than case"
            problems.append(f"initializers holds {other} and {name}, {reason}.")
        try:
            recipes[name] = read_recipe(value, dotted("initializers", printable(name)), n_layers)
        except Problems as found:
            problems += found.messages
    if problems:
        raise Problems(problems)
    return recipes


class Data(Section):
    """The data set."""

    name: Annotated[str, one_of(DATASETS)]
    n_train: Count
    n_test: Count
    noise: Annotated[float, Allowed("a number of at least 0", float, lambda x: x >= 0)]
    train_seed: Seed
    test_seed: Seed

    @field_validator("n_test")
    @classmethod
    def _within_measured_data(cls, n_test: int, info: ValidationInfo) -> int:
        n_samples = DATASETS[info.data["name"]].n_samples if "name" in info.data else None
        n_train = info.data.get("n_train", 0)
        if n_samples is not None and n_train + n_test > n_samples:
            name = info.data["name"]
            raise ValueError(
                f"at most {n_samples} together with data.n_train, {shown(n_train)}: {name} has no more samples"
            )
        return n_test

    @property
    def n_inputs(self) -> int:
        """The number of features of a sample."""
        return DATASETS[self.name].n_inputs

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return DATASETS[self.name].n_classes


ACTIVATION = f"one of {', '.join(ACTIVATIONS)}, or a list with one for each hidden layer"


class Network(Section):
    """The layers between the inputs and the output."""

    hidden_sizes: Annotated[tuple[Count, ...], Field(description=f"a list, each entry {COUNT.text}")]
    activation: Annotated[str | tuple[str, ...], BeforeValidator(_activation), Field(description=ACTIVATION)]

    @property
    def activation_names(self) -> list[str]:
        """The name of each hidden layer's activation."""
        return [self.activation] * len(self.hidden_sizes) if isinstance(self.activation, str) else list(self.activation)

    @property
    def activations(self) -> list[Activation]:
        """The activation of each hidden layer."""
        return [ACTIVATIONS[name] for name in self.activation_names]


class Training(Section):
    """Gradient descent."""

    iterations: Count
    learning_rate: Positive
    batch_size: Annotated[int | str, BeforeValidator(_batch_size), Field(description=f"{COUNT.text}, or full")]
    momentum: Momentum
    record_every: Count

    @field_validator("record_every")
    @classmethod
    def _within_training(cls, record_every: int, info: ValidationInfo) -> int:
        iterations = info.data.get("iterations", record_every)  # absent if invalid
        if record_every > iterations:
            raise ValueError(f"a whole number from 1 to training.iterations, which is {shown(iterations)}")
        return record_every

    @property
    def samples_per_step(self) -> int | None:
        """The number of samples in a batch; None for all of them."""
        return self.batch_size if isinstance(self.batch_size, int) else None


class Comparison(Section):
    """What tables and figures emphasize: a trained seed, a reference initializer, targets and a confidence level."""

    highlight_seed: Seed
    reference: Annotated[str, Allowed(f"an initializer's name: {NAMED}", str, is_file_name)]
    target_cost: Positive
    target_accuracy: Annotated[float, Allowed("a number greater than 0 and at most 1", float, lambda x: 0 < x <= 1)]
    confidence: Annotated[float, Allowed("a number greater than 0 and less than 1", float, lambda x: 0 < x < 1)]


class Tracking(Section):
    """How much of each model MLflow stores."""

    curve_points: Annotated[int, Allowed("a whole number of at least 0", int, lambda n: n >= 0)]
    detailed_seeds: Annotated[tuple[Seed, ...], Field(description=f"a list, each entry {SEED.text}")]


Seeds = Annotated[
    tuple[int, ...],
    BeforeValidator(_seeds),
    Field(description=f"a list, each entry {SEED.text}, or {{first: ..., last: ...}}"),
]
Initializers = Annotated[
    dict[str, Recipe], BeforeValidator(_initializers), Field(description="a mapping from names to recipes")
]


class Params(Section):
    """All sections of params.yaml."""

    data: Data
    network: Network
    training: Training
    seeds: Seeds
    initializers: Initializers
    comparison: Comparison
    tracking: Tracking
    audits: Annotated[dict[str, AuditSettings], BeforeValidator(audits), Field(description=AUDITS)]

    @field_validator("comparison")
    @classmethod
    def _among_the_models(cls, comparison: Comparison, info: ValidationInfo) -> Comparison:
        """The reference is an initializer and the highlighted seed is trained, if those are valid."""
        problems = []
        names, seeds = info.data.get("initializers"), info.data.get("seeds")
        if names and comparison.reference not in names:
            problem, close = (
                f"comparison.reference holds {shown(comparison.reference)}",
                nearest(comparison.reference, names),
            )
            problems.append(corrected(problem, close, f"it must be one of the initializers {', '.join(names)}"))
        if seeds and comparison.highlight_seed not in seeds:
            allowed = f"one of the seeds {_several(seeds)}"
            problems.append(f"comparison.highlight_seed holds {comparison.highlight_seed}; it must be {allowed}.")
        if problems:
            raise Problems(problems)
        return comparison

    @field_validator("tracking")
    @classmethod
    def _among_the_seeds(cls, tracking: Tracking, info: ValidationInfo) -> Tracking:
        """The detailed seeds are trained, if the seeds are valid."""
        seeds = info.data.get("seeds", tracking.detailed_seeds)
        for seed in tracking.detailed_seeds:
            if seed not in seeds:
                allowed = f"it must hold only seeds that are trained: {_several(seeds)}"
                raise Problems([f"tracking.detailed_seeds holds {seed}; {allowed}."])
        return tracking

    @property
    def layers_dims(self) -> list[int]:
        """The sizes of all layers."""
        return layers_dims(self.data, self.network)


def layers_dims(data: Data, network: Network) -> list[int]:
    """The sizes of all layers: inputs, hidden units, and one logit for two classes or one per class for more."""
    return [data.n_inputs, *network.hidden_sizes, 1 if data.n_classes == 2 else data.n_classes]


class SeedRange(Section):
    """{first, last}: all whole numbers from first to last, both included."""

    first: Seed
    last: Seed


def _several(seeds: tuple[int, ...]) -> str:
    """Seeds as text: "0 to 99" for consecutive ones, otherwise "3, 14, 15"."""
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return cut(", ".join(map(str, seeds)))
