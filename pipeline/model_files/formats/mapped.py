"""Arrays that lie in a file at a known offset, as memory maps; members of ZIP archives."""

import struct
import zipfile
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.model_files.tensors import LeftOut, T, Tensor, count, from_bfloat16

NUMPY = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
# Number formats that are read, with the type of their bytes in little-endian order
DTYPES = {name: np.dtype(name).newbyteorder("<") for name in NUMPY}
DTYPES |= {"bfloat16": np.dtype("<u2"), "bool": np.dtype(np.bool_)}
EXPANSION, SMALL = 100, 1 << 26  # a compressed member above SMALL bytes may not expand by more than this factor


class Damaged(ValueError):
    """The content of a file contradicts its format: a clause for the message."""


class Region(NamedTuple):
    """Bytes of a file."""

    path: Path
    offset: int
    size: int


def file_region(path: Path) -> Region:
    """The whole file."""
    return Region(path, 0, path.stat().st_size)


def readable(path: Path, what: str, function: Callable[[], T]) -> T:
    """The function's result; its errors of any kind become one that names the file and what it was to be read as."""
    try:
        return function()
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{error.filename or path}: there is no such file") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read it") from None
    except Exception as error:
        reason = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}" * bool(str(error))
        reason = " ".join((reason or type(error).__name__).split())[:200]
        raise UserError(f"{path}: damaged, or not {what} ({reason}); save or download it again") from None


def numbers(name: str, dtype: str) -> np.dtype[Any]:
    """NumPy's type of the bytes of a number format. Raises LeftOut."""
    if dtype not in DTYPES:
        raise LeftOut(f"{name} has the type {dtype[:40]}, which is left out")
    return DTYPES[dtype]


def mapped_tensor(
    name: str,
    region: Region,
    dtype: str,
    shape: Sequence[Any],
    offset: int = 0,
    *,
    strides: Sequence[int] | None = None,
    order: str = "C",
    big_endian: bool = False,
    storage: Hashable = None,
    decompressed: Callable[[], bytes] | None = None,
) -> Tensor:
    """A tensor at an offset of a region of a file; `strides` count values.

    `decompressed` returns the bytes of the region if the file holds them compressed. Raises Damaged if the tensor
    exceeds the region, and LeftOut if its number format is not read.
    """
    kind = numbers(name, dtype)
    dims = checked_shape(name, shape)
    size = count(dims)
    extent = size
    if strides is not None and size:
        if len(strides) != len(dims) or not all(type(step) is int and step >= 0 for step in strides):
            raise Damaged(f"the strides of {name} are {strides}")
        extent = 1
        for n, step in zip(dims, strides, strict=True):
            extent += (n - 1) * step
    if not 0 <= offset <= region.size or max(size, extent) * kind.itemsize > region.size - offset:
        raise Damaged(f"{name} of shape {dims} needs more bytes than the file has")
    if big_endian:
        kind = kind.newbyteorder(">")
    start = region.offset + offset

    def values() -> NDArray[Any]:
        if size == 0:
            return np.zeros(dims, kind)
        if decompressed is None:
            flat: NDArray[Any] = np.memmap(region.path, kind, "r", start, (extent,))
        else:
            flat = np.frombuffer(decompressed(), kind, extent, offset)
        if strides is None:
            array = flat.reshape(dims, order="F" if order == "F" else "C")
        else:
            steps = tuple(step * kind.itemsize for step in strides)
            array = np.lib.stride_tricks.as_strided(flat, dims, steps, writeable=False)
        return from_bfloat16(array) if dtype == "bfloat16" else array

    return Tensor(name, dims, dtype, lambda: readable(region.path, "a complete file", values), storage)


def checked_shape(name: str, shape: Sequence[Any]) -> tuple[int, ...]:
    """A shape whose entries are counts. Raises Damaged."""
    if len(shape) > 32 or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        raise Damaged(f"the shape of {name} is {str(list(shape)[:32])[:80]}")
    return tuple(shape)


def opened_zip(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members of a ZIP archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: info for info in archive.infolist()}


def stored(path: Path, info: zipfile.ZipInfo) -> Region | None:
    """Where a member of a ZIP archive lies in the file; None if it is compressed."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        return None
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise Damaged(f"the member {info.filename} has no header")
    name, extra = struct.unpack("<HH", header[26:30])  # their lengths
    start = info.header_offset + 30 + int(name) + int(extra)
    if info.file_size > path.stat().st_size - start:
        raise Damaged(f"the member {info.filename} is cut off")
    return Region(path, start, info.file_size)


def placed(path: Path, info: zipfile.ZipInfo) -> tuple[Region, Callable[[], bytes] | None]:
    """Where a member lies in the file, and None; of a compressed one a region of its size, and what decompresses it."""
    if region := stored(path, info):
        return region, None
    check_expansion(info)
    return Region(path, 0, info.file_size), partial(member, path, info.filename, info.file_size)


def member(path: Path, name: str, limit: int) -> bytes:
    """The bytes of a member of a ZIP archive. Raises Damaged if it claims more than `limit`, or expands absurdly."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        check_expansion(info)
        if info.file_size > limit:
            raise Damaged(f"the member {name} claims {info.file_size} bytes")
        return archive.read(info)


def check_expansion(info: zipfile.ZipInfo) -> None:
    """Refuse a compressed member that expands as no weights do. Raises Damaged."""
    if info.file_size > max(SMALL, EXPANSION * info.compress_size):
        raise Damaged(f"the member {info.filename} expands from {info.compress_size} to {info.file_size} bytes")
