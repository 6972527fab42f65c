"""The params.yaml of a replication: sections of the laboratory's params.yaml, and one of its own."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model

from pipeline.config import yaml_file
from pipeline.config.params import ParamsError
from pipeline.config.schema import Data, Network, Params, Training
from pipeline.config.validation import Section, messages

SHARED = ("data", "network", "training", "seeds", "initializers")  # with the same meaning as in params.yaml


def _optional(section: type[Section]) -> Any:
    return (section | None, None)


def load(path: Path, own: type[Section]) -> Any:
    """The checked settings of a replication's file; sections that it does not have are None.

    `own` is the section `replication`. Raises ParamsError with one line for each problem.
    """
    seeds, initializers = (Params.model_fields[name] for name in ("seeds", "initializers"))
    model = create_model(
        "Settings",
        __base__=Section,
        data=_optional(Data),
        network=_optional(Network),
        training=_optional(Training),
        seeds=(Annotated[Any, *seeds.metadata, Field(description=seeds.description)], None),
        initializers=(Annotated[Any, *initializers.metadata, Field(description=initializers.description)], None),
        replication=(own, ...),
    )
    file = path.as_posix()
    try:
        document = yaml_file.read(path)
    except yaml_file.YamlFileError as error:
        raise ParamsError(str(error)) from error
    if not isinstance(document, dict):
        raise ParamsError(f"{file} must hold the section replication, and may hold {', '.join(SHARED)}.")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = messages(error, model.keys())
        raise ParamsError("\n".join(f"{file}: {problem}" for problem in dict.fromkeys(problems))) from error
