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
    EXPANSION,
    SMALL,
    Damaged,
    Region,
    check_expansion,
    file_region,
    mapped_tensor,
    member,
    numbers,
    opened_zip,
    readable,
    stored,
)
from pipeline.model_files.names import natural
from pipeline.model_files.tensors import Model, Tensor, count, from_bfloat16, tensors_of

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
        groups, datasets = _items(file)
        stated = file.attrs.get("model_config")
        if not config and isinstance(stated, str | bytes) and len(stated) < CONFIG:
            config = json.loads(stated)
        classes = keras_config.layers(config)
        root = "model_weights/" if "model_weights" in groups else ""
        if "layer_names" in groups[root.rstrip("/")].attrs:
            named = _named_by_attributes(groups, root, datasets)
        else:
            named = _named_by_order(groups, datasets, classes)
        notes: list[str] = []
        tensors = tensors_of(named, lambda name, dataset: _tensor(path, place, name, datasets[dataset]), notes)
        trained = _trained(datasets)
    return Model(path.name, "keras", tensors, {each.name: each.module for each in classes}, trained, notes)


# ---------------------------------------------------------------------------------------------------------------------
# HDF5


class _Window(io.FileIO):
    """A part of a file as a file, for h5py."""

    def __init__(self, region: Region) -> None:
        super().__init__(region.path)
        self.region = region

    def seek(self, offset: int, whence: int = 0) -> int:
        start = self.region.offset
        return super().seek((start, super().tell(), start + self.region.size)[whence] + offset) - start

    def tell(self) -> int:
        return super().tell() - self.region.offset


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


def _items(file: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The groups and the datasets of a file by path, without following links out of it; the file itself is group ""."""
    groups: dict[str, Any] = {"": file}
    datasets: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        (datasets if hasattr(item, "shape") and hasattr(item, "dtype") else groups)[name] = item

    file.visititems(visit)
    return groups, datasets


def _tensor(path: Path, place: Region | zipfile.ZipInfo, name: str, dataset: Any) -> Tensor:
    if dataset.external or dataset.is_virtual:
        raise Damaged(f"the values of {name} lie in another file")
    kind = dataset.dtype
    dtype = kind.name
    opaque = kind.kind == "V" or str(dataset.attrs.get("dtype", "")) == "bfloat16"  # of Keras 3
    if opaque and kind.itemsize == 2:
        dtype, kind = "bfloat16", np.dtype("<u2")
    shape = tuple(int(n) for n in dataset.shape or ())
    numbers(name, dtype)
    offset = None if dataset.chunks or dataset.compression else dataset.id.get_offset()
    if offset is not None and isinstance(place, Region):
        big = kind.newbyteorder("=") != kind
        return mapped_tensor(name, place, dtype, shape, int(offset), big_endian=big)
    size = count(shape) * kind.itemsize
    if size > max(SMALL, EXPANSION * int(dataset.id.get_storage_size())):
        raise Damaged(f"{name} of shape {shape} expands from {dataset.id.get_storage_size()} bytes")
    inside = dataset.name

    def values() -> NDArray[Any]:
        with _opened(path, place) as file:
            array = np.asarray(file[inside][()])
        return from_bfloat16(array.view(np.uint16)) if dtype == "bfloat16" else array

    return Tensor(name, shape, dtype, lambda: readable(path, "a complete HDF5 file", values))


# ---------------------------------------------------------------------------------------------------------------------
# Names


def _named_by_attributes(groups: dict[str, Any], root: str, datasets: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and datasets of a .h5 file with the attributes layer_names and weight_names, in their order."""
    for layer in map(_text, groups[root.rstrip("/")].attrs["layer_names"]):
        group = groups.get(f"{root}{layer}")
        for weight in map(_text, group.attrs.get("weight_names", ()) if group else ()):
            dataset = f"{root}{layer}/{weight}"
            if dataset in datasets:
                _, found, own = f"/{weight}".partition(f"/{layer}/")
                name = f"{layer}/{own if found else weight}"
                yield name.removesuffix(":0"), dataset


def _named_by_order(
    groups: dict[str, Any], datasets: dict[str, Any], classes: list[keras_config.KerasLayer]
) -> Iterator[tuple[str, str]]:
    """Names and datasets of a .weights.h5 file, which numbers the variables of a layer, in the model's order."""
    numbered: dict[str, dict[int, str]] = {}
    for path in datasets:
        group, _, number = path.rpartition("/")
        if group.split("/")[-1:] == ["vars"] and number.isdecimal() and not path.startswith("optimizer"):
            numbered.setdefault(group, {})[int(number)] = path
    if not numbered and not any(path.startswith("optimizer/") for path in datasets):
        yield from ((path.removesuffix(":0"), path) for path in sorted(datasets, key=natural))
        return
    order = {each.saved_as: i for i, each in enumerate(classes)}
    by_place = {each.saved_as: each for each in classes}
    by_name = {each.name: each for each in classes}

    def place(group: str) -> tuple[int, list[tuple[int, int, str]]]:
        saved = next((part for part in group.split("/") if part in order), "")
        return order.get(saved, len(order)), natural(group)

    for group in sorted(numbered, key=place):
        parts = [part for part in group.split("/") if part not in ("layers", "vars")]
        own = list(_own_names(groups, group, by_place))
        last, name = ["", *own][-1], "/".join(own)
        paths = [numbered[group][i] for i in sorted(numbered[group])]
        layer = by_name.get(last) or by_place.get(["", *parts][-1])
        leaves = keras_config.variables(last, ["", *parts][-1], layer, [datasets[path].shape for path in paths])
        for leaf, path in zip(leaves, paths, strict=True):
            yield (f"{name}/{leaf}" if name else leaf), path


def _own_names(groups: dict[str, Any], group: str, by_place: dict[str, keras_config.KerasLayer]) -> Iterator[str]:
    """The layers' own names of the parts of a path, in which layers are counted by class."""
    at = ""
    for part in group.split("/"):
        outermost, at = at in ("", "layers"), f"{at}/{part}" if at else part
        if part in ("layers", "vars"):
            continue
        variables = groups.get(f"{at}/vars")
        own = _text(variables.attrs.get("name", "")) if variables else ""
        yield own or (by_place[part].name if outermost and part in by_place else part)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _trained(datasets: dict[str, Any]) -> str:
    """Evidence of training: the optimizer's number of steps."""
    for path, dataset in datasets.items():
        counter = path == "optimizer/vars/0" or (
            path.startswith("optimizer_weights/") and path.rpartition("/")[2] in ITERATION
        )
        if counter and dataset.shape == () and dataset.dtype.kind in "iu" and int(dataset[()]) > 0:
            return f"the optimizer in the file has made {int(dataset[()])} steps"
    return ""
