"""Files that are written whole or not at all, and read with one message where they are damaged."""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError

TEXT_COLUMNS = {"initializer"}  # of tables: text even if all of it could be read as numbers, as the name "inf" can
Columns = dict[str, Any]


class FileError(UserError):
    """A file cannot be read, written or understood; the message is one sentence for the user."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it: whole, or not there. Makes the folder."""
    part = path.with_name(f"{path.name}.part")  # one that a killed process left is overwritten
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
    """Write UTF-8 text, newlines as they are."""
    write_bytes(path, text.encode())


def read_bytes(path: Path) -> bytes:
    """The content of a file."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path} is missing; `dvc repro` makes it.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def write_csv(path: Path, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
    """Write columns of equal length; floats as `repr`, a None as an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    writer.writerows([repr(value) if isinstance(value, float) else value for value in row] for row in rows)
    write_text(path, text.getvalue())


def read_csv(path: Path, kinds: Mapping[str, type], n_rows: int | None = None) -> Columns:
    """Read the columns that `kinds` names, in that order, as float, int or str; exactly those, and `n_rows` rows."""
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
            raise _damaged(path, f"its column {name} holds something that is no {kind.__name__}") from error
    return columns


def read_table(path: Path) -> Any:
    """The pandas table in a CSV file with a line of column names, as `parse_table` reads it. Raises FileError."""
    try:
        return parse_table(read_bytes(path).decode())
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise _damaged(path, "it is not a table in CSV") from error


def parse_table(text: str) -> Any:
    """A pandas table from CSV text whose first line names the columns.

    A column of integers becomes int64; one of numbers and empty fields float64, to the nearest double as Python's
    `float` reads them; any other, and those of TEXT_COLUMNS, text. An empty field is missing. Raises ValueError or
    csv.Error for text that is no table. pandas.read_csv rounds in one way in one version and in another in the next.
    """
    import pandas as pd  # takes half a second, which the stages that train need not wait for

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
    """Write arrays in an .npz whose bytes hang on them alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # a compression's bytes vary with its library
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.create_system = 3  # Unix, on Windows too
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array.astype(array.dtype.newbyteorder("<")), (1, 0), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz. Never unpickles."""
    content = io.BytesIO(read_bytes(path))
    try:
        with np.load(content, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # damage reaches every corner of zipfile and numpy.load, each with errors of its own
        raise _damaged(path, "it is not a whole .npz archive of plain arrays") from error


def _damaged(path: Path, what: str) -> FileError:
    remedy = "delete it and run `dvc repro` again; should it come back damaged, delete .dvc/cache too"
    return FileError(f"{path} is damaged: {what}; {remedy}.")
