"""The tutorial's network in plain NumPy: forward and backward propagation, cost, update, predictions.

This is the reference implementation: it follows the notation of the tutorial, and it fixes the order of all
operations, so `@`, `sum` and `mean` do not occur. A leading axis stacks models of equal layer sizes: W of layer l is
(models, n_l, n_{l-1}), b is (models, n_l, 1), and A and Z are (models, n_l, m) with one sample per column. Without that
axis it is the tutorial's network itself. The compiled `kernel` gives the same bits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.activations import Activation
from pipeline.networks.losses import (
    Loss,
    cross_entropy,
    cross_entropy_slope,
    exp_below,
    if_reached,
    larger,
    softmax_cross_entropy,
    softmax_cross_entropy_slope,
    squared_distance,
    squared_slope,
)
from pipeline.networks.parameters import Parameters
from pipeline.numerics.elementary import sigmoid
from pipeline.numerics.sums import Array, lane_sum, pad


class Samples(NamedTuple):
    """Samples, padded with samples of weight 0 to a multiple of eight."""

    X: Array  # (n_0, m)
    Y: Array  # (1, m), class numbers; for the squared loss (n_L, m), the target of each output
    weight: Array  # (m,), 1 / m for a sample and 0 for padding: the weighted sum is the mean


def samples(X: Array, Y: Array) -> Samples:
    """The padded samples of X (n_0, m) and Y (1, m), or (n_L, m) for the squared loss."""
    m = X.shape[1]
    return Samples(pad(X), pad(Y), pad(np.full(m, 1.0 / m)))


def product(W: Array, A: Array) -> Array:
    """W @ A, summed sequentially over the inputs."""
    Z = W[..., :, :1] * A[..., :1, :]
    for j in range(1, W.shape[-1]):
        Z = Z + W[..., :, j : j + 1] * A[..., j : j + 1, :]
    return Z


def forward_propagation(
    parameters: Parameters, X: Array, activations: Sequence[Activation]
) -> tuple[list[Array], list[Array]]:
    """[Z_1, ..., Z_L] and [A_0, ..., A_{L-1}]: A_0 = X, A_l = phi_l(Z_l) in hidden layers; Z_L are the logits."""
    Z: list[Array] = []
    A = [X]
    for l, (W, b) in enumerate(parameters):
        Z.append(product(W, A[l]) + b)
        if l < len(activations):
            A.append(activations[l].phi(Z[l]))
    return Z, A


class Softmax(NamedTuple):
    """The parts of a softmax over the classes, which are on the second-to-last axis."""

    top: Array  # the largest logit
    terms: Array  # e**(z - top) of each class
    total: Array  # their sum


def softmax(Z: Array) -> Softmax:
    """The softmax of logits Z (..., classes, m), maximum and sum taken sequentially over the classes."""
    n_classes = Z.shape[-2]
    top = Z[..., :1, :]
    for k in range(1, n_classes):
        top = larger(top, Z[..., k : k + 1, :])
    terms = exp_below(Z, top)
    total = terms[..., :1, :]
    for k in range(1, n_classes):
        total = total + terms[..., k : k + 1, :]
    return Softmax(top, terms, total)


def compute_cost(Z: Array, Y: Array, weight: Array, loss: Loss = Loss.CROSS_ENTROPY) -> Array:
    """The mean loss (models,) of the last layer's Z (models, n_L, m).

    The cross-entropy is in nats; Z has one row of logits, or one for each class if there are more than two.
    """
    if loss is Loss.SQUARED:
        squares = squared_distance(Z, Y)
        total = squares[..., :1, :]
        for k in range(1, Z.shape[-2]):
            total = total + squares[..., k : k + 1, :]
        return lane_sum(weight * (0.5 * total))[..., 0]
    if Z.shape[-2] == 1:
        return lane_sum(weight * cross_entropy(Z, Y))[..., 0]
    top, _, total = softmax(Z)
    own = Z[..., :1, :]
    for k in range(1, Z.shape[-2]):
        own = if_reached(Y, float(k), Z[..., k : k + 1, :], own)
    return lane_sum(weight * softmax_cross_entropy(total, top, own))[..., 0]


def cost_slope(Z: Array, Y: Array, loss: Loss = Loss.CROSS_ENTROPY) -> Array:
    """The derivative of each sample's loss with respect to the last layer's Z, with the shape of Z."""
    if loss is Loss.SQUARED:
        return np.asarray(squared_slope(Z, Y))
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
    loss: Loss = Loss.CROSS_ENTROPY,
) -> Parameters:
    """The gradients (dW, db) of the cost in every layer, from Z and A of `forward_propagation`."""
    gradients: Parameters = []
    dZ = cost_slope(Z[-1], Y, loss) * weight
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
    """The parameters after one step of gradient descent."""
    return [
        (W - learning_rate * dW, b - learning_rate * db) for (W, b), (dW, db) in zip(parameters, gradients, strict=True)
    ]


def require_targets(parameters: Parameters, batches: Sequence[Samples], loss: Loss) -> None:
    """Raise ValueError unless Y has one row of class numbers, or for the squared loss one row for each output."""
    n_rows = parameters[-1][0].shape[-2] if loss is Loss.SQUARED else 1
    for S in batches:
        if len(S.Y) != n_rows:
            raise ValueError(f"Y has {len(S.Y)} rows; the loss {loss.name} of this network needs {n_rows}")


def cost(
    parameters: Parameters, S: Samples, activations: Sequence[Activation], loss: Loss = Loss.CROSS_ENTROPY
) -> Array:
    """The mean loss (models,) of the samples; the cross-entropy is in nats."""
    require_targets(parameters, [S], loss)
    Z, _ = forward_propagation(parameters, S.X, activations)
    return compute_cost(Z[-1], S.Y, S.weight, loss)


class UpdateRule(NamedTuple):
    """The update rule: v = momentum v + gradient, W = W - learning_rate v (Polyak 1964; as in PyTorch's SGD)."""

    learning_rate: float
    momentum: float = 0.0


class Models(NamedTuple):
    """The state of training of a stack of models."""

    parameters: Parameters
    velocity: Parameters  # v of the update rule, initially zero; unused if momentum is 0


def at_rest(parameters: Parameters) -> Models:
    """The initial state of training: the parameters with zero velocity."""
    return Models(parameters, [(np.zeros_like(W), np.zeros_like(b)) for W, b in parameters])


def descend(
    models: Models,
    batches: Sequence[Samples],
    activations: Sequence[Activation],
    rule: UpdateRule,
    steps: int,
    loss: Loss = Loss.CROSS_ENTROPY,
) -> Models:
    """The models after `steps` steps of gradient descent; step k uses batch k modulo the number of batches."""
    require_targets(models.parameters, batches, loss)
    parameters, velocity = models
    for step in range(steps):
        X, Y, weight = batches[step % len(batches)]
        Z, A = forward_propagation(parameters, X, activations)
        gradients = backward_propagation(parameters, Z, A, Y, weight, activations, loss)
        if rule.momentum > 0.0:
            gradients = velocity = [
                (rule.momentum * vW + dW, rule.momentum * vb + db)
                for (vW, vb), (dW, db) in zip(velocity, gradients, strict=True)
            ]
        parameters = update_parameters(parameters, gradients, rule.learning_rate)
    return Models(parameters, velocity)


def predict(
    parameters: Parameters, X: Array, activations: Sequence[Activation], loss: Loss = Loss.CROSS_ENTROPY
) -> Array:
    """The probability of class 1 (models, 1, m), or of each class (models, classes, m) if there are more than two.

    For the squared loss, the outputs (models, n_L, m).
    """
    Z, _ = forward_propagation(parameters, X, activations)
    if loss is Loss.SQUARED:
        return Z[-1]
    if Z[-1].shape[-2] == 1:
        return np.asarray(sigmoid(Z[-1]))
    _, terms, total = softmax(Z[-1])
    return np.asarray(terms / total)


def classes(probability: Array) -> NDArray[np.int64]:
    """The predicted class (models, m): probability > 0.5 as in the tutorial, or the most probable class."""
    if probability.shape[-2] == 1:
        return (probability[..., 0, :] > 0.5).astype(np.int64)
    return np.asarray(np.argmax(probability, axis=-2))


def accuracy(probability: Array, Y: Array) -> Array:
    """The fraction (models,) of samples whose class is predicted correctly."""
    share: Array = np.count_nonzero(classes(probability) == Y[0], axis=-1) / Y.shape[-1]
    return share
