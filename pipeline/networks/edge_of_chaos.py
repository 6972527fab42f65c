"""The edge of chaos of an activation: mean-field theory of signals in wide networks with random weights.

With W ~ N(0, sigma_w^2 / fan_in) and b ~ N(0, sigma_b^2), the variance q of the pre-activations changes from layer to
layer as q -> sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2, z ~ N(0, 1) (Poole et al. 2016). The second moment of gradients
and the squared distance of two nearby inputs change by the factor chi_1 = sigma_w^2 E[phi'(sqrt(q) z)^2] per layer
(Schoenholz et al. 2017). The network is critical if chi_1 = 1 at a stable fixed point q of this map (Roberts et al.
2022).

Expectations are sums over fixed nodes. Each half-line is integrated separately, so a kink of phi at 0 is allowed,
after the substitution z = exp(t - exp(-t)), under which the trapezoidal rule converges exponentially (Takahasi & Mori
1974); the moments of z are exact to rounding. If phi has kinks elsewhere, the line is divided at 0 and at every kink,
and each interval is integrated by the tanh-sinh rule of the same authors, whose nodes accumulate at both ends.
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
    """The tanh-sinh rule: nodes and weights, each (n,), for the integral over an interval of length 1."""

    left: Array  # distance of each node from the right end: the node is left * low + right * high
    right: Array  # distance from the left end
    weights: Array


def tanh_sinh(step: float) -> Rule:
    """The rule with 6.5 / step nodes, spaced by `step` before the substitution; the number must be a multiple of 8."""
    n = round(3.25 / step)
    t = (np.arange(-n, n) + 0.5) * step
    up, down = np.asarray(exp(t)), np.asarray(exp(-t))
    right = np.asarray(sigmoid(math.pi * (0.5 * (up - down))))
    left = right[::-1]
    return Rule(left, right, right * left * (0.5 * math.pi * step) * (up + down))


_FINE = tanh_sinh(1 / 32)

TINY = 2.0**-60  # so close to 0 that phi equals its tangent to rounding
S_MIN, S_MAX = 2.0**-540, 2.0**512  # bounds on the square root of any positive finite double
NEAR = 2.0**-10  # a small variance
NUDGE = 2.0**-20  # a small relative change
SLACK = 1e-9  # tolerance for chi_1 - 1 and for changes of q: far above rounding errors


class Critical(NamedTuple):
    """A critical point: sigma_w^2 and the fixed point q of the variance of the pre-activations."""

    weight_variance: float
    q: float


def kinks_of(activation: Activation) -> tuple[float, ...]:
    """The kinks of an activation. Raises ValueError for an activation declared as `without_theory`."""
    if activation.without_theory:
        raise ValueError(f"theory does not cover {activation.name}: {activation.without_theory}")
    return activation.kinks


def piecewise_rule(edges: Array, rule: Rule = _FINE, reach: float = NORMAL_MAX) -> tuple[Array, Array]:
    """Nodes z (..., n) and weights of E[f(z)], z ~ N(0, 1), for f analytic between the edges (..., k) and 0.

    n is k + 2 times the number of nodes of `rule`. Edges may be in any order. The integral extends from -reach to
    reach; the density is 0 beyond 39. An interval of length 0 has weights 0.
    """
    ends = [np.full((*edges.shape[:-1], 1), end) for end in (-reach, 0.0, reach)]
    edges = np.sort(np.concatenate([*ends, np.minimum(np.maximum(edges, -reach), reach)], axis=-1), axis=-1)
    low, high = edges[..., :-1, None], edges[..., 1:, None]
    z = low * rule.left + high * rule.right
    weights = (high - low) * rule.weights * normal_pdf(z)
    shape = (*edges.shape[:-1], -1)
    return z.reshape(shape), weights.reshape(shape)


def normal_rule(q: Array, kinks: Sequence[float]) -> tuple[Array, Array]:
    """Nodes x (*q.shape, n) and weights of E[f(x)], x ~ N(0, q), for q >= 0 and f analytic except at 0 and the kinks.

    The weights have shape (n,) if there is no kink other than 0, otherwise the shape of x.
    """
    s = np.sqrt(q)[..., None]
    if not any(kinks):
        return s * NODES, WEIGHTS
    s = np.minimum(s, S_MAX)  # inf times a node at 0 is NaN
    z, weights = piecewise_rule(np.array([kink for kink in kinks if kink != 0.0]) / np.maximum(s, S_MIN))
    return s * z, weights


def mean_squares(activation: Activation, q: Array) -> tuple[Array, Array]:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2], each with the shape of q."""
    z, weights = normal_rule(q, kinks_of(activation))
    a = activation.phi(z)
    slope = activation.slope(z, a)
    return lane_sum(weights * (a * a)), lane_sum(weights * (slope * slope))


def second_moments(activation: Activation, q: float) -> tuple[float, float]:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2] for a scalar q."""
    phi_squared, slope_squared = mean_squares(activation, np.asarray(q))
    return float(phi_squared), float(slope_squared)


@cache
def critical_point(activation: Activation, bias_variance: float) -> Critical:
    """The critical point for sigma_b^2 = `bias_variance` with the smallest sigma_w^2.

    Raises ValueError if there is none.
    """
    kinks_of(activation)
    name = activation.name
    none = f"{name} has no critical point at bias_variance = {bias_variance}: no sigma_w^2 gives chi_1 = 1 at a "
    if bias_variance == 0.0 and not np.any(activation.phi(np.zeros(1))):
        return _critical_at_rest(activation, none)
    z = np.array([*NODES, *activation.kinks])
    if np.all(activation.phi(2.0 * z) == 2.0 * activation.phi(z)):
        raise ValueError(
            f"bias_variance must be 0 for {name}, whose variance otherwise grows without bound, not {bias_variance}"
        )

    def weight_variance(excess: float) -> float:
        """sigma_w^2 for which q = bias_variance + excess is a fixed point."""
        return excess / second_moments(activation, bias_variance + excess)[0]

    def chaos(excess: float) -> float:
        """chi_1 - 1 at that fixed point."""
        return weight_variance(excess) * second_moments(activation, bias_variance + excess)[1] - 1.0

    low, high = 0.0, 2.0**-40
    while (beyond := chaos(high)) < SLACK:
        low, high = high if beyond < 0.0 else low, 2.0 * high
        if high > 2.0**20:
            raise ValueError(none + "fixed point of the variance")
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if chaos(middle) < 0.0 else (low, middle)
    if weight_variance(high * (1.0 + NUDGE)) <= weight_variance(high):  # dq/dsigma_w^2 < 0: q is unstable
        raise ValueError(none + "stable fixed point of the variance; a larger bias_variance may help")
    return Critical(weight_variance(high), bias_variance + high)


def _critical_at_rest(activation: Activation, none: str) -> Critical:
    """The critical point without biases for phi(0) = 0: q = 0 and sigma_w^2 = 2 / (a^2 + b^2).

    a and b are the slopes of phi left and right of 0. For leaky ReLU this is the 2 / (1 + slope^2) of He et al. (2015),
    and every q is a fixed point; for tanh it is 1. Raises ValueError, whose text begins with `none`, if q = 0 is
    unstable.
    """
    sides = np.array([-TINY, TINY])
    slope = np.asarray(activation.slope(sides, activation.phi(sides))) * np.ones(2)
    total = float(slope[0] * slope[0] + slope[1] * slope[1])
    phi_squared, _ = second_moments(activation, NEAR)
    if total == 0.0 or 2.0 / total * phi_squared > NEAR * (1.0 + SLACK):
        raise ValueError(none + "stable fixed point of the variance; a larger bias_variance may help")
    return Critical(2.0 / total, 0.0)
