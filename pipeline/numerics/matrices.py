"""Structured matrices used by the initializers: orthonormal, Hadamard, random masks."""

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array, lane_sum, pad

MIN_COMPILED_ROWS = 64  # rows; from here on the compiled version is faster, its compilation included


def orthonormal(rng: np.random.RandomState, rows: int, columns: int) -> Array:
    """A Haar-distributed matrix (rows, columns) with orthonormal rows or columns, whichever are fewer.

    This is Q of the QR decomposition of a matrix of N(0, 1) draws, with the diagonal of R positive (Mezzadri 2007). The
    results of LAPACK depend on the processor, so it is computed by Gram-Schmidt with reorthogonalization (Giraud et
    al. 2005).
    """
    drawn = normal(rng, (rows, columns))
    work = orthonormal_rows
    if min(rows, columns) >= MIN_COMPILED_ROWS:
        from pipeline.numerics import matmul  # imports llvmlite

        work = matmul.orthonormalize_rows
    if rows <= columns:
        return work(drawn)
    return np.ascontiguousarray(work(drawn.T).T)


def orthonormal_rows(A: Array) -> Array:
    """Orthonormal rows (k, n) from those of A (k, n), k <= n, by Gram-Schmidt with two projections per row."""
    n = A.shape[1]
    Q = pad(A)
    for k in range(len(Q)):
        for _ in range(2):
            shares = lane_sum(Q[:k] * Q[k])
            for share, row in zip(shares, Q[:k], strict=True):
                Q[k] -= share * row
        Q[k] /= np.sqrt(lane_sum(Q[k] * Q[k]))
    return np.ascontiguousarray(Q[:, :n])


def hadamard(m: int) -> Array:
    """Sylvester's Hadamard matrix (2**m, 2**m): H_0 = [1], H_m = [H H; H -H] with H = H_{m-1}."""
    H = np.ones((1, 1))
    for _ in range(m):
        H = np.block([[H, H], [H, -H]])
    return H


def sample_mask(rng: np.random.RandomState, rows: int, columns: int, k: int) -> NDArray[np.bool_]:
    """A random mask (rows, columns) with min(k, columns) true entries per row, every such subset equally likely.

    The true entries of a row are at its k smallest of independent uniform draws, one per entry.
    """
    places = np.argsort(rng.random_sample((rows, columns)), axis=1, kind="stable")[:, :k]
    is_chosen = np.zeros((rows, columns), dtype=np.bool_)
    np.put_along_axis(is_chosen, places, True, axis=1)
    return is_chosen


def determinant(A: Array) -> float:
    """The determinant of a square matrix, by Gaussian elimination with partial pivoting in a fixed order."""
    rows, value = A.tolist(), 1.0
    for k in range(len(rows)):
        pivot = max(range(k, len(rows)), key=lambda i: abs(rows[i][k]))
        if rows[pivot][k] == 0.0:
            return 0.0
        if pivot != k:
            rows[k], rows[pivot], value = rows[pivot], rows[k], -value
        value *= rows[k][k]
        for row in rows[k + 1 :]:
            factor = row[k] / rows[k][k]
            row[k:] = [a - factor * b for a, b in zip(row[k:], rows[k][k:], strict=True)]
    return float(value)
