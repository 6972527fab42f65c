"""The network of the seed: forward and backward propagation, cost, update, predictions. Plain NumPy.

This is the reference: it can be read beside the seed, and it obeys the one order of operations that gives the same
bits everywhere, so `@`, `sum` and `mean` do not occur. The notation is the seed's. A leading axis stacks models of
the same layer sizes: W of layer l is (models, n_l, n_{l-1}), b (models, n_l, 1), and A and Z (models, n_l, m) hold
one sample a column. Without that axis it is the network of the seed itself. The compiled `kernel` gives equal bits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.activations import Activation
from pipeline.networks.losses import (
    cross_entropy,
    cross_entropy_slope,
    exp_below,
    if_reached,
    larger,
    softmax_cross_entropy,
    softmax_cross_entropy_slope,
)
from pipeline.networks.parameters import Parameters
from pipeline.numerics.elementary import sigmoid
from pipeline.numerics.sums import Array, lane_sum, pad


class Samples(NamedTuple):
    """Training samples, padded with samples of weight 0 to whole lanes."""

    X: Array  # (n_0, m)
    Y: Array  # (1, m), class numbers
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


class Softmax(NamedTuple):
    """The parts of a softmax over the classes, the second axis from the last."""

    top: Array  # the largest logit
    terms: Array  # e**(z - top) of each class
    total: Array  # their sum


def softmax(Z: Array) -> Softmax:
    """Taken over the classes one after another."""
    n_classes = Z.shape[-2]
    top = Z[..., :1, :]
    for k in range(1, n_classes):
        top = larger(top, Z[..., k : k + 1, :])
    terms = exp_below(Z, top)
    total = terms[..., :1, :]
    for k in range(1, n_classes):
        total = total + terms[..., k : k + 1, :]
    return Softmax(top, terms, total)


def compute_cost(Z: Array, Y: Array, weight: Array) -> Array:
    """The mean cross-entropy (models,) of the logits Z_L: one row for two classes, else a row a class."""
    if Z.shape[-2] == 1:
        return lane_sum(weight * cross_entropy(Z, Y))[..., 0]
    top, _, total = softmax(Z)
    own = Z[..., :1, :]
    for k in range(1, Z.shape[-2]):
        own = if_reached(Y, float(k), Z[..., k : k + 1, :], own)
    return lane_sum(weight * softmax_cross_entropy(total, top, own))[..., 0]


def cost_slope(Z: Array, Y: Array) -> Array:
    """The derivative of each sample's cross-entropy by its logits."""
    if Z.shape[-2] == 1:
        return np.asarray(cross_entropy_slope(Z, Y))
    _, terms, total = softmax(Z)
    classes = np.arange(float(Z.shape[-2]))[:, None]
    return np.asarray(softmax_cross_entropy_slope(terms, total, Y, classes))


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
    dZ = cost_slope(Z[-1], Y) * weight
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


class Rule(NamedTuple):
    """How gradients become steps: v = momentum v + gradient, W = W - learning_rate v (Polyak 1964; PyTorch's SGD)."""

    learning_rate: float
    momentum: float = 0.0


class Models(NamedTuple):
    """A stack of models on their way."""

    parameters: Parameters
    velocity: Parameters  # what momentum has gathered, zero at the start; not used without


def at_rest(parameters: Parameters) -> Models:
    """Models that have not moved."""
    return Models(parameters, [(np.zeros_like(W), np.zeros_like(b)) for W, b in parameters])


def descend(
    models: Models, batches: Sequence[Samples], activations: Sequence[Activation], rule: Rule, steps: int
) -> Models:
    """The models after so many steps of gradient descent, one on each batch in turn."""
    parameters, velocity = models
    for step in range(steps):
        X, Y, weight = batches[step % len(batches)]
        Z, A = forward_propagation(parameters, X, activations)
        gradients = backward_propagation(parameters, Z, A, Y, weight, activations)
        if rule.momentum > 0.0:
            gradients = velocity = [
                (rule.momentum * vW + dW, rule.momentum * vb + db)
                for (vW, vb), (dW, db) in zip(velocity, gradients, strict=True)
            ]
        parameters = update_parameters(parameters, gradients, rule.learning_rate)
    return Models(parameters, velocity)


def predict(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> Array:
    """The probability (models, 1, m) that each sample is of class 1, or (models, classes, m) of each class."""
    Z, _ = forward_propagation(parameters, X, activations)
    if Z[-1].shape[-2] == 1:
        return np.asarray(sigmoid(Z[-1]))
    _, terms, total = softmax(Z[-1])
    return np.asarray(terms / total)


def classes(probability: Array) -> NDArray[np.int64]:
    """The class (models, m) that is predicted: by the seed's `> 0.5`, or the most probable one."""
    if probability.shape[-2] == 1:
        return (probability[..., 0, :] > 0.5).astype(np.int64)
    return np.asarray(np.argmax(probability, axis=-2))


def accuracy(probability: Array, Y: Array) -> Array:
    """The share (models,) of samples predicted right."""
    share: Array = np.count_nonzero(classes(probability) == Y[0], axis=-1) / Y.shape[-1]
    return share
