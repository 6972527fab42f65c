"""Inputs at which networks are measured."""

import numpy as np

from pipeline.numerics.sums import Array, lane_sum, pad

N_JACOBIANS = 8  # samples at which Jacobians are taken: the first ones


def mean_square(X: Array) -> float:
    """Of the inputs X (n_0, m), over both."""
    return float(lane_sum(pad(lane_sum(pad(X * X))))) / X.size


def orthogonal_inputs(X: Array) -> tuple[Array, Array]:
    """Two inputs (n_0,) of the mean square of X (n_0, m) whose correlation is 0, or 1 / n_0 where n_0 is odd."""
    size = np.sqrt(mean_square(X))
    x = np.full(len(X), size)
    return x, x * np.where(np.arange(len(X)) % 2 == 0, 1.0, -1.0)
