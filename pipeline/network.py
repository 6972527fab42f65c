"""The network of the seed: forward and backward propagation, cost, update, predictions. Plain NumPy.

This is the reference: it can be read beside the seed, and it obeys the one order of operations that gives the same
bits everywhere, so `@`, `sum` and `mean` do not occur. The notation is the seed's. A leading axis stacks models of
the same layer sizes: W of layer l is (models, n_l, n_{l-1}), b (models, n_l, 1), and A and Z (models, n_l, m) hold
one sample a column. Without that axis it is the network of the seed itself. The compiled `kernel` gives equal bits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.activations import Activation
from pipeline.elementary import sigmoid
from pipeline.initializers import Parameters
from pipeline.losses import cross_entropy, cross_entropy_slope
from pipeline.sums import Array, lane_sum, pad


class Samples(NamedTuple):
    """Training samples, padded with samples of weight 0 to whole lanes."""

    X: Array  # (n_0, m)
    Y: Array  # (1, m), 0 or 1
    weight: Array  # (m,), 1 / m for a sample and 0 for a pad: the weighted sum is the mean


def samples(X: Array, Y: Array) -> Samples:
    """X (n_0, m) and Y (1, m) made ready for training."""
    m = X.shape[1]
    return Samples(pad(X), pad(Y), pad(np.full(m, 1.0 / m)))


def product(W: Array, A: Array) -> Array:
    """W @ A, adding the inputs one after another."""
    Z = W[..., :, :1] * A[..., :1, :]
    for j in range(1, W.shape[-1]):
        Z = Z + W[..., :, j : j + 1] * A[..., j : j + 1, :]
    return Z


def forward_propagation(
    parameters: Parameters, X: Array, activations: Sequence[Activation]
) -> tuple[list[Array], list[Array]]:
    """Z_1 ... Z_L, and A_0 ... A_{L-1}: A_0 is X, and A_l = phi(Z_l) in each hidden layer l; Z_L are the logits."""
    Z: list[Array] = []
    A = [X]
    for l, (W, b) in enumerate(parameters):
        Z.append(product(W, A[l]) + b)
        if l < len(activations):
            A.append(activations[l].phi(Z[l]))
    return Z, A


def compute_cost(Z: Array, Y: Array, weight: Array) -> Array:
    """The mean binary cross-entropy (models,) of the logits Z_L."""
    return lane_sum(weight * cross_entropy(Z, Y))[..., 0]


def backward_propagation(
    parameters: Parameters,
    Z: list[Array],
    A: list[Array],
    Y: Array,
    weight: Array,
    activations: Sequence[Activation],
) -> Parameters:
    """The gradients (dW, db) of the cost in every layer, from the Z and A of forward_propagation."""
    gradients: Parameters = []
    dZ = cross_entropy_slope(Z[-1], Y) * weight
    for l in range(len(parameters) - 1, -1, -1):
        dW = lane_sum(dZ[..., :, None, :] * A[l][..., None, :, :])
        db = lane_sum(dZ)[..., None]
        gradients.insert(0, (dW, db))
        if l > 0:
            W, _ = parameters[l]
            dA = product(W.swapaxes(-1, -2), dZ)
            dZ = dA * activations[l - 1].slope(Z[l - 1], A[l])
    return gradients


def update_parameters(parameters: Parameters, gradients: Parameters, learning_rate: float) -> Parameters:
    """One step of gradient descent."""
    return [
        (W - learning_rate * dW, b - learning_rate * db) for (W, b), (dW, db) in zip(parameters, gradients, strict=True)
    ]


def cost(parameters: Parameters, S: Samples, activations: Sequence[Activation]) -> Array:
    """The cost (models,) on the samples."""
    Z, _ = forward_propagation(parameters, S.X, activations)
    return compute_cost(Z[-1], S.Y, S.weight)


def descend(
    parameters: Parameters, S: Samples, activations: Sequence[Activation], learning_rate: float, steps: int
) -> Parameters:
    """The parameters after so many steps of full-batch gradient descent."""
    for _ in range(steps):
        Z, A = forward_propagation(parameters, S.X, activations)
        gradients = backward_propagation(parameters, Z, A, S.Y, S.weight, activations)
        parameters = update_parameters(parameters, gradients, learning_rate)
    return parameters


def predict(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> Array:
    """The probability (models, 1, m) that each sample is of class 1; the seed's prediction is `> 0.5`."""
    Z, _ = forward_propagation(parameters, X, activations)
    probability: Array = sigmoid(Z[-1])
    return probability


def accuracy(probability: Array, Y: Array) -> Array:
    """The share (models,) of samples predicted right."""
    right = (probability > 0.5) == (Y > 0.5)
    share: Array = np.count_nonzero(right, axis=(-1, -2)) / Y.shape[-1]
    return share
