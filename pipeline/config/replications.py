"""The params.yaml of a replication: its allowed values, and the rules that several papers share.

The class Settings of a replication.py is a `Section` whose fields are the sections of its params.yaml: those of the
laboratory's params.yaml that it reads, with the rules below as `Annotated`, and its own section `replication`.
Relations between keys are in the method `problems` of a `Related`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from pipeline.config import schema, yaml_file
from pipeline.config.messages import shown
from pipeline.config.params import checked
from pipeline.config.schema import Data, Initializers, Network, Seeds, Training
from pipeline.config.validation import Allowed, Problems, Section
from pipeline.initializers import fan_scaling, fixed_scale
from pipeline.initializers.recipes import Recipe, settings_of

S = TypeVar("S", bound=Section)
T = TypeVar("T")
MOST, MOST_RECORDS = 1_000_000, 100_000  # of counts, and of records of a cost: a slip must not fill the memory
MOST_NOISE = 1000.0  # standard deviation


def whole(least: int, most: int = MOST) -> Allowed:
    """A whole number in this range."""
    return Allowed(f"a whole number from {least} to {most}", int, lambda n: least <= n <= most)


def number(least: float, most: float, text: str) -> Allowed:
    """A number in this range, which `text` describes: "from 0.5 to 2"."""
    return Allowed(f"a number {text}", float, lambda x: least <= x <= most)


COUNT, POSITIVE = whole(1), number(1e-6, 1e6, "from 0.000001 to 1000000")
COUNTS = f"a list of one or more entries in ascending order, each {COUNT.text}"
POSITIVES = f"a list of one or more different entries, each {POSITIVE.text}"


def ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    """The values. Raises ValueError if there are none or one is not greater than the one before."""
    if not values or list(values) != sorted(set(values)):
        raise ValueError(COUNTS)
    return values


def different(values: tuple[T, ...]) -> tuple[T, ...]:
    """The values. Raises ValueError, without a text, if there are none or one occurs twice."""
    if not values or len(set(values)) < len(values):
        raise ValueError
    return values


Count = Annotated[int, COUNT]
Positive = Annotated[float, POSITIVE]
NotNegative = Annotated[float, number(0.0, 1e6, "from 0 to 1000000")]
Accuracy = Annotated[float, Allowed("a number greater than 0 and at most 1", float, lambda x: 0 < x <= 1)]
Counts = Annotated[tuple[Count, ...], Field(description=COUNTS), AfterValidator(ascending)]
Positives = Annotated[tuple[Positive, ...], Field(description=POSITIVES), AfterValidator(different)]


class Related(Section):
    """A section with relations between its keys."""

    def problems(self) -> Sequence[str]:
        """Complete messages for what the values of the keys, each of them valid, must not be together."""
        return []

    @model_validator(mode="after")
    def _without_problems(self) -> Self:
        if found := self.problems():
            raise Problems(found)
        return self


def rule(problems: Callable[[Any], Sequence[str]]) -> AfterValidator:
    """The rule that `problems` of a value, complete messages, must be empty."""

    def check(value: T) -> T:
        if found := problems(value):
            raise Problems(found)
        return value

    return AfterValidator(check)


def holds(key: str, value: Any, allowed: str) -> str:
    """The message for a value that is not allowed."""
    return f"{key} holds {shown(list(value) if isinstance(value, tuple) else value)}; it must be {allowed}."


def layers(n_least: int, activation: str, *, width: int = 1, equal: bool = False) -> AfterValidator:
    """The rule for `network`: at least `n_least` hidden layers of this activation and of at least `width` units.

    `equal`: all of one width.
    """

    def problems(network: Network) -> list[str]:
        sizes, found = network.hidden_sizes, []
        if len(sizes) < n_least or min(sizes) < width or (equal and len(set(sizes)) > 1):
            allowed = f"a list of at least {n_least} {'equal ' if equal else ''}entries, each at least {width}"
            found.append(holds("network.hidden_sizes", sizes, allowed))
        if set(network.activation_names) - {activation}:
            found.append(holds("network.activation", network.activation, f"{activation}, which its theory assumes"))
        return found

    return rule(problems)


def recipes(*names: str) -> AfterValidator:
    """The rule for `initializers`: these names, or one of any name; a recipe has no exceptions for single layers."""

    def problems(found: Mapping[str, Recipe]) -> list[str]:
        wrong = set(found) != set(names) if names else len(found) != 1
        allowed = f"the initializers {', '.join(names)}, no others" if names else "one initializer"
        return [
            *([f"initializers holds {', '.join(found)}; it must hold {allowed}."] if wrong else []),
            *same_in_all_layers(found),
        ]

    return rule(problems)


def same_in_all_layers(found: Mapping[str, Recipe]) -> list[str]:
    """A message for each recipe with exceptions for single layers."""
    return [
        f"initializers.{name}.layers is not allowed; a replication has the same recipe in all layers."
        for name, recipe in found.items()
        if recipe.layers
    ]


def small_network_recipe(found: Mapping[str, Recipe]) -> list[str]:
    """A message for each recipe that cannot be drawn for many small networks at once, layer by layer."""
    allowed = "a recipe of independent weights whose variance depends on fan_in only, such as he_normal or lecun_normal"
    problems, independent = [], fixed_scale.RECIPES | fan_scaling.RECIPES
    for name, recipe in found.items():
        entry = independent.get(recipe.recipe)
        settings = {key: setting.default for key, setting in settings_of(recipe.recipe).items()} | dict(recipe.settings)
        if not entry or entry.variances(7, 5, **settings) != entry.variances(11, 5, **settings):
            problems.append(holds(f"initializers.{name}.recipe", recipe.recipe, allowed))
        if recipe.bias != 0.0:
            problems.append(holds(f"initializers.{name}.bias", recipe.bias, "0: these networks have no biases"))
    return problems


def whole_records(training: Training) -> list[str]:
    """A message unless the last record is after the last step, and the records fit into the memory."""
    n_records, left = divmod(training.iterations, training.record_every)
    if left == 0 and n_records <= MOST_RECORDS:
        return []
    allowed = f"a divisor of training.iterations, {training.iterations}, which gives at most {MOST_RECORDS} records"
    return [holds("training.record_every", training.record_every, allowed)]


def ten_classes(data: Data) -> list[str]:
    """A message unless the data have ten classes, and noise that leaves costs finite."""
    problems = []
    if data.n_classes != 10:
        problems.append(holds("data.name", data.name, "a data set of 10 classes: digits or standardized_digits"))
    if data.noise > MOST_NOISE:
        problems.append(holds("data.noise", data.noise, f"a number from 0 to {MOST_NOISE:g}"))
    return problems


def one_seed(seeds: tuple[int, ...]) -> list[str]:
    """A message unless there is one seed."""
    return [] if len(seeds) == 1 else [holds("seeds", seeds, "a list of one seed")]


TenClasses = Annotated[Data, rule(ten_classes)]
WholeRecords = Annotated[Training, rule(whole_records)]
OneSeed = Annotated[Seeds, rule(one_seed)]
SmallNetworks = Annotated[Initializers, recipes(), rule(small_network_recipe)]


class Experiment(Related):
    """All sections with the same meaning as in the laboratory's params.yaml; `replication` is not checked."""

    data: Data
    network: Network
    training: Training
    seeds: Seeds
    initializers: Initializers
    replication: Any

    @property
    def layers_dims(self) -> list[int]:
        """The sizes of all layers."""
        return schema.layers_dims(self.data, self.network)


def load(path: Path, settings: type[S]) -> S:
    """The checked settings in a replication's params.yaml. Raises UserError with one line for each problem."""
    return checked(yaml_file.read(path), settings, path.as_posix(), f"the sections {', '.join(settings.model_fields)}")
