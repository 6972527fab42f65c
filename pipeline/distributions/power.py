"""What the tests can detect with a number of weights."""

import math

from pipeline.distributions.goodness import TESTS, normal_quantile

POWER = 0.95
QUANTILE = 1.6448536269514722  # of N(0, 1) at POWER
# Weights after which two families of equal variance are separated at this power, by simulation (tests/distributions)
SEPARATED = ((("normal", "uniform"), 50), (("normal", "truncated"), 200), (("uniform", "truncated"), 50))


def std_factor(n: int, level: float) -> float:
    """The factor by which the standard deviation of n weights must be wrong for the test of the scale to detect it.

    It is detected with probability POWER, too large or too small, at this level of the layer's tests together; for
    normal weights, whose sum of squares varies most. Infinite if no factor is detected.
    """
    z = normal_quantile(level / len(TESTS))
    low, high = _square_sum(n, -z), _square_sum(n, z)
    if low <= 0.0 or _square_sum(n, -QUANTILE) <= 0.0:
        return math.inf
    return math.sqrt(max(high / _square_sum(n, -QUANTILE), _square_sum(n, QUANTILE) / low))


def _square_sum(n: int, z: float) -> float:
    """The quantile of the mean of n squares of N(0, 1) where that of N(0, 1) is z (Wilson & Hilferty 1931)."""
    root = 1.0 - 2.0 / (9.0 * n) + z * math.sqrt(2.0 / (9.0 * n))
    return root * root * root if root > 0.0 else 0.0


def separated(n: int) -> list[tuple[str, str]]:
    """The pairs of families that n weights separate."""
    return [pair for pair, least in SEPARATED if n >= least]
