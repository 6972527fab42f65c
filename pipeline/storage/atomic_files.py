"""Read and write files: writing is atomic, and a damaged file is reported with a one-line message."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError

TEXT_COLUMNS = {
    "initializer"
}  # columns of tables that are text even if all fields are valid numbers, such as the name "inf"
Columns = dict[str, Any]


class FileError(UserError):
    """A file cannot be read, written or parsed; the message has one line."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: under a temporary name, then rename it. Creates the folder. Raises FileError."""
    part = path.with_name(f"{path.name}.part")  # the remains of a killed process are overwritten
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.") from error


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8 without changing newlines. Raises FileError."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a value of JSON. Raises FileError."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises FileError."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist; run `dvc repro` to create it.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def write_csv(path: Path, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
    """Write columns of equal length as CSV; floats as `repr`, None as an empty field. Raises FileError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    writer.writerows([repr(value) if isinstance(value, float) else value for value in row] for row in rows)
    write_text(path, text.getvalue())


def read_csv(path: Path, kinds: Mapping[str, type], n_rows: int | None = None) -> Columns:
    """The columns of a CSV file as arrays of float, int or str.

    Raises FileError unless the file has exactly the columns of `kinds`, in that order, and `n_rows` rows.
    """
    try:
        text = read_bytes(path).decode()
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _damaged(path, "it is not CSV in UTF-8") from error
    if not rows or rows[0] != list(kinds):
        raise _damaged(path, f"its first line is not {','.join(kinds)}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(kinds):
            raise _damaged(path, f"line {number} has {len(row)} fields, not {len(kinds)}")
    if not text.endswith("\n"):
        raise _damaged(path, "its last line is cut short")
    if n_rows is not None and len(rows) - 1 != n_rows:
        raise _damaged(path, f"it has {len(rows) - 1} rows, not {n_rows}")
    columns: Columns = {}
    for index, (name, kind) in enumerate(kinds.items()):
        try:
            columns[name] = np.array([kind(row[index]) for row in rows[1:]], dtype=kind)
        except (ValueError, OverflowError) as error:
            raise _damaged(
                path, f"its column {name} has a value that is not {'an' if kind is int else 'a'} {kind.__name__}"
            ) from error
    return columns


def read_table(path: Path) -> Any:
    """The pandas table in a CSV file whose first line names the columns; see `parse_table`. Raises FileError."""
    try:
        return parse_table(read_bytes(path).decode())
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise _damaged(path, "it is not a table in CSV") from error


def parse_table(text: str) -> Any:
    """A pandas table from CSV text whose first line names the columns.

    A column of integers becomes int64; one of numbers and empty fields float64, rounded to the
    nearest double by Python's `float`; all others, and those of TEXT_COLUMNS, text. Empty fields are missing values.
    Raises ValueError or csv.Error. pandas.read_csv is not used because its rounding depends on the version.
    """
    import pandas as pd  # the import takes half a second, which the training stages do not need

    names, *rows = list(csv.reader(io.StringIO(text), strict=True)) or [[]]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pd.DataFrame({name: _typed(name, column) for name, column in zip(names, columns, strict=True)})


def _typed(name: str, column: Sequence[str]) -> NDArray[Any] | list[str | None]:
    for kind in () if name in TEXT_COLUMNS else (int, float):
        try:
            return np.array([kind(field or "nan") for field in column], dtype=kind)
        except (ValueError, OverflowError):
            continue
    return [field or None for field in column]


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an .npz archive whose bytes depend on the arrays only. Raises FileError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", zipfile.ZIP_STORED
    ) as archive:  # the bytes of a compressed archive depend on the version of zlib
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.create_system = 3  # Unix, on Windows too
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array.astype(array.dtype.newbyteorder("<")), (1, 0), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz archive; nothing is unpickled. Raises FileError."""
    content = io.BytesIO(read_bytes(path))
    try:
        with np.load(content, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile and numpy.load raise many types of errors for damaged files
        raise _damaged(path, "it is not a complete .npz archive of numeric arrays") from error


def _damaged(path: Path, what: str) -> FileError:
    remedy = "delete it and run `dvc repro`; if it is damaged again, delete .dvc/cache as well"
    return FileError(f"{path} is damaged: {what}; {remedy}.")
