"""Arrays of NumPy's .npy and .npz files."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.model_files.formats.mapped import (
    Damaged,
    Region,
    check_expansion,
    file_region,
    mapped_tensor,
    numbers,
    opened_zip,
    readable,
    stored,
)
from pipeline.model_files.tensors import LeftOut, Model, Tensor, count, tensors_of


def read_npy(path: Path) -> Model:
    """The array of a .npy file, under the file's name without its suffix."""
    notes: list[str] = []
    return Model(path.name, "", tensors_of([(path.stem, file_region(path))], _array, notes), notes=notes)


def read_npz(path: Path) -> Model:
    """The arrays of a .npz file."""
    notes: list[str] = []
    members = ((name.removesuffix(".npy"), info) for name, info in opened_zip(path).items() if name.endswith(".npy"))

    def tensor(name: str, info: zipfile.ZipInfo) -> Tensor:
        region = stored(path, info)
        return _array(name, region) if region else _compressed(path, name, info)

    return Model(path.name, "", tensors_of(members, tensor, notes), notes=notes)


def _array(name: str, region: Region) -> Tensor:
    with region.path.open("rb") as file:
        file.seek(region.offset)
        shape, fortran, dtype = _header(name, file)
        offset = file.tell() - region.offset
    big = dtype.newbyteorder("=") != dtype
    return mapped_tensor(name, region, dtype.name, shape, offset, order="F" if fortran else "C", big_endian=big)


def _compressed(path: Path, name: str, info: zipfile.ZipInfo) -> Tensor:
    check_expansion(info)
    with zipfile.ZipFile(path) as archive, archive.open(info) as file:
        shape, _, dtype = _header(name, file)
        if count(shape) * dtype.itemsize > info.file_size:
            raise Damaged(f"{name} of shape {shape} needs more bytes than the file has")

    def values() -> NDArray[Any]:
        with zipfile.ZipFile(path) as archive, archive.open(info.filename) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))

    return Tensor(name, shape, dtype.name, lambda: readable(path, "a complete .npz file", values))


def _header(name: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type, from the header of a .npy file. Raises LeftOut."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise LeftOut(f"{name} has a structured type, which is left out")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise LeftOut(f"{name} holds Python objects, which are pickled and could execute code; it is left out")
    numbers(name, dtype.name)
    return shape, fortran, dtype
