"""Parts of messages to the user: keys, values and suggestions for misspelled or renamed names."""

import difflib
import math
import re
from collections.abc import Iterable
from typing import Any

# Keys of earlier versions, and what replaces their last part; * stands for any name
OLD_KEYS = {
    "network.hidden": "hidden_sizes",
    "comparison.tutorial_seed": "highlight_seed",
    "initializers.*.sd": "std",
    "initializers.*.fan": "mode",
    "initializers.*.slope": "negative_slope",
    "initializers.*.connections": "n_connections",
}


def dotted(key: str, *path: Any) -> str:
    """The parts of a path as one key: training.iterations, network.hidden_sizes[1]. Names with blanks are quoted."""
    for part in path:
        if isinstance(part, int) and not isinstance(part, bool):
            key += f"[{part}]"
        else:
            name = part if isinstance(part, str) and re.fullmatch(r"[\w./-]+", part) else repr(part)
            key += f".{cut(name)}" if key else cut(name)
    return key


def shown(value: Any) -> str:
    """A value as text on one line of at most 60 characters, spelled as in YAML: true, nothing, the text 'he'."""
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
    except (ValueError, RecursionError):  # Python does not print integers of more than 4300 digits
        return f"a {type(value).__name__}"


def printable(key: Any) -> str:
    """A key of a YAML mapping, of any type, as printable text."""
    if isinstance(key, str):
        return key if key.isprintable() else repr(key)[1:-1]  # pydantic rejects lone surrogates
    return shown(key)


def cut(text: str) -> str:
    """The text, shortened to at most 60 characters."""
    return text if len(text) <= 60 else text[:57] + "..."


def fits(value: Any, kind: Any) -> bool:
    """Whether a value has the type `kind`. An int is a valid float; a bool, nan and inf are not."""
    if kind is not float:
        return type(value) is kind
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def folded(name: str) -> str:
    """A name in lower case without punctuation: heuniform for HeUniform and he_uniform_."""
    return re.sub(r"[\W_]", "", name).lower()


def nearest(key: str, known: Iterable[str]) -> str:
    """The known name most similar to `key`, ignoring case and punctuation; empty if none is similar."""
    names = {folded(name): name for name in reversed(list(known))}
    return next((names[name] for name in difflib.get_close_matches(folded(key), names, 1)), "")


class Misspelled(ValueError):
    """A value that is not allowed, with the allowed ones as text, and a similar name; empty if none is similar."""

    def __init__(self, allowed: str, close: str) -> None:
        super().__init__(allowed)
        self.close = close


def corrected(problem: str, close: str, allowed: str = "") -> str:
    """The message for an unknown name: the problem, then the name that it may mean, then what is allowed.

    `allowed` is a clause such as "it must be one of relu, tanh"; `close` is empty if no name is similar.
    """
    if not close:
        return f"{problem}; {allowed}." if allowed else f"{problem}."
    return f"{problem}; did you mean {close}?" + (f" {allowed[0].upper()}{allowed[1:]}." if allowed else "")


def unknown_key(section: str, key: str, known: Iterable[str], owner: str) -> tuple[str, str]:
    """The message for a key that `section` does not have, and the known key that replaces it ("" if none is similar).

    `known` are the keys that `owner` has. A key of OLD_KEYS is answered with its new name.
    """
    known = list(known)
    pattern = re.sub(r"^initializers\..*$", "initializers.*", section)
    new = OLD_KEYS.get(f"{pattern}.{key}", "")
    if new in known:
        return f"{dotted(section, key)} was renamed; write {dotted(section, new)}.", new
    close = nearest(key, known)
    names = ", ".join(known)
    allowed = f"it must be one of {names}" if close else f"{owner} has {names}"
    return corrected(f"{dotted(section, key)} is unknown", close, allowed), close
