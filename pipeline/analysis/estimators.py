"""Estimators: means, quantiles, confidence intervals, the paired sign-flip test, Holm's correction."""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.numerics.sums import integer_sum, sum_in_order


def largest_rise(cost: Sequence[float]) -> float:
    """The largest increase of a cost over the one before, as a share of that one; 0 if the costs never increase."""
    return max((after / before - 1.0 for before, after in pairwise(cost) if 0.0 < before < after), default=0.0)


def mean(values: Sequence[float]) -> float:
    """The correctly rounded sum divided by the number of values; nan if a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:  # the sum overflows, the mean does not
        return 2.0 * math.fsum(value / len(values) / 2.0 for value in values)


def sample_std(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1); nan for one value or if one is not finite, inf if the squares overflow."""
    centre = mean(values)
    if len(values) < 2 or not math.isfinite(centre):
        return math.nan
    try:
        squares = math.fsum((value - centre) * (value - centre) for value in values)
    except OverflowError:
        return math.inf
    return math.sqrt(squares / (len(values) - 1))


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7: NumPy's)."""
    ordered = sorted(values, key=lambda value: (math.isnan(value), value))
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high] or place == low:
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


THREE_SIGMA = 0.0026997960632601866  # probability that a normal variable is more than 3 standard deviations from 0


def student_tail(t: float, degrees: int) -> float:
    """The probability that |T| > t > 0 for Student's t distribution with a number of `degrees` of freedom.

    With sin and cos of arctan(t / sqrt(degrees)) it is sin times a series in cos**2, the terms that the finite sums of
    Abramowitz & Stegun 1964, equations 26.7.3 and 26.7.4, do not have. All terms are positive, and the basic operations
    give the same bits on every computer.
    """
    total, cos2 = 0.0, degrees / (degrees + t * t)
    term = 2.0 / math.pi * math.sqrt(cos2) if degrees % 2 else 1.0
    j = degrees % 2
    while j < degrees or term > 1e-17 * total + 1e-300:  # products of smaller terms could remain above 0
        if j >= degrees:
            total += term
        term *= (j + 1) / (j + 2) * cos2
        j += 2
    return math.sqrt(t * t / (degrees + t * t)) * total


def student_quantile(p: float, degrees: int) -> float:
    """The t that |T| exceeds with probability p, for Student's t distribution, by bisection."""
    low, high = 0.0, 1.0
    while student_tail(high, degrees) > p:
        high *= 2.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if student_tail(middle, degrees) > p else (low, middle)
    return high


def student_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Student's confidence interval for the mean of at least two independent, approximately normal values."""
    t = student_quantile(1.0 - confidence, len(values) - 1)
    center, half = mean(values), t * sample_std(values) / math.sqrt(len(values))
    return center - half, center + half


@lru_cache
def three_sigma_bound(n: int) -> float:
    """The |z| of a mean of n normal values, in their own standard errors, that chance exceeds as often as 3 sigma.

    The quantile of Student's t distribution with n - 1 degrees of freedom and two-sided probability THREE_SIGMA: 19.2
    for n = 3, 3.08 for n = 100. Infinite for n = 1.
    """
    return student_quantile(THREE_SIGMA, n - 1) if n > 1 else math.inf


QUANTILES = (("min", 0.0), ("median", 0.5), ("max", 1.0))
BETS = 50  # the stake is divided equally among this many betting fractions
HALVINGS = 60  # bisection steps on the unit interval: to rounding level


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """A confidence interval for the mean of independent values in [0, 1], valid for any number of values.

    The betting interval (Waudby-Smith & Ramdas 2024, JRSS B 86:1, section 4; the stake spread over fixed fractions as
    by Orabona & Jun 2024, IEEE Trans. Inf. Theory 70:1): a mean m is rejected if the wealth of bets that are
    fair under m, prod(1 + c (x / m - 1)), reaches 2 / (1 - confidence). By Markov's inequality the true mean is
    rejected with probability at most 1 - confidence, for any distribution: also for skewed ones, for ties and for equal
    values, where the intervals of Student's t and the bootstrap have width 0 and far less coverage than stated.
    The order of the values does not matter.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    threshold = 2.0 / (1.0 - confidence)
    return _lower_limit(ordered, threshold), 1.0 - _lower_limit(np.sort(1.0 - ordered), threshold)


def _lower_limit(ordered: Any, threshold: float) -> float:
    """The smallest mean that bets on larger values do not reject: wealth below `threshold` times the stake."""
    fractions = (np.arange(BETS) + 1.0) / BETS
    rejected, kept = 0.0, 1.0
    for _ in range(HALVINGS):
        candidate = (rejected + kept) / 2.0
        with np.errstate(over="ignore"):
            gains = 1.0 + fractions * (ordered[:, None] / candidate - 1.0)
            wealth = np.multiply.reduce(gains, axis=0)  # over the first axis: row after row, on every computer
        if sum_in_order(wealth.tolist()) / BETS < threshold:
            kept = candidate
        else:
            rejected = candidate
    return rejected


def paired_test(differences: Sequence[int]) -> float:
    """The exact two-sided p-value of the paired sign-flip test (Fisher 1935; Pitman 1937).

    Under the null hypothesis the two values of each pair are exchangeable, and p is the share of the 2**n sign patterns
    of the differences whose |sum| is at least the observed one. The count is exact.
    """
    sizes, observed = [abs(difference) for difference in differences], abs(integer_sum(differences))
    if observed == 0:
        return 1.0
    # Slot s of one long integer has the number of subsets with sum s; the sum of a sign pattern is 2 s - sum(sizes).
    slot = len(sizes) // 8 + 1  # bytes, for counts up to 2**n
    ways = 1
    for size in sizes:
        ways += ways << (8 * slot * size)
    tail = ways >> (8 * slot * ((integer_sum(sizes) + observed) // 2))
    digits = tail.to_bytes(tail.bit_length() // 8 + slot, "little")
    extreme = integer_sum(
        int.from_bytes(digits[start : start + slot], "little") for start in range(0, len(digits), slot)
    )
    return float(Fraction(2 * extreme, 2 ** len(sizes)))


def smallest_p(unequal: int) -> float:
    """The smallest p-value that `paired_test` can give for `unequal` differences that are not 0.

    Two of the 2**unequal sign patterns are as extreme as the one in which all have the same sign. A difference of 0
    doubles both numbers of patterns.
    """
    return min(1.0, 2.0 ** (1 - unequal))


def smallest_holm_p(unequal: Sequence[int]) -> float:
    """The smallest p-value that `holm` can give for tests with these numbers of differences that are not 0.

    The smallest of k p-values is multiplied by k, and the others are at least as large.
    """
    return min(holm([smallest_p(n) for n in unequal]), default=1.0)


def seeds_needed(n_tests: int, level: float) -> int:
    """The smallest number of seeds for which `n_tests` tests can give a p-value of at most `level` after `holm`."""
    n = 1
    while n_tests * smallest_p(n) > level:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for multiple comparisons (Holm 1979), which controls the family-wise error rate."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def censored_median(values: Sequence[float]) -> float:
    """The median of values of which those censored, not reached while observed, are infinite; nan if it is one."""
    median = quantile(values, 0.5)
    return median if math.isfinite(median) else math.nan
