"""Recipes for a single layer whose scale follows from its fans: variance scaling and the defaults of frameworks.

Conventions: `pipeline.initializers.layerwise`.
"""

import math
from collections.abc import Callable

import numpy as np

from pipeline.initializers.registry import (
    Entry,
    Initializer,
    Variances,
    one_of,
    positive,
    register,
    require,
)
from pipeline.numerics import random
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


@register(
    RECIPES,
    use="a chosen point of the phase diagram of deep networks",
    variances=lambda fan_out, fan_in, weight_variance, bias_variance: Variances(
        weight_variance / fan_in, bias=bias_variance, normal=True
    ),
)
def mean_field_normal(*, weight_variance: float, bias_variance: float = 0.0) -> Initializer:
    """W ~ N(0, weight_variance / fan_in), b ~ N(0, bias_variance): sigma_w^2 and sigma_b^2 of Poole et al. (2016).

    b is drawn after W, and only if bias_variance > 0. `critical_normal` has the weight_variance at the edge of chaos.
    """
    positive("weight_variance", weight_variance)
    require(bias_variance >= 0.0, "bias_variance", "at least 0", bias_variance)

    def init(rng: np.random.RandomState, fan_out: int, fan_in: int) -> tuple[Array, Array]:
        W = random.normal(rng, (fan_out, fan_in)) * math.sqrt(weight_variance / fan_in)
        drawn = random.normal(rng, (fan_out, 1)) if bias_variance > 0.0 else np.zeros((fan_out, 1))
        return W, drawn * math.sqrt(bias_variance)

    return init


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
