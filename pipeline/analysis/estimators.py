"""Estimators: means, quantiles, confidence intervals, the paired sign-flip test, Holm's correction."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.numerics.sums import integer_sum, sum_in_order


def largest_rise(cost: Sequence[float]) -> float:
    """How far, as a share, a cost lies above the one before it, at most; 0 if the costs never rise."""
    return max((after / before - 1.0 for before, after in pairwise(cost) if 0.0 < before < after), default=0.0)


def mean(values: Sequence[float]) -> float:
    """The correctly rounded sum over the number; nan if a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:  # the sum is beyond the largest number, the mean is not
        return 2.0 * math.fsum(value / len(values) / 2.0 for value in values)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1); nan for a single value or one that is not finite, inf where the squares
    are beyond the largest number."""
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


QUANTILES = (("min", 0.0), ("median", 0.5), ("max", 1.0))
BETS = 50  # the bettor spreads the stake evenly over this many fractions of what may be bet
HALVINGS = 60  # of the unit interval: to the last bit


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """A confidence interval for the mean of independent values known to lie in [0, 1], at any number of values.

    The betting interval (Waudby-Smith & Ramdas 2024, JRSS B 86:1, section 4; the stake spread over fixed fractions as
    by Orabona & Jun 2024, IEEE Trans. Inf. Theory 70:1): a mean m is refused when a bettor who plays fair games at odds
    set by m, prod(1 + c (x / m - 1)), would have multiplied the stake by 2 / (1 - confidence). By Markov's inequality
    that happens to the true mean with probability at most 1 - confidence, whatever the law: skewed, with ties, or with
    all values equal, where Student's t and the bootstrap give width 0 and cover far less than they say.
    The order of the values does not matter.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    threshold = 2.0 / (1.0 - confidence)
    return _lower_limit(ordered, threshold), 1.0 - _lower_limit(np.sort(1.0 - ordered), threshold)


def _lower_limit(ordered: Any, threshold: float) -> float:
    """The smallest mean against which a bet on larger values does not win `threshold` times the stake."""
    fractions = (np.arange(BETS) + 1.0) / BETS
    refused, kept = 0.0, 1.0
    for _ in range(HALVINGS):
        candidate = (refused + kept) / 2.0
        with np.errstate(over="ignore"):
            gains = 1.0 + fractions * (ordered[:, None] / candidate - 1.0)
            wealth = np.multiply.reduce(gains, axis=0)  # over the first axis: row after row, on every computer
        if sum_in_order(wealth.tolist()) / BETS < threshold:
            kept = candidate
        else:
            refused = candidate
    return refused


def paired_test(differences: Sequence[int]) -> float:
    """The exact two-sided p-value of the paired sign-flip test (Fisher 1935; Pitman 1937).

    If the two of each pair were exchangeable, every difference could as well have had the other sign; p is the share
    of the 2**n sign patterns whose sum is at least as far from 0 as the one seen. Counted exactly in whole numbers.
    """
    sizes, seen = [abs(difference) for difference in differences], abs(integer_sum(differences))
    if seen == 0:
        return 1.0
    # The number of subsets with sum s stands in slot s of one long integer; a pattern's sum is 2 s - sum(sizes).
    slot = len(sizes) // 8 + 1  # bytes, for counts up to 2**n
    ways = 1
    for size in sizes:
        ways += ways << (8 * slot * size)
    tail = ways >> (8 * slot * ((integer_sum(sizes) + seen) // 2))
    digits = tail.to_bytes(tail.bit_length() // 8 + slot, "little")
    extreme = integer_sum(
        int.from_bytes(digits[start : start + slot], "little") for start in range(0, len(digits), slot)
    )
    return float(Fraction(2 * extreme, 2 ** len(sizes)))


def smallest_p(unequal: int) -> float:
    """The smallest p-value that `paired_test` can give for so many differences that are not 0.

    Only two of the 2**unequal sign patterns are as extreme as the one where all have the same sign. A difference of 0
    leaves every sum as it is, so it doubles both the extreme patterns and all of them.
    """
    return min(1.0, 2.0 ** (1 - unequal))


def smallest_holm_p(unequal: Sequence[int]) -> float:
    """The smallest p-value after `holm` that tests of so many differences that are not 0 can give.

    The smallest of k p-values is multiplied by k, and none of the others may be smaller than that.
    """
    return min(holm([smallest_p(n) for n in unequal]), default=1.0)


def seeds_needed(n_tests: int, level: float) -> int:
    """The smallest number of seeds at which so many tests can give a p-value of at most `level` after `holm`."""
    n = 1
    while n_tests * smallest_p(n) > level:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the chance of any false claim stays below the level."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def censored_median(values: Sequence[float]) -> float:
    """The median of values of which some are infinite: not reached while observed. nan where that is infinite too."""
    median = quantile(values, 0.5)
    return median if math.isfinite(median) else math.nan
