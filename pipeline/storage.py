"""The files of the pipeline: where they lie, how they are written whole or not at all, how they are read and checked.

Text is UTF-8 with "\n" on every system and floats are written as Python's `repr`, which reads back to the same
bits. A file that is missing, cut short or damaged raises `FileError` with one sentence.
"""

import csv
import io
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.initializers import Parameters
from pipeline.sums import Array
from pipeline.wording import UserError

DATA = Path("data")
RECIPES = Path("recipes")
RUNS = Path("runs")
REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
PUBLISHED = Path(__file__).parent / "published"

# The columns of runs/<initializer>/metrics.csv, a row a model, and of costs.csv, a row a recorded cost
METRICS: dict[str, type] = {
    "seed": int,
    "initial_cost": float,
    "final_cost": float,
    "train_accuracy": float,
    "test_accuracy": float,
    "weight_change": float,
    "distinct_units": int,
}
COSTS: dict[str, type] = {"seed": int, "iteration": int, "cost": float}

RUN_FILES = {"weights.npz", "costs.csv", "metrics.csv"}

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


def write_samples(path: Path, X: Array, Y: Array) -> None:
    """Write a data set, X (n_0, m) and Y (1, m): a row a sample, columns x1, x2, ..., y."""
    columns = {f"x{j}": x for j, x in enumerate(X, start=1)}
    write_csv(path, columns | {"y": Y[0].astype(np.int64)})


def read_samples(path: Path, n_samples: int, n_inputs: int, n_classes: int) -> tuple[Array, Array]:
    """X (n_inputs, m) and Y (1, m) of a data set of just so many samples, inputs and classes."""
    kinds: dict[str, type] = {f"x{j}": float for j in range(1, n_inputs + 1)} | {"y": int}
    columns = read_csv(path, kinds, n_samples)
    Y = columns.pop("y")
    if not np.isin(Y, range(n_classes)).all():
        raise _damaged(path, f"its column y must hold classes from 0 to {n_classes - 1}")
    return np.stack(list(columns.values())), Y.astype(np.float64)[None, :]


def write_weights(path: Path, seeds: Sequence[int], parameters: Parameters) -> None:
    """Write a stack of models: `seeds`, W1 (models, n_1, n_0), b1 (models, n_1, 1), W2, ... in an .npz."""
    arrays: dict[str, Any] = {"seeds": np.array(seeds, dtype=np.int64)}
    for l, (W, b) in enumerate(parameters, start=1):
        arrays |= {f"W{l}": W, f"b{l}": b}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # a compression's bytes vary with its library
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.create_system = 3  # Unix, on Windows too
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array.astype(array.dtype.newbyteorder("<")), (1, 0), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def read_weights(path: Path, seeds: Sequence[int], layers_dims: Sequence[int]) -> Parameters:
    """The stack of models that `write_weights` wrote, for just these seeds and layer sizes. Never unpickles."""
    content = io.BytesIO(read_bytes(path))
    try:
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # damage reaches every corner of zipfile and numpy.load, each with errors of its own
        raise _damaged(path, "it is not a whole .npz archive of plain arrays") from error
    n = len(seeds)
    shapes: dict[str, tuple[int, ...]] = {"seeds": (n,)}
    for l, (fan_in, fan_out) in enumerate(pairwise(layers_dims), start=1):
        shapes |= {f"W{l}": (n, fan_out, fan_in), f"b{l}": (n, fan_out, 1)}
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or arrays["seeds"].tolist() != list(seeds):
        raise _damaged(path, "it does not hold the models that params.yaml asks for")
    return [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, len(layers_dims))]


def write_run(
    name: str,
    seeds: Sequence[int],
    parameters: Parameters,
    iterations: NDArray[np.int64],
    costs: Array,
    metrics: Columns,
) -> None:
    """Write runs/<name>: the weights, cost curves (costs is (models, records)) and metrics of every seed."""
    folder = RUNS / name
    write_weights(folder / "weights.npz", seeds, parameters)
    curves = {
        "seed": np.repeat(seeds, len(iterations)),
        "iteration": np.tile(iterations, len(seeds)),
        "cost": costs.ravel(),
    }
    write_csv(folder / "costs.csv", curves)
    write_csv(folder / "metrics.csv", metrics)


def read_run(name: str, seeds: Sequence[int], iterations: NDArray[np.int64]) -> tuple[Columns, Columns]:
    """The metrics and the cost curves of runs/<name>, for just these seeds and recorded iterations."""
    folder = RUNS / name
    metrics = read_csv(folder / "metrics.csv", METRICS, len(seeds))
    costs = read_csv(folder / "costs.csv", COSTS, len(seeds) * len(iterations))
    if metrics["seed"].tolist() != list(seeds):
        raise _damaged(folder / "metrics.csv", "it does not hold the seeds that params.yaml asks for")
    expected = np.repeat(seeds, len(iterations)), np.tile(iterations, len(seeds))
    if any((costs[key] != column).any() for key, column in zip(("seed", "iteration"), expected, strict=True)):
        raise _damaged(folder / "costs.csv", "it does not hold the seeds and iterations that params.yaml asks for")
    return metrics, costs


def prune_runs(names: Sequence[str]) -> None:
    """Delete what initializers that are no longer in params.yaml left in runs/, so that nothing reads it."""
    for folder in RUNS.iterdir() if RUNS.is_dir() else ():
        ours = folder.is_dir() and {file.name for file in folder.iterdir()} <= RUN_FILES
        if ours and folder.name not in names:
            shutil.rmtree(folder)


def _damaged(path: Path, what: str) -> FileError:
    return FileError(f"{path} is damaged: {what}; delete it and run `dvc repro` again.")
