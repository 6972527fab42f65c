"""The pickle of a PyTorch file as tensors in containers; names of anything but data are refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError
from pipeline.model_files.formats import pickles
from pipeline.model_files.formats.mapped import Damaged
from pipeline.model_files.formats.pickles import Name, Unknown

SAVE = 'torch.save(model.state_dict(), "weights.pt")'
ITEMS, DEPTH = 1_000_000, 24  # of nested containers at most

TYPES = {  # in the names of storages, as FloatStorage, and of dtypes, as torch.float
    "double": "float64", "float": "float32", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "char": "int8", "byte": "uint8", "untyped": "uint8",
}  # fmt: skip
# Names that stand for data. All others are refused.
REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state")
UNSUPPORTED = {
    "torch._utils._rebuild_meta_tensor_no_storage": "has no values (device meta)",
    "torch._utils._rebuild_qtensor": "is quantized",
    "torch._utils._rebuild_sparse_tensor": "is sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "is sparse",
    "torch._utils._rebuild_device_tensor_from_numpy": "belongs to another device",
}
HARMLESS = re.compile(
    r"torch\.(b?float\d*(_\w+)?|double|half|q?u?int\w*|long|short|bool|c?(complex|float)\d+|bits\w+|device|strided|sparse_\w+"
    r"|\w+_format|channels_last\w*|per_\w+_affine|\w*Storage|Size|Tensor|Generator)|torch\.storage\.(Untyped|Typed)Storage"
    r"|torch\.nn\.parameter\.(Parameter|Buffer)|torch\._utils\.\w*rebuild\w*|torch\.serialization\._get_layout"
    r"|torch\._tensor\._rebuild_from_type_v2"
    r"|collections\.(OrderedDict|defaultdict|Counter|deque)|argparse\.Namespace|types\.SimpleNamespace|_codecs\.encode"
    r"|(builtins|__builtin__)\.(set|frozenset|bytearray|complex|slice|range|list|dict|tuple|int|float|str|bool)"
    r"|pathlib\.\w*Path|pathlib\._local\.\w*Path|datetime\.(datetime|date|timedelta)"
    r"|numpy\.(dtype|ndarray|core\.multiarray\.(scalar|_reconstruct)|_core\.multiarray\.(scalar|_reconstruct))"
)


class Storage(NamedTuple):
    """A vector of values in the file."""

    key: str
    dtype: str
    n: int


class Stored(NamedTuple):
    """A tensor: a view of a storage, in which offset and strides count values; or why it cannot be read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    problem: str = ""


def unpickled(stream: pickles.Stream) -> tuple[Any, list[str]]:
    """The value of a pickle, and the names in it that are refused."""
    refused: list[str] = []

    def name(dotted: Name) -> Any:
        if not HARMLESS.fullmatch(dotted):
            refused.append(dotted)
        return dotted

    return pickles.load(stream, name, _call, _storage), refused


def _storage(key: Any) -> Any:
    """What stands for ("storage", its type, its key, the device, number of values)."""
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
        raise Damaged("it refers to an unknown object")
    kind = str(key[1]).rpartition(".")[2].removesuffix("Storage").lower()
    if type(key[4]) is not int or key[4] < 0:
        raise Damaged("the size of a storage is no number")
    return Storage(str(key[2]), TYPES.get(kind, kind), key[4])


def _call(function: Any, arguments: Any) -> Any:
    """What stands for the result of a call: tensors, containers; anything else is `Unknown`."""
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        return Unknown()
    name = function.rpartition(".")[2]
    if function.startswith("torch."):
        if name in REBUILT:
            return _rebuilt(arguments)
        if name in PARAMETERS:
            return arguments[0]
        if name == "_rebuild_from_type_v2":
            return _call(arguments[0], arguments[2])
        if name == "Size":
            return tuple(arguments[0])
        if function in UNSUPPORTED:
            nothing = Storage("", "float32", 0)
            return Stored(nothing, 0, (0,), (1,), "float32", UNSUPPORTED[function])
    if function in ("collections.OrderedDict", "collections.defaultdict", "builtins.dict"):
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {key: value for key, value in pairs if isinstance(key, pickles.PLAIN)}
    return Unknown()


def _rebuilt(arguments: tuple[Any, ...]) -> Any:
    storage, offset, shape, strides, *rest = arguments
    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise Damaged("a tensor has no values")
    dtype = storage.dtype
    if len(rest) > 2 and isinstance(rest[2], Name):  # of _rebuild_tensor_v3
        dtype = rest[2].rpartition(".")[2]
    dtype = TYPES.get(dtype, dtype)
    return Stored(storage, offset, tuple(shape), tuple(strides), dtype)


def refuse(path: Path, names: list[str]) -> None:
    """Refuse a file that names functions or classes. Raises UserError."""
    if not names:
        return
    if any(name.startswith("torch.nn.modules.") for name in names):
        own = [name for name in names if not name.startswith("torch.")]
        whole = f" of the class {own[0]}" if own else ""
        reason = f"is a whole pickled module{whole}, and to load it would execute code"
    else:
        shown = ", ".join(dict.fromkeys(name[:80] for name in names[:3]))
        reason = f"its pickle uses {shown}, which is refused because to load it would execute code"
    raise UserError(f"{path}: {reason}; save the weights alone: {SAVE}")


def walk(value: Any) -> Iterator[tuple[tuple[str, ...], Stored]]:
    """The tensors in nested containers, with the keys that lead to them."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), value)]
    n = 0
    while pending:
        path, item = pending.pop()
        n += 1
        if n > ITEMS or len(path) > DEPTH:
            raise Damaged("its containers are nested without end")
        if isinstance(item, Stored):
            yield path, item
        elif isinstance(item, dict):
            pending += [((*path, str(key)), child) for key, child in reversed(item.items())]
        elif isinstance(item, list | tuple) and not isinstance(item, Storage):
            pending += [((*path, str(i)), item[i]) for i in reversed(range(len(item)))]
