"""The files of diagnostics/<initializer>: measurements of its models at initialization."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.storage.atomic_files import Columns, _damaged, read_csv, read_npz, write_csv, write_npz

DIAGNOSTICS = Path("diagnostics")
ColumnTypes = tuple[Mapping[str, type], Mapping[str, type]]  # of layers.csv and models.csv
DIAGNOSTICS_FILES = {"layers.csv", "models.csv", "units.npz"}


def write_measurements(
    name: str,
    seeds: Sequence[int],
    layers: Mapping[str, NDArray[Any]],
    models: Mapping[str, NDArray[Any]],
    counts: Mapping[str, NDArray[np.int64]],
    dead: Sequence[NDArray[np.bool_]],
) -> None:
    """Write diagnostics/<name>: measurements of layers (models, L) and models (models,), histograms and dead units.

    `counts` holds the histograms of z and a, (models, layers, bins); of each layer the range of bins that are not empty
    is stored. `dead` holds one array (models, n_l) per hidden layer. Raises FileError.
    """
    folder, n_layers = DIAGNOSTICS / name, next(iter(layers.values())).shape[1]
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


def read_measurements(name: str, seeds: Sequence[int], n_layers: int, columns: ColumnTypes) -> tuple[Columns, Columns]:
    """The columns in diagnostics/<name> of layers.csv, one row per model and layer, and models.csv, one row per model.

    `columns` are their names and types, without seed and layer. Raises FileError unless the files have exactly these
    columns and seeds, and `n_layers` layers.
    """
    of_layers, of_models = columns
    folder = DIAGNOSTICS / name
    layers = read_csv(folder / "layers.csv", {"seed": int, "layer": int, **of_layers}, len(seeds) * n_layers)
    models = read_csv(folder / "models.csv", {"seed": int, **of_models}, len(seeds))
    expected = np.repeat(seeds, n_layers), np.tile(np.arange(1, n_layers + 1), len(seeds))
    if any((layers[key] != column).any() for key, column in zip(("seed", "layer"), expected, strict=True)):
        raise _damaged(folder / "layers.csv", "its seeds or layers are not those of params.yaml")
    if models["seed"].tolist() != list(seeds):
        raise _damaged(folder / "models.csv", "its seeds are not those of params.yaml")
    return layers, models


def read_units(name: str, seeds: Sequence[int], n_layers: int) -> dict[str, NDArray[Any]]:
    """The arrays of diagnostics/<name>/units.npz: histograms and dead units, see `write_measurements`.

    Raises FileError unless they have exactly these seeds and `n_layers` layers.
    """
    path = DIAGNOSTICS / name / "units.npz"
    arrays = read_npz(path)
    keys = [f"{key}{l}" for l in range(1, n_layers + 1) for key in ("z", "a", "dead") if key == "z" or l < n_layers]
    firsts = [f"{key}_first" for key in keys if not key.startswith("dead")]
    found = {key: array.shape[:1] for key, array in arrays.items() if array.ndim in (0, 2)}
    expected = dict.fromkeys(keys, (len(seeds),)) | dict.fromkeys(firsts, ())
    if found != expected or arrays.get("seeds", np.zeros(0)).tolist() != list(seeds):
        raise _damaged(path, "its models are not those of params.yaml")
    return arrays
