"""Singular values of weights and of the Jacobians of a network with respect to its inputs.

They come from LAPACK, whose rounding depends on the processor: use `rounded` for numbers that are stored. The spread of
the squared singular values is computed from traces, with the same bits on every processor.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.diagnostics.signals import forward, pieces
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters
from pipeline.numerics.elementary import exp, log
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array, lane_sum, pad

MIN_EIGENVALUE_SIDE = 256  # the shorter side from which singular values are taken from eigenvalues
EPSILON = float(np.finfo(np.float64).eps)


def rounded(values: Array, digits: int = 6) -> Array:
    """The values rounded to `digits` significant digits by Python's correctly rounded conversions; -0 becomes 0.

    Two values that differ by a rounding error become equal unless a tie lies between them: for a relative error of
    1e-15 and six digits the probability is about 1e-9.
    """
    numbers = [float(f"{value:.{digits - 1}e}") + 0.0 for value in values.ravel().tolist()]
    return np.array(numbers).reshape(values.shape)


def singular_values(M: Array) -> Array:
    """The singular values (..., min(n, k)) of matrices (..., n, k), in descending order; nan if one is not finite.

    The errors are some 1e-15 of the largest. Those below max(n, k) 2^-52 of the largest are 0, NumPy's rule for
    the rank. If the shorter side has `MIN_EIGENVALUE_SIDE` or more, they are the roots of the eigenvalues of M M',
    found five times as fast, and those below sqrt(max(n, k) 2^-52) of the largest are 0: 5e-7 for 1000.
    """
    n, k = M.shape[-2:]
    values = np.full((*M.shape[:-2], min(n, k)), np.nan)
    finite = np.isfinite(M).all(axis=(-2, -1))
    negligible = max(n, k) * EPSILON
    if min(n, k) < MIN_EIGENVALUE_SIDE:
        s = np.linalg.svd(M[finite], compute_uv=False)
        values[finite] = np.where(s < negligible * s[..., :1], 0.0, s)
        return values
    for place in zip(*np.nonzero(finite), strict=True):
        rows = M[place] if n <= k else M[place].T
        scale = np.abs(rows).max() or 1.0  # so that no square overflows
        rows = rows / scale
        squares = np.linalg.eigvalsh(product(rows[None], rows.T)[0])[::-1]
        values[place] = scale * np.sqrt(np.where(squares < negligible * squares[0], 0.0, squares))
    return values


def effective_ranks(parameters: Parameters) -> Array:
    """The `effective_rank` of W, (models, L)."""
    return np.stack([effective_rank(W) for W, _ in parameters], axis=1)


def effective_rank(W: Array) -> Array:
    """exp(-sum_i p_i ln p_i), p_i = s_i / sum_j s_j, s being the singular values of W (Roy & Vetterli 2007).

    W (models, n, k) gives (models,): from 1, for rank 1, to min(n, k), for a multiple of an isometry; 0 if W is 0.
    """
    s = singular_values(W)
    total = lane_sum(pad(s))
    p = s / np.where(total > 0.0, total, 1.0)[:, None]
    entropy = -lane_sum(pad(p * log(np.where(p > 0.0, p, 1.0))))
    return np.where(total == 0.0, 0.0, exp(entropy))


def jacobians(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> Array:
    """The singular values of the Jacobian from the input to the last hidden layer's activations, at X (n_0, m).

    (models, m, min(n_{L-1}, n_0)), in descending order. The sum of their squares over n_0 is n_{L-1} / n_0 on average
    with He initialization and ReLU. The cost is that of a forward pass over n_0 m samples, so X should have only a few.
    """
    n_0, m = X.shape
    found: list[Array] = []
    with np.errstate(all="ignore"):
        for part in pieces(parameters, m * (n_0 + 1)):
            *_, J = layer_jacobians(part, X, activations)
            found.append(singular_values(J.reshape(len(J), -1, m, n_0).swapaxes(1, 2)))
    return np.concatenate(found)


def layer_jacobians(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> Iterator[Array]:
    """The Jacobians by the inputs at X (n_0, m): first the identity, then of the activations of each hidden layer.

    Each is (models, n_l, m n_0), with the n_0 derivatives at a sample side by side.
    """
    n_0, m = X.shape
    Z, A = forward(parameters, X, activations)
    J: Array = np.broadcast_to(np.tile(np.eye(n_0), m), (len(Z[0]), n_0, m * n_0))
    yield J
    for l, activation in enumerate(activations):
        J = product(parameters[l][0], J) * np.repeat(activation.slope(Z[l], A[l + 1]), n_0, axis=2)
        yield J


def squared_spread(J: Array) -> Array:
    """n |J J'|^2 / |J|^4 - 1 (models,), which is Var(s^2) / E[s^2]^2 of the singular values s of J (models, n, n_0).

    n is the smaller of n and n_0, the number of singular values; |.| is the Frobenius norm. Without LAPACK, so the bits
    are the same on every processor.
    """
    squares = product(J, J.swapaxes(1, 2))
    of_J, of_squares = (lane_sum(pad(lane_sum(pad(M * M)))) for M in (J, squares))
    return np.asarray(min(J.shape[1:]) * of_squares / (of_J * of_J) - 1.0)
