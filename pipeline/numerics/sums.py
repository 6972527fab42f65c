"""Sums in one fixed order, so that no vector width and no thread changes their last bit.

Lane v of eight adds the elements v, v + 8, v + 16, ... one after another, starting from 0; then the lanes are
added as a tree. Any machine can do that eight, four, two or one at a time and get the same bits.
"""

import operator
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LANES = 8

Array = NDArray[np.float64]


def pad(x: Array) -> Array:
    """`x` with zeros appended to its last axis until that is a whole number of lanes."""
    missing = -x.shape[-1] % LANES
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def lane_sum(x: Array) -> Array:
    """The sum over the last axis, whose length is a multiple of eight; shape (..., 8 k) gives (...)."""
    # A reduction over any but the last axis adds row after row; over the last one NumPy would add pairwise.
    lanes: Array = np.add.reduce(x.reshape(*x.shape[:-1], x.shape[-1] // LANES, LANES), axis=-2, initial=0.0)
    lanes = lanes[..., :4] + lanes[..., 4:]
    lanes = lanes[..., :2] + lanes[..., 2:]
    total: Array = lanes[..., 0] + lanes[..., 1]
    return total


def integer_sum(values: Iterable[int]) -> int:
    """The sum of integers or truth values, exact. Raises TypeError for a float.

    Use it instead of the built-in `sum`, which adds floats in one way up to Python 3.11 and in another since.
    """
    return sum(map(operator.index, values))


def sum_in_order(values: Iterable[float]) -> float:
    """The sum of floats, added one after another from the first to the last, each time rounded.

    Where no stored bits depend on that order, `math.fsum` is more accurate.
    """
    total = 0.0
    for value in values:
        total = total + value
    return total
