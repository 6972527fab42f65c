"""The square of the plane that figures and images of two features show."""

import math

import numpy as np

from pipeline.numerics.sums import Array

EXTENT = 1.5  # the square [-1.5, 1.5] x [-1.5, 1.5] of the decision boundaries, larger if samples lie outside


def square(half: float, n: int) -> Array:
    """The points (2, n^2) of the square of half side `half` about 0, n along a side, row after row along x2."""
    axis = np.linspace(-half, half, n)
    return np.stack([np.tile(axis, n), np.repeat(axis, n)])


def extent(X: Array) -> float:
    """Half the side of a square about 0 that contains all samples X (2, m): EXTENT or a larger multiple of 0.5."""
    return max(EXTENT, math.ceil(2.04 * float(np.abs(X[:2]).max(initial=0.0))) / 2)
