"""The params.yaml of a replication: sections of the laboratory's params.yaml, and a section `replication`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model

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

Counts = Annotated[tuple[Count, ...], Field(description=f"a list, each entry {COUNT.text}")]
Positives = Annotated[tuple[Positive, ...], Field(description="a list, each entry a number greater than 0")]


class Shared(Section):
    """The sections with the same meaning as in the laboratory's params.yaml; None where a replication has none."""

    data: Data | None = None
    network: Network | None = None
    training: Training | None = None
    seeds: Seeds | None = None
    initializers: Initializers | None = None

    @property
    def absent(self) -> list[str]:
        """The names of the sections that the file does not have."""
        return [name for name in Shared.model_fields if getattr(self, name) is None]

    @property
    def layers_dims(self) -> list[int]:
        """The sizes of all layers, from the sections data and network, which must be there."""
        assert self.data is not None
        assert self.network is not None
        return layers_dims(self.data, self.network)


def load(path: Path, own: type[Section] | None = None) -> Any:
    """The checked settings of a replication's file, a `Shared` with the section `replication` of the class `own`.

    Without `own` that section is not checked. Raises UserError with one line for each problem.
    """
    model = create_model("Settings", __base__=Shared, replication=(own or Any, ...))
    sections = f"the section replication, and may hold {', '.join(Shared.model_fields)}"
    return checked(yaml_file.read(path), model, path.as_posix(), sections)
