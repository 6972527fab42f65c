"""Checks of the values in params.yaml by pydantic, and the messages for what is invalid."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from pipeline.config.messages import Misspelled, corrected, dotted, fits, nearest, printable, shown, unknown_key

# The keys of a section, each with its allowed values as text, or with the keys of the section that it holds
Keys = Mapping[str, Any]


class Entries(NamedTuple):
    """A key that holds a list of sections."""

    text: str  # the allowed values
    keys: Keys  # of each section


class Problems(ValueError):
    """Complete messages for what is invalid in a value, raised by a validator."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = list(messages)
        super().__init__("\n".join(self.messages))


@dataclass(frozen=True)
class Allowed:
    """The allowed values of a key, for `Annotated`; `text` completes "KEY holds VALUE; it must be ..."."""

    text: str
    kind: type | tuple[type, ...]  # int for float is allowed and converted; bool for int, nan and infinity are not
    holds: Callable[[Any], bool] = lambda value: True
    names: Collection[str] = ()  # of which the most similar one is suggested

    def check(self, value: Any) -> Any:
        """The value as `kind`. Raises ValueError with the allowed values."""
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        kind = next((kind for kind in kinds if fits(value, kind)), None)
        if kind is None or not self.holds(value):
            raise Misspelled(self.text, nearest(value, self.names) if isinstance(value, str) else "")
        return kind(value)

    def accepts(self, value: Any) -> bool:
        """Whether a value is allowed."""
        try:
            self.check(value)
        except ValueError:
            return False
        return True

    def schema(self) -> core_schema.CoreSchema:
        """The check as pydantic calls it."""
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return self.schema()


def one_of(names: Collection[str]) -> Allowed:
    """One of these names."""
    return Allowed(f"one of {', '.join(names)}", str, lambda name: name in names, names)


class Section(BaseModel):
    """A section of params.yaml: all keys are required, no other key is allowed, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _text_keys(cls, section: Any) -> Any:
        return text_keys(section) if isinstance(section, dict) else section

    @classmethod
    def keys(cls) -> Keys:
        """The keys of the section and of the sections in it. A field has its allowed values as `Allowed` or as text."""
        keys: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            if NoneType in get_args(field.annotation):  # a section that may be absent
                (present,) = (part for part in get_args(field.annotation) if part is not NoneType)
                field = FieldInfo.from_annotation(present)
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                keys[name] = field.annotation.keys()
            else:
                text = next((rule.text for rule in field.metadata if isinstance(rule, Allowed)), field.description)
                kind = next(iter(get_args(field.annotation)), None)  # of the entries of a list
                is_section = isinstance(kind, type) and issubclass(kind, Section)
                keys[name] = Entries(str(text), kind.keys()) if kind is not None and is_section else text
        return keys


def text_keys(section: dict[Any, Any]) -> dict[str, Any]:
    """A section with all keys as text, so that 7 or null is reported as an unknown key."""
    return {printable(key): value for key, value in section.items()}


def messages(error: ValidationError, keys: Keys, section: str = "", owner: str = "") -> list[str]:
    """One message for each error in a section, whose name is `owner` in messages and whose keys are `keys`.

    A misspelled or renamed key gives one message: it is not missing as well.
    """
    unknown, others, replaced = [], [], set()
    findings = error.errors(include_url=False)
    for finding in findings:
        if finding["type"] == "extra_forbidden":
            *parents, name = finding["loc"]
            here = dotted(section, *parents)
            message, replacement = unknown_key(here, str(name), _at(keys, parents), owner or here or "the file")
            unknown.append(message)
            replaced.add((*parents, replacement))
    for finding in findings:
        path, cause = finding["loc"], finding.get("ctx", {}).get("error")
        key = dotted(section, *path)
        if isinstance(cause, Problems):
            others += cause.messages
        elif finding["type"] == "missing" and path not in replaced:
            others.append(f"{key} is missing; it must be {_text(_at(keys, path))}.")
        elif finding["type"] not in ("missing", "extra_forbidden"):
            allowed = str(cause or "") or _text(_at(keys, path))
            close = cause.close if isinstance(cause, Misspelled) else ""
            others.append(corrected(f"{key} holds {shown(finding['input'])}", close, f"it must be {allowed}"))
    return unknown + others


def _at(keys: Any, path: Sequence[int | str]) -> Any:
    """What the keys of a section hold at a path; for an entry of a list of values, what the list holds."""
    for part in path:
        if isinstance(keys, Entries):
            keys = keys.keys
        elif isinstance(keys, Mapping):
            keys = keys[part]
    return keys


def _text(allowed: Any) -> str:
    if isinstance(allowed, Entries):
        return allowed.text
    return f"a section with the keys {', '.join(allowed)}" if isinstance(allowed, Mapping) else str(allowed)
