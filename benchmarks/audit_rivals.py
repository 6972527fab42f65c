"""The checks of initial weights of two other tools, as their documentation and source describe them.

Amazon SageMaker Debugger, rule PoorWeightInitialization
(https://docs.aws.amazon.com/sagemaker/latest/dg/poor-weight-initialization.html): an alarm if the ratio between the
largest and the smallest variance of activation inputs of the layers exceeds `threshold`, 10 by default. The rule's two
other conditions, on gradients and on the decrease of the loss, need training steps.

TheDeepChecker (Braiek & Khomh 2023, Testing feedforward neural networks training programs, ACM TOSEM 32:4), the method
`PreCheck._pre_check_weights` of github.com/thedeepchecker/thedeepchecker at d0a2b3a: a weight array is poor if its
variance is at most 1e-8, or if the ratio of its variance to that of He (ReLU), of Glorot (tanh) or of any of LeCun, He
and Glorot (other activations) exceeds 2.70554, the larger of the two above the smaller.
"""

import math
from collections.abc import Callable

import numpy as np

from benchmarks.audit_networks import Matrix, Network, as_format

VARIANCES_RATIO = 10.0
F_CRITICAL = 2.70554
BATCH = 256
ACTIVATIONS: dict[str, Callable[[Matrix], Matrix]] = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
}


def stored(network: Network) -> list[tuple[Matrix, Matrix]]:
    """Weights (units, fan_in) and biases (units, 1) as they are stored, in double precision."""
    found = []
    for W, b in zip(network.weights, network.biases, strict=True):
        bias = np.zeros(len(W)) if b is None else b
        pair = (as_format(values, network.dtype).astype(np.float64) for values in (W, bias[:, None]))
        found.append(tuple(pair))
    return found  # type: ignore[return-value]


@np.errstate(all="ignore")
def sagemaker(network: Network) -> bool:
    """Whether the variances of pre-activations of hidden layers differ by more than a factor of 10 (inputs N(0, 1))."""
    parameters = stored(network)
    A = np.random.default_rng(0).normal(size=(parameters[0][0].shape[1], BATCH))
    variances = []
    for W, b in parameters[:-1]:
        Z = W @ A + b
        variances.append(np.var(Z))
        A = ACTIVATIONS[network.activation](Z)
    return bool(max(variances) / min(variances) > VARIANCES_RATIO)


@np.errstate(all="ignore")
def deep_checker(network: Network) -> bool:
    """Whether any weight array has a poor variance."""
    return any(_poor(W, network.activation) for W, _ in stored(network))


def _poor(W: Matrix, activation: str) -> bool:
    fan_out, fan_in = W.shape
    if W.size == 1:
        return False
    variance = np.std(W) ** 2
    if abs(variance) <= 1e-8:
        return True

    def fits(expected: float) -> bool:
        ratio = variance / expected if variance > expected else expected / variance
        return bool(ratio <= F_CRITICAL)

    lecun, he, glorot = fits(1 / fan_in), fits(2 / fan_in), fits(2 / (fan_in + fan_out))
    return not {"relu": he, "tanh": glorot, "sigmoid": lecun}.get(activation, lecun or he or glorot)
