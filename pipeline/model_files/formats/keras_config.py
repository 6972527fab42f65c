"""The layers in the configuration of a Keras model."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.model_files import names
from pipeline.model_files.tensors import Module

DEPTH = 40
NAMED = re.compile("normalization|embedding|^separable|rnn|lstm|gru")  # classes whose variables are not kernel and bias


class KerasLayer(NamedTuple):
    """A layer of a configuration."""

    name: str
    module: Module
    saved_as: str  # its name in .weights.h5: its class in lower case, counted
    config: dict[str, Any]


def layers(config: Any) -> list[KerasLayer]:
    """The layers in the order of the configuration, those of nested models in place of these."""
    found: list[KerasLayer] = []
    for entries, is_sequence in _models(config, 0):
        counts: Counter[str] = Counter()
        following = _followers(entries, is_sequence)
        for entry in entries:
            kind, own = str(entry.get("class_name")), entry["config"]
            snake = snake_case(kind)
            saved = f"{snake}_{counts[snake]}" if counts[snake] else snake
            counts[snake] += 1
            groups = own.get("groups")
            module = Module(kind, _activation(entry, following), groups if type(groups) is int and groups > 0 else 1)
            found.append(KerasLayer(_name(entry), module, saved, own))
    return found


def _models(config: Any, depth: int) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """The lists of layers of a model and of the models in it, and whether each is a sequence."""
    inner = config.get("config") if isinstance(config, dict) else None
    entries = inner.get("layers") if isinstance(inner, dict) else inner  # a list in the first versions
    if not isinstance(entries, list) or depth > DEPTH:
        return
    entries = [each for each in entries if isinstance(each, dict) and isinstance(each.get("config"), dict)]
    yield entries, config.get("class_name") == "Sequential"
    for entry in entries:
        yield from _models(entry, depth + 1)


def _followers(entries: list[dict[str, Any]], is_sequence: bool) -> dict[str, list[dict[str, Any]]]:
    """The layers that take the output of each layer, by its name."""
    by_name = {_name(entry): entry for entry in entries}
    if is_sequence:
        pairs = itertools.pairwise(entries)
        return {_name(entry): [after] for entry, after in pairs}
    following: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        for source in dict.fromkeys(_texts(entry.get("inbound_nodes"))):
            if source in by_name and by_name[source] is not entry:
                following.setdefault(source, []).append(entry)
    return following


def _name(entry: dict[str, Any]) -> str:
    return str(entry["config"].get("name", entry.get("name", "")))


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested lists and dictionaries."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item


def _activation(entry: dict[str, Any], following: dict[str, list[dict[str, Any]]]) -> str:
    """The activation of a layer: its own, or that of the layer after it."""
    own = entry["config"].get("activation")
    if isinstance(own, dict):  # an object: its class
        own = own.get("class_name") if own.get("class_name") != "function" else own.get("config")
    if own is not None and names.activation(own) != "linear":
        return names.activation(own)
    at = entry
    for _ in range(8):
        after = following.get(_name(at), [])
        if len(after) != 1:
            break
        (at,) = after
        kind = str(at.get("class_name"))
        if kind == "Activation":
            return names.activation(at["config"].get("activation"))
        if names.activation(kind):
            return names.activation(kind)
        if not names.BETWEEN.search(kind):
            break
    return names.activation(own) if own is not None else ""


def snake_case(kind: str) -> str:
    """A class's name as Keras counts it: "Conv2D" is "conv2d", "BatchNormalization" is "batch_normalization"."""
    kind = re.sub(r"\W+", "", kind)
    kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()


def variables(name: str, saved_as: str, layer: KerasLayer | None, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """The names of a layer's variables in the order in which .weights.h5 numbers them.

    The class, in lower case, is that of the place in the file, or of subclassed models often that of the layer's name.
    """
    classes = [re.sub(r"_\d+$", "", each) for each in (saved_as, name)]
    saved_as = next((each for each in classes if NAMED.search(each)), "")
    config = layer.config if layer else {}
    n = len(shapes)
    order: Sequence[str] = ()
    if saved_as.startswith("spectral"):
        order = ("original_kernel", "vector_u")
    elif saved_as.startswith("rms"):
        order = ("gamma",)
    elif "normalization" in saved_as:
        statistics = ("moving_mean", "moving_variance") if saved_as.startswith("batch") else ()
        scale = ["gamma"] * bool(config.get("scale", True)) + ["beta"] * bool(config.get("center", True))
        order = (*scale, *statistics)
        if len(order) != n:  # without a configuration, a single one may be either
            order = (*(("gamma", "beta") if n - len(statistics) == 2 else ("0",) * (n - len(statistics))), *statistics)
    elif "embedding" in saved_as:
        order = ("embeddings",)
    elif saved_as.startswith("separable"):
        order = ("depthwise_kernel", "pointwise_kernel", "bias")
    elif n >= 2 and len(shapes[0]) == len(shapes[1]) > 1 and ("cell" in classes or saved_as):  # a recurrent cell
        order = ("kernel", "recurrent_kernel", "bias")
    elif n and len(shapes[0]) > 1:
        order = ("kernel", "bias") if n > 1 and len(shapes[1]) < len(shapes[0]) else ("kernel",)
    return [order[i] if i < len(order) else str(i) for i in range(n)]
