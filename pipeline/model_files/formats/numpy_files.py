"""Arrays of NumPy's .npy and .npz files."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.model_files.formats.mapped import (
    Region,
    file_region,
    mapped_tensor,
    numbers,
    opened_zip,
    placed,
)
from pipeline.model_files.tensors import LeftOut, Model, Tensor, tensors_of


def read_npy(path: Path) -> Model:
    """The array of a .npy file, under the file's name without its suffix."""
    notes: list[str] = []
    return Model(path.name, "", tensors_of([(path.stem, file_region(path))], _stored, notes), notes=notes)


def read_npz(path: Path) -> Model:
    """The arrays of a .npz file."""
    notes: list[str] = []
    members = ((name.removesuffix(".npy"), info) for name, info in opened_zip(path).items() if name.endswith(".npy"))

    def tensor(name: str, info: zipfile.ZipInfo) -> Tensor:
        region, read = placed(path, info)
        if read is None:
            return _stored(name, region)
        with zipfile.ZipFile(path) as archive, archive.open(info) as file:
            return _array(name, file, region, read)

    return Model(path.name, "", tensors_of(members, tensor, notes), notes=notes)


def _stored(name: str, region: Region) -> Tensor:
    with region.path.open("rb") as file:
        file.seek(region.offset)
        return _array(name, file, region)


def _array(name: str, file: IO[bytes], region: Region, decompressed: Callable[[], bytes] | None = None) -> Tensor:
    """The tensor of the array that begins at the file's position, in a region of which `decompressed` has the bytes."""
    start = file.tell()
    shape, fortran, dtype = _header(name, file)
    layout: dict[str, Any] = {"order": "F" if fortran else "C", "big_endian": dtype.newbyteorder("=") != dtype}
    return mapped_tensor(name, region, dtype.name, shape, file.tell() - start, decompressed=decompressed, **layout)


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
