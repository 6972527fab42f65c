"""The sections of params.yaml as pydantic models.

A validator raises ValueError with the allowed values, or without a text: then the description of the field has them.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from pipeline.config.messages import fits, shown
from pipeline.datasets import DATASETS
from pipeline.initializers.recipes import Recipe
from pipeline.networks.activations import ACTIVATIONS, Activation

MAX_SEED = 2**32 - 1  # of RandomState
MAX_SEEDS = 100_000  # a slip such as {first: 0, last: 4294967295} must not fill the memory
NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
ALSO_CALLED = {"identity": "linear", "logistic": "sigmoid", "swish": "silu"}  # activations, by other frameworks
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}  # of Windows


def _finite(value: Any) -> float:
    if not fits(value, float):
        raise ValueError
    return float(value)


def _file_name(name: Any) -> str:
    """The name, if it is a valid file name on every platform. Raises ValueError."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name) or name.lower() in DEVICES:
        raise ValueError
    return name


def _member(registry: Iterable[str]) -> AfterValidator:
    """A validator that rejects names that are not in `registry`."""

    def check(value: str) -> str:
        if value not in registry:
            raise ValueError
        return value

    return AfterValidator(check)


def _names(registry: Iterable[str]) -> Any:
    return Field(description=f"one of {', '.join(registry)}")


# Allowed values, as in "training.momentum holds 2; it must be ..."
WHOLE, SEED = "a whole number of at least 1", f"a whole number from 0 to {MAX_SEED}"
NAMED = "a letter, then up to 63 letters, digits or underscores, and not a device name of Windows such as nul"
ENTRIES = {"hidden_sizes": WHOLE, "seeds": SEED}  # allowed values of the entries of lists
Number = Annotated[float, BeforeValidator(_finite)]
Positive = Annotated[Number, Field(gt=0, description="a number greater than 0")]
Count = Annotated[StrictInt, Field(ge=1, description=WHOLE)]
Seed = Annotated[StrictInt, Field(ge=0, le=MAX_SEED, description=SEED)]


def _activation(value: Any, info: ValidationInfo) -> str | tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and name in ACTIVATIONS for name in names):
        raise ValueError
    n_hidden = len(info.data.get("hidden_sizes", names))  # absent if invalid
    if isinstance(value, list) and len(value) != n_hidden:
        raise ValueError(f"a list of {n_hidden} activations, one for each hidden layer, or a single one for all")
    return tuple(names) if isinstance(value, list) else str(value)


def _batch_size(value: Any) -> int | str:
    if value != "full" and (not fits(value, int) or value < 1):
        raise ValueError
    return value  # type: ignore[no-any-return]


class Section(BaseModel):
    """A section of params.yaml: all keys are required, no other key is allowed, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """The data set."""

    name: Annotated[StrictStr, _member(DATASETS), _names(DATASETS)]
    n_train: Count
    n_test: Count
    noise: Annotated[Number, Field(ge=0, description="a number of at least 0")]
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


class Network(Section):
    """The layers between the inputs and the output."""

    hidden_sizes: Annotated[tuple[Count, ...], Field(description=f"a list, each entry {WHOLE}")]
    activation: Annotated[
        str | tuple[str, ...],
        PlainValidator(_activation),
        Field(description=f"one of {', '.join(ACTIVATIONS)}, or a list with one for each hidden layer"),
    ]

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
    batch_size: Annotated[int | str, PlainValidator(_batch_size), Field(description=f"{WHOLE}, or full")]
    momentum: Annotated[Number, Field(ge=0, lt=1, description="a number of at least 0 and less than 1")]
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
    reference: Annotated[StrictStr, AfterValidator(_file_name), Field(description=f"an initializer's name: {NAMED}")]
    target_cost: Positive
    target_accuracy: Annotated[Number, Field(gt=0, le=1, description="a number greater than 0 and at most 1")]
    confidence: Annotated[Number, Field(gt=0, lt=1, description="a number greater than 0 and less than 1")]


class Params(Section):
    """All sections of params.yaml."""

    data: Data
    network: Network
    training: Training
    seeds: Annotated[tuple[Seed, ...], Field(description=f"a list, each entry {SEED}, or {{first: ..., last: ...}}")]
    initializers: Annotated[dict[str, Recipe], Field(description="a mapping from names to recipes")]
    comparison: Comparison

    @property
    def layers_dims(self) -> list[int]:
        """The sizes of all layers: inputs, hidden units, and one logit for two classes or one per class for more."""
        n_classes = self.data.n_classes
        return [self.data.n_inputs, *self.network.hidden_sizes, 1 if n_classes == 2 else n_classes]


class SeedRange(Section):
    """{first, last}: all whole numbers from first to last, both included."""

    first: Seed
    last: Seed
