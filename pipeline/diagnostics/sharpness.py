"""The largest eigenvalue of the Gauss-Newton matrix and the norm of the centered gradient.

Both are of a stack of models, W (models, n_l, n_{l-1}) and b (models, n_l, 1), and have the same bits on every
processor.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.diagnostics.signals import propagate_back
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters
from pipeline.networks.reference import cost_slope
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array, lane_sum, pad

POWER_STEPS = 12  # of the power iteration; the error is then some percent, and the rules use factors of 3


def centered_gradient(
    parameters: Parameters, Z: list[Array], A: list[Array], Y: Array, activations: Sequence[Activation]
) -> Array:
    """The norm (models,) of the gradient of the cost with respect to all W, from centered residuals.

    The residual of a sample is the derivative of its cost with respect to the logits, probability - label; from it the
    mean over the samples is subtracted, which is what the biases of the output can remove. `Z` and `A` are returned by
    `signals.forward`, and Y is (1, m).
    """
    m = Y.shape[1]
    residual = cost_slope(Z[-1], Y)
    residual = residual - (lane_sum(pad(residual)) / m)[..., None]
    _, dW = propagate_back(parameters, Z, A, residual * (1.0 / m), activations)
    return _norm(dW)


def weight_norm(parameters: Parameters) -> Array:
    """The Euclidean norm (models,) of all W together."""
    return _norm([W for W, _ in parameters])


def sharpness(parameters: Parameters, Z: list[Array], A: list[Array], activations: Sequence[Activation]) -> Array:
    """The largest eigenvalue (models,) of J' S J / m, J the Jacobian of the logits with respect to W and b.

    S is the second derivative of the cross-entropy with respect to the logits where all classes are equally
    probable: 1/4 for one logit, (1 - 1/C) / C on the diagonal and -1/C^2 elsewhere for C logits. Gradient descent on
    that quadratic model is stable at learning rates below 2 / sharpness. `POWER_STEPS` steps of the power iteration,
    from a change of the logits that grows from the first sample to the last, give a lower bound; it is inf or nan
    where numbers leave the range of doubles.
    """
    n_models, n_out, m = Z[-1].shape
    slopes = [np.asarray(phi.slope(z, a)) for phi, z, a in zip(activations, Z, A[1:], strict=False)]
    v = np.where(np.arange(n_out) % 2 == 0, 1.0, -1.0)[:, None] * (1.0 + np.arange(m) / m) * np.ones((n_models, 1, 1))
    value = np.zeros(n_models)
    for _ in range(POWER_STEPS):
        norm = _norm([v])
        v = v / np.where(norm > 0.0, norm, 1.0)[:, None, None]
        dZ, dW = propagate_back(parameters, Z, A, _root_of_curvature(v), activations)
        v = _root_of_curvature(_change_of_logits(parameters, slopes, A, dZ, dW)) * (1.0 / m)
        value = np.where(np.isfinite(value), _norm([v]), value)
    return value


def _root_of_curvature(v: Array) -> Array:
    """The square root of S times v (models, n_out, m)."""
    n_out = v.shape[1]
    if n_out == 1:
        return v * 0.5
    mean = v[:, :1]
    for k in range(1, n_out):
        mean = mean + v[:, k : k + 1]
    return np.asarray((v - mean / n_out) / np.sqrt(float(n_out)))


def _change_of_logits(
    parameters: Parameters, slopes: Sequence[Array], A: list[Array], dZ: list[Array], dW: list[Array]
) -> Array:
    """The first-order change of the logits (models, n_out, m) when the weights change by dW, the biases by sum dZ."""
    change = np.zeros_like(dZ[-1])
    for l, (W, _) in enumerate(parameters):
        own = product(dW[l], A[l]) + lane_sum(pad(dZ[l]))[..., None]
        change = own if l == 0 else product(W, change) + own
        if l < len(slopes):
            change = change * slopes[l]
    return change


def _norm(arrays: Sequence[Array]) -> Array:
    """The root (models,) of the sum of the squares of all arrays (models, n, k), scaled so that no square overflows.

    inf or nan if an element is.
    """
    largest = np.max([np.abs(array).max(axis=(1, 2)) for array in arrays], axis=0)
    unit = np.where((largest > 0.0) & np.isfinite(largest), largest, 1.0)
    total = np.zeros(len(arrays[0]))
    for array in arrays:
        scaled = array / unit[:, None, None]
        total = total + lane_sum(pad(lane_sum(pad(scaled * scaled))))
    return np.asarray(unit * np.sqrt(total))
