"""The recipes by which the weights of a layer are born.

A recipe takes its settings and returns an initializer: a function (rng, fan_out, fan_in) -> W of shape
(fan_out, fan_in), as in the seed and in PyTorch; JAX, Keras and scikit-learn store the transpose. Where the recipe has
biases too, it returns W and b (fan_out, 1); elsewhere they are born zero. All normal recipes scale the same draws, and
all uniform ones too, so two of them with one seed differ in scale alone: comparisons are paired.

`config.frameworks` has the names that PyTorch, Keras and JAX give them. Left out: dirac_ (PyTorch) and delta_orthogonal
(JAX), which are for convolutions, and STFT (Keras), which is for spectrograms.

Long because every recipe for a layer is here, one short function each.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from pipeline.networks.parameters import Parameters
from pipeline.numerics import matrices, random
from pipeline.numerics.sums import Array

Initializer = Callable[[np.random.RandomState, int, int], Array | tuple[Array, Array]]
Draw = Callable[[np.random.RandomState, tuple[int, ...], float], Array]
T = TypeVar("T")

SD_WITHIN_2 = 0.87962566103423978  # standard deviation of N(0, 1) within [-2, 2]; Keras and JAX divide by this number

FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: math.sqrt(fan_in * fan_out),
}

SKLEARN_FACTORS = {"identity": 6.0, "logistic": 2.0, "tanh": 6.0, "relu": 6.0}  # of `sklearn_mlp`, by activation

# Draws of mean 0 and the variance given
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, shape, variance: random.normal(rng, shape) * math.sqrt(variance),
    "truncated_normal": lambda rng, shape, variance: (
        random.truncated_normal(rng, shape, -2.0, 2.0) * (math.sqrt(variance) / SD_WITHIN_2)
    ),
    "uniform": lambda rng, shape, variance: random.uniform(rng, shape, -1.0, 1.0) * math.sqrt(3.0 * variance),
}


def constant(*, value: float) -> Initializer:
    """Every weight is `value`. All units of a layer stay equal for ever: the symmetry experiment."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return np.full((fan_out, fan_in), float(value))

    return init


def zeros() -> Initializer:
    """Every weight is 0."""
    return constant(value=0.0)


def ones() -> Initializer:
    """Every weight is 1."""
    return constant(value=1.0)


def uniform(*, low: float, high: float) -> Initializer:
    """W ~ U(low, high), whatever the fans. Keras has (-0.05, 0.05) by default, PyTorch (0, 1), JAX (0, 0.01)."""
    _require(low < high, "high", "greater than low", high)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.uniform(rng, (fan_out, fan_in), low, high)

    return init


def normal(*, std: float) -> Initializer:
    """W ~ N(0, std^2), whatever the fans. The seed's `np.random.randn(...) * 10` is std = 10."""
    _positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.normal(rng, (fan_out, fan_in)) * std

    return init


def truncated_normal(*, std: float, low: float = -2.0, high: float = 2.0) -> Initializer:
    """W = std T, where T ~ N(0, 1) within [low, high]: the bounds are in units of std.

    So Keras (always 2 std) and JAX have it. None corrects the variance here: within 2 std it is 0.7737 std^2.
    `variance_scaling` does correct it, in Keras and JAX too.
    """
    _positive("std", std)
    _require_mass(low, high)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.truncated_normal(rng, (fan_out, fan_in), low, high) * std

    return init


def truncated_normal_absolute(
    *, std: float = 1.0, mean: float = 0.0, low: float = -2.0, high: float = 2.0
) -> Initializer:
    """W ~ N(mean, std^2) within [low, high]: PyTorch's trunc_normal_(mean, std, a, b).

    The bounds are values of W. At std = 0.02, common in vision transformers, the default bounds cut nothing off.
    """
    _positive("std", std)
    _require_mass(low, high, mean, std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        drawn = random.truncated_normal(rng, (fan_out, fan_in), (low - mean) / std, (high - mean) / std)
        return np.clip(mean + std * drawn, low, high)  # a rounding may leave the bounds

    return init


def variance_scaling(*, scale: float, mode: str, distribution: str = "normal") -> Initializer:
    """Mean 0 and variance scale / n, n being the fan that `mode` names (He et al. 2015, eq. 10).

    normal: N(0, scale / n). uniform: U(-r, r) with r = sqrt(3 scale / n). truncated_normal: within 2 standard
    deviations of a normal law so much wider that the variance is exact. Keras calls the first untruncated_normal, and
    by "normal" means the third. fan_avg is (fan_in + fan_out) / 2; fan_geo_avg, JAX's alone, sqrt(fan_in fan_out).
    """
    _positive("scale", scale)
    size, draw = _one_of("mode", mode, FANS), _one_of("distribution", distribution, DISTRIBUTIONS)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return draw(rng, (fan_out, fan_in), scale / size(fan_in, fan_out))

    return init


def he_normal(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """W ~ N(0, 2 / ((1 + negative_slope^2) n)), for leaky ReLU of that negative slope (He et al. 2015, eqs. 10, 15).

    PyTorch's kaiming_normal_(a=negative_slope, mode=mode). Keras and JAX truncate theirs: `he_truncated_normal`.
    """
    return _he(negative_slope, mode, "normal")


def he_uniform(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """W ~ U(-r, r), r = sqrt(6 / ((1 + negative_slope^2) n)): the variance of `he_normal`.

    PyTorch's kaiming_uniform_, Keras' HeUniform, JAX's he_uniform.
    """
    return _he(negative_slope, mode, "uniform")


def he_truncated_normal(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """Truncated normal of variance 2 / ((1 + negative_slope^2) n).

    With the defaults this is what Keras and JAX call He normal.
    """
    return _he(negative_slope, mode, "truncated_normal")


def _he(negative_slope: float, mode: str, distribution: str) -> Initializer:
    return variance_scaling(scale=2.0 / (1.0 + negative_slope * negative_slope), mode=mode, distribution=distribution)


def xavier_normal() -> Initializer:
    """W ~ N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12): PyTorch's xavier_normal_.

    Keras and JAX truncate theirs: `xavier_truncated_normal`. The seed's "factor of 1" is `lecun_normal`.
    """
    return variance_scaling(scale=1.0, mode="fan_avg")


def xavier_uniform() -> Initializer:
    """W ~ U(-r, r), r = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16): Keras' default for Dense."""
    return variance_scaling(scale=1.0, mode="fan_avg", distribution="uniform")


def xavier_truncated_normal() -> Initializer:
    """Truncated normal of variance 2 / (fan_in + fan_out): what Keras and JAX call Glorot normal."""
    return variance_scaling(scale=1.0, mode="fan_avg", distribution="truncated_normal")


def lecun_normal() -> Initializer:
    """W ~ N(0, 1 / fan_in) (LeCun et al. 1998, eq. 16). Keras and JAX truncate theirs: `lecun_truncated_normal`."""
    return variance_scaling(scale=1.0, mode="fan_in")


def lecun_uniform() -> Initializer:
    """W ~ U(-r, r), r = sqrt(3 / fan_in): the variance of `lecun_normal`."""
    return variance_scaling(scale=1.0, mode="fan_in", distribution="uniform")


def lecun_truncated_normal() -> Initializer:
    """Truncated normal of variance 1 / fan_in: what Keras and JAX call LeCun normal; the default of Flax's Dense."""
    return variance_scaling(scale=1.0, mode="fan_in", distribution="truncated_normal")


def pytorch_linear() -> Initializer:
    """W, then b ~ U(-r, r), r = 1 / sqrt(fan_in): how PyTorch's nn.Linear is born.

    It calls kaiming_uniform_(a=sqrt(5)) for W, whose variance 2 / ((1 + 5) fan_in) is that of r.
    """

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        r = 1.0 / math.sqrt(fan_in)
        W = random.uniform(rng, (fan_out, fan_in), -1.0, 1.0) * r
        return W, random.uniform(rng, (fan_out, 1), -1.0, 1.0) * r

    return init


def sklearn_mlp(*, activation: str = "relu") -> Initializer:
    """W, then b ~ U(-r, r), r = sqrt(f / (fan_in + fan_out)): f = 2 if the activation is logistic, else 6.

    The rule of scikit-learn's MLPClassifier and MLPRegressor (after Glorot & Bengio 2010, eq. 16). The draws come in
    scikit-learn's order, that of the transpose: one seed gives the weights of its `random_state`, bit for bit.
    """
    f = _one_of("activation", activation, SKLEARN_FACTORS)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        r = math.sqrt(f / (fan_in + fan_out))
        W = np.ascontiguousarray(random.uniform(rng, (fan_in, fan_out), -r, r).T)
        return W, random.uniform(rng, (fan_out, 1), -r, r)

    return init


def orthogonal() -> Initializer:
    """Orthonormal rows or columns, whichever are fewer, with the Haar law (Saxe et al. 2013).

    PyTorch, Keras and JAX correct the signs in the same way (Mezzadri 2007).
    """
    return matrices.orthonormal


def identity(*, value: float = 1.0) -> Initializer:
    """`value` on the diagonal, 0 elsewhere; the matrix need not be square. PyTorch's eye_; Keras' Identity(gain)."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = np.zeros((fan_out, fan_in))
        np.fill_diagonal(W, value)
        return W

    return init


def sparse(*, sparsity: float, std: float = 0.01) -> Initializer:
    """N(0, std^2), and in each column ceil(sparsity fan_out) entries, chosen at random, are 0: PyTorch's sparse_.

    It cites Martens (2010), who limits the connections into each unit, a row: that is `martens_sparse`.
    """
    _require(0.0 <= sparsity <= 1.0, "sparsity", "from 0 to 1", sparsity)
    _positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = random.normal(rng, (fan_out, fan_in)) * std
        W[matrices.chosen(rng, fan_in, fan_out, math.ceil(sparsity * fan_out)).T] = 0.0
        return W

    return init


def martens_sparse(*, n_connections: int = 15, std: float = 1.0) -> Initializer:
    """Each unit has `n_connections` incoming weights N(0, std^2), from inputs chosen at random; the others are 0.

    Martens (2010, sec. 5; Sutskever et al. 2013, sec. 3.1): 15 of std 1. A unit of fewer inputs has them all.
    """
    _require(n_connections >= 1, "n_connections", "at least 1", n_connections)
    _positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        W = random.normal(rng, (fan_out, fan_in)) * std
        W[~matrices.chosen(rng, fan_out, fan_in, n_connections)] = 0.0
        return W

    return init


def zero_init() -> Initializer:
    """ZerO (Zhao et al. 2022, algorithm 1), without a draw: I* where fan_out <= fan_in, else c I* H_m I*.

    I* has ones on its diagonal and zeros elsewhere, H_m is Sylvester's Hadamard matrix of 2^m >= fan_out rows, m as
    small as can be, and c = 2^(-(m - 1) / 2). The authors' notebook has c = 2^(-m / 2), smaller by sqrt 2.
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


def initialize_parameters(init: Initializer, seed: int, layers_dims: Sequence[int]) -> Parameters:
    """One model, born from `seed`: W (n_l, n_{l-1}) and b (n_l, 1), drawn layer after layer from one stream."""
    rng = np.random.RandomState(seed)
    parameters: Parameters = []
    for fan_in, fan_out in pairwise(layers_dims):
        drawn = init(rng, fan_out, fan_in)
        parameters.append(drawn if isinstance(drawn, tuple) else (drawn, np.zeros((fan_out, 1))))
    return parameters


def _require(holds: bool, name: str, clause: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} must be {clause}, not {value}")


def _positive(name: str, value: float) -> None:
    _require(value > 0.0, name, "greater than 0", value)


def _one_of(name: str, value: str, table: dict[str, T]) -> T:
    _require(value in table, name, f"one of {', '.join(table)}", repr(value))
    return table[value]


def _require_mass(low: float, high: float, mean: float = 0.0, std: float = 1.0) -> None:
    """Rejection sampling must end: it keeps the draws of N(mean, std^2) that fall between low and high.

    Raises ValueError naming the bound that leaves less than 1 in 100 of them.
    """
    _require(low < high, "high", f"greater than low, which is {low}", high)
    a, b = ((bound - mean) / std / math.sqrt(2.0) for bound in (low, high))
    above, below = math.erfc(a) / 2.0, math.erfc(-b) / 2.0  # compared alone: no weight depends on their bits
    clause = "that at least 1 in 100 draws of the normal distribution lies"
    _require(above >= 0.01, "low", f"so small {clause} above it", low)
    _require(below >= 0.01, "high", f"so large {clause} below it", high)
    _require(above + below - 1.0 >= 0.01, "high", f"so far above low {clause} between", high)
