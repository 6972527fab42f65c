"""The recipes by which weights are born.

A recipe takes its settings and returns an initializer: a function (rng, fan_out, fan_in) -> W of shape
(fan_out, fan_in), as in the seed and in PyTorch; JAX, Keras and scikit-learn store the transpose. Each random
recipe scales the same normal draws, so two recipes with one seed differ in scale alone: comparisons are paired.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from pipeline.draws import normal as draw_normal
from pipeline.sums import Array, lane_sum, pad

Initializer = Callable[[np.random.RandomState, int, int], Array]
Parameters = list[tuple[Array, Array]]  # (W, b) of each layer

FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}


def constant(*, value: float) -> Initializer:
    """Every weight is `value`. All units of a layer stay equal for ever: the symmetry experiment."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return np.full((fan_out, fan_in), float(value))

    return init


def zeros() -> Initializer:
    """Every weight is 0."""
    return constant(value=0.0)


def normal(*, sd: float) -> Initializer:
    """W ~ N(0, sd^2), whatever the fans. The seed's `np.random.randn(...) * 10` is sd = 10."""
    _require(sd > 0.0, "sd", sd)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return draw_normal(rng, (fan_out, fan_in)) * sd

    return init


def variance_scaling(*, scale: float, fan: str) -> Initializer:
    """W ~ N(0, scale / n), n being the fan that `fan` names: fan_in, fan_out or fan_avg (He et al. 2015, eq. 10)."""
    _require(scale > 0.0, "scale", scale)
    if fan not in FANS:
        raise ValueError(f"fan must be one of {', '.join(FANS)}, not {fan!r}")
    size = FANS[fan]

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return draw_normal(rng, (fan_out, fan_in)) * math.sqrt(scale / size(fan_in, fan_out))

    return init


def he_normal() -> Initializer:
    """W ~ N(0, 2 / fan_in) (He et al. 2015, eq. 10): PyTorch's kaiming_normal_. Keras and JAX truncate theirs."""
    return variance_scaling(scale=2.0, fan="fan_in")


def xavier_normal() -> Initializer:
    """W ~ N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12): PyTorch's xavier_normal_.

    The seed's "factor of 1" is `lecun_normal`.
    """
    return variance_scaling(scale=1.0, fan="fan_avg")


def lecun_normal() -> Initializer:
    """W ~ N(0, 1 / fan_in) (LeCun et al. 1998, eq. 16). Keras and JAX truncate theirs."""
    return variance_scaling(scale=1.0, fan="fan_in")


def orthogonal(*, gain: float) -> Initializer:
    """Orthonormal rows or columns, whichever are fewer, times `gain`, with the Haar law (Saxe et al. 2013).

    The Q of the QR decomposition of a normal matrix whose R has a positive diagonal (Mezzadri 2007), as PyTorch
    and JAX correct it. LAPACK's bits depend on the processor; this is Gram-Schmidt, twice (Giraud et al. 2005).
    """
    _require(gain > 0.0, "gain", gain)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        drawn = draw_normal(rng, (fan_out, fan_in))
        if fan_out <= fan_in:
            return orthonormal_rows(drawn) * gain
        return np.ascontiguousarray(orthonormal_rows(drawn.T).T) * gain

    return init


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


RECIPES: dict[str, Callable[..., Initializer]] = {
    "zeros": zeros,
    "constant": constant,
    "normal": normal,
    "variance_scaling": variance_scaling,
    "he_normal": he_normal,
    "xavier_normal": xavier_normal,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
}


def initialize_parameters(init: Initializer, seed: int, layers_dims: Sequence[int]) -> Parameters:
    """One model, born from `seed`: W (n_l, n_{l-1}) drawn layer after layer from one stream, b (n_l, 1) zero."""
    rng = np.random.RandomState(seed)
    return [(init(rng, fan_out, fan_in), np.zeros((fan_out, 1))) for fan_in, fan_out in pairwise(layers_dims)]


def stack(models: Sequence[Parameters]) -> Parameters:
    """Models of the same layer sizes as one: W (models, n_l, n_{l-1}), b (models, n_l, 1)."""
    return [(np.stack([W for W, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*models, strict=True)]


def _require(holds: bool, name: str, value: float) -> None:
    if not holds:
        raise ValueError(f"{name} must be greater than 0, not {value}")
