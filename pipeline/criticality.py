"""The edge of chaos of an activation: mean-field theory of signals in wide networks of random weights.

With W ~ N(0, sigma_w^2 / fan_in) and b ~ N(0, sigma_b^2) the variance q of the pre-activations goes from layer to layer
as q -> sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2, z ~ N(0, 1) (Poole et al. 2016). Gradients, and the distance of two
inputs close to each other, grow in a layer by chi_1 = sigma_w^2 E[phi'(sqrt(q) z)^2] (Schoenholz et al. 2017). The
network is critical where chi_1 = 1 at a q that maps onto itself and attracts those nearby (Roberts et al. 2022).

An expectation is a sum over fixed nodes. Each half of the line is integrated for itself, so that a kink of phi at 0
does no harm, after the substitution z = exp(t - exp(-t)), under which the trapezoidal rule converges exponentially
(Takahasi & Mori 1974): the moments of z come out to the last bits.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from pipeline.activations import Activation
from pipeline.elementary import exp
from pipeline.sums import Array, lane_sum

STEP = 1 / 64
_T = np.arange(-240, 160) * STEP
_HALF = np.asarray(exp(_T - exp(-_T)))
NODES: Array = np.concatenate([-_HALF, _HALF])
_DENSITY = np.asarray(exp(-0.5 * (_HALF * _HALF))) / math.sqrt(2.0 * math.pi)
WEIGHTS: Array = np.tile(_DENSITY * ((1.0 + np.asarray(exp(-_T))) * _HALF) * STEP, 2)

TINY = 2.0**-60  # so near to 0 that phi is its tangent
NEAR = 2.0**-10  # a small variance
NUDGE = 2.0**-20  # a small relative change
SLACK = 1e-9  # far above rounding, far below what is looked for


class Critical(NamedTuple):
    """Where a network is critical: sigma_w^2, and the variance q that the pre-activations settle to."""

    weight_variance: float
    q: float


def mean_squares(activation: Activation, q: Array) -> tuple[Array, Array]:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2], each of the shape of q."""
    z = np.sqrt(q)[..., None] * NODES
    a = activation.phi(z)
    slope = activation.slope(z, a)
    return lane_sum(WEIGHTS * (a * a)), lane_sum(WEIGHTS * (slope * slope))


def second_moments(activation: Activation, q: float) -> tuple[float, float]:
    """E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2]."""
    phi_squared, slope_squared = mean_squares(activation, np.asarray(q))
    return float(phi_squared), float(slope_squared)


@cache
def critical_point(activation: Activation, bias_variance: float) -> Critical:
    """The critical sigma_w^2 for sigma_b^2 = `bias_variance`: the first that is met as sigma_w^2 grows from 0.

    Raises ValueError if there is none.
    """
    name = getattr(activation.phi, "__name__", "the activation")
    none = (
        f"{name} has no critical point at bias_variance = {bias_variance}: no sigma_w^2 gives chi_1 = 1 at a variance "
    )
    if bias_variance == 0.0 and not np.any(activation.phi(np.zeros(1))):
        return _critical_at_rest(activation, none)
    if np.all(activation.phi(2.0 * NODES) == 2.0 * activation.phi(NODES)):
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
