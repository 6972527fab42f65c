"""The correlation c of two inputs in a wide random network, and its change from layer to layer.

The pre-activations u and v of two inputs are normal with variance q and correlation c = cos(alpha). In polar
coordinates of the plane, u = 0 and v = 0 are two lines at an angle of alpha, and phi(u) phi(v) is smooth in each of the
four sectors between them even if phi has a kink at 0. Each sector is integrated over the radius with the nodes of
`edge_of_chaos` and over the angle with the tanh-sinh rule (Takahasi & Mori 1974), which is insensitive to singularities
at the end points. If phi has kinks elsewhere, u is integrated between the kinks of phi(u) and, for each u, v is
integrated over its conditional normal distribution between the kinks of phi(v). For the functions of `activations` the
bits are the same on every computer.
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
_FROM: Array = np.asarray(elementary.sigmoid(math.pi * _GROWTH))  # angle from one side of a sector, over its width
_TO: Array = _FROM[::-1]  # angle from the other side
_ANGULAR = _FROM * _TO * (0.5 * math.pi * _STEP) * (np.asarray(elementary.exp(_T)) + np.asarray(elementary.exp(-_T)))

_OUTER, _INNER = tanh_sinh(1 / 64), tanh_sinh(1 / 16)
_REACH = 14.0  # end of the integral over N(0, 1), whose density there is 1e-43


def angle(c: float) -> float:
    """arccos(c) in [0, pi] for c in [-1, 1]. Absolute error below 1e-15, relative error below 1e-15 near c = 1.

    Raises ValueError for other c.
    """
    _check_correlation(c)
    if c < 0.0:
        return math.pi - angle(-c)
    x = math.sqrt((1.0 - c) / (1.0 + c))  # the tangent of half the angle
    for _ in range(2):
        x = x / (1.0 + math.sqrt(1.0 + x * x))  # the tangent of half the previous angle
    series = 0.0
    for k in range(25, 0, -2):
        series = 1.0 / k - x * x * series
    return 8.0 * (x * series)


def pair_expectation(f: Function, q: float, c: float, kinks: Sequence[float] = ()) -> float:
    """E[f(u) f(v)] for u and v ~ N(0, q) with correlation c; q >= 0 and c in [-1, 1], ends included.

    f may have a kink or a jump at 0 and at `kinks`, and must be analytic elsewhere. Error about 1e-13 of E[f^2]. Raises
    ValueError for other q or c.
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
    """`pair_expectation` at q = s^2, with v = c u + r w, w ~ N(0, 1) independent of u, and r = sqrt(1 - c^2).

    As a function of u, the integral over w changes rapidly within a distance r of u = kink / (c s). For c near 1 or -1
    this region is narrow, but nodes accumulate there: at the kinks of f(u) or at their mirror images.
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

    The normalized arc-cosine kernel of order 1 (Cho & Saul 2009); independent of q.
    """
    alpha = angle(c)
    return min(1.0, (math.sqrt((1.0 - c) * (1.0 + c)) + (math.pi - alpha) * c) / math.pi)


def relu_gradient_correlation(c: float, depth: int) -> float:
    """The cosine of the gradients by the input at two inputs of correlation c in layer 1, in wide networks.

    With He's weights and `depth` ReLU layers it is prod_l (1 - alpha_l / pi), alpha_l = arccos(c_l): in each layer,
    2 E[phi'(u) phi'(v)], the arc-cosine kernel of order 0 (Cho & Saul 2009). Gradients at different inputs become
    uncorrelated with depth (Balduzzi et al. 2017).
    """
    correlation = 1.0
    for _ in range(depth):
        correlation = correlation * (1.0 - angle(c) / math.pi)
        c = relu_correlation(c)
    return correlation


def correlation_map(c: float, q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The correlation in the next layer, (sigma_w2 E[phi(u) phi(v)] + sigma_b2) / length_map(q) (Poole et al. 2016).

    c is in [-1, 1], and q > 0 is the variance for both inputs, not necessarily a fixed point. ReLU uses the closed form
    of `relu_correlation`. Error below 1e-12. Raises ValueError if q or the variance in the next layer is 0.
    """
    after = length_map(q, sigma_w2, sigma_b2, activation)
    if not (q > 0.0 and after > 0.0):
        raise ValueError(f"a correlation requires variances greater than 0, not q = {q} and {after} in the next layer")
    if activation.phi is relu:
        covariance = 0.5 * q * relu_correlation(c)
    else:
        covariance = pair_expectation(activation.phi, q, c, kinks_of(activation))
    return max(-1.0, min(1.0, (sigma_w2 * covariance + sigma_b2) / after))


def correlation_slope(c: float, q: float, sigma_w2: float, activation: Activation) -> float:
    """The derivative dc_(l+1) / dc_l = sigma_w2 E[phi'(u) phi'(v)] at a fixed point q; at c = 1 it is chi_1."""
    kinks = kinks_of(activation)
    return sigma_w2 * pair_expectation(lambda z: np.asarray(activation.slope(z, activation.phi(z))), q, c, kinks)


def fixed_correlation(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """c*, the limit of the correlation of two inputs with nonnegative initial correlation, at a fixed point q > 0.

    It is 1 if chi_1 <= 1, otherwise the unique fixed point below 1. The map is a power series in c with nonnegative
    coefficients, hence convex on [0, 1], so Newton iteration from 0 does not overshoot. Raises ValueError if q is not
    a fixed point to a relative accuracy of 1e-6.
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
    """The depth scale of c: layers in which a small |c_l - c*| decreases by a factor e (Schoenholz et al. 2017).

    -1 / log(sigma_w2 E[phi'(u) phi'(v)]) at c*: -1 / log(chi_1) in the ordered phase, infinite at the edge of chaos. At
    q = 0, where signals vanish, it is -1 / log(chi_1), the scale on which the squared distance of two inputs decreases.
    Raises ValueError if q is not a fixed point to a relative accuracy of 1e-6, or is unstable.
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
