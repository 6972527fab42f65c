"""The expected initial cost for normally distributed logits."""

import math

import numpy as np
from numpy.typing import ArrayLike

from pipeline.networks.edge_of_chaos import NODES, WEIGHTS
from pipeline.numerics import elementary
from pipeline.numerics.sums import Array, lane_sum
from pipeline.theory.mean_field import _at_least_0


def expected_binary_loss(variance: ArrayLike) -> Array:
    """E[softplus(z)], z ~ N(0, variance), with the shape of `variance`: the expected initial cross-entropy in nats.

    The loss is softplus(z) - y z, and E[z] = 0 for either label. It is ln 2 + variance / 8 - ... for small variances.
    Raises ValueError for negative or infinite variances.
    """
    v = np.asarray(variance, dtype=np.float64)
    if not np.all((v >= 0.0) & (v < math.inf)):
        raise ValueError("variance must be at least 0 and finite")
    return lane_sum(WEIGHTS * np.asarray(elementary.softplus(np.sqrt(v)[..., None] * NODES)))


def expected_softmax_loss(variance: float, n_classes: int) -> float:
    """E[ln sum_k e^(z_k)] for C = n_classes independent z_k ~ N(0, variance): the expected initial cost in nats.

    It is ln C + (1 - 1 / C) variance / 2 - ... for small variances. With G and G_k of the Gumbel distribution,
    ln sum e^z + G has the distribution of max_k(z_k + G_k), so the expectation is the integral of F - F^C, where F is
    the distribution function of z + G. Both integrals are computed by the trapezoidal rule; relative error about 1e-14.
    Raises ValueError unless variance >= 0 is finite and n_classes >= 1.
    """
    _at_least_0("variance", variance)
    if n_classes < 1:
        raise ValueError(f"n_classes must be at least 1, not {n_classes}")
    s = math.sqrt(variance)
    step = max(0.25, s / 8.0)
    low, high = -4.0 - 9.0 * s, 40.0 + 9.0 * s  # F - F^C is below C 1e-17 beyond
    u = low + step * np.arange(8 * math.ceil((high - low) / step / 8.0))
    if s > 1.0:
        gumbel = 0.25 * np.arange(-16, 160)
        weights = 0.25 * np.asarray(elementary.exp(-gumbel - elementary.exp(-gumbel)))
        above = lane_sum(weights * elementary.normal_cdf((gumbel - u[:, None]) / s))
    else:
        z = 0.25 * np.arange(-36, 36)
        weights = 0.25 * np.asarray(elementary.normal_pdf(z))
        above = lane_sum(weights * -elementary.expm1(-elementary.exp(s * z - u[:, None])))
    any_above = np.zeros_like(above)  # 1 - F^(C - 1), without cancellation
    for _ in range(n_classes - 1):
        any_above = any_above + above * (1.0 - any_above)
    return float(lane_sum((1.0 - above) * any_above)) * step
