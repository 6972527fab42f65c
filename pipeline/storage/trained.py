"""The files of the pipeline: where they lie, how they are written whole or not at all, how they are read and checked.

Text is UTF-8 with "\n" on every system and floats are written as Python's `repr`, which reads back to the same
bits. A file that is missing, cut short or damaged raises `FileError` with one sentence.
"""

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.parameters import Parameters, concatenate
from pipeline.numerics.sums import Array
from pipeline.storage.atomic_files import Columns, _damaged, read_csv, read_npz, write_csv, write_npz
from pipeline.storage.measurements import DIAGNOSTICS, DIAGNOSTICS_FILES

RECIPES = Path("recipes")
RUNS = Path("runs")

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


RUN_FILES = {"weights.npz", "costs.csv", "metrics.csv", "snapshots.npz"}


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
    write_weights(
        RUNS / name / "snapshots.npz", np.repeat(iterations, 2).tolist(), concatenate(snapshots), "iterations"
    )


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


def prune(names: Sequence[str]) -> None:
    """Delete what initializers that are not in params.yaml any more left in runs/ and births/: nothing reads it."""
    for parent, files in ((RUNS, RUN_FILES), (DIAGNOSTICS, DIAGNOSTICS_FILES)):
        for folder in parent.iterdir() if parent.is_dir() else ():
            ours = folder.is_dir() and {file.name for file in folder.iterdir()} <= files
            if ours and folder.name not in names:
                shutil.rmtree(folder)
