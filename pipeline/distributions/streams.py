"""Layers that hold the same random draws, because a seed was reused: correlated values in the order of drawing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sums import Array, lane_sum, pad
from pipeline.numerics.tails import beta_tail

LENGTHS = (4096, 512, 64, 16)  # of the common prefixes that are compared
ERROR = 1e-4  # of a cosine in single precision


class Match(NamedTuple):
    """Two layers, by index, whose first draws are correlated."""

    first: int
    second: int
    correlation: float
    length: int
    p: float  # corrected for the number of pairs
    equal: bool  # the values are equal, not only up to scale


def prefixes(matrix: NDArray[Any]) -> tuple[Array, Array]:
    """The first values of a matrix (units, fan_in), unit by unit and input by input."""

    def prefix(W: NDArray[Any]) -> Array:
        n_rows = -(-LENGTHS[0] // max(1, W.shape[1]))
        return np.array(W[:n_rows], dtype=np.float64, order="C").reshape(-1)[: LENGTHS[0]].copy()

    return prefix(matrix), prefix(matrix.T)


def matches(layers: Sequence[tuple[Array, Array]], level: float) -> list[Match]:
    """The pairs of layers whose `prefixes` are correlated at this family-wise level; each later layer once.

    Without reuse, the correlation of two layers' values has the law of a cosine in as many dimensions as there are
    values, less one.
    """
    n_layers = len(layers)
    n_tests = 2 * n_layers * (n_layers - 1)
    found: dict[int, Match] = {}
    compared: set[tuple[int, int]] = set()
    for length in LENGTHS:
        chosen = [index for index, (values, _) in enumerate(layers) if len(values) >= length]
        if len(chosen) < 2:
            continue
        drawn = np.array([order[:length] for index in chosen for order in layers[index]])
        rows = drawn - (lane_sum(pad(drawn)) / length)[:, None]
        norms = np.sqrt(lane_sum(pad(rows * rows)))
        rows = rows / np.where(norms > 0.0, norms, 1.0)[:, None]
        cosines = np.abs(rows.astype(np.float32) @ rows.astype(np.float32).T)
        least = _least_cosine(length, level / n_tests)
        for i, j in zip(*np.nonzero(np.triu(cosines, 1) >= least - ERROR), strict=True):
            first, second = chosen[int(i) // 2], chosen[int(j) // 2]
            if first == second or (first, second) in compared:
                continue
            cosine = min(1.0, abs(float(lane_sum(pad(rows[i] * rows[j])))))
            p = min(1.0, n_tests * beta_tail(cosine * cosine, 0.5, 0.5 * (length - 2)))
            if p < level and second not in found:
                found[second] = Match(first, second, cosine, length, p, bool((drawn[i] == drawn[j]).all()))
        compared |= {(a, b) for a in chosen for b in chosen if a < b}
    return [found[second] for second in sorted(found)]


def _least_cosine(length: int, p: float) -> float:
    """A cosine whose p-value is at least p."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = 0.5 * (low + high)
        if beta_tail(middle * middle, 0.5, 0.5 * (length - 2)) > p:
            low = middle
        else:
            high = middle
    return low
