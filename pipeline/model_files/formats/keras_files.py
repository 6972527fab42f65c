"""Arrays of Keras' files: .keras, .weights.h5, and .h5 of whole models or weights, of Keras 2 and 3."""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.model_files.formats import keras_config
from pipeline.model_files.formats.mapped import (
    DTYPES,
    EXPANSION,
    SMALL,
    Damaged,
    Region,
    check_expansion,
    file_region,
    mapped_tensor,
    member,
    opened_zip,
    readable,
    stored,
)
from pipeline.model_files.names import natural
from pipeline.model_files.tensors import Model, Tensor, count, from_bfloat16

CONFIG = 1 << 28  # bytes of a configuration at most
ITERATION = ("iteration", "iterations", "iter", "iteration:0", "iterations:0", "iter:0")


def read_h5(path: Path) -> Model:
    """The arrays of an HDF5 file of Keras: a whole model, its weights, or of Keras 3 a .weights.h5."""
    return _read(path, file_region(path), {})


def read_keras(path: Path) -> Model:
    """The arrays of a .keras archive."""
    members = opened_zip(path)
    config = json.loads(member(path, "config.json", CONFIG))
    if "model.weights.h5" not in members:
        raise UserError(f'{path}: holds its weights in shards; save it without: model.save("model.keras")')
    info = members["model.weights.h5"]
    return _read(path, stored(path, info) or info, config if isinstance(config, dict) else {})


def _read(path: Path, place: Region | zipfile.ZipInfo, config: dict[str, Any]) -> Model:
    with _opened(path, place) as file:
        datasets = _datasets(file)
        stated = file.attrs.get("model_config")
        if not config and isinstance(stated, str | bytes) and len(stated) < CONFIG:
            config = json.loads(stated)
        classes = keras_config.layers(config)
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs:
            prefix = "model_weights/" if "model_weights" in file else ""
            named = _named_by_attributes(root, prefix, datasets)
        else:
            named = _named_by_order(file, datasets, classes)
        tensors: list[Tensor] = []
        notes: list[str] = []
        for name, dataset in named:
            tensors += _tensor(path, place, name, datasets[dataset], notes)
        trained = _trained(datasets)
    return Model(path.name, "keras", tensors, {each.name: each.module for each in classes}, trained, notes)


# ---------------------------------------------------------------------------------------------------------------------
# HDF5


class _Window(io.RawIOBase):
    """A part of a file as a file, for h5py."""

    def __init__(self, region: Region) -> None:
        self.file, self.region, self.at = region.path.open("rb"), region, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.region.size)[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        n = max(0, min(len(buffer), self.region.size - self.at))
        self.file.seek(self.region.offset + self.at)
        n = self.file.readinto(memoryview(buffer)[:n])
        self.at += n
        return n

    def close(self) -> None:
        self.file.close()
        super().close()


def _opened(path: Path, place: Region | zipfile.ZipInfo) -> Any:
    """The h5py.File in a part of a file, or in a compressed member of it by way of a temporary file."""
    try:
        import h5py
    except ImportError:
        message = "reading Keras files needs h5py: pip install 'weight-initialization-laboratory[keras]'"
        raise UserError(f"{path}: {message}") from None
    if isinstance(place, Region):
        whole = place.offset == 0
        return h5py.File(path if whole else _Window(place), "r", **({"locking": False} if whole else {}))
    check_expansion(place)
    temporary: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the h5py.File
    with zipfile.ZipFile(path) as archive, archive.open(place) as source:
        left = place.file_size
        while left > 0 and (block := source.read(min(left, 1 << 20))):
            temporary.write(block)
            left -= len(block)
    return h5py.File(temporary, "r")


def _datasets(file: Any) -> dict[str, Any]:
    """The datasets of a file by path, without following links out of it."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "shape") and hasattr(item, "dtype"):
            found[name] = item

    file.visititems(visit)
    return found


def _tensor(path: Path, place: Region | zipfile.ZipInfo, name: str, dataset: Any, notes: list[str]) -> list[Tensor]:
    if dataset.external or dataset.is_virtual:
        raise Damaged(f"the values of {name} lie in another file")
    kind = dataset.dtype
    dtype = kind.name
    if kind.itemsize == 2 and (
        str(dataset.attrs.get("dtype", "")) == "bfloat16" or kind.kind == "V"
    ):  # opaque: Keras 3
        dtype, kind = "bfloat16", np.dtype("<u2")
    shape = tuple(int(n) for n in dataset.shape or ())
    if dtype not in DTYPES:
        notes.append(f"{name} has the type {dtype[:40]}, which is left out")
        return []
    offset = None if dataset.chunks or dataset.compression else dataset.id.get_offset()
    if offset is not None and isinstance(place, Region):
        big = kind.newbyteorder("=") != kind
        return [mapped_tensor(name, place, dtype, shape, int(offset), big_endian=big)]
    size = count(shape) * kind.itemsize
    if size > max(SMALL, EXPANSION * int(dataset.id.get_storage_size())):
        raise Damaged(f"{name} of shape {shape} expands from {dataset.id.get_storage_size()} bytes")
    inside = dataset.name

    def values() -> NDArray[Any]:
        with _opened(path, place) as file:
            array = np.asarray(file[inside][()])
        return from_bfloat16(array.view(np.uint16)) if dtype == "bfloat16" else array

    return [Tensor(name, shape, dtype, lambda: readable(path, "a complete HDF5 file", values))]


# ---------------------------------------------------------------------------------------------------------------------
# Names


def _named_by_attributes(root: Any, prefix: str, datasets: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and datasets of a .h5 file with the attributes layer_names and weight_names, in their order."""
    for layer in map(_text, root.attrs["layer_names"]):
        for weight in map(_text, root[layer].attrs.get("weight_names", ())):
            dataset = f"{prefix}{layer}/{weight}"
            if dataset in datasets:
                _, found, own = f"/{weight}".partition(f"/{layer}/")
                name = f"{layer}/{own if found else weight}"
                yield name.removesuffix(":0"), dataset


def _named_by_order(
    file: Any, datasets: dict[str, Any], classes: list[keras_config.KerasLayer]
) -> Iterator[tuple[str, str]]:
    """Names and datasets of a .weights.h5 file, which numbers the variables of a layer, in the model's order."""
    groups: dict[str, dict[int, str]] = {}
    for path in datasets:
        group, _, number = path.rpartition("/")
        if group.split("/")[-1:] == ["vars"] and number.isdecimal() and not path.startswith("optimizer"):
            groups.setdefault(group, {})[int(number)] = path
    if not groups and not any(path.startswith("optimizer/") for path in datasets):
        yield from ((path.removesuffix(":0"), path) for path in sorted(datasets, key=natural))
        return
    order = {each.saved_as: i for i, each in enumerate(classes)}
    kinds = {each.saved_as: each for each in classes}

    def place(group: str) -> tuple[int, list[tuple[int, int, str]]]:
        saved = next((part for part in group.split("/") if part in order), "")
        return order.get(saved, len(order)), natural(group)

    for group in sorted(groups, key=place):
        parts = [part for part in group.split("/") if part not in ("layers", "vars")]
        name = "/".join(_own_names(file, group, parts, kinds))
        numbers = groups[group]
        shapes = [datasets[numbers[i]].shape for i in sorted(numbers)]
        layer = kinds.get(parts[-1]) if parts else None
        leaves = keras_config.variables(name.rpartition("/")[2], parts[-1] if parts else "", layer, shapes)
        for leaf, i in zip(leaves, sorted(numbers), strict=True):
            yield (f"{name}/{leaf}" if name else leaf), numbers[i]


def _own_names(file: Any, group: str, parts: list[str], kinds: dict[str, keras_config.KerasLayer]) -> Iterator[str]:
    """The layers' own names of the parts of a path, which counts layers by class."""
    at = ""
    for part in group.split("/"):
        at = f"{at}/{part}" if at else part
        if part in ("layers", "vars"):
            continue
        own = _text(file[f"{at}/vars"].attrs.get("name", "")) if f"{at}/vars" in file else ""
        yield own or (kinds[part].name if part in kinds and part == parts[0] else part)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _trained(datasets: dict[str, Any]) -> str:
    """What the optimizer's counter of steps says."""
    for path, dataset in datasets.items():
        counter = path == "optimizer/vars/0" or (
            path.startswith("optimizer_weights/") and path.rpartition("/")[2] in ITERATION
        )
        if counter and dataset.shape == () and dataset.dtype.kind in "iu" and int(dataset[()]) > 0:
            return f"the optimizer in the file has made {int(dataset[()])} steps"
    return ""
