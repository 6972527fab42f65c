"""The files of runs/<initializer> and trajectories/: the results of training."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.parameters import Parameters, concatenate, take
from pipeline.numerics.sums import Array
from pipeline.storage.atomic_files import Columns, _damaged, read_csv, read_npz, write_csv, write_npz

RUNS = Path("runs")
TRAJECTORIES = Path("trajectories")
COSTS: dict[str, type] = {"seed": int, "iteration": int, "cost": float}  # of runs/<initializer>/costs.csv
RUN_FILES = {"weights.npz", "costs.csv"}


def write_weights(path: Path, seeds: Sequence[int], parameters: Parameters, key: str = "seeds") -> None:
    """Write a stack of models: `seeds`, W1 (models, n_1, n_0), b1 (models, n_1, 1), W2, ... in an .npz.

    `key` is the name of the array `seeds`, if the models differ in something else. Raises FileError.
    """
    arrays: dict[str, Any] = {key: np.array(seeds, dtype=np.int64)}
    for l, (W, b) in enumerate(parameters, start=1):
        arrays |= {f"W{l}": W, f"b{l}": b}
    write_npz(path, arrays)


def read_weights(path: Path, seeds: Sequence[int], layers_dims: Sequence[int], key: str = "seeds") -> Parameters:
    """The models in a file of `write_weights`, as a stack. Raises FileError unless it has these seeds and sizes."""
    n = len(seeds)
    shapes: dict[str, tuple[int, ...]] = {key: (n,)}
    for l, (fan_in, fan_out) in enumerate(pairwise(layers_dims), start=1):
        shapes |= {f"W{l}": (n, fan_out, fan_in), f"b{l}": (n, fan_out, 1)}
    arrays = read_npz(path)
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or arrays[key].tolist() != list(seeds):
        raise _damaged(path, "its models are not those of params.yaml")
    return [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, len(layers_dims))]


def write_snapshots(name: str, iterations: NDArray[np.int64], snapshots: Sequence[Parameters]) -> None:
    """Write trajectories/<name>.npz: a stack of two models, a model and its perturbed copy, at each of `iterations`."""
    stack = concatenate(snapshots)
    write_weights(TRAJECTORIES / f"{name}.npz", np.repeat(iterations, 2).tolist(), stack, "iterations")


def read_snapshots(name: str, iterations: NDArray[np.int64], layers_dims: Sequence[int]) -> list[Parameters]:
    """The stacks of trajectories/<name>.npz, one per iteration. Raises FileError unless it has these iterations."""
    twice = np.repeat(iterations, 2).tolist()
    stacked = read_weights(TRAJECTORIES / f"{name}.npz", twice, layers_dims, "iterations")
    return [take(stacked, slice(i, i + 2)) for i in range(0, len(twice), 2)]


def write_run(
    name: str, seeds: Sequence[int], parameters: Parameters, iterations: NDArray[np.int64], costs: Array
) -> None:
    """Write runs/<name>: the final weights of all seeds, and the costs (models, records). Raises FileError."""
    folder = RUNS / name
    write_weights(folder / "weights.npz", seeds, parameters)
    curves = {
        "seed": np.repeat(seeds, len(iterations)),
        "iteration": np.tile(iterations, len(seeds)),
        "cost": costs.ravel(),
    }
    write_csv(folder / "costs.csv", curves)


def read_final_weights(name: str, seeds: Sequence[int], layers_dims: Sequence[int]) -> Parameters:
    """The final weights in runs/<name>, as a stack. Raises FileError unless it has exactly these seeds and sizes."""
    return read_weights(RUNS / name / "weights.npz", seeds, layers_dims)


def read_costs(name: str, seeds: Sequence[int], iterations: NDArray[np.int64]) -> Columns:
    """The costs in runs/<name>, one row per seed and recorded iteration. Raises FileError if it has others."""
    path = RUNS / name / "costs.csv"
    costs = read_csv(path, COSTS, len(seeds) * len(iterations))
    expected = np.repeat(seeds, len(iterations)), np.tile(iterations, len(seeds))
    if any((costs[key] != column).any() for key, column in zip(("seed", "iteration"), expected, strict=True)):
        raise _damaged(path, "its seeds or iterations are not those of params.yaml")
    return costs
