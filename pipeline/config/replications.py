"""The params.yaml of a replication: sections of the laboratory's params.yaml, and a section `replication`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from pipeline.config import yaml_file
from pipeline.config.params import checked
from pipeline.config.schema import (
    COUNT,
    Count,
    Data,
    Initializers,
    Network,
    Positive,
    Seeds,
    Training,
    layers_dims,
)
from pipeline.config.validation import Section

COUNTS = f"a list of one or more different entries, each {COUNT.text}"


def different(values: tuple[int, ...]) -> tuple[int, ...]:
    """The values. Raises ValueError if there are none or one occurs twice."""
    if not values or len(set(values)) < len(values):
        raise ValueError(COUNTS)
    return values


Counts = Annotated[tuple[Count, ...], Field(description=COUNTS), AfterValidator(different)]
Positives = Annotated[tuple[Positive, ...], Field(description="a list, each entry a number greater than 0")]


class Absent(Exception):
    """A section that a file does not have and that was read."""


class Shared(Section):
    """The sections with the same meaning as in the laboratory's params.yaml; reading an absent one raises Absent."""

    data: Data | None = None
    network: Network | None = None
    training: Training | None = None
    seeds: Seeds | None = None
    initializers: Initializers | None = None

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if value is None and name in SECTIONS:
            raise Absent(name)
        return value

    @property
    def layers_dims(self) -> list[int]:
        """The sizes of all layers, from the sections data and network, which must be there."""
        assert self.data is not None  # for the type checker
        assert self.network is not None
        return layers_dims(self.data, self.network)


SECTIONS = tuple(Shared.model_fields)


def load(path: Path, own: type[Section] | None = None) -> Any:
    """The checked settings of a replication's file, a `Shared` with the section `replication` of the class `own`.

    Without `own` that section is not checked. Raises UserError with one line for each problem.
    """
    model = create_model("Settings", __base__=Shared, replication=(own or Any, ...))
    sections = f"the section replication, and may hold {', '.join(SECTIONS)}"
    return checked(yaml_file.read(path), model, path.as_posix(), sections)
