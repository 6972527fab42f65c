"""The edge of chaos of an activation: mean-field theory of signals in wide networks of random weights.

With W ~ N(0, sigma_w^2 / fan_in) and b ~ N(0, sigma_b^2) the variance q of the pre-activations goes from layer to layer
as q -> sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2, z ~ N(0, 1) (Poole et al. 2016). Gradients, and the distance of two
inputs close to each other, grow in a layer by chi_1 = sigma_w^2 E[phi'(sqrt(q) z)^2] (Schoenholz et al. 2017). The
network is critical where chi_1 = 1 at a q that maps onto itself and attracts those nearby (Roberts et al. 2022).

An expectation is a sum over fixed nodes. Each half of the line is integrated for itself, so that a kink of phi at 0
does no harm, after the substitution z = exp(t - exp(-t)), under which the trapezoidal rule converges exponentially
(Takahasi & Mori 1974): the moments of z come out to the last bits. Where phi has kinks elsewhere, the line is divided
at 0 and at every kink, and each interval is integrated by the tanh-sinh rule of the same authors, whose nodes
accumulate at both ends.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from pipeline.networks.activations import Activation
from pipeline.numerics.elementary import NORMAL_MAX, exp, normal_pdf, sigmoid
from pipeline.numerics.sums import Array, lane_sum

STEP = 1 / 64
_T = np.arange(-240, 160) * STEP
_HALF = np.asarray(exp(_T - exp(-_T)))
NODES: Array = np.concatenate([-_HALF, _HALF])
_DENSITY = np.asarray(exp(-0.5 * (_HALF * _HALF))) / math.sqrt(2.0 * math.pi)
WEIGHTS: Array = np.tile(_DENSITY * ((1.0 + np.asarray(exp(-_T))) * _HALF) * STEP, 2)


class Rule(NamedTuple):
    """The tanh-sinh rule: nodes and weights of the integral over an interval of length 1."""

    left: Array  # the distance of each node to the right end: the weight of the left end in the node's place
    right: Array  # and to the left end
    weights: Array


def tanh_sinh(step: float) -> Rule:
    """The rule for nodes `step` apart before the substitution, 6.5 / step of them: a multiple of 8."""
    n = round(3.25 / step)
    t = (np.arange(-n, n) + 0.5) * step
    up, down = np.asarray(exp(t)), np.asarray(exp(-t))
    right = np.asarray(sigmoid(math.pi * (0.5 * (up - down))))
    left = right[::-1]
    return Rule(left, right, right * left * (0.5 * math.pi * step) * (up + down))


_FINE = tanh_sinh(1 / 32)

TINY = 2.0**-60  # so near to 0 that phi is its tangent
S_MIN, S_MAX = 2.0**-540, 2.0**512  # below and above every root of a positive finite double
NEAR = 2.0**-10  # a small variance
NUDGE = 2.0**-20  # a small relative change
SLACK = 1e-9  # far above rounding, far below what is looked for


class Critical(NamedTuple):
    """Where a network is critical: sigma_w^2, and the variance q that the pre-activations settle to."""

    weight_variance: float
    q: float


def kinks_of(activation: Activation) -> tuple[float, ...]:
    """Where to divide the line. Raises ValueError for an activation that is declared to have no theory."""
    if activation.without_theory:
        raise ValueError(f"theory does not cover {activation.name}: {activation.without_theory}")
    return activation.kinks


def piecewise_rule(edges: Array, rule: Rule = _FINE, reach: float = NORMAL_MAX) -> tuple[Array, Array]:
    """Nodes z (..., n) and weights of E[f(z)], z ~ N(0, 1), for f analytic between the edges (..., k) and 0.

    n is k + 2 times the nodes of `rule`. Edges may come in any order. The integral is from -reach to reach: beyond 39
    the density is 0. The weights of an interval without length are 0.
    """
    ends = [np.full((*edges.shape[:-1], 1), end) for end in (-reach, 0.0, reach)]
    edges = np.sort(np.concatenate([*ends, np.minimum(np.maximum(edges, -reach), reach)], axis=-1), axis=-1)
    low, high = edges[..., :-1, None], edges[..., 1:, None]
    z = low * rule.left + high * rule.right
    weights = (high - low) * rule.weights * normal_pdf(z)
    shape = (*edges.shape[:-1], -1)
    return z.reshape(shape), weights.reshape(shape)


def normal_rule(q: Array, kinks: Sequence[float]) -> tuple[Array, Array]:
    """Nodes x (*shape of q, n) and weights of E[f(x)], x ~ N(0, q), for q >= 0 and f analytic but at 0 and the kinks.

    The weights are of shape (n,) if there is no kink but 0, and else of that of x.
    """
    s = np.sqrt(q)[..., None]
    if not any(kinks):
        return s * NODES, WEIGHTS
    s = np.minimum(s, S_MAX)  # inf times a node at 0 would be nan
    z, weights = piecewise_rule(np.array([kink for kink in kinks if kink != 0.0]) / np.maximum(s, S_MIN))
    return s * z, weights


def mean_squares(activation: Activation, q: Array) -> tuple[Array, Array]:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2], each of the shape of q."""
    z, weights = normal_rule(q, kinks_of(activation))
    a = activation.phi(z)
    slope = activation.slope(z, a)
    return lane_sum(weights * (a * a)), lane_sum(weights * (slope * slope))


def second_moments(activation: Activation, q: float) -> tuple[float, float]:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2]."""
    phi_squared, slope_squared = mean_squares(activation, np.asarray(q))
    return float(phi_squared), float(slope_squared)


@cache
def critical_point(activation: Activation, bias_variance: float) -> Critical:
    """The critical sigma_w^2 for sigma_b^2 = `bias_variance`: the first that is met as sigma_w^2 grows from 0.

    Raises ValueError if there is none.
    """
    kinks_of(activation)
    name = activation.name
    none = (
        f"{name} has no critical point at bias_variance = {bias_variance}: no sigma_w^2 gives chi_1 = 1 at a variance "
    )
    if bias_variance == 0.0 and not np.any(activation.phi(np.zeros(1))):
        return _critical_at_rest(activation, none)
    z = np.array([*NODES, *activation.kinks])
    if np.all(activation.phi(2.0 * z) == 2.0 * activation.phi(z)):
        raise ValueError(
            f"bias_variance must be 0 for {name}, whose variance grows without end else, not {bias_variance}"
        )

    def weight_variance(excess: float) -> float:
        """sigma_w^2 for which q = bias_variance + excess maps onto itself."""
        return excess / second_moments(activation, bias_variance + excess)[0]

    def chaos(excess: float) -> float:
        """chi_1 - 1 there."""
        return weight_variance(excess) * second_moments(activation, bias_variance + excess)[1] - 1.0

    low, high = 0.0, 2.0**-40
    while (beyond := chaos(high)) < SLACK:
        low, high = high if beyond < 0.0 else low, 2.0 * high
        if high > 2.0**20:
            raise ValueError(none + "that maps onto itself")
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if chaos(middle) < 0.0 else (low, middle)
    if weight_variance(high * (1.0 + NUDGE)) <= weight_variance(high):  # dq/dsigma_w^2 < 0: q repels
        raise ValueError(none + "that attracts those nearby; a larger bias_variance may help")
    return Critical(weight_variance(high), bias_variance + high)


def _critical_at_rest(activation: Activation, none: str) -> Critical:
    """Without biases, and with phi(0) = 0, q shrinks to 0, where phi is two half-lines: sigma_w^2 = 2 / (a^2 + b^2).

    This is He's 2 / (1 + slope^2) for leaky ReLU, for which every q is as good as 0, and 1 for tanh.
    """
    sides = np.array([-TINY, TINY])
    slope = np.asarray(activation.slope(sides, activation.phi(sides))) * np.ones(2)
    total = float(slope[0] * slope[0] + slope[1] * slope[1])
    phi_squared, _ = second_moments(activation, NEAR)
    if total == 0.0 or 2.0 / total * phi_squared > NEAR * (1.0 + SLACK):
        raise ValueError(none + "that attracts those nearby; a larger bias_variance may help")
    return Critical(2.0 / total, 0.0)
