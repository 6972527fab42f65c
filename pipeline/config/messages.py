"""What is said to the user: the error that carries a sentence, and how keys and values are judged and put into one."""

import difflib
import math
import re
from collections.abc import Iterable
from typing import Any


def dotted(key: str, *path: Any) -> str:
    """training.iterations, network.hidden_sizes[1]; a key that is no plain word is quoted."""
    for part in path:
        if isinstance(part, int) and not isinstance(part, bool):
            key += f"[{part}]"
        else:
            name = part if isinstance(part, str) and re.fullmatch(r"[\w./-]+", part) else repr(part)
            key += f".{cut(name)}" if key else cut(name)
    return key


def shown(value: Any) -> str:
    """A value for a sentence: short, on one line, and never in Python's words where YAML has its own."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {cut(repr(value))}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 190:
        return "a number of more than 57 digits"
    try:
        return cut(" ".join((repr(value) if isinstance(value, float | int | list | dict) else str(value)).split()))
    except (ValueError, RecursionError):  # Python spells no number of more than 4300 digits, in a list neither
        return f"a {type(value).__name__}"


def word(key: Any) -> str:
    """A key as printable text, whatever YAML made of it."""
    if isinstance(key, str):
        return key if key.isprintable() else repr(key)[1:-1]  # pydantic takes no lone surrogates
    return shown(key)


def cut(text: str) -> str:
    """At most 60 characters of a text."""
    return text if len(text) <= 60 else text[:57] + "..."


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind: a bool is no number, an int is a float, a float is no int, nan is neither."""
    if kind is not float:
        return type(value) is kind
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the floats
        return False


def folded(name: str) -> str:
    """A name without case and punctuation: heuniform for HeUniform and he_uniform_."""
    return re.sub(r"[\W_]", "", name).lower()


def nearest(key: str, known: Iterable[str]) -> str:
    """The known name most similar to `key`, ignoring case and punctuation; empty if none is similar."""
    names = {folded(name): name for name in reversed(list(known))}
    return next((names[name] for name in difflib.get_close_matches(folded(key), names, 1)), "")


def hint(close: str) -> str:
    """A question for the end of a sentence; empty if there is nothing to suggest."""
    return f" (did you mean {close}?)" if close else ""
