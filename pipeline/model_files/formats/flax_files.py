"""Arrays of Flax's msgpack files, written by `flax.serialization.to_bytes`."""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.model_files.formats.mapped import DTYPES, Damaged, Region, checked_shape, mapped_tensor, readable
from pipeline.model_files.names import natural
from pipeline.model_files.tensors import Model, Tensor, count, from_bfloat16, tensors_of

ITEMS, DEPTH = 1_000_000, 60
CHUNKED = "__msgpack_chunked_array__"  # the key of a dictionary that stands for an array above 2^30 bytes
STATES = ("opt_state", "rngs", "rng", "cache", "intermediates")


class Array(NamedTuple):
    """An array in the file."""

    shape: list[int]
    dtype: str
    offset: int
    size: int


class Bytes(NamedTuple):
    """Bytes in the file."""

    offset: int
    size: int


def is_map(head: bytes) -> bool:
    """Whether a file may be a msgpack map with text as its first key."""
    at = {0xDE: 3, 0xDF: 5}.get(head[0], 1 if 0x81 <= head[0] <= 0x8F else 0)
    return at > 0 and len(head) > at and (0xA0 <= head[at] <= 0xBF or head[at] in (0xD9, 0xDA))


def read_flax(path: Path) -> Model:
    """The parameters of a msgpack file: names of nested dictionaries joined by "/"."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data)
        content = reader.value(0)
        if reader.at != len(data) or not isinstance(content, dict):
            raise Damaged("it does not end after its first dictionary")
    trained = ""
    step = content.get("step")
    if isinstance(step, Array) and step.dtype in DTYPES and DTYPES[step.dtype].kind in "iu":
        with path.open("rb") as file:
            file.seek(step.offset)
            step = int.from_bytes(file.read(min(step.size, 8)), "little")
    if type(step) is int and step > 0:
        trained = f"step in the file is {step}"
    notes = [f"left out of the file: {key}" for key in content if key in STATES]
    content = {key: value for key, value in content.items() if key not in (*STATES, "step")}
    arrays = sorted(_arrays(content, ""), key=lambda pair: natural(pair[0]))
    named = ((name.removeprefix("params/").removesuffix("/value"), array) for name, array in arrays)

    def tensor(name: str, array: Any) -> Tensor:
        if isinstance(array, dict):
            return _chunked(name, array, path)
        return mapped_tensor(name, Region(path, array.offset, array.size), array.dtype, array.shape)

    return Model(path.name, "flax", tensors_of(named, tensor, notes), trained=trained, notes=notes)


def _arrays(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Array) or (isinstance(value, dict) and CHUNKED in value):
        yield name, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _arrays(child, f"{name}/{key}" if name else str(key), depth + 1)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _arrays(child, f"{name}/{i}" if name else str(i), depth + 1)


def _chunked(name: str, value: dict[str, Any], path: Path) -> Tensor:
    """An array that is stored in pieces, which are copied into one."""
    chunks = [value["chunks"][str(i)] for i in range(len(value["chunks"]))]
    shape = checked_shape(name, [value["shape"][str(i)] for i in range(len(value["shape"]))])
    dtype = chunks[0].dtype
    kind = DTYPES[dtype]
    size = count(shape)
    n_bytes = 0
    for chunk in chunks:
        n_bytes += chunk.size
    if n_bytes != size * kind.itemsize:
        raise Damaged(f"the pieces of {name} do not make up its shape {shape}")

    def values() -> NDArray[Any]:
        array = np.empty(size, kind)
        view, at = array.data.cast("B"), 0
        with path.open("rb") as file:
            for chunk in chunks:
                file.seek(chunk.offset)
                if file.readinto(view[at : at + chunk.size]) != chunk.size:
                    raise Damaged(f"{name} is cut off")
                at += chunk.size
        array = array.reshape(shape)
        return from_bfloat16(array) if dtype == "bfloat16" else array

    return Tensor(name, shape, dtype, lambda: readable(path, "a complete msgpack file of Flax", values))


# The first byte of values with a length or number after it -> format of that number, what follows
SIZED = {
    0xC4: (">B", "bytes"), 0xC5: (">H", "bytes"), 0xC6: (">I", "bytes"),
    0xC7: (">B", "extension"), 0xC8: (">H", "extension"), 0xC9: (">I", "extension"),
    0xCA: (">f", "number"), 0xCB: (">d", "number"),
    0xCC: (">B", "number"), 0xCD: (">H", "number"), 0xCE: (">I", "number"), 0xCF: (">Q", "number"),
    0xD0: (">b", "number"), 0xD1: (">h", "number"), 0xD2: (">i", "number"), 0xD3: (">q", "number"),
    0xD9: (">B", "text"), 0xDA: (">H", "text"), 0xDB: (">I", "text"),
    0xDC: (">H", "list"), 0xDD: (">I", "list"), 0xDE: (">H", "map"), 0xDF: (">I", "map"),
}  # fmt: skip
CONSTANTS: dict[int, Any] = {0xC0: None, 0xC2: False, 0xC3: True}


class _Reader:
    """Values of a msgpack file; arrays and bytes stay where they are."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at, self.items = data, 0, 0

    def taken(self, n: int) -> int:
        """Move over n bytes; where they begin."""
        start = self.at
        if n > len(self.data) - start:
            raise Damaged("it is cut off")
        self.at += n
        return start

    def value(self, depth: int) -> Any:
        self.items += 1
        if depth > DEPTH or self.items > ITEMS:
            raise Damaged("its dictionaries are nested without end")
        first = self.data[self.taken(1)]
        if first in CONSTANTS:
            return CONSTANTS[first]
        if first < 0x80 or first >= 0xE0:
            return first if first < 0x80 else first - 0x100
        if first < 0xC0:
            kind = "map" if first < 0x90 else "list" if first < 0xA0 else "text"
            n = first & (31 if kind == "text" else 15)
        elif 0xD4 <= first <= 0xD8:
            kind, n = "extension", 1 << (first - 0xD4)
        elif first in SIZED:
            layout, kind = SIZED[first]
            (n,) = struct.unpack_from(layout, self.data, self.taken(struct.calcsize(layout)))
        else:
            raise Damaged(f"it has the unknown code {first:#x}")
        if kind == "number":
            return n
        if kind == "map":
            pairs = ((self.value(depth + 1), self.value(depth + 1)) for _ in range(n))
            return {str(key): value for key, value in pairs}
        if kind == "list":
            return [self.value(depth + 1) for _ in range(n)]
        if kind == "extension":
            code = self.data[self.taken(1)]
            return self.array(code, n, depth)
        start = self.taken(n)
        return Bytes(start, n) if kind == "bytes" else self.data[start : start + n].decode()

    def array(self, code: int, n: int, depth: int) -> Any:
        """The array or number of an extension of n bytes: its shape, type and bytes, in msgpack again."""
        end = self.at + n
        if code not in (1, 3):
            self.taken(n)
            return None
        content = self.value(depth + 1)
        if self.at != end or not isinstance(content, list) or len(content) != 3 or not isinstance(content[2], Bytes):
            raise Damaged("an array in it is incomplete")
        shape, dtype, values = content
        return Array(list(shape), str(dtype), values.offset, values.size)
