"""How well a number separates two groups: the area under the ROC curve, and the threshold that agrees most often."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.numerics.sums import integer_sum


def area_under_curve(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """The share of pairs of a positive and another item in which the positive one has the higher score; ties are 1/2.

    It is the area under the ROC curve and the Mann-Whitney statistic over the number of pairs. NaN without such pairs.
    """
    high = [score for score, is_positive in zip(scores, positive, strict=True) if is_positive]
    low = [score for score, is_positive in zip(scores, positive, strict=True) if not is_positive]
    if not high or not low:
        return math.nan
    halves = integer_sum(2 * (a > b) + (a == b) for a in high for b in low)
    return halves / (2 * len(high) * len(low))


class Threshold(NamedTuple):
    """The thresholds of best agreement: `low` is included, `high` is not; and the number of items that agree."""

    low: float
    high: float
    n_agree: int

    @property
    def centre(self) -> float:
        """The geometric mean of both ends; the finite positive one if the other is 0 or infinite."""
        if self.low == 0.0 or math.isinf(self.high):
            return self.high if self.low == 0.0 else self.low
        return math.sqrt(self.low) * math.sqrt(self.high)


def best_threshold(values: Sequence[float], positive: Sequence[bool]) -> Threshold:
    """The interval of thresholds t >= 0 for which "value <= t" agrees most often with `positive`, for values >= 0.

    Of several intervals with the same agreement, the first. An infinite value is above every threshold.
    """
    edges = sorted({0.0, *(value for value in values if value < math.inf)})
    best = Threshold(math.nan, math.nan, -1)
    for low, high in zip(edges, [*edges[1:], math.inf], strict=True):
        n_agree = integer_sum((value <= low) == bool(holds) for value, holds in zip(values, positive, strict=True))
        if n_agree > best.n_agree:
            best = Threshold(low, high, n_agree)
    return best
