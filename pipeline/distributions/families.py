"""The families of distributions from which initializers draw: normal, uniform, and normal truncated at ±2.

Each is scaled to mean 0 and variance 1. The bits are the same on every computer.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pipeline.initializers.fan_scaling import STD_WITHIN_2
from pipeline.numerics.elementary import log, normal_cdf, normal_pdf
from pipeline.numerics.sums import Array

CUT = 2.0  # of the truncated family, in standard deviations of the normal distribution before truncation
SQRT_3 = math.sqrt(3.0)
LOG_2_PI = 1.8378770664093453


class Family(NamedTuple):
    """A symmetric distribution x of mean 0 and variance 1."""

    name: str
    cdf: Callable[[Array], Array]
    bound: float  # |x| <= bound
    square_variance: float  # Var(x^2)
    square_third: float  # E (x^2 - 1)^3
    log_density: Callable[[Any], Any]  # from the mean of x^2 over draws within the bound to the mean of log density


def _within_2() -> tuple[float, float, float]:
    """P(|N| < 2), and Var(x^2) and E (x^2 - 1)^3 of the truncated family.

    By parts, E T^k = (k - 1) E T^(k - 2) - 2^k phi(2) / P(|N| < 2) for T of N(0, 1) truncated to [-2, 2] and even k.
    """
    mass = 1.0 - 2.0 * float(normal_cdf(np.float64(-CUT)))
    edge = float(normal_pdf(np.float64(CUT))) / mass
    square = 1.0 - 4.0 * edge
    fourth = 3.0 * square - 16.0 * edge
    sixth = 5.0 * fourth - 64.0 * edge
    u2, u3 = fourth / (square * square), sixth / (square * square * square)
    return mass, u2 - 1.0, u3 - 3.0 * u2 + 2.0


MASS_WITHIN_2, _TRUNCATED_VARIANCE, _TRUNCATED_THIRD = _within_2()


def _truncated_cdf(x: Array) -> Array:
    below: Array = normal_cdf(np.clip(x * STD_WITHIN_2, -CUT, CUT))
    return np.clip((below - 0.5) / MASS_WITHIN_2 + 0.5, 0.0, 1.0)


NORMAL = Family(
    "normal", lambda x: np.asarray(normal_cdf(x)), math.inf, 2.0, 8.0, lambda square: -0.5 * (LOG_2_PI + square)
)
UNIFORM = Family(
    "uniform",
    lambda x: np.clip(x / (2.0 * SQRT_3) + 0.5, 0.0, 1.0),
    SQRT_3,
    0.8,
    27.0 / 7.0 - 3.0 * 9.0 / 5.0 + 2.0,
    lambda square: -float(log(np.float64(2.0 * SQRT_3))),
)
TRUNCATED = Family(
    "truncated",
    _truncated_cdf,
    CUT / STD_WITHIN_2,
    _TRUNCATED_VARIANCE,
    _TRUNCATED_THIRD,
    lambda square: (
        -0.5 * (LOG_2_PI + square * STD_WITHIN_2 * STD_WITHIN_2)
        + float(log(np.float64(STD_WITHIN_2)))
        - float(log(np.float64(MASS_WITHIN_2)))
    ),
)
FAMILIES = {family.name: family for family in (NORMAL, UNIFORM, TRUNCATED)}
