"""Recipes for a single layer whose weight matrix has a structure: orthogonal, identity, sparse and Hadamard matrices.

Conventions: `pipeline.initializers.layerwise`.
"""

import math

import numpy as np

from pipeline.initializers.registry import Entry, Initializer, Variances, no_theory, positive, register, require
from pipeline.numerics import matrices, random
from pipeline.numerics.sums import Array

RECIPES: dict[str, Entry[Variances]] = {}

DETERMINISTIC = "deterministic weights, but theory assumes random ones"


@register(
    RECIPES,
    use="deep networks, with gain √2 for ReLU; recurrent ones",
    variances=lambda fan_out, fan_in: Variances(1.0 / max(fan_in, fan_out)),
    pytorch="`orthogonal_(gain)`",
    keras="`Orthogonal(gain)`",
    jax="`orthogonal(gain)`",
)
def orthogonal() -> Initializer:
    """Haar-distributed W with orthonormal rows or columns, whichever are fewer (Saxe et al. 2013).

    PyTorch, Keras and JAX fix the signs in the same way (Mezzadri 2007).
    """
    return matrices.orthonormal


@register(
    RECIPES,
    use="to pass the inputs on; units beyond the inputs are 0",
    variances=no_theory(DETERMINISTIC),
    pytorch="`eye_`, for value 1",
    keras="`Identity(value)`",
)
def identity(*, value: float = 1.0) -> Initializer:
    """W = `value` on the diagonal, 0 elsewhere; W need not be square. PyTorch's eye_; Keras' Identity(gain)."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = np.zeros((fan_out, fan_in))
        np.fill_diagonal(W, value)
        return W

    return init


def _sparse(std: float, kept: int, n: int) -> Variances:
    """N(0, std^2) for `kept` randomly chosen weights of n, and 0 for the others."""
    return Variances(std * std * (kept / n), normal=kept == n)


@register(
    RECIPES,
    use="to compare with PyTorch code",
    variances=lambda fan_out, fan_in, sparsity, std: _sparse(std, fan_out - math.ceil(sparsity * fan_out), fan_out),
    pytorch="`sparse_(sparsity, std)`",
)
def sparse(*, sparsity: float, std: float = 0.01) -> Initializer:
    """W ~ N(0, std^2) with ceil(sparsity fan_out) randomly chosen zeros in each column: PyTorch's sparse_.

    PyTorch cites Martens (2010), who limits the incoming connections of a unit, a row of W: `martens_sparse`.
    """
    require(0.0 <= sparsity <= 1.0, "sparsity", "from 0 to 1", sparsity)
    positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = random.normal(rng, (fan_out, fan_in)) * std
        W[matrices.sample_mask(rng, fan_in, fan_out, math.ceil(sparsity * fan_out)).T] = 0.0
        return W

    return init


@register(
    RECIPES,
    use="a scale that does not depend on the width",
    variances=lambda fan_out, fan_in, n_connections, std: _sparse(std, min(n_connections, fan_in), fan_in),
)
def martens_sparse(*, n_connections: int = 15, std: float = 1.0) -> Initializer:
    """W ~ N(0, std^2) for `n_connections` randomly chosen inputs of each unit, 0 elsewhere.

    Martens (2010, sec. 5; Sutskever et al. 2013, sec. 3.1): 15 of std 1. Units with fewer inputs are fully connected.
    """
    require(n_connections >= 1, "n_connections", "at least 1", n_connections)
    positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = random.normal(rng, (fan_out, fan_in)) * std
        W[~matrices.sample_mask(rng, fan_out, fan_in, n_connections)] = 0.0
        return W

    return init


@register(
    RECIPES,
    use="training without any randomness",
    variances=no_theory(DETERMINISTIC),
)
def zero_init() -> Initializer:
    """ZerO (Zhao et al. 2022, algorithm 1), which is deterministic: I* if fan_out <= fan_in, else c I* H_m I*.

    I* has ones on its diagonal and zeros elsewhere, H_m is Sylvester's Hadamard matrix with the smallest number
    2^m >= fan_out of rows, and c = 2^(-(m - 1) / 2). The authors' notebook has c = 2^(-m / 2), smaller by sqrt(2).
    """

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        if fan_out <= fan_in:
            return np.eye(fan_out, fan_in)
        m = (fan_out - 1).bit_length()
        return matrices.hadamard(m)[:fan_out, :fan_in] * math.sqrt(math.ldexp(1.0, 1 - m))

    return init
