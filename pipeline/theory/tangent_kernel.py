"""The tangent kernel of a wide network at initialization, and the descent of its cost that follows from it.

The tangent kernel of two inputs is the product of the gradients of a logit with respect to all parameters (Jacot et
al. 2018). In a wide network it is the sum over the layers of the covariance of the activations below the layer times
that of the gradients above it, which `mean_field` and `correlation` describe for one and two inputs. Here both are
needed for all layers at once and to two digits only, so the integrals are on a coarse grid, and they are of
differences, such as E[(phi(u) - phi(v))^2], which remain accurate where two inputs have nearly the same activations.

The data are replaced by inputs of mean square 1 in classes of equal size: two inputs of a class have the correlation
WITHIN, other pairs 0.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.networks.activations import Activation
from pipeline.networks.edge_of_chaos import mean_squares
from pipeline.numerics.elementary import circle, normal_pdf
from pipeline.numerics.sums import Array, lane_sum, pad

WITHIN = 0.5  # correlation of two inputs of the same class
N_SAMPLES = 200  # inputs, as in the validation of the labels
DISTANCES = np.array([0.0, 1.0 - WITHIN, 1.0])  # 1 - correlation: of an input with itself, of a class, of two classes

# Nodes and weights of E[f(x, y)], x and y ~ N(0, 1): in polar coordinates, where kinks are at angles.
_ANGLES, _RADII = np.asarray((np.arange(48) + 0.5) / 48.0), np.asarray((np.arange(24) + 0.5) * 0.25)
_COSINE, _SINE = circle(_ANGLES)
_X, _Y = _RADII[:, None] * _COSINE, _RADII[:, None] * _SINE
_DENSITY = _RADII * np.asarray(normal_pdf(_RADII))
_WEIGHTS = _DENSITY / float(lane_sum(_DENSITY))


class Kernel(NamedTuple):
    """Second moments of each layer l = 1 ... L for three pairs of inputs, as in DISTANCES; arrays (L, 3)."""

    signal: Array  # E[z_l z_l']
    distance: Array  # E[(z_l - z_l')^2] / 2
    activation: Array  # E[a_(l-1) a_(l-1)']
    activation_distance: Array  # E[(a_(l-1) - a_(l-1)')^2] / 2
    gradient: Array  # sum over the units of the product of the derivatives of a logit by z_l


class Descent(NamedTuple):
    """What the first steps of gradient descent depend on, as in `diagnostics`."""

    sharpness: float
    centered_gradient: float  # its norm over the weights of all layers
    layer_gradients: list[float]  # the norm of the gradient of the weights of each layer, not centered


def pair_moments(activation: Activation, q: float, distance: Array) -> tuple[Array, Array]:
    """E[(phi(u) - phi(v))^2] / 2 and E[phi'(u) phi'(v)], each with the shape of `distance`, (pairs,).

    u and v are normal of variance q > 0, with E[(u - v)^2] / 2 = `distance`, from 0 to q; the first pair has 0. Error
    about 2 % at kinks, 5 % where a bounded phi is saturated and far less for smooth phi. The slopes are scaled so that
    E[phi'(u)^2] of the first pair is exact: in deep networks its powers count.
    """
    across = np.sqrt(0.5 * distance)[:, None, None] * _Y
    along = np.sqrt(q - 0.5 * distance)[:, None, None] * _X
    u, v = along + across, along - across
    a, b = np.asarray(activation.phi(u)), np.asarray(activation.phi(v))
    values = 0.5 * ((a - b) * (a - b)), np.asarray(activation.slope(u, a) * activation.slope(v, b))
    apart, slopes = (lane_sum(lane_sum(value) / 48.0 * _WEIGHTS) for value in values)
    exact = float(mean_squares(activation, np.asarray(q))[1])
    return apart, slopes * (exact / slopes[0]) if slopes[0] > 0.0 else slopes


@np.errstate(over="ignore", invalid="ignore")
def tangent_kernel(sigma_w2: Sequence[float], sigma_b2: Sequence[float], activations: Sequence[Activation]) -> Kernel:
    """The kernel of a network whose layers have fan_in Var(W_l) = sigma_w2 and Var(b_l) = sigma_b2.

    `activations` are those of the L - 1 hidden layers. Numbers beyond the range of doubles give inf or NaN.
    """
    below, apart = np.ones(3), DISTANCES
    forward, slopes = [], []
    for l, (weight, bias) in enumerate(zip(sigma_w2, sigma_b2, strict=True)):
        q, distance = weight * float(below[0]) + bias, weight * apart
        forward.append((q - distance, distance, below - apart, apart))
        if l < len(activations):
            square, steep = mean_squares(activations[l], np.asarray(q))
            below, apart, slope = np.full(3, float(square)), np.zeros(3), np.full(3, float(steep))
            if 0.0 < q < math.inf:
                apart, slope = pair_moments(activations[l], q, np.minimum(distance, q))
            slopes.append(slope)
    gradient = [np.ones(3)]
    for l in range(len(activations), 0, -1):
        gradient.insert(0, gradient[0] * (sigma_w2[l] * slopes[l - 1]))
    signal, distance, activation, activation_distance = (np.array(values) for values in zip(*forward, strict=True))
    return Kernel(signal, distance, activation, activation_distance, np.array(gradient))


@np.errstate(over="ignore", invalid="ignore")
def descent(kernel: Kernel, fan_in: Sequence[int], n_out: int) -> Descent:
    """The expected sharpness and centered gradient with N_SAMPLES inputs, for logits near 0.

    With one logit there are two classes, otherwise n_out. The largest eigenvalue of the kernel over the samples belongs
    to the direction that all share, and the gradient to the differences between classes and between single inputs. The
    mean residual, which the centered gradient is without, is that of independent signs.
    """
    n_classes, m = max(2, n_out), float(N_SAMPLES)
    inputs = np.array(fan_in, dtype=np.float64)[:, None]
    by_layer = kernel.gradient * kernel.activation * inputs
    whole = kernel.gradient + by_layer
    same, within, between = (float(lane_sum(pad(column))) for column in whole.T)
    curvature = 0.25 if n_out == 1 else 1.0 / n_classes
    sharpness = curvature * (between + (within - between) / n_classes + (same - within) / m)
    residual = 0.25 if n_out == 1 else 1.0 - 1.0 / n_classes  # the sum of squares over the logits
    own, of_class, others = by_layer.T
    of_classes = np.maximum(of_class - others, 0.0) / n_classes
    centered = residual * float(lane_sum(pad(of_classes + np.maximum(own - of_class, 0.0) / m)))
    squares = residual * (of_classes + own / m)
    norms = [math.sqrt(square) if square >= 0.0 else math.nan for square in [centered, *squares.tolist()]]
    return Descent(sharpness, norms[0], norms[1:])
