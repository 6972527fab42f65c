"""Arrays of .safetensors files: eight bytes with the length of a header in JSON, the header, the values."""

import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.model_files.formats.mapped import Damaged, Region, mapped_tensor
from pipeline.model_files.names import natural
from pipeline.model_files.tensors import LeftOut, Model, Tensor, tensors_of

HEADER = 100_000_000  # bytes, the format's own limit
NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
FRAMEWORKS = {"pt": "pytorch", "tf": "keras", "flax": "flax"}


def read_safetensors(path: Path) -> Model:
    """The arrays of a .safetensors file. It does not store the layers' order: numbered names are counted up."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(HEADER, size - 8):
            raise Damaged(f"its header claims {length} bytes")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise Damaged("its header is not a JSON object")
    metadata = header.pop("__metadata__", None) or {}
    values = Region(path, 8 + length, size - 8 - length)
    notes: list[str] = []
    entries = sorted(header.items(), key=lambda pair: natural(pair[0]))
    tensors = tensors_of(entries, partial(_tensor, values), notes)
    framework = FRAMEWORKS.get(str(metadata.get("format")), "") if isinstance(metadata, dict) else ""
    return Model(path.name, framework, tensors, notes=notes)


def _tensor(values: Region, name: str, entry: Any) -> Tensor:
    try:
        kind, shape, (start, stop) = str(entry["dtype"]), list(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise Damaged(f"the header's entry of {name[:80]} is incomplete") from None
    if type(start) is not int or type(stop) is not int or not 0 <= start <= stop <= values.size:
        raise Damaged(f"the values of {name[:80]} lie outside the file")
    if kind not in NAMES:
        raise LeftOut(f"{name} has the type {kind}, which is left out: save it as F32, F16 or BF16")
    region = Region(values.path, values.offset + start, stop - start)
    return mapped_tensor(name, region, NAMES[kind], shape)
