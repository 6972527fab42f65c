"""Recipes for a single layer that do not depend on its size: constants, uniform and (truncated) normal distributions.

Conventions: `pipeline.initializers.layerwise`.
"""

import math

import numpy as np

from pipeline.initializers.registry import Entry, Initializer, Variances, positive, register, require
from pipeline.numerics import random
from pipeline.numerics.sums import Array

RECIPES: dict[str, Entry[Variances]] = {}


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
