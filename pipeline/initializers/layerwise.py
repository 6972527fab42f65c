"""Recipes for the initial parameters of a single layer.

A recipe is a function of settings that returns an initializer: a function (rng, fan_out, fan_in) -> W of shape
(fan_out, fan_in), as in the seed document and in PyTorch; JAX, Keras and scikit-learn store the transpose. An
initializer that also sets biases returns (W, b) with b (fan_out, 1); otherwise biases are initialized to zero. All
normal recipes scale the same draws, and so do all uniform ones: with the same seed they differ only in scale, so
comparisons are paired. A recipe raises ValueError for invalid settings; the message begins with the setting's name.

`config.frameworks` lists the names in PyTorch, Keras and JAX. Not included are dirac_ (PyTorch) and delta_orthogonal
(JAX), which are for convolutions, and STFT (Keras), which is for spectrograms.

Long because it has every recipe for a single layer, each a short function.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from pipeline.numerics import matrices, random
from pipeline.numerics.sums import Array

Initializer = Callable[[np.random.RandomState, int, int], Array | tuple[Array, Array]]
Draw = Callable[[np.random.RandomState, tuple[int, ...], float], Array]
T = TypeVar("T")

STD_WITHIN_2 = 0.87962566103423978  # standard deviation of N(0, 1) truncated to [-2, 2], the divisor of Keras and JAX

FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: math.sqrt(fan_in * fan_out),
}

SKLEARN_FACTORS = {"identity": 6.0, "logistic": 2.0, "tanh": 6.0, "relu": 6.0}  # f of `sklearn_mlp`, by activation

# (rng, shape, variance) -> independent draws of mean 0 and that variance
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, shape, variance: random.normal(rng, shape) * math.sqrt(variance),
    "truncated_normal": lambda rng, shape, variance: (
        random.truncated_normal(rng, shape, -2.0, 2.0) * (math.sqrt(variance) / STD_WITHIN_2)
    ),
    "uniform": lambda rng, shape, variance: random.uniform(rng, shape, -1.0, 1.0) * math.sqrt(3.0 * variance),
}


def constant(*, value: float) -> Initializer:
    """W = `value` in every entry. The units of a layer stay identical during training: the symmetry experiment."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return np.full((fan_out, fan_in), float(value))

    return init


def zeros() -> Initializer:
    """W = 0."""
    return constant(value=0.0)


def ones() -> Initializer:
    """W = 1 in every entry."""
    return constant(value=1.0)


def uniform(*, low: float, high: float) -> Initializer:
    """W ~ U(low, high), independent of the fans. Defaults: Keras (-0.05, 0.05), PyTorch (0, 1), JAX (0, 0.01)."""
    _require(low < high, "high", "greater than low", high)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.uniform(rng, (fan_out, fan_in), low, high)

    return init


def normal(*, std: float) -> Initializer:
    """W ~ N(0, std^2), independent of the fans. `np.random.randn(...) * 10` in the seed document is std = 10."""
    _positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.normal(rng, (fan_out, fan_in)) * std

    return init


def truncated_normal(*, std: float, low: float = -2.0, high: float = 2.0) -> Initializer:
    """W = std T, where T is N(0, 1) truncated to [low, high]: the bounds are in units of std.

    As in Keras (always 2 std) and JAX. As there, the variance is not corrected: truncated at 2 std it is 0.7737 std^2.
    `variance_scaling` corrects it, also in Keras and JAX.
    """
    _positive("std", std)
    _require_mass(low, high)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.truncated_normal(rng, (fan_out, fan_in), low, high) * std

    return init


def truncated_normal_absolute(
    *, std: float = 1.0, mean: float = 0.0, low: float = -2.0, high: float = 2.0
) -> Initializer:
    """W ~ N(mean, std^2) truncated to [low, high]: PyTorch's trunc_normal_(mean, std, a, b).

    The bounds are values of W. At std = 0.02, common in vision transformers, the default bounds have no effect.
    """
    _positive("std", std)
    _require_mass(low, high, mean, std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        drawn = random.truncated_normal(rng, (fan_out, fan_in), (low - mean) / std, (high - mean) / std)
        return np.clip(mean + std * drawn, low, high)  # rounding may exceed the bounds

    return init


def variance_scaling(*, scale: float, mode: str, distribution: str = "normal") -> Initializer:
    """Mean 0 and variance scale / n, where `mode` selects n from FANS (He et al. 2015, eq. 10).

    normal: N(0, scale / n). uniform: U(-r, r), r = sqrt(3 scale / n). truncated_normal: a normal distribution truncated
    at 2 standard deviations and widened so that the variance is exactly scale / n. Keras calls the first
    untruncated_normal and the third normal. fan_avg is (fan_in + fan_out) / 2; fan_geo_avg, only in JAX,
    sqrt(fan_in fan_out).
    """
    _positive("scale", scale)
    size, draw = _one_of("mode", mode, FANS), _one_of("distribution", distribution, DISTRIBUTIONS)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return draw(rng, (fan_out, fan_in), scale / size(fan_in, fan_out))

    return init


def he_normal(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """W ~ N(0, 2 / ((1 + negative_slope^2) n)), for leaky ReLU of that negative slope (He et al. 2015, eqs. 10, 15).

    PyTorch's kaiming_normal_(a=negative_slope, mode=mode). Keras and JAX truncate: `he_truncated_normal`.
    """
    return _he(negative_slope, mode, "normal")


def he_uniform(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """W ~ U(-r, r), r = sqrt(6 / ((1 + negative_slope^2) n)): the variance of `he_normal`.

    PyTorch's kaiming_uniform_, Keras' HeUniform, JAX's he_uniform.
    """
    return _he(negative_slope, mode, "uniform")


def he_truncated_normal(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """Truncated normal of variance 2 / ((1 + negative_slope^2) n): He normal in Keras and JAX (with the defaults)."""
    return _he(negative_slope, mode, "truncated_normal")


def _he(negative_slope: float, mode: str, distribution: str) -> Initializer:
    return variance_scaling(scale=2.0 / (1.0 + negative_slope * negative_slope), mode=mode, distribution=distribution)


def xavier_normal() -> Initializer:
    """W ~ N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12): PyTorch's xavier_normal_.

    Keras and JAX truncate: `xavier_truncated_normal`. The "factor of 1" of the seed document is `lecun_normal`.
    """
    return variance_scaling(scale=1.0, mode="fan_avg")


def xavier_uniform() -> Initializer:
    """W ~ U(-r, r), r = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16): the default of Keras' Dense."""
    return variance_scaling(scale=1.0, mode="fan_avg", distribution="uniform")


def xavier_truncated_normal() -> Initializer:
    """Truncated normal of variance 2 / (fan_in + fan_out): Glorot normal in Keras and JAX."""
    return variance_scaling(scale=1.0, mode="fan_avg", distribution="truncated_normal")


def lecun_normal() -> Initializer:
    """W ~ N(0, 1 / fan_in) (LeCun et al. 1998, eq. 16). Keras and JAX truncate: `lecun_truncated_normal`."""
    return variance_scaling(scale=1.0, mode="fan_in")


def lecun_uniform() -> Initializer:
    """W ~ U(-r, r), r = sqrt(3 / fan_in): the variance of `lecun_normal`."""
    return variance_scaling(scale=1.0, mode="fan_in", distribution="uniform")


def lecun_truncated_normal() -> Initializer:
    """Truncated normal of variance 1 / fan_in: LeCun normal in Keras and JAX, the default of Flax's Dense."""
    return variance_scaling(scale=1.0, mode="fan_in", distribution="truncated_normal")


def pytorch_linear() -> Initializer:
    """W, then b ~ U(-r, r), r = 1 / sqrt(fan_in): the default of PyTorch's nn.Linear.

    It calls kaiming_uniform_(a=sqrt(5)) for W, whose variance 2 / ((1 + 5) fan_in) is that of U(-r, r).
    """

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        r = 1.0 / math.sqrt(fan_in)
        W = random.uniform(rng, (fan_out, fan_in), -1.0, 1.0) * r
        return W, random.uniform(rng, (fan_out, 1), -1.0, 1.0) * r

    return init


def sklearn_mlp(*, activation: str = "relu") -> Initializer:
    """W, then b ~ U(-r, r), r = sqrt(f / (fan_in + fan_out)): f = 2 if the activation is logistic, else 6.

    As in scikit-learn's MLPClassifier and MLPRegressor (after Glorot & Bengio 2010, eq. 16). W is drawn in the order of
    its transpose, as there, so a seed reproduces the weights of the same `random_state` bit for bit.
    """
    f = _one_of("activation", activation, SKLEARN_FACTORS)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        r = math.sqrt(f / (fan_in + fan_out))
        W = np.ascontiguousarray(random.uniform(rng, (fan_in, fan_out), -r, r).T)
        return W, random.uniform(rng, (fan_out, 1), -r, r)

    return init


def orthogonal() -> Initializer:
    """Haar-distributed W with orthonormal rows or columns, whichever are fewer (Saxe et al. 2013).

    PyTorch, Keras and JAX fix the signs in the same way (Mezzadri 2007).
    """
    return matrices.orthonormal


def identity(*, value: float = 1.0) -> Initializer:
    """W = `value` on the diagonal, 0 elsewhere; W need not be square. PyTorch's eye_; Keras' Identity(gain)."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = np.zeros((fan_out, fan_in))
        np.fill_diagonal(W, value)
        return W

    return init


def sparse(*, sparsity: float, std: float = 0.01) -> Initializer:
    """W ~ N(0, std^2) with ceil(sparsity fan_out) randomly chosen zeros in each column: PyTorch's sparse_.

    PyTorch cites Martens (2010), who limits the incoming connections of a unit, a row of W: `martens_sparse`.
    """
    _require(0.0 <= sparsity <= 1.0, "sparsity", "from 0 to 1", sparsity)
    _positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = random.normal(rng, (fan_out, fan_in)) * std
        W[matrices.sample_mask(rng, fan_in, fan_out, math.ceil(sparsity * fan_out)).T] = 0.0
        return W

    return init


def martens_sparse(*, n_connections: int = 15, std: float = 1.0) -> Initializer:
    """W ~ N(0, std^2) for `n_connections` randomly chosen inputs of each unit, 0 elsewhere.

    Martens (2010, sec. 5; Sutskever et al. 2013, sec. 3.1): 15 of std 1. Units with fewer inputs are fully connected.
    """
    _require(n_connections >= 1, "n_connections", "at least 1", n_connections)
    _positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = random.normal(rng, (fan_out, fan_in)) * std
        W[~matrices.sample_mask(rng, fan_out, fan_in, n_connections)] = 0.0
        return W

    return init


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


RECIPES: dict[str, Callable[..., Initializer]] = {
    "zeros": zeros,
    "ones": ones,
    "constant": constant,
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": truncated_normal,
    "truncated_normal_absolute": truncated_normal_absolute,
    "variance_scaling": variance_scaling,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "he_truncated_normal": he_truncated_normal,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "xavier_truncated_normal": xavier_truncated_normal,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_truncated_normal": lecun_truncated_normal,
    "pytorch_linear": pytorch_linear,
    "sklearn_mlp": sklearn_mlp,
    "orthogonal": orthogonal,
    "identity": identity,
    "sparse": sparse,
    "martens_sparse": martens_sparse,
    "zero_init": zero_init,
}


def _require(holds: bool, name: str, clause: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} must be {clause}, not {value}")


def _positive(name: str, value: float) -> None:
    _require(value > 0.0, name, "greater than 0", value)


def _one_of(name: str, value: str, table: dict[str, T]) -> T:
    _require(value in table, name, f"one of {', '.join(table)}", repr(value))
    return table[value]


def _require_mass(low: float, high: float, mean: float = 0.0, std: float = 1.0) -> None:
    """Check that rejection sampling of N(mean, std^2) truncated to [low, high] terminates quickly.

    Raises ValueError, naming the bound, if less than 1 in 100 draws would be accepted.
    """
    _require(low < high, "high", f"greater than low, which is {low}", high)
    a, b = ((bound - mean) / std / math.sqrt(2.0) for bound in (low, high))
    above, below = math.erfc(a) / 2.0, math.erfc(-b) / 2.0  # only compared: no weight depends on their bits
    clause = "that at least 1 in 100 draws of the normal distribution lies"
    _require(above >= 0.01, "low", f"so small {clause} above it", low)
    _require(below >= 0.01, "high", f"so large {clause} below it", high)
    _require(above + below - 1.0 >= 0.01, "high", f"so far above low {clause} between", high)
