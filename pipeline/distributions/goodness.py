"""Tests of goodness of fit: whether weights are independent draws of a law.

Each test has a p-value. Exact for normal laws are scale, mean, extreme and the angles; of the other families, sums of
squares are approximated by a gamma distribution with the same three cumulants (Pearson III).
"""

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.distributions.dependence import Pair, Spectrum
from pipeline.distributions.families import NORMAL, Family
from pipeline.distributions.laws import Law
from pipeline.distributions.summary import Summary, cosine_error
from pipeline.numerics.elementary import normal_cdf
from pipeline.numerics.sums import Array
from pipeline.numerics.tails import beta_tail, gamma_tails, kolmogorov_tail, normal_two_sided

# The tests, and what a small p-value of each shows
TESTS: dict[str, str] = {
    "scale": "the sum of squares",
    "mean": "the mean",
    "shape": "the distribution function (Kolmogorov-Smirnov)",
    "extreme": "the largest absolute value",
    "units": "the largest or smallest sum of squares of a unit",
    "inputs": "the largest or smallest sum of squares of an input",
    "unit_angle": "the largest cosine between two units",
    "input_angle": "the largest cosine between two inputs",
    "spectrum": "the largest singular value",
}
HOPELESS = 1e-30  # a p-value of the scale at which the other tests are not needed
EDGE = 1e-6  # relative rounding error of the bound of a distribution, in single precision
MIN_ANGLE = 4  # components of vectors whose angles are tested, if the law is not normal
MIN_SPECTRUM = 8  # rows and columns for which the approximation of the largest singular value holds
MIN_SHAPE = 8  # weights
# Of the largest eigenvalue, the Tracy-Widom law of order 1 is approximated by a shifted gamma law (Chiani 2014)
TW_SHAPE, TW_SCALE, TW_SHIFT = 46.446, 0.186054, 9.84801


class Dependence(NamedTuple):
    """What the tests of independence need, apart from a summary."""

    units: Pair
    inputs: Pair
    spectrum: Spectrum


NOT_TESTED = Dependence(Pair(0.0, -1, -1, 0), Pair(0.0, -1, -1, 0), Spectrum(0.0, 0, 0))


def p_values(summary: Summary, dependence: Dependence, law: Law) -> dict[str, float]:
    """The p-value of each test that applies, by name: of scale alone if that one is hopeless."""
    family, variance = law.family, law.variance
    n, mean = summary.n, law.mean
    squares = max(0.0, summary.squares - 2.0 * mean * summary.total + n * (mean * mean)) / variance
    found = {"scale": min(1.0, 2.0 * min(_square_tails(squares, n, family)))}
    if not found["scale"] > HOPELESS:
        return found
    found["mean"] = normal_two_sided((summary.total - n * mean) / math.sqrt(n * variance))
    found["extreme"] = _extreme(summary, law)
    if n >= MIN_SHAPE:
        found["shape"] = _shape(summary, law)
    if summary.units > 1 and summary.fan_in > 1:
        for name, totals, sums, size in (
            ("units", summary.unit_totals, summary.unit_squares, summary.fan_in),
            ("inputs", summary.input_totals, summary.input_squares, summary.units),
        ):
            centered = (sums - (2.0 * mean) * totals + size * (mean * mean)) / variance
            found[name] = _extreme_sum(centered, size, family)
        if mean == 0.0:
            for name, pair, size in (
                ("unit_angle", dependence.units, summary.fan_in),
                ("input_angle", dependence.inputs, summary.units),
            ):
                if pair.n_pairs and (size >= MIN_ANGLE or (family is NORMAL and size > 1)):
                    cosine = max(0.0, pair.cosine - cosine_error(summary.dtype))
                    tail = beta_tail(cosine * cosine, 0.5, 0.5 * (size - 1))
                    found[name] = min(1.0, pair.n_pairs * tail)
            largest, rows, columns = dependence.spectrum
            if min(rows, columns) >= MIN_SPECTRUM:
                found["spectrum"] = _largest_eigenvalue(largest * largest / variance, rows, columns)
    return found


def combined(p: Mapping[str, float]) -> float:
    """The p-value of all tests of a layer (Bonferroni)."""
    return min(1.0, len(p) * min(p.values()))


def _square_tails(total: float, n: int, family: Family) -> tuple[float, float]:
    """The p-values of a sum of n squares x^2, for too small and for too large a sum."""
    if not total < math.inf:
        return 1.0, 0.0
    std = math.sqrt(n * family.square_variance)
    skewness = family.square_third * n / (std * std * std)
    shape = 4.0 / (skewness * skewness)
    return gamma_tails(shape, float(shape + (total - n) / std * math.sqrt(shape)))


def _extreme_sum(sums: Array, n: int, family: Family) -> float:
    """Two-sided p-value of the extreme ones of independent sums of n squares (Bonferroni)."""
    lower = _square_tails(float(sums.min()), n, family)[0]
    upper = _square_tails(float(sums.max()), n, family)[1]
    return min(1.0, 2.0 * len(sums) * min(lower, upper))


def _extreme(summary: Summary, law: Law) -> float:
    """Two-sided p-value of max |w|, whose distribution function is F^n."""
    largest = max(law.mean - summary.low, summary.high - law.mean)
    half = float(summary.half_spacing(summary.largest))
    x = np.array([max(0.0, largest - half), largest + half]) / law.std
    if x[0] > law.family.bound * (1.0 + EDGE):
        return 0.0
    above, below = (2.0 * float(tail) for tail in law.family.cdf(-x))  # P(|x| > ...)
    upper = min(1.0, summary.n * above)
    lower = _power(1.0 - below, summary.n)
    return min(1.0, 2.0 * min(upper, lower))


def _power(x: float, n: int) -> float:
    """x^n by repeated squaring."""
    result = 1.0
    while n:
        if n & 1:
            result *= x
        x, n = x * x, n >> 1
    return result


def _shape(summary: Summary, law: Law) -> float:
    """p-value of the Kolmogorov-Smirnov statistic of the sample, at the edges of the cells of the stored format."""
    x = summary.sample
    n = len(x)
    if summary.dtype in ("float16", "bfloat16"):
        last = np.append(np.flatnonzero(x[1:] != x[:-1]), n - 1)
        values, up_to = x[last], (last + 1) / n
        half = summary.half_spacing(values)
        above = np.abs(law.family.cdf((values + half - law.mean) / law.std) - up_to)
        below = np.abs(law.family.cdf((values - half - law.mean) / law.std) - np.append(0.0, up_to[:-1]))
        distance = max(float(above.max()), float(below.max()))
    else:
        cdf = law.family.cdf((x - law.mean) / law.std)
        ranks = np.arange(n + 1) / n
        distance = max(float((ranks[1:] - cdf).max()), float((cdf - ranks[:-1]).max()))
    root = math.sqrt(n)
    return kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)  # Stephens 1970


def _largest_eigenvalue(eigenvalue: float, units: int, fan_in: int) -> float:
    """p-value, upper tail, of the largest eigenvalue of W W^T for independent draws of variance 1 (Johnstone 2001)."""
    a, b = math.sqrt(max(units, fan_in) - 1.0), math.sqrt(float(min(units, fan_in)))
    scale = (a + b) * _cube_root(1.0 / a + 1.0 / b)
    t = (eigenvalue - (a + b) * (a + b)) / scale
    return gamma_tails(TW_SHAPE, (t + TW_SHIFT) / TW_SCALE)[1]


def _cube_root(x: float) -> float:
    """The cube root of x > 0 by Newton's method."""
    root = 1.0 if x < 1.0 else x
    for _ in range(60):
        root = root - (root * root * root - x) / (3.0 * root * root)
    return root


@functools.cache
def normal_quantile(p: float) -> float:
    """z with P(|Z| > z) = p, for 1e-300 < p <= 1, by bisection."""
    low, high = 0.0, 38.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if 2.0 * float(normal_cdf(np.float64(-middle))) > p else (low, middle)
    return high
