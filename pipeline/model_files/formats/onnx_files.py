"""Initializers of ONNX files, and the nodes that use them. The file is in the format of Protocol Buffers."""

import mmap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.model_files import names
from pipeline.model_files.formats.mapped import Damaged, Region, file_region, mapped_tensor
from pipeline.model_files.tensors import FLOATS, Model, Module, Tensor

TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
# Fields with values -> their type, "" for bytes of the tensor's type; integers in varying lengths are not read
VALUES = {4: "float32", 5: "varying", 7: "varying", 9: "", 10: "float64"}
EXTERNAL = 1

RECURRENT = ("LSTM", "GRU", "RNN")  # whose inputs are x, W, R, B, lengths and states


@dataclass
class Node:
    """An operation of the graph."""

    op: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # attributes
    constants: list[Any] = field(default_factory=list)  # the tensor of a Constant: where it lies


def read_onnx(path: Path) -> Model:
    """The initializers of an ONNX file in the order in which the nodes use them."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        graphs = [span for number, span in _fields(data, 0, len(data)) if number == 7]
        if len(graphs) != 1 or not isinstance(graphs[0], tuple):
            raise Damaged("it has no graph")
        nodes: list[Node] = []
        tensors: dict[str, Tensor] = {}
        notes: list[str] = []
        for number, value in _fields(data, *graphs[0]):
            if number == 5:
                tensors |= _tensor(path, data, value, "", notes)
            elif number == 1:
                nodes.append(_node(data, value))
        for node in nodes:
            for span in node.constants:
                tensors |= _tensor(path, data, span, node.outputs[0], notes)
    states = {name for node in nodes if node.op in RECURRENT for name in node.inputs[5:]}
    used = [name for node in nodes for name in node.inputs if name in tensors and name not in states]
    order = list(dict.fromkeys([*used, *(name for name in tensors if name not in states)]))
    modules = _modules(nodes, tensors)
    return Model(path.name, "onnx", [tensors[name] for name in order], modules, notes=notes)


def _tensor(path: Path, data: mmap.mmap, span: Any, name: str, notes: list[str]) -> dict[str, Tensor]:
    shape: list[int] = []
    kind = location = 0
    places: list[tuple[str, Any]] = []
    external: dict[str, str] = {}
    for number, value in _fields(data, *_span(span)):
        if number == 1:
            shape += [value] if isinstance(value, int) else list(_varints(data, *value))
        elif number == 2:
            kind = value
        elif number == 8:
            name = name or _text(data, value)
        elif number in VALUES:
            places.append((VALUES[number], value))
        elif number == 13:
            pair = dict(_fields(data, *_span(value)))
            external[_text(data, pair[1])] = _text(data, pair[2])
        elif number == 14:
            location = value
    dtype = TYPES.get(kind, "")
    if location == EXTERNAL:
        return {name: _external(path, name, dtype, shape, external)}
    kinds = [kind or dtype for kind, _ in places]
    if not dtype or kinds != [dtype] or not isinstance(places[0][1], tuple):
        if not dtype or (dtype in FLOATS and 0 not in shape):
            notes.append(f"{name} has a type or an encoding that is not read; it is left out")
        return {}
    start, stop = places[0][1]
    return {name: mapped_tensor(name, Region(path, start, stop - start), dtype, shape)}


def _external(path: Path, name: str, dtype: str, shape: list[int], entries: dict[str, str]) -> Tensor:
    """A tensor whose values lie in another file of the same folder."""
    location = entries.get("location", "")
    beside = path.parent / location
    if not location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise Damaged(f"the values of {name} lie in {location[:80]}, which is not in its folder")
    if not beside.is_file():
        raise UserError(f"{path}: its values are in {location}, which is not beside it; copy both files")
    offset, whole = int(entries.get("offset", "0")), file_region(beside)
    return mapped_tensor(name, whole, dtype, shape, offset)


# ---------------------------------------------------------------------------------------------------------------------
# Nodes


def _node(data: mmap.mmap, span: Any) -> Node:
    node = Node()
    for number, value in _fields(data, *_span(span)):
        if number in (1, 2):
            (node.inputs if number == 1 else node.outputs).append(_text(data, value))
        elif number == 4:
            node.op = _text(data, value)
        elif number == 5:
            attribute = dict(_fields(data, *_span(value)))
            if isinstance(attribute.get(3), int):
                node.numbers[_text(data, attribute[1])] = attribute[3]
            if node.op in ("Constant", "") and 5 in attribute:
                node.constants.append(attribute[5])
    if node.op != "Constant" or len(node.outputs) != 1:
        node.constants = []
    return node


def _modules(nodes: list[Node], tensors: dict[str, Tensor]) -> dict[str, Module]:
    """The operation, activation, groups, bias and layout of each initializer that is a weight, by its name."""
    users: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for name in node.inputs:
            users[name].append(node)
    transposes = [node for node in nodes if node.op == "Transpose" and node.inputs and node.outputs]
    turned = {node.inputs[0]: node.outputs[0] for node in transposes}
    modules: dict[str, Module] = {}
    for name in tensors:
        seen_as = name if users[name] and users[name][0].op != "Transpose" else turned.get(name, name)
        for node in users[seen_as]:
            module = _module(node, seen_as, seen_as != name, users, tensors)
            if module:
                modules[name] = module
                break
    return modules


def _module(
    node: Node, name: str, turned: bool, users: dict[str, list[Node]], tensors: dict[str, Tensor]
) -> Module | None:
    position = node.inputs.index(name)
    following = users[node.outputs[0]] if node.outputs else []
    if node.op in ("Conv", "ConvTranspose") and position == 1:
        layout = "out, in" if node.op == "Conv" else "in, out, kernel"
        return Module(
            node.op, _activation(following, users), max(1, node.numbers.get("group", 1)), _input(node, 2), layout
        )
    if node.op == "Gemm" and position == 1:
        layout = "out, in" if bool(node.numbers.get("transB", 0)) != turned else "in, out"
        return Module(node.op, _activation(following, users), 1, _input(node, 2), layout)
    if node.op == "MatMul":
        layout = "out, in" if (position == 1) == turned else "in, out"
        bias = ""
        if len(following) == 1 and following[0].op == "Add":
            bias = next((each for each in following[0].inputs if each in tensors and len(tensors[each].shape) == 1), "")
            following = users[following[0].outputs[0]] if bias and following[0].outputs else following
        return Module(node.op, _activation(following, users), 1, bias, layout)
    if node.op in RECURRENT and position in (1, 2):
        return Module(node.op, "", 1, _input(node, 3) if position == 1 else "", "out, in")
    if node.op == "Gather" and position == 0:
        return Module("Embedding")
    if node.op.endswith("Normalization") and position == 1:
        return Module(node.op, "", 1, _input(node, 2))
    return None


def _input(node: Node, i: int) -> str:
    return node.inputs[i] if len(node.inputs) > i else ""


def _activation(following: list[Node], users: dict[str, list[Node]]) -> str:
    """The activation among the operations that follow, through normalizations and changes of shape."""
    for _ in range(8):
        ops = sorted(node.op for node in following)
        if ops == ["Mul", "Sigmoid"]:
            return "silu"
        if "Div" in ops and any(node.op == "Erf" for each in following for out in each.outputs for node in users[out]):
            return "gelu"
        if len(ops) != 1:
            return ""
        if not names.BETWEEN.search(ops[0]):
            return "linear" if ops[0] in ("Gemm", "Conv", "MatMul") else names.activation(ops[0])
        if not following[0].outputs:
            return ""
        following = users[following[0].outputs[0]]
    return ""


# ---------------------------------------------------------------------------------------------------------------------
# Protocol Buffers


def _fields(data: mmap.mmap, start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Number and value of the fields of a message: an integer, or where its bytes lie as (start, stop)."""
    at = start
    while at < stop:
        key, at = _varint(data, at, stop)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at, stop)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at, stop)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise Damaged("it is no message of Protocol Buffers")
        if size > stop - at:
            raise Damaged("it is cut off")
        yield number, (at, at + size)
        at += size


def _varint(data: mmap.mmap, at: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    while at < stop and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise Damaged("it is cut off")


def _varints(data: mmap.mmap, start: int, stop: int) -> Iterator[int]:
    while start < stop:
        value, start = _varint(data, start, stop)
        yield value


def _span(value: Any) -> tuple[int, int]:
    if not isinstance(value, tuple):
        raise Damaged("a message in it is a number")
    return value


def _text(data: mmap.mmap, value: Any) -> str:
    start, stop = _span(value)
    return data[start : min(stop, start + 1000)].decode()
