"""The page reports/laboratory.html: one file with its data, code and style, which loads nothing else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.initializers.fan_scaling import SKLEARN_FACTORS, STD_WITHIN_2
from pipeline.networks.activations import ACTIVATIONS
from pipeline.page import javascript

FOLDER = Path(__file__).parent
ENGINE = ("arithmetic", "initialization", "sha256", "theory", "measure", "engine")  # engine/*.js, run in a Worker too
VIEW = ("charts", "plane", "state", "figures", "panel", "teaching", "page", "verification")  # view/*.js


def html(content: Mapping[str, Any]) -> str:
    """The page that shows `content`, a dictionary of `page.content`."""
    parts = {
        "style": _source("view/page.css"),
        "data": embedded(content),
        "engine": engine(content["activations"]),
        "page": "".join(_source(f"view/{name}.js") for name in VIEW),
    }
    text = _source("view/page.html")
    for name, part in parts.items():
        before, after = text.split(f"{{{{ {name} }}}}")
        text = before + part.strip() + after
    return text


def engine(activations: Sequence[str]) -> str:
    """The JavaScript that draws, trains and measures networks with these activations.

    Activations that `javascript` does not translate are left out; `content` then says that the page does not train.
    """
    used = sorted(name for name in dict.fromkeys(activations) if javascript.is_translated(ACTIVATIONS[name]))
    table = ", ".join(
        f"{name}: {{phi: {ACTIVATIONS[name].phi.__name__}, slope: {ACTIVATIONS[name].slope.__name__}}}" for name in used
    )
    constants = [
        f"const STD_WITHIN_2 = {STD_WITHIN_2!r};",
        f"const SKLEARN_FACTORS = {json.dumps(SKLEARN_FACTORS)};",
        f"const ACTIVATIONS = {{{table}}};\n",
    ]
    translated = javascript.functions_for([ACTIVATIONS[name] for name in used])
    return "\n".join([translated, *constants]) + "".join(_source(f"engine/{name}.js") for name in ENGINE)


def embedded(content: Mapping[str, Any]) -> str:
    """`content` as JSON in which no text can end or open an HTML element."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _source(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
