"""Recipes for the initial parameters of a single layer, each with what is known of it.

A recipe is a function of settings that returns an initializer: a function (rng, fan_out, fan_in) -> W of shape
(fan_out, fan_in), as in the tutorial and in PyTorch; JAX, Keras and scikit-learn store the transpose. An
initializer that also sets biases returns (W, b) with b (fan_out, 1); otherwise biases are initialized to zero. All
normal recipes scale the same draws, and so do all uniform ones: with the same seed they differ only in scale, so
comparisons are paired. A recipe raises ValueError for invalid settings; the message begins with the setting's name.

Not included are dirac_ (PyTorch) and delta_orthogonal (JAX), which are for convolutions, and STFT (Keras), which is for
spectrograms.

Long because it has every recipe for a single layer, each a short function.
"""

import math
from collections.abc import Callable

import numpy as np

from pipeline.initializers.registry import Entry, Initializer, Variances, no_theory, one_of, positive, register, require
from pipeline.numerics import matrices, random
from pipeline.numerics.sums import Array

Draw = Callable[[np.random.RandomState, tuple[int, ...], float], Array]

RECIPES: dict[str, Entry[Variances]] = {}

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
DETERMINISTIC = "deterministic weights, but theory assumes random ones"


@register(
    RECIPES,
    use="to show that training does not start",
    variances=lambda fan_out, fan_in: Variances(0.0),
    pytorch="`zeros_`",
    keras="`Zeros`",
    jax="`zeros`",
)
def zeros() -> Initializer:
    """W = 0."""
    return constant(value=0.0)


@register(
    RECIPES,
    use="to show that the units of a layer stay equal",
    variances=lambda fan_out, fan_in: Variances(0.0, mean=1.0),
    pytorch="`ones_`",
    keras="`Ones`",
    jax="`ones`",
)
def ones() -> Initializer:
    """W = 1 in every entry."""
    return constant(value=1.0)


@register(
    RECIPES,
    use="to show that the units of a layer stay equal",
    variances=lambda fan_out, fan_in, value: Variances(0.0, mean=value),
    pytorch="`constant_`",
    keras="`Constant`",
    jax="`constant`",
)
def constant(*, value: float) -> Initializer:
    """W = `value` in every entry. The units of a layer stay identical during training: the symmetry experiment."""

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return np.full((fan_out, fan_in), float(value))

    return init


@register(
    RECIPES,
    use="a fixed range, independent of the width",
    variances=lambda fan_out, fan_in, low, high: Variances(
        (high - low) * (high - low) / 12.0, mean=0.5 * low + 0.5 * high
    ),
    pytorch="`uniform_(a=low, b=high)`",
    keras="`RandomUniform(low, high)`",
    jax="`uniform(high)`, if low is 0",
)
def uniform(*, low: float, high: float) -> Initializer:
    """W ~ U(low, high), independent of the fans. Defaults: Keras (-0.05, 0.05), PyTorch (0, 1), JAX (0, 0.01)."""
    require(low < high, "high", "greater than low", high)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.uniform(rng, (fan_out, fan_in), low, high)

    return init


@register(
    RECIPES,
    use="a fixed scale, independent of the width",
    variances=lambda fan_out, fan_in, std: Variances(std * std, normal=True),
    pytorch="`normal_(std=std)`",
    keras="`RandomNormal(stddev=std)`",
    jax="`normal(std)`",
)
def normal(*, std: float) -> Initializer:
    """W ~ N(0, std^2), independent of the fans. `np.random.randn(...) * 10` in the tutorial is std = 10."""
    positive("std", std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.normal(rng, (fan_out, fan_in)) * std

    return init


def _truncated(mean: float, std: float, low: float, high: float) -> Variances:
    """N(mean, std^2) truncated to mean + std [low, high]; normal if the truncation does not change the variance."""
    shift, variance = random.truncated_moments(low, high)
    return Variances(std * std * variance, normal=variance == 1.0, mean=mean + std * shift)


@register(
    RECIPES,
    use="normal without outliers",
    variances=lambda fan_out, fan_in, std, low, high: _truncated(0.0, std, low, high),
    pytorch="`trunc_normal_(std=std, a=low*std, b=high*std)`",
    keras="`TruncatedNormal(stddev=std)`, for ±2",
    jax="`truncated_normal(std, lower=low, upper=high)`",
)
def truncated_normal(*, std: float, low: float = -2.0, high: float = 2.0) -> Initializer:
    """W = std T, where T is N(0, 1) truncated to [low, high]: the bounds are in units of std.

    As in Keras (always 2 std) and JAX. As there, the variance is not corrected: truncated at 2 std it is 0.7737 std^2.
    `variance_scaling` corrects it, also in Keras and JAX.
    """
    positive("std", std)
    _require_mass(low, high)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return random.truncated_normal(rng, (fan_out, fan_in), low, high) * std

    return init


@register(
    RECIPES,
    use="to compare with PyTorch code; ±2 cuts nothing off a small std",
    variances=lambda fan_out, fan_in, std, mean, low, high: _truncated(
        mean, std, (low - mean) / std, (high - mean) / std
    ),
    pytorch="`trunc_normal_(mean, std, a=low, b=high)`",
)
def truncated_normal_absolute(
    *, std: float = 1.0, mean: float = 0.0, low: float = -2.0, high: float = 2.0
) -> Initializer:
    """W ~ N(mean, std^2) truncated to [low, high]: PyTorch's trunc_normal_(mean, std, a, b).

    The bounds are values of W. At std = 0.02, common in vision transformers, the default bounds have no effect.
    """
    positive("std", std)
    _require_mass(low, high, mean, std)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        drawn = random.truncated_normal(rng, (fan_out, fan_in), (low - mean) / std, (high - mean) / std)
        return np.clip(mean + std * drawn, low, high)  # rounding may exceed the bounds

    return init


def variance_scaling_calls(scale: str, mode: str) -> dict[str, str]:
    """The calls of Keras and JAX for normal distributions for which they have no name."""
    return {
        "keras": f"`VarianceScaling({scale}, '{mode}', 'untruncated_normal')`",
        "jax": f"`variance_scaling({scale}, '{mode}', 'normal')`",
    }


def _variances(fan_out: int, fan_in: int, scale: float, mode: str, distribution: str) -> Variances:
    return Variances(scale / FANS[mode](fan_in, fan_out), normal=distribution == "normal")


def _he_variances(distribution: str) -> Callable[..., Variances]:
    """The variances of the He recipe with this distribution."""
    return lambda fan_out, fan_in, negative_slope, mode: _variances(
        fan_out, fan_in, 2.0 / (1.0 + negative_slope * negative_slope), mode, distribution
    )


def _fixed_variances(mode: str, distribution: str) -> Callable[..., Variances]:
    """The variances of `variance_scaling` with scale 1."""
    return lambda fan_out, fan_in: _variances(fan_out, fan_in, 1.0, mode, distribution)


@register(
    RECIPES,
    use="any law below with another scale, mode or distribution",
    variances=_variances,
    keras="`VarianceScaling`, without fan_geo_avg; its 'normal' is truncated",
    jax="`variance_scaling`",
)
def variance_scaling(*, scale: float, mode: str, distribution: str = "normal") -> Initializer:
    """Mean 0 and variance scale / n, where `mode` selects the fan n (He et al. 2015, eq. 10).

    normal: N(0, scale / n). uniform: U(-r, r), r = sqrt(3 scale / n). truncated_normal: a normal distribution truncated
    at 2 standard deviations and widened so that the variance is exactly scale / n. Keras calls the first
    untruncated_normal and the third normal. fan_avg is (fan_in + fan_out) / 2; fan_geo_avg, only in JAX,
    sqrt(fan_in fan_out).
    """
    positive("scale", scale)
    size, draw = one_of("mode", mode, FANS), one_of("distribution", distribution, DISTRIBUTIONS)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> Array:
        return draw(rng, (fan_out, fan_in), scale / size(fan_in, fan_out))

    return init


@register(
    RECIPES,
    use="ReLU and leaky ReLU",
    variances=_he_variances("normal"),
    pytorch="`kaiming_normal_(a=negative_slope, mode=mode)`",
    **variance_scaling_calls("2/(1+negative_slope**2)", "fan_in"),
)
def he_normal(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """W ~ N(0, 2 / ((1 + negative_slope^2) n)), for leaky ReLU of that negative slope (He et al. 2015, eqs. 10, 15).

    PyTorch's kaiming_normal_(a=negative_slope, mode=mode). Keras and JAX truncate: `he_truncated_normal`.
    """
    return _he(negative_slope, mode, "normal")


@register(
    RECIPES,
    use="ReLU and leaky ReLU",
    variances=_he_variances("uniform"),
    pytorch="`kaiming_uniform_(a=negative_slope, mode=mode)`",
    keras="`HeUniform`, for negative_slope 0",
    jax="`he_uniform`, for negative_slope 0",
)
def he_uniform(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """W ~ U(-r, r), r = sqrt(6 / ((1 + negative_slope^2) n)): the variance of `he_normal`.

    PyTorch's kaiming_uniform_, Keras' HeUniform, JAX's he_uniform.
    """
    return _he(negative_slope, mode, "uniform")


@register(
    RECIPES,
    use="ReLU and leaky ReLU, without outliers",
    variances=_he_variances("truncated_normal"),
    keras="`HeNormal`, for negative_slope 0",
    jax="`he_normal`, for negative_slope 0",
)
def he_truncated_normal(*, negative_slope: float = 0.0, mode: str = "fan_in") -> Initializer:
    """Truncated normal of variance 2 / ((1 + negative_slope^2) n): He normal in Keras and JAX (with the defaults)."""
    return _he(negative_slope, mode, "truncated_normal")


def _he(negative_slope: float, mode: str, distribution: str) -> Initializer:
    return variance_scaling(scale=2.0 / (1.0 + negative_slope * negative_slope), mode=mode, distribution=distribution)


@register(
    RECIPES,
    use="tanh and sigmoid",
    variances=_fixed_variances("fan_avg", "normal"),
    pytorch="`xavier_normal_`",
    **variance_scaling_calls("1", "fan_avg"),
)
def xavier_normal() -> Initializer:
    """W ~ N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12): PyTorch's xavier_normal_.

    Keras and JAX truncate: `xavier_truncated_normal`. The "factor of 1" of the tutorial is `lecun_normal`.
    """
    return variance_scaling(scale=1.0, mode="fan_avg")


@register(
    RECIPES,
    use="tanh and sigmoid",
    variances=_fixed_variances("fan_avg", "uniform"),
    pytorch="`xavier_uniform_`",
    keras="`GlorotUniform`, the default of `Dense`",
    jax="`glorot_uniform`",
)
def xavier_uniform() -> Initializer:
    """W ~ U(-r, r), r = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16): the default of Keras' Dense."""
    return variance_scaling(scale=1.0, mode="fan_avg", distribution="uniform")


@register(
    RECIPES,
    use="tanh and sigmoid, without outliers",
    variances=_fixed_variances("fan_avg", "truncated_normal"),
    keras="`GlorotNormal`",
    jax="`glorot_normal`",
)
def xavier_truncated_normal() -> Initializer:
    """Truncated normal of variance 2 / (fan_in + fan_out): Glorot normal in Keras and JAX."""
    return variance_scaling(scale=1.0, mode="fan_avg", distribution="truncated_normal")


@register(
    RECIPES,
    use="SELU; linear layers; the tutorial's Xavier for tanh",
    variances=_fixed_variances("fan_in", "normal"),
    pytorch="`kaiming_normal_(nonlinearity='linear')`",
    **variance_scaling_calls("1", "fan_in"),
)
def lecun_normal() -> Initializer:
    """W ~ N(0, 1 / fan_in) (LeCun et al. 1998, eq. 16). Keras and JAX truncate: `lecun_truncated_normal`."""
    return variance_scaling(scale=1.0, mode="fan_in")


@register(
    RECIPES,
    use="SELU; linear layers",
    variances=_fixed_variances("fan_in", "uniform"),
    pytorch="`kaiming_uniform_(nonlinearity='linear')`",
    keras="`LecunUniform`",
    jax="`lecun_uniform`",
)
def lecun_uniform() -> Initializer:
    """W ~ U(-r, r), r = sqrt(3 / fan_in): the variance of `lecun_normal`."""
    return variance_scaling(scale=1.0, mode="fan_in", distribution="uniform")


@register(
    RECIPES,
    use="SELU, without outliers",
    variances=_fixed_variances("fan_in", "truncated_normal"),
    keras="`LecunNormal`",
    jax="`lecun_normal`, the default of Flax's `Dense`",
)
def lecun_truncated_normal() -> Initializer:
    """Truncated normal of variance 1 / fan_in: LeCun normal in Keras and JAX, the default of Flax's Dense."""
    return variance_scaling(scale=1.0, mode="fan_in", distribution="truncated_normal")


def _square_bounds(square: float) -> Variances:
    """W and b ~ U(-r, r), r^2 = square."""
    return Variances(square / 3.0, bias=square / 3.0)


@register(
    RECIPES,
    use="to compare with PyTorch code that chooses nothing",
    variances=lambda fan_out, fan_in: _square_bounds(1.0 / fan_in),
    pytorch="the default of `nn.Linear`",
)
def pytorch_linear() -> Initializer:
    """W, then b ~ U(-r, r), r = 1 / sqrt(fan_in): the default of PyTorch's nn.Linear.

    It calls kaiming_uniform_(a=sqrt(5)) for W, whose variance 2 / ((1 + 5) fan_in) is that of U(-r, r).
    """

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        r = 1.0 / math.sqrt(fan_in)
        W = random.uniform(rng, (fan_out, fan_in), -1.0, 1.0) * r
        return W, random.uniform(rng, (fan_out, 1), -1.0, 1.0) * r

    return init


@register(
    RECIPES,
    use="to compare with scikit-learn's `MLPClassifier`, whose rule it is",
    variances=lambda fan_out, fan_in, activation: _square_bounds(SKLEARN_FACTORS[activation] / (fan_in + fan_out)),
)
def sklearn_mlp(*, activation: str = "relu") -> Initializer:
    """W, then b ~ U(-r, r), r = sqrt(f / (fan_in + fan_out)): f = 2 if the activation is logistic, else 6.

    As in scikit-learn's MLPClassifier and MLPRegressor (after Glorot & Bengio 2010, eq. 16). W is drawn in the order of
    its transpose, as there, so a seed reproduces the weights of the same `random_state` bit for bit.
    """
    f = one_of("activation", activation, SKLEARN_FACTORS)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        r = math.sqrt(f / (fan_in + fan_out))
        W = np.ascontiguousarray(random.uniform(rng, (fan_in, fan_out), -r, r).T)
        return W, random.uniform(rng, (fan_out, 1), -r, r)

    return init


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


def _require_mass(low: float, high: float, mean: float = 0.0, std: float = 1.0) -> None:
    """Check that rejection sampling of N(mean, std^2) truncated to [low, high] terminates quickly.

    Raises ValueError, naming the bound, if less than 1 in 100 draws would be accepted.
    """
    require(low < high, "high", f"greater than low, which is {low}", high)
    a, b = ((bound - mean) / std / math.sqrt(2.0) for bound in (low, high))
    above, below = math.erfc(a) / 2.0, math.erfc(-b) / 2.0  # only compared: no weight depends on their bits
    clause = "that at least 1 in 100 draws of the normal distribution lies"
    require(above >= 0.01, "low", f"so small {clause} above it", low)
    require(below >= 0.01, "high", f"so large {clause} below it", high)
    require(above + below - 1.0 >= 0.01, "high", f"so far above low {clause} between", high)
