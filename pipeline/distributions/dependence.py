"""Dependence between the rows of a matrix: the largest cosine between two of them, and the largest singular value.

The cosines are first computed by BLAS in single precision, whose bits depend on the processor, and only used to select
the pairs that can be the largest; these are computed again with the same bits on every computer.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sums import LANES, Array, lane_sum, pad

MOST_ROWS = 1024  # compared; of more, evenly spaced ones
MOST_COLUMNS = 8192
MOST_VALUES = 1 << 22  # of a matrix whose singular value is computed; of a larger one, evenly spaced rows and columns
BLOCK = 512
ERROR = 1e-5  # bound of the error of a cosine in single precision: 8192 roundings of 6e-8 that do not all add up
POWER_STEPS = 24


class Pair(NamedTuple):
    """The two rows with the largest |cosine|."""

    cosine: float
    first: int
    second: int
    n_pairs: int  # compared


class Spectrum(NamedTuple):
    """The largest singular value of a matrix, or of a part of it, with the size of the part."""

    largest: float
    rows: int
    columns: int


def largest_cosine(rows: NDArray[Any]) -> Pair:
    """The pair of rows (k, n) that is closest to parallel or opposite, rows of zeros apart. (0, -1, -1, 0) for k < 2.

    Of more than MOST_ROWS rows or MOST_COLUMNS columns, evenly spaced ones are compared.
    """
    chosen = _spaced(len(rows), MOST_ROWS)
    columns = _spaced(rows.shape[1], MOST_COLUMNS)
    part = rows[chosen] if len(chosen) < len(rows) else rows
    part = part[:, columns] if len(columns) < rows.shape[1] else part
    n, m = part.shape
    W = np.zeros((n, m + -m % LANES))  # a copy, which is normalized in place: it may have 67 MB
    W[:, :m] = part
    del part
    largest = np.maximum(np.max(W, axis=1, initial=0.0), -np.min(W, axis=1, initial=0.0))
    kept = np.flatnonzero(largest > 0.0)
    if len(kept) < 2:
        return Pair(0.0, -1, -1, 0)
    W = W[kept] if len(kept) < len(W) else W
    for start in range(0, len(W), BLOCK):
        block = W[start : start + BLOCK]
        block /= largest[kept[start : start + BLOCK], None]
        block /= np.sqrt(lane_sum(block * block))[:, None]
    single = W.astype(np.float32)
    best, found = 0.0, [(0, 1)]
    for start in range(0, len(W), BLOCK):
        for other in range(start, len(W), BLOCK):
            cosines = np.abs(single[start : start + BLOCK] @ single[other : other + BLOCK].T)
            if other == start:
                np.copyto(cosines, -1.0, where=np.tri(len(cosines), dtype=np.bool_))  # each pair once
            top = float(cosines.max(initial=0.0))
            if top > best - 2.0 * ERROR:
                best = max(best, top)
                first, second = np.nonzero(cosines >= best - 2.0 * ERROR)
                found += [(start + int(i), other + int(j)) for i, j in zip(first[:BLOCK], second[:BLOCK], strict=True)]
    exact = [(round(abs(_dot(W[i], W[j])), 12), -i, -j) for i, j in found[-4 * BLOCK :]]
    cosine, i, j = max(exact)
    n_pairs = len(kept) * (len(kept) - 1) // 2
    return Pair(min(cosine, 1.0), int(chosen[kept[-i]]), int(chosen[kept[-j]]), n_pairs)


def _dot(x: Array, y: Array) -> float:
    return float(lane_sum(x * y))


def _spaced(n: int, most: int) -> NDArray[np.int64]:
    """At most `most` evenly spaced indices below n."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


def largest_singular_value(rows: NDArray[Any]) -> Spectrum:
    """The largest singular value of rows (k, n), from below, by POWER_STEPS steps of the power method.

    It is exact enough where it matters: a singular value that stands out of the others is found in a few steps.
    """
    part = rows
    if rows.size > MOST_VALUES:
        part = part[_spaced(len(rows), MOST_ROWS)]
        part = part[:, _spaced(rows.shape[1], MOST_VALUES // len(part))]
    W = np.ascontiguousarray(part, dtype=np.float64)
    scale = float(np.max(np.abs(W), initial=0.0))
    if scale == 0.0:
        return Spectrum(0.0, *part.shape)
    W = pad(pad(W / scale).T).T  # so that no sum below is padded
    x = np.where(np.arange(len(W)) % 3 == 1, -1.0, 1.0) + 0.5 * W[:, 0]  # neither constant nor alternating
    size = 0.0
    for _ in range(POWER_STEPS):
        x = x / np.sqrt(_dot(x, x))
        y = np.add.reduce(W * x[:, None], axis=0, initial=0.0)
        size = np.sqrt(_dot(y, y))
        if size == 0.0:
            return Spectrum(0.0, *part.shape)
        x = lane_sum(W * (y / size))
    return Spectrum(float(np.sqrt(_dot(x, x))) * scale, *part.shape)
