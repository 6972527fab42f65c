"""Sums in one fixed order, so that neither vector width nor number of threads affects the result.

Lane v of eight adds the elements v, v + 8, v + 16, ... sequentially, starting from 0; then the lanes are
added as a tree. Processing eight, four, two lanes or one at a time gives the same bits.
"""

import operator
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LANES = 8
DOUBLE = 8  # bytes
SLACK = 64  # doubles behind an array that may be read and written: the largest WIDE of `tiles`
BLOCK = LANES * DOUBLE  # bytes of a block of eight samples

Array = NDArray[np.float64]


def pad(x: Array) -> Array:
    """`x` with zeros appended to its last axis until its length is a multiple of eight: a copy in C order."""
    n = x.shape[-1]
    padded = np.zeros((*x.shape[:-1], n + -n % LANES), dtype=x.dtype)  # np.pad takes five times as long
    padded[..., :n] = x
    return padded


def lane_sum(x: Array) -> Array:
    """The sum over the last axis, whose length must be a multiple of eight: (...) from (..., 8 k)."""
    # NumPy reduces over any axis but the last sequentially; over the last axis it sums pairwise.
    lanes: Array = np.add.reduce(x.reshape(*x.shape[:-1], x.shape[-1] // LANES, LANES), axis=-2, initial=0.0)
    lanes = lanes[..., :4] + lanes[..., 4:]
    lanes = lanes[..., :2] + lanes[..., 2:]
    total: Array = lanes[..., 0] + lanes[..., 1]
    return total


def integer_sum(values: Iterable[int]) -> int:
    """The exact sum of integers or truth values. Raises TypeError for a float.

    Use it instead of the built-in `sum`, whose result for floats changed with Python 3.12.
    """
    return sum(map(operator.index, values))


def sum_in_order(values: Iterable[float]) -> float:
    """The sum of floats added sequentially from first to last, rounded after each addition.

    Where no stored bits depend on the order, `math.fsum` is more accurate.
    """
    total = 0.0
    for value in values:
        total = total + value
    return total
