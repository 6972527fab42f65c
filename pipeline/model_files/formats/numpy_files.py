"""Arrays of NumPy's .npy and .npz files."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.model_files.formats.mapped import (
    DTYPES,
    Damaged,
    Region,
    check_expansion,
    file_region,
    mapped_tensor,
    opened_zip,
    readable,
    stored,
)
from pipeline.model_files.tensors import Model, Tensor, count


class Unsupported(ValueError):
    """An array of another type than numbers."""


def read_npy(path: Path) -> Model:
    """The array of a .npy file, under the file's name without its suffix."""
    notes: list[str] = []
    tensors = list(_array(path.stem, file_region(path), notes))
    return Model(path.name, "", tensors, notes=notes)


def read_npz(path: Path) -> Model:
    """The arrays of a .npz file."""
    tensors: list[Tensor] = []
    notes: list[str] = []
    for name, info in opened_zip(path).items():
        region = stored(path, info) if name.endswith(".npy") else None
        if region:
            tensors += _array(name.removesuffix(".npy"), region, notes)
        elif name.endswith(".npy"):
            tensors += _compressed(path, info, notes)
    return Model(path.name, "", tensors, notes=notes)


def _array(name: str, region: Region, notes: list[str]) -> list[Tensor]:
    with region.path.open("rb") as file:
        file.seek(region.offset)
        try:
            shape, fortran, dtype = _header(name, file)
        except Unsupported as reason:
            notes.append(str(reason))
            return []
        offset = file.tell() - region.offset
    big = dtype.newbyteorder("=") != dtype
    return [mapped_tensor(name, region, dtype.name, shape, offset, order="F" if fortran else "C", big_endian=big)]


def _compressed(path: Path, info: zipfile.ZipInfo, notes: list[str]) -> list[Tensor]:
    check_expansion(info)
    name = info.filename.removesuffix(".npy")
    with zipfile.ZipFile(path) as archive, archive.open(info) as file:
        try:
            shape, _, dtype = _header(name, file)
        except Unsupported as reason:
            notes.append(str(reason))
            return []
        if count(shape) * dtype.itemsize > info.file_size:
            raise Damaged(f"{name} of shape {shape} needs more bytes than the file has")

    def values() -> NDArray[Any]:
        with zipfile.ZipFile(path) as archive, archive.open(info.filename) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))

    return [Tensor(name, shape, dtype.name, lambda: readable(path, "a complete .npz file", values))]


def _header(name: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type, from the header of a .npy file. Raises Unsupported."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Unsupported(f"{name} has a structured type, which is left out")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise Unsupported(f"{name} holds Python objects, which are pickled and could execute code; it is left out")
    if dtype.name not in DTYPES:
        raise Unsupported(f"{name} has the type {dtype.name}, which is left out")
    return shape, fortran, dtype
