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

from pipeline.initializers import Parameters, together
from pipeline.sums import Array
from pipeline.wording import UserError

DATA = Path("data")
RECIPES = Path("recipes")
RUNS = Path("runs")
BIRTHS = Path("births")
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

# The columns of births/<initializer>/layers.csv, a row a model and layer, and of models.csv, a row a model
BIRTH_LAYERS: dict[str, type] = {
    "seed": int,
    "layer": int,
    "units": int,
    "weight_mean": float,
    "weight_square": float,
    "bias_mean": float,
    "bias_square": float,
    "z_mean": float,
    "z_sd": float,
    "z_square": float,
    "a_mean": float,
    "a_sd": float,
    "a_square": float,
    "gradient": float,
    "weight_gradient": float,
    "saturated": float,
    "dead": int,
    "distinct_activations": int,
    "distinct": int,
    "told_apart": int,
    "largest_cosine": float,
    "full_rank": int,
    "effective_rank": float,
    "correlation": float,
}
BIRTH_MODELS: dict[str, type] = {
    "seed": int,
    "cost": float,
    "sharpness": float,
    "centered_gradient": float,
    "weight_norm": float,
    "silent": float,
    "log_growth": float,
    "jacobian_square": float,
    "jacobian_largest": float,
    "jacobian_smallest": float,
}

BIRTH_FILES = {"layers.csv", "models.csv", "units.npz"}
RUN_FILES = {"weights.npz", "costs.csv", "metrics.csv", "snapshots.npz"}

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


def write_table(name: str, table: Any) -> None:
    """Write the pandas table as reports/<name>.csv: floats as `repr`, what is missing as an empty field."""
    write_text(REPORTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


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


def write_weights(path: Path, seeds: Sequence[int], parameters: Parameters, key: str = "seeds") -> None:
    """Write a stack of models: `seeds`, W1 (models, n_1, n_0), b1 (models, n_1, 1), W2, ... in an .npz.

    `key` is what tells the models apart, if not their seeds.
    """
    arrays: dict[str, Any] = {key: np.array(seeds, dtype=np.int64)}
    for l, (W, b) in enumerate(parameters, start=1):
        arrays |= {f"W{l}": W, f"b{l}": b}
    write_npz(path, arrays)


def read_weights(path: Path, seeds: Sequence[int], layers_dims: Sequence[int], key: str = "seeds") -> Parameters:
    """The stack of models that `write_weights` wrote, for just these seeds and layer sizes."""
    n = len(seeds)
    shapes: dict[str, tuple[int, ...]] = {key: (n,)}
    for l, (fan_in, fan_out) in enumerate(pairwise(layers_dims), start=1):
        shapes |= {f"W{l}": (n, fan_out, fan_in), f"b{l}": (n, fan_out, 1)}
    arrays = read_npz(path)
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or arrays[key].tolist() != list(seeds):
        raise _damaged(path, "it does not hold the models that params.yaml asks for")
    return [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, len(layers_dims))]


def write_snapshots(name: str, iterations: NDArray[np.int64], snapshots: Sequence[Parameters]) -> None:
    """Write runs/<name>/snapshots.npz: a stack of two models at each of `iterations`."""
    write_weights(RUNS / name / "snapshots.npz", np.repeat(iterations, 2).tolist(), together(snapshots), "iterations")


def read_snapshots(name: str, iterations: NDArray[np.int64], layers_dims: Sequence[int]) -> list[Parameters]:
    """The two models at each of `iterations`: that of the seed which is shown, and its twin."""
    twice = np.repeat(iterations, 2).tolist()
    stacked = read_weights(RUNS / name / "snapshots.npz", twice, layers_dims, "iterations")
    return [[(W[i : i + 2], b[i : i + 2]) for W, b in stacked] for i in range(0, len(twice), 2)]


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


def write_birth(
    name: str,
    seeds: Sequence[int],
    layers: Mapping[str, NDArray[Any]],
    models: Mapping[str, NDArray[Any]],
    counts: Mapping[str, NDArray[np.int64]],
    dead: Sequence[NDArray[np.bool_]],
) -> None:
    """Write births/<name>: what was measured of all layers (models, L) and models (models,), histograms, dead units.

    `counts` holds (models, layers, bins) under "z" and "a"; what is kept of a layer is from its first bin to its last.
    """
    folder, n_layers = BIRTHS / name, next(iter(layers.values())).shape[1]
    numbers = {"seed": np.repeat(seeds, n_layers), "layer": np.tile(np.arange(1, n_layers + 1), len(seeds))}
    write_csv(folder / "layers.csv", numbers | {column: values.ravel() for column, values in layers.items()})
    write_csv(folder / "models.csv", {"seed": np.array(seeds)} | dict(models))
    arrays: dict[str, NDArray[Any]] = {"seeds": np.array(seeds, dtype=np.int64)}
    for key, every in counts.items():
        for l in range(every.shape[1]):
            used = np.flatnonzero(every[:, l].any(axis=0))
            first, stop = used[0], used[-1] + 1
            arrays[f"{key}{l + 1}_first"] = np.array(first, dtype=np.int64)
            arrays[f"{key}{l + 1}"] = every[:, l, first:stop].astype(np.int32)
    arrays |= {f"dead{l}": units for l, units in enumerate(dead, start=1)}
    write_npz(folder / "units.npz", arrays)


def read_birth(name: str, seeds: Sequence[int], n_layers: int) -> tuple[Columns, Columns]:
    """The layers and the models of births/<name>, for just these seeds and so many layers."""
    folder = BIRTHS / name
    layers = read_csv(folder / "layers.csv", BIRTH_LAYERS, len(seeds) * n_layers)
    models = read_csv(folder / "models.csv", BIRTH_MODELS, len(seeds))
    expected = np.repeat(seeds, n_layers), np.tile(np.arange(1, n_layers + 1), len(seeds))
    if any((layers[key] != column).any() for key, column in zip(("seed", "layer"), expected, strict=True)):
        raise _damaged(folder / "layers.csv", "it does not hold the seeds and layers that params.yaml asks for")
    if models["seed"].tolist() != list(seeds):
        raise _damaged(folder / "models.csv", "it does not hold the seeds that params.yaml asks for")
    return layers, models


def read_units(name: str, seeds: Sequence[int], n_layers: int) -> dict[str, NDArray[Any]]:
    """The histograms and dead units of births/<name>, as `write_birth` names them."""
    path = BIRTHS / name / "units.npz"
    arrays = read_npz(path)
    keys = [f"{key}{l}" for l in range(1, n_layers + 1) for key in ("z", "a", "dead") if key == "z" or l < n_layers]
    firsts = [f"{key}_first" for key in keys if not key.startswith("dead")]
    found = {key: array.shape[:1] for key, array in arrays.items() if array.ndim in (0, 2)}
    expected = dict.fromkeys(keys, (len(seeds),)) | dict.fromkeys(firsts, ())
    if found != expected or arrays.get("seeds", np.zeros(0)).tolist() != list(seeds):
        raise _damaged(path, "it does not hold the models that params.yaml asks for")
    return arrays


def prune(names: Sequence[str]) -> None:
    """Delete what initializers that are not in params.yaml any more left in runs/ and births/: nothing reads it."""
    for parent, files in ((RUNS, RUN_FILES), (BIRTHS, BIRTH_FILES)):
        for folder in parent.iterdir() if parent.is_dir() else ():
            ours = folder.is_dir() and {file.name for file in folder.iterdir()} <= files
            if ours and folder.name not in names:
                shutil.rmtree(folder)


def _damaged(path: Path, what: str) -> FileError:
    remedy = "delete it and run `dvc repro` again; should it come back damaged, delete .dvc/cache too"
    return FileError(f"{path} is damaged: {what}; {remedy}.")
