"""Two inputs in one wide random network: how their correlation c goes from layer to layer. Pure.

The pre-activations u and v of two inputs are normal, of variance q and correlation c = cos(alpha). In polar coordinates
of the plane, u = 0 and v = 0 are two lines, at an angle of alpha, and phi(u) phi(v) is smooth in each of the four
sectors between them, whatever kink phi has at 0. A sector of width w is integrated over the radius by the nodes of
`criticality` and over the angle by the tanh-sinh rule (Takahasi & Mori 1974), which does not mind what happens at the
ends. Where phi has kinks elsewhere, the lines no longer meet in one point: then u is integrated between the kinks of
phi(u), and for each u v is, of the normal law that it has given u, between those of phi(v). For the functions of
`activations` the bits are the same on every computer.
"""

import math
from collections.abc import Sequence

import numpy as np

from pipeline.networks.activations import Activation, relu
from pipeline.networks.edge_of_chaos import NODES, S_MIN, WEIGHTS, kinks_of, piecewise_rule, tanh_sinh
from pipeline.numerics import elementary
from pipeline.numerics.sums import Array, lane_sum
from pipeline.theory.mean_field import Function, chi_1, depth_scale, length_map, require_fixed

_RADII = NODES[NODES > 0.0][::2]
_RADIAL = 2.0 * WEIGHTS[NODES > 0.0][::2] * _RADII / math.sqrt(2.0 * math.pi)  # r e^(-r^2 / 2) dr / (2 pi)

_STEP = 1 / 16
_T = (np.arange(-52, 52) + 0.5) * _STEP
_GROWTH = 0.5 * (np.asarray(elementary.exp(_T)) - np.asarray(elementary.exp(-_T)))  # sinh
_FROM: Array = np.asarray(elementary.sigmoid(math.pi * _GROWTH))  # where in a sector, from its one side
_TO: Array = _FROM[::-1]  # and from the other
_ANGULAR = _FROM * _TO * (0.5 * math.pi * _STEP) * (np.asarray(elementary.exp(_T)) + np.asarray(elementary.exp(-_T)))

_OUTER, _INNER = tanh_sinh(1 / 64), tanh_sinh(1 / 16)
_REACH = 14.0  # of N(0, 1), whose density is 1e-43 there


def angle(c: float) -> float:
    """arccos(c), in [0, pi], for c in [-1, 1]; error below 1e-15, and relative to it near c = 1."""
    _check_correlation(c)
    if c < 0.0:
        return math.pi - angle(-c)
    x = math.sqrt((1.0 - c) / (1.0 + c))  # the tangent of the half
    for _ in range(2):
        x = x / (1.0 + math.sqrt(1.0 + x * x))  # the half of that, again and again
    series = 0.0
    for k in range(25, 0, -2):
        series = 1.0 / k - x * x * series
    return 8.0 * (x * series)


def pair_expectation(f: Function, q: float, c: float, kinks: Sequence[float] = ()) -> float:
    """E[f(u) f(v)], u and v being N(0, q) of correlation c, for q >= 0 and c in [-1, 1], ends included.

    f may have a kink or a jump at 0 and at `kinks`, and must be analytic elsewhere. Error about 1e-13 of E[f^2].
    """
    if not 0.0 <= q < math.inf:
        raise ValueError(f"q must be at least 0 and finite, not {q}")
    if any(kinks):
        return _between_kinks(f, math.sqrt(q), c, [kink for kink in kinks if kink != 0.0])
    alpha = angle(c)
    total = 0.0
    for width, sides in [(math.pi - alpha, ((1.0, 1.0), (-1.0, -1.0))), (alpha, ((1.0, -1.0), (-1.0, 1.0)))]:
        first = math.sqrt(q) * (_sine(width * _TO)[:, None] * _RADII)
        second = math.sqrt(q) * (_sine(width * _FROM)[:, None] * _RADII)
        for one, other in sides:
            rays = lane_sum(_RADIAL * (f(one * first) * f(other * second)))
            total = total + width * float(lane_sum(_ANGULAR * rays))
    return total


def _between_kinks(f: Function, s: float, c: float, kinks: Sequence[float]) -> float:
    """`pair_expectation` at q = s^2 by v = c u + r w, w ~ N(0, 1) independent of u, and r = sqrt(1 - c^2).

    The integral over w, as a function of u, bends within r about u = kink / (c s). For c near 1 or -1, where that is
    narrow, it is where nodes accumulate: at the kinks of f(u), and at their mirror images.
    """
    _check_correlation(c)
    places = np.array(kinks) / max(s, S_MIN)
    r = math.sqrt((1.0 - c) * (1.0 + c))
    u, weights = piecewise_rule(np.concatenate([places, -places]) if c < 0.0 else places, _OUTER)
    if r == 0.0:
        return float(lane_sum(weights * (f(s * u) * f(s * (c * u)))))
    w, inner = piecewise_rule((np.array([0.0, *places]) - c * u[:, None]) / r, _INNER, _REACH)
    given = lane_sum(inner * f(s * (c * u[:, None] + r * w)))
    return float(lane_sum(weights * (f(s * u) * given)))


def relu_correlation(c: float) -> float:
    """The correlation map of ReLU without biases, (sin alpha + (pi - alpha) cos alpha) / pi, for c in [-1, 1].

    It is the arc-cosine kernel of order 1 (Cho & Saul 2009), at any q.
    """
    alpha = angle(c)
    return min(1.0, (math.sqrt((1.0 - c) * (1.0 + c)) + (math.pi - alpha) * c) / math.pi)


def correlation_map(c: float, q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The correlation in the next layer, (sigma_w2 E[phi(u) phi(v)] + sigma_b2) / length_map(q) (Poole et al. 2016).

    For c in [-1, 1] and q > 0, the variance of both inputs, which need not be a fixed point. ReLU's expectation is that
    of `relu_correlation`. Error below 1e-12. Raises ValueError if the next layer's variance is 0.
    """
    after = length_map(q, sigma_w2, sigma_b2, activation)
    if not (q > 0.0 and after > 0.0):
        raise ValueError(f"a correlation needs variances greater than 0, not q = {q} and then {after}")
    if activation.phi is relu:
        covariance = 0.5 * q * relu_correlation(c)
    else:
        covariance = pair_expectation(activation.phi, q, c, kinks_of(activation))
    return max(-1.0, min(1.0, (sigma_w2 * covariance + sigma_b2) / after))


def correlation_slope(c: float, q: float, sigma_w2: float, activation: Activation) -> float:
    """sigma_w2 E[phi'(u) phi'(v)], dc_(l+1) / dc_l at a q that maps onto itself; at c = 1 it is chi_1."""
    kinks = kinks_of(activation)
    return sigma_w2 * pair_expectation(lambda z: np.asarray(activation.slope(z, activation.phi(z))), q, c, kinks)


def fixed_correlation(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """c*, to which the correlation of two inputs goes that is not negative at first, at a q > 0 that maps onto itself.

    1 if chi_1 <= 1. Else less, and the only one: as a power series in c without negative terms the map is convex on
    [0, 1], so Newton's steps from 0 never overshoot. Raises ValueError if q does not map onto itself to 1e-6.
    """
    require_fixed(q, sigma_w2, sigma_b2, activation)
    if chi_1(q, sigma_w2, activation) <= 1.0 + 1e-8:
        return 1.0
    c = 0.0
    while True:
        beyond = correlation_map(c, q, sigma_w2, sigma_b2, activation) - c
        step = beyond / (1.0 - correlation_slope(c, q, sigma_w2, activation))
        if not 1e-15 < step < 1.0 - c:
            return c
        c = c + step


def xi_c(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The number of layers in which a small |c_l - c*| shrinks by e (Schoenholz et al. 2017).

    -1 / log(sigma_w2 E[phi'(u) phi'(v)]) at c*, so -1 / log(chi_1) in the ordered phase, and infinite at the edge of
    chaos. At q = 0, where signals die out, it is chi_1's: the scale on which the distance of two inputs does. Raises
    ValueError if q does not map onto itself to 1e-6, or repels.
    """
    require_fixed(q, sigma_w2, sigma_b2, activation)
    c = 1.0 if q == 0.0 else fixed_correlation(q, sigma_w2, sigma_b2, activation)
    if c == 1.0:
        return depth_scale(chi_1(q, sigma_w2, activation))
    return depth_scale(abs(correlation_slope(c, q, sigma_w2, activation)))


def _sine(x: Array) -> Array:
    """sin x for x in [0, pi]."""
    return np.asarray(elementary.circle(x / (2.0 * math.pi))[1])


def _check_correlation(c: float) -> None:
    if not -1.0 <= c <= 1.0:
        raise ValueError(f"c must be between -1 and 1, not {c}")
