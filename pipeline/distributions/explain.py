"""The laws of the catalogue that explain weights, by likelihood and by tests of goodness of fit."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.distributions.families import FAMILIES, NORMAL
from pipeline.distributions.goodness import EDGE, Dependence, combined, p_values
from pipeline.distributions.laws import Fans, Law, catalogue, estimated
from pipeline.distributions.summary import Summary
from pipeline.numerics.elementary import exp, log
from pipeline.numerics.tails import normal_two_sided

LEAST_P = 1e-4  # of a law that is listed as a candidate
LEAST_SHARE = 1e-3
SCALES = 9.2  # width of the range of standard deviations that are equally likely beforehand: a factor of 10^4
SHIFTED = 1e-6  # p-value of the mean below which laws of another mean are fitted
MISTAKE = 0.25  # likelihood beforehand of a law that nobody documents, relative to one that somebody does


class Explained(NamedTuple):
    """A law, the p-values of its tests, and its likelihood relative to the sum over all laws."""

    law: Law
    tests: dict[str, float]
    share: float

    @property
    def p(self) -> float:
        return combined(self.tests)


def explain(summary: Summary, dependence: Dependence, fans: Sequence[Fans]) -> list[Explained]:
    """The laws that may be those of the weights, most likely first; at least those of estimated scale.

    Of independent draws, only the number, the sum of squares and the largest value matter for the likelihood within
    each family. A law of estimated scale counts with the likelihood averaged over the scales.
    """
    laws = [*catalogue(fans), *free_laws(summary)]
    likelihoods = [log_likelihood(summary, law) + _prior(law, summary.n) for law in laws]
    top = max(likelihoods)
    weights = [float(exp(np.float64(likelihood - top))) for likelihood in likelihoods]
    total = math.fsum(weights)
    found = [
        Explained(law, p_values(summary, dependence, law), weight / total)
        for law, weight in zip(laws, weights, strict=True)
        if weight / total >= LEAST_SHARE or law.free
    ]
    return sorted(found, key=lambda explained: (-explained.share, explained.law.name))


def candidates(found: Sequence[Explained]) -> list[Explained]:
    """Those of the laws that are likely and that no test rejects."""
    return [explained for explained in found if explained.share >= LEAST_SHARE and explained.p > LEAST_P]


def free_laws(summary: Summary) -> list[Law]:
    """Each family with the most likely scale, and with the most likely mean too if the mean is not 0."""
    n = summary.n
    if not 0.0 < summary.mean_square < math.inf:
        return []
    laws = [estimated("normal", math.sqrt(summary.mean_square))]
    edge = summary.largest * (1.0 + 1.0 / n)
    laws += [estimated(name, edge / FAMILIES[name].bound) for name in ("uniform", "truncated")]
    if normal_two_sided(summary.total / math.sqrt(n * summary.mean_square)) < SHIFTED:
        variance = summary.mean_square - summary.mean * summary.mean
        if variance > 0.0:
            laws.append(estimated("normal", math.sqrt(variance), summary.mean))
        half = 0.5 * (summary.high - summary.low) * (1.0 + 2.0 / n)
        if half > 0.0:
            middle = 0.5 * (summary.low + summary.high)
            laws.append(estimated("uniform", half / FAMILIES["uniform"].bound, middle))
    return laws


def log_likelihood(summary: Summary, law: Law) -> float:
    """The log density of independent draws of the law; -inf beyond its bound."""
    n, mean = summary.n, law.mean
    largest = max(mean - summary.low, summary.high - mean)
    half = float(summary.half_spacing(summary.largest))
    if largest - half > law.family.bound * law.std * (1.0 + EDGE):
        return -math.inf
    squares = max(0.0, summary.squares - 2.0 * mean * summary.total + n * (mean * mean))
    density = float(law.family.log_density(squares / n / law.variance)) - 0.5 * float(log(np.float64(law.variance)))
    return n * density


def _prior(law: Law, n: int) -> float:
    """The log of the likelihood beforehand; of an estimated scale, with the width of the likelihood's peak in it."""
    if not law.free:
        return 0.0 if law.documented else float(log(np.float64(MISTAKE)))
    width = math.sqrt(2.0 * math.pi * law.family.square_variance / n) / 2.0 if law.family is NORMAL else 1.0 / n
    width = min(1.0, width / SCALES)
    return float(log(np.float64(width if law.mean == 0.0 else width * width)))
