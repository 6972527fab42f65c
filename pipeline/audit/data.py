"""Whether the weights of a network depend on a batch of data: a p-value for each dense layer.

Given the inputs h (m, n) of a layer, its pre-activations h w_u of different units u are independent if the weights are,
and their mean square T, relative to what the mean square of the weights gives, is a quotient of quadratic forms,

    T = sum_u w_u' G w_u / (g sum_u w_u' w_u),    G = h'h / m,    g = tr G / n,

with mean 1. T does not depend on the scale of the weights, which other tests judge. Its variance and third moment
follow from tr G^2 and tr G^3 and the cumulants of the family of the weights; for normal weights they are exact, because
T is then independent of the denominator. The distribution is taken as the beta distribution on [0, c] with these
moments, which is exact if G is a multiple of a projection, and the gamma distribution of Pearson type III where there
is no such beta distribution. Trained weights have a large T.

Initializers that scale the weights until the variance of the pre-activations on the data is 1 (LSUV: Mishkin & Matas
2016; Krähenbühl et al. 2016; weight normalization: Salimans & Kingma 2016) leave T as it is, but a variance that equals
1 to many digits has a small probability too, the second test.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.distributions.families import FAMILIES, Family
from pipeline.model_files.layers import Layer
from pipeline.networks.activations import Activation
from pipeline.numerics import tails
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array, lane_sum, pad

UNIT_SHARE = 0.05  # of the level, for the test of a variance of 1
TARGETS = 3.0  # variances that such initializers set to 1: about 0, about the mean of all units, and of each unit
NEAR_1 = 0.01  # the largest difference of a variance from 1 that is tested
MOST_SKEWED = 0.25  # variance of T above which its density may be far above that of a normal distribution
NEARLY_NORMAL = 1e-6  # skewness below which the gamma distribution is replaced by the normal
DEGENERATE = 1e-12  # relative variance of T below which it is constant: h h' is a multiple of the identity


class Cumulants(NamedTuple):
    """The fourth and sixth cumulant of a symmetric distribution of variance 1."""

    fourth: float
    sixth: float


def cumulants(family: Family) -> Cumulants:
    """Those of a family of weights, from the moments of its square."""
    fourth = family.square_variance + 1.0  # E x^4
    sixth = family.square_third + 3.0 * fourth - 2.0  # E x^6
    return Cumulants(fourth - 3.0, sixth - 15.0 * fourth + 30.0)


class Quotient(NamedTuple):
    """The distribution of T: mean 1, these central moments."""

    variance: float
    third: float


def data_dependence(
    layers: Sequence[Layer], families: Sequence[str], activations: Sequence[Activation], X: Array
) -> list[float]:
    """A p-value per layer of a network of dense layers: of weights that are independent of the inputs X (m, n_0).

    `families` are those of the weights, keys of FAMILIES, and `activations` those of the hidden layers. NaN for a
    layer of zeros, or whose inputs are all 0 or not finite.
    """
    h, found = np.ascontiguousarray(X.T, dtype=np.float64), []
    for l, (layer, family) in enumerate(zip(layers, families, strict=True)):
        W = np.asarray(layer.matrix(), dtype=np.float64)
        Z = product(W[None], h)[0]
        found.append(layer_p(W, Z, h, family))
        if l < len(activations):
            h = np.asarray(activations[l].phi(Z + layer.biases()[:, None]))
    return found


def layer_p(W: Array, Z: Array, h: Array, family: str) -> float:
    """The p-value of a layer with weights W (units, n), inputs h (n, m) and Z = W h."""
    n, m = h.shape
    weights, inputs, outputs = (_total(values * values) for values in (W, h, Z))
    if not (0.0 < weights < math.inf and 0.0 < inputs < math.inf and math.isfinite(outputs)):
        return math.nan
    of_weights = cumulants(FAMILIES[family])
    law = quotient(h, len(W), of_weights)
    if law.variance < DEGENERATE:
        return 1.0
    scale = weights / len(W) / n / m  # from the sum of squares of h to the expected mean square of Z
    p = 2.0 * min(quotient_tails(outputs / Z.size / (scale * inputs), law)) / (1.0 - UNIT_SHARE)
    means = lane_sum(pad(Z)) / m
    mean = float(lane_sum(pad(means))) / len(Z)
    of_all, about_mean, about_means = (
        abs(_total(values * values) / Z.size - 1.0) for values in (Z, Z - mean, Z - means[:, None])
    )
    chance = _probability_within(min(of_all, about_mean) / (scale * inputs), law)
    if about_means < NEAR_1:
        h = h - (lane_sum(pad(h)) / m)[:, None]
        chance = min(
            chance, _probability_within(about_means / (scale * _total(h * h)), quotient(h, len(W), of_weights))
        )
    return min(1.0, p, TARGETS / UNIT_SHARE * chance)


def _probability_within(distance: float, law: Quotient) -> float:
    """An upper bound of the probability that T is within `distance` of a given number; 1 for skewed distributions."""
    if law.variance > MOST_SKEWED:
        return 1.0
    return min(1.0, 2.0 * distance / math.sqrt(2.0 * math.pi * max(law.variance, DEGENERATE)))


def quotient(h: Array, units: int, of_weights: Cumulants) -> Quotient:
    """The variance and third central moment of T for inputs h (n, m) and so many units.

    The sums over G = h h' / m are taken from the smaller of h h' and h' h, which have the same non-zero eigenvalues.
    With G0 = G - g I, sum_u w_u' G0 w_u has mean 0, and the moments of the denominator are those of independent
    weights.
    """
    n, m = h.shape
    size = _total(h * h)
    h = h * math.sqrt(n / size)  # so that tr G = n and g = 1
    diagonal = lane_sum(pad(h * h))
    K = product(h[None], np.ascontiguousarray(h.T))[0] if n <= m else product(h.T[None], h)[0]
    KK = product(K[None], K)[0]
    square = lane_sum(pad(K * K if n <= m else h * product(h[None], K)[0]))
    own = diagonal - 1.0
    second, third = _total(K * K) - n, _total(K * KK) - 3.0 * _total(K * K) + 2.0 * n
    squares = square - 2.0 * diagonal + 1.0  # the diagonal of G0^2
    fourth_part = float(lane_sum(pad(own * own)))
    variance = 2.0 * second + of_weights.fourth * fourth_part
    skew = 8.0 * third + 12.0 * of_weights.fourth * float(lane_sum(pad(own * squares)))
    skew += of_weights.sixth * float(lane_sum(pad(own * own * own)))
    total = float(units * n)
    spread = 2.0 + of_weights.fourth  # the variance of a squared weight
    return Quotient(
        units * max(variance, 0.0) / (total * (total + spread)),
        units * skew / (total * (total + spread) * (total + 2.0 * spread)),
    )


def quotient_tails(t: float, law: Quotient) -> tuple[float, float]:
    """(P(T < t), P(T > t)) of the distribution with mean 1 and the moments of `law`."""
    v, third = law
    if t <= 0.0:
        return 0.0, 1.0
    excess = 2.0 * v * v - third  # above 0: shorter tails than a gamma distribution from 0
    s = (2.0 * v * v - 2.0 * v - 2.0 * third) / -excess if excess > 0.0 else 0.0  # a + b of the beta distribution
    c = 1.0 + v * (s + 1.0)
    if s > 0.0 and c > 1.0 and s > s / c > 0.0:
        if t >= c:
            return 1.0, 0.0
        a = s / c
        return tails.beta_tail(1.0 - t / c, s - a, a), tails.beta_tail(t / c, a, s - a)
    skewness = third / (v * math.sqrt(v))
    z = (t - 1.0) / math.sqrt(v)
    if abs(skewness) < NEARLY_NORMAL:
        half = 0.5 * tails.normal_two_sided(z)
        return (half, 1.0 - half) if z < 0.0 else (1.0 - half, half)
    shape = 4.0 / (skewness * skewness)
    root = math.sqrt(shape)
    below, above = tails.gamma_tails(shape, shape + math.copysign(z, z * skewness) * root)
    if skewness < 0.0:
        return above, below
    if v * shape < 1.0:  # the distribution begins above 0, but T may lie below
        below = max(below, tails.gamma_tails(1.0 / v, t / v)[0])
    return below, above


def _total(values: Array) -> float:
    """The sum of all entries of values (n, k), row after row."""
    return float(lane_sum(pad(lane_sum(pad(values)))))
