"""The square of the plane that figures and images of two features show."""

import math

import numpy as np

from pipeline.numerics.sums import Array

EXTENT = 1.5  # the square [-1.5, 1.5] x [-1.5, 1.5] of the decision boundaries, larger if samples lie outside


def extent(X: Array) -> float:
    """Half the side of a square about 0 that contains all samples X (2, m): EXTENT or a larger multiple of 0.5."""
    return max(EXTENT, math.ceil(2.04 * float(np.abs(X[:2]).max(initial=0.0))) / 2)
