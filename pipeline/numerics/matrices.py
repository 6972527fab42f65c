"""Matrices of a given structure, from which recipes for weights are made."""

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array, lane_sum, pad

WIDE = 64  # rows, from which on it pays to compile


def orthonormal(rng: np.random.RandomState, rows: int, columns: int) -> Array:
    """Orthonormal rows or columns, whichever are fewer, with the Haar law.

    The Q of the QR decomposition of a normal matrix whose R has a positive diagonal (Mezzadri 2007). LAPACK's bits
    depend on the processor; this is Gram-Schmidt, twice (Giraud et al. 2005).
    """
    drawn = normal(rng, (rows, columns))
    work = orthonormal_rows
    if min(rows, columns) >= WIDE:
        from pipeline.numerics import gram_schmidt  # Numba takes half a second to import

        work = gram_schmidt.orthonormal_rows
    if rows <= columns:
        return work(drawn)
    return np.ascontiguousarray(work(drawn.T).T)


def orthonormal_rows(A: Array) -> Array:
    """The rows of A (k, n), k <= n, made orthonormal one after another by Gram-Schmidt, each projected out twice."""
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
    """Sylvester's Hadamard matrix of 2**m rows: H_0 = [1], H_m = [H H; H -H] with H = H_{m-1}."""
    H = np.ones((1, 1))
    for _ in range(m):
        H = np.block([[H, H], [H, -H]])
    return H


def chosen(rng: np.random.RandomState, rows: int, columns: int, k: int) -> NDArray[np.bool_]:
    """k true entries in each row of (rows, columns), every set of k places equally likely.

    They are at the k smallest of uniform draws, one draw an entry.
    """
    places = np.argsort(rng.random_sample((rows, columns)), axis=1, kind="stable")[:, :k]
    is_chosen = np.zeros((rows, columns), dtype=np.bool_)
    np.put_along_axis(is_chosen, places, True, axis=1)
    return is_chosen
