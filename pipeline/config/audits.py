"""The section `audits` of params.yaml: what is expected of the models in the folder audits/."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from pipeline.config.messages import dotted, printable, shown
from pipeline.config.validation import Allowed, Problems, Section, messages, one_of
from pipeline.networks.activations import ACTIVATIONS

FILE = r"(?!/)(?!.*(?:^|/)\.{1,2}(?:/|$))[^\\\x00-\x1f]+"  # a path inside the folder, without . and ..
EXPECT = "an initializer's name, such as he_normal, or a mapping from layers to such names"
AUDITS = "a mapping from the names of files in audits/ to what is expected of them, or {} for no expectations"


def is_path(name: Any) -> bool:
    """Whether a name is a relative path with `/` that stays inside its folder."""
    return isinstance(name, str) and bool(re.fullmatch(FILE, name))


def _expect(value: Any) -> str | dict[str, str]:
    """A name for all layers, or {layer: name}. Raises ValueError."""
    given = value if isinstance(value, dict) else {"": value}
    if any(isinstance(layer, float) for layer in given):
        raise ValueError(f"{EXPECT}; layers such as 2.10 are numbers in YAML, write them in quotes")
    if not given or not all(isinstance(name, str) and name for name in given.values()):
        raise ValueError
    return {str(layer): name for layer, name in given.items()} if isinstance(value, dict) else str(value)


class AuditSettings(Section):
    """What is expected of a model; without `expect`, its weights should follow any documented initializer."""

    expect: Annotated[str | dict[str, str], BeforeValidator(_expect), Field(description=EXPECT)] = ""
    activation: Annotated[str, one_of(ACTIVATIONS)] = ""  # of the hidden layers, where the file does not tell
    data: Annotated[str, Allowed("the name of a file in audits/ with a batch of inputs", str, is_path)] = ""


def audits(section: Any) -> dict[str, AuditSettings]:
    """The settings of the section, {file: {expect: ..., activation: ..., data: ...}}. Raises Problems, ValueError."""
    if not isinstance(section, dict):
        raise ValueError
    problems: list[str] = []
    found: dict[str, AuditSettings] = {}
    for name, value in section.items():
        key = dotted("audits", printable(name))
        if not is_path(name):
            problems.append(f"audits: {shown(name)} is not a valid name; it must be that of a file in audits/.")
        elif not isinstance(value, dict):
            allowed = f"a mapping with any of the keys {', '.join(AuditSettings.keys())}"
            problems.append(f"{key} holds {shown(value)}; it must be {allowed}.")
        else:
            try:
                found[name] = AuditSettings.model_validate(value)
            except ValidationError as error:
                problems += messages(error, AuditSettings.keys(), key)
    if problems:
        raise Problems(problems)
    return found
