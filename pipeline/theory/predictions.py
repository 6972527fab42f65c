"""Predictions of theory for the quantities that `diagnostics.measure` measures, under the same names."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.networks.activations import Activation, relu
from pipeline.networks.edge_of_chaos import kinks_of, mean_squares, normal_rule
from pipeline.networks.probes import N_JACOBIANS, mean_square, orthogonal_inputs
from pipeline.numerics import elementary
from pipeline.numerics.sums import Array, lane_sum, pad
from pipeline.theory import finite_width, initial_loss, mean_field
from pipeline.theory.correlation import correlation_map
from pipeline.theory.variances import Law

CLASSES_AT = 50  # samples, evenly spaced quantiles of the variance, at which the loss of a softmax is integrated


class Predictions(NamedTuple):
    """Predictions by name of the quantity; NaN where theory makes none."""

    layers: dict[str, list[float]]  # one number for each layer 1 ... L
    models: dict[str, float]


@np.errstate(over="ignore", invalid="ignore")
def predict(
    laws: Sequence[Law], layers_dims: Sequence[int], X: Array, activations: Sequence[Activation]
) -> Predictions:
    """Predictions for networks whose layers have the distributions `laws`, on the inputs X (n_0, m).

    Exact at any width are preactivation_mean_square of the first layer, for ReLU without biases of every layer, and
    blocked_inputs and log_growth (He's weights, one input). The others hold for wide layers, with normally distributed
    signals and gradients independent of them.
    """
    *hidden, n_out = layers_dims[1:]
    sigma_w2 = [law.weight * fan_in for law, fan_in in zip(laws, layers_dims, strict=False)]
    sigma_b2 = [law.bias for law in laws]
    q0 = np.array([mean_square(X[:, sample : sample + 1]) for sample in range(X.shape[1])])
    q = mean_field.predicted_signal(q0, sigma_w2, sigma_b2, activations)
    ratio = mean_field.predicted_gradient(layers_dims, sigma_w2, activations, q)
    layers = {
        "weight_mean_square": [law.weight for law in laws],
        "bias_mean_square": sigma_b2,
        "preactivation_mean_square": _means(q),
        "activation_mean_square": [
            *_means(np.array([mean_squares(phi, q[l])[0] for l, phi in enumerate(activations)])),
            math.nan,
        ],
        "gradient_ratio": _means(ratio),
        "correlation": _correlations(X, sigma_w2, sigma_b2, activations),
    }
    if n_out == 1:  # the angle is undefined
        layers["correlation"][-1] = math.nan
    models = {
        "initial_cost": _loss(q[-1], n_out),
        "jacobian_mean_square": _jacobian_square(
            layers_dims, sigma_w2, activations, X[:, :N_JACOBIANS], q[:, :N_JACOBIANS]
        ),
        "blocked_inputs": math.nan,
        "log_growth": math.nan,
    }
    if hidden and all(phi.phi is relu for phi in activations) and not any(sigma_b2[:-1]):
        if not all(sigma_w2[:-1]):
            models["blocked_inputs"] = 1.0
        elif all(law.normal for law in laws[:-1]):
            models["blocked_inputs"] = finite_width.born_dead(hidden)
            models["log_growth"] = finite_width.log_signal(hidden).mean
            for variance in sigma_w2[:-1]:
                models["log_growth"] += float(elementary.log(variance / 2.0))
    return Predictions(layers, models)


def _means(values: Array) -> list[float]:
    """The means over the samples of values (layers, m)."""
    return [float(mean) for mean in lane_sum(pad(values)) / values.shape[-1]] if len(values) else []


def _correlations(
    X: Array, sigma_w2: Sequence[float], sigma_b2: Sequence[float], activations: Sequence[Activation]
) -> list[float]:
    """The correlations of the two `orthogonal_inputs` in the layers 1 ... L."""
    x, y = orthogonal_inputs(X)
    q = mean_square(x[:, None])
    c = float(lane_sum(pad(x * y))) / float(lane_sum(pad(x * x))) if q > 0.0 else math.nan
    found: list[float] = []
    for l, (weight, bias) in enumerate(zip(sigma_w2, sigma_b2, strict=True)):
        after = mean_field.length_map(q, weight, bias, activations[l - 1]) if l > 0 else weight * q + bias
        if not 0.0 < after < math.inf or math.isnan(c):
            return [*found, *[math.nan] * (len(sigma_w2) - l)]
        c = correlation_map(c, q, weight, bias, activations[l - 1]) if l > 0 else (weight * q * c + bias) / after
        q = after
        found.append(c)
    return found


def _loss(q: Array, n_out: int) -> float:
    """The expected initial cost in nats for logits of variance q (m,); NaN if a variance overflows."""
    if not np.isfinite(q).all():
        return math.nan
    if n_out == 1:
        return _means(initial_loss.expected_binary_loss(q)[None])[0]
    n = min(len(q), CLASSES_AT)
    chosen = np.sort(q)[((np.arange(n) + 0.5) * (len(q) / n)).astype(np.int64)]
    return _means(np.array([[initial_loss.expected_softmax_loss(float(variance), n_out) for variance in chosen]]))[0]


def _jacobian_square(
    layers_dims: Sequence[int], sigma_w2: Sequence[float], activations: Sequence[Activation], X: Array, q: Array
) -> float:
    """E[|J|^2] / n_0, J being the Jacobian of the last hidden layer with respect to the input at X (n_0, m).

    For wide hidden layers. In directions orthogonal to the input, the derivative of z_l is independent of z_l, and its
    variance changes by chi_1 per layer (Pennington et al. 2017). In the direction of the input both are jointly normal
    with a covariance; for n_0 = 2 this is half of the sum. For ReLU both directions agree.
    """
    if not activations:
        return 1.0
    n_0, m = X.shape
    across: Array = np.full(m, sigma_w2[0] / n_0)  # variance for one direction
    along = across
    shared = across * np.sqrt(lane_sum(pad(X.T * X.T)))  # covariance with z_l
    for l, phi in enumerate(activations):
        z, weights = normal_rule(q[l], kinks_of(phi))
        a = phi.phi(z)
        slope = phi.slope(z, a)
        chi, steep = lane_sum(weights * (slope * slope)), lane_sum(weights * (slope * slope * (z * z)))
        ratio = shared / np.where(q[l] > 0.0, q[l], 1.0)
        weight = sigma_w2[l + 1] if l + 1 < len(activations) else float(layers_dims[l + 1])
        along = weight * (ratio * ratio * steep + (along - ratio * shared) * chi)
        shared = weight * (ratio * lane_sum(weights * (a * slope * z)))
        across = weight * (across * chi)
    return _means((((n_0 - 1) * across + along) / n_0)[None])[0]
