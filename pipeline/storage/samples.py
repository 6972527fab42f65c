"""The files of data/: the training and the test set as CSV."""

from pathlib import Path

import numpy as np

from pipeline.numerics.sums import Array
from pipeline.storage.atomic_files import _damaged, read_csv, write_csv

DATA = Path("data")


def write_samples(path: Path, X: Array, Y: Array) -> None:
    """Write a data set, X (n_0, m) and Y (1, m): one row per sample, columns x1, x2, ..., y. Raises FileError."""
    columns = {f"x{j}": x for j, x in enumerate(X, start=1)}
    write_csv(path, columns | {"y": Y[0].astype(np.int64)})


def read_samples(path: Path, n_samples: int, n_inputs: int, n_classes: int) -> tuple[Array, Array]:
    """X (n_inputs, m) and Y (1, m) of a data set. Raises FileError unless it has these sizes."""
    kinds: dict[str, type] = {f"x{j}": float for j in range(1, n_inputs + 1)} | {"y": int}
    columns = read_csv(path, kinds, n_samples)
    Y = columns.pop("y")
    if not np.isin(Y, range(n_classes)).all():
        raise _damaged(path, f"its column y has a class that is not from 0 to {n_classes - 1}")
    return np.stack(list(columns.values())), Y.astype(np.float64)[None, :]
