"""What the tests can detect with a number of weights."""

import math

from pipeline.distributions.families import NORMAL, Family
from pipeline.distributions.goodness import TESTS, normal_quantile
from pipeline.numerics.elementary import exp

POWER = 0.95
QUANTILE = 1.6448536269514722  # of N(0, 1) at POWER
# Weights after which two families of equal variance are separated at this power, by simulation (tests/distributions)
SEPARATED = ((("normal", "uniform"), 50), (("normal", "truncated"), 200), (("uniform", "truncated"), 50))


def std_factor(n: int, level: float, family: Family = NORMAL) -> float:
    """The factor by which the standard deviation of n weights must be wrong for the test of the scale to see it.

    It is seen with probability POWER at this level of the layer's tests together. From the standard error of the log of
    the variance, which is sqrt(Var(x^2) / n); for few weights an approximation.
    """
    z = normal_quantile(level / len(TESTS)) + QUANTILE
    return float(exp(0.5 * z * math.sqrt(family.square_variance / n)))


def separated(n: int) -> list[tuple[str, str]]:
    """The pairs of families that n weights separate."""
    return [pair for pair, least in SEPARATED if n >= least]
