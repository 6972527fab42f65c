"""Inputs at which networks are measured."""

import numpy as np

from pipeline.numerics.sums import Array, lane_sum, pad

N_JACOBIANS = 8  # Jacobians are computed at the first 8 samples


def mean_square(X: Array) -> float:
    """The mean of the squared entries of X (n_0, m)."""
    return float(lane_sum(pad(lane_sum(pad(X * X))))) / X.size


def orthogonal_inputs(X: Array) -> tuple[Array, Array]:
    """Two inputs, each (n_0,) with the mean square of X (n_0, m); their cosine is 0 for even n_0, 1 / n_0 for odd."""
    size = np.sqrt(mean_square(X))
    x = np.full(len(X), size)
    return x, x * np.where(np.arange(len(X)) % 2 == 0, 1.0, -1.0)
