"""Arrays of PyTorch's .pt and .pth files, without PyTorch and without executing anything that the file contains."""

import io
import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.model_files.formats.mapped import (
    DTYPES,
    Damaged,
    Region,
    checked_shape,
    file_region,
    mapped_tensor,
    member,
    numbers,
    opened_zip,
    placed,
)
from pipeline.model_files.formats.torch_pickles import Storage, Stored, refuse, unpickled, walk
from pipeline.model_files.tensors import LeftOut, Model, Tensor, count, tensors_of

PICKLE = 1 << 28  # bytes of a pickle at most; the values lie outside it
MAGIC = 0x1950A86A20F9469CFC6C


def read_torch_zip(path: Path, pickle: str) -> Model:
    """The tensors of a file of `torch.save`, of which `pickle` is the member with the structure."""
    members = opened_zip(path)
    folder = pickle.removesuffix("data.pkl")
    if f"{folder}constants.pkl" in members or any(name.startswith(f"{folder}code/") for name in members):
        raise UserError(
            f"{path}: is a TorchScript archive, which holds code; save its weights: "
            f'torch.save(torch.jit.load("{path.name}").state_dict(), "weights.pt")'
        )
    big = f"{folder}byteorder" in members and member(path, f"{folder}byteorder", 100).strip() == b"big"
    value, names = unpickled(io.BytesIO(member(path, pickle, PICKLE)))
    refuse(path, names)

    def tensor(name: str, item: Stored) -> Tensor:
        info = members.get(f"{folder}data/{item.storage.key}")
        if info is None:
            raise Damaged(f"the values of {name} are missing")
        region, read = placed(path, info)
        return _mapped(name, item, region, big, read)

    return _model(path, value, tensor)


def read_torch_legacy(path: Path) -> Model:
    """The tensors of a file of `torch.save` before PyTorch 1.6: four pickles, keys of storages, their values."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        names: list[str] = []
        for _ in range(3):  # the magic number, the protocol, the system
            unpickled(stream)
        value, names = unpickled(stream)
        refuse(path, names)
        keys, _ = unpickled(stream)
        storages: dict[str, Storage] = {item.storage.key: item.storage for _, item in walk(value)}
        whole = file_region(path)
        regions: dict[str, Region] = {}
        for key in keys:
            n = int.from_bytes(stream.read(8), "little")
            size = n * DTYPES[storages[key].dtype].itemsize if key in storages else -1
            if size < 0 or size > whole.size - stream.tell():
                raise Damaged(f"the values of storage {str(key)[:40]} are missing")
            regions[key] = Region(path, stream.tell(), size)
            stream.seek(size, 1)
    return _model(path, value, lambda name, item: _mapped(name, item, regions[item.storage.key], False))


def _mapped(name: str, item: Stored, region: Region, big: bool, read: Callable[[], bytes] | None = None) -> Tensor:
    offset = item.offset * numbers(name, item.dtype).itemsize
    storage = (item.storage.key, offset, count(checked_shape(name, item.shape)))
    places: dict[str, Any] = {"offset": offset, "strides": item.strides, "storage": storage}
    return mapped_tensor(name, region, item.dtype, item.shape, big_endian=big, decompressed=read, **places)


# ---------------------------------------------------------------------------------------------------------------------
# The weights among what a checkpoint contains

OTHERS = re.compile(r"optim|sched|scaler|(^|_)ema(_|$)|rng|callback|loops|hyper|hparam|history|metric", re.IGNORECASE)
STEPS = ("epoch", "epochs", "global_step", "step", "steps", "iteration", "iterations", "iter", "it")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile


def _model(path: Path, value: Any, tensor: Callable[[str, Stored], Tensor]) -> Model:
    found = list(walk(value))
    notes: list[str] = []
    kept = [(keys, item) for keys, item in found if len(keys) < 2 or not OTHERS.search(keys[0])] or found
    left_out = list(dict.fromkeys(keys[0] for keys, item in found if len(keys) > 1 and OTHERS.search(keys[0])))
    if len(kept) < len(found):
        notes.append(f"left out of the checkpoint: {', '.join(left_out)}")
    while kept and all(len(keys) > 1 and keys[0] == kept[0][0][0] for keys, _ in kept):
        kept = [(keys[1:], item) for keys, item in kept]
    names = [".".join(keys) or "tensor" for keys, _ in kept]
    while prefix := next((p for p in PREFIXES if names and all(name.startswith(p) for name in names)), ""):
        names = [name.removeprefix(prefix) for name in names]

    def read(name: str, item: Stored) -> Tensor:
        if item.problem:
            raise LeftOut(f"{name} {item.problem}; it is left out")
        return tensor(name, item)

    tensors = tensors_of(zip(names, (item for _, item in kept), strict=True), read, notes)
    return Model(path.name, "pytorch", tensors, trained=_trained(value, found), notes=notes)


def _trained(value: Any, found: list[tuple[tuple[str, ...], Stored]]) -> str:
    """Evidence of training in a checkpoint."""
    if any("optim" in keys[0] and "state" in keys for keys, _ in found if keys):
        return "the optimizer in the file has made steps"
    counts = [(key, value[key]) for key in STEPS if key in value] if isinstance(value, dict) else []
    return next((f"{key} in the file is {n}" for key, n in counts if type(n) is int and n > 0), "")


def is_legacy(head: bytes) -> bool:
    """Whether a file begins with PyTorch's magic number, pickled."""
    return head[:1] == b"\x80" and MAGIC.to_bytes(10, "little") in head[:32]
