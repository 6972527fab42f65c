"""The tutorial's functions under its names and signatures, over the reference network.

Every code block of the tutorial runs if `init_utils` in its imports is replaced by `pipeline.tutorial`. Parameters are
dictionaries "W1", "b1", ..., "WL", "bL" with W of layer l (n_l, n_{l-1}) and b (n_l, 1); X is (n_0, m) with one sample
per column and Y is (1, m) of labels 0 and 1. Hidden layers are ReLU and the output is one sigmoid. The arithmetic is
that of `networks.reference`, so results have the same bits on every computer; `model` trains with the compiled kernel,
which has the bits of a loop over the functions here. Invalid arguments raise ValueError.
"""

from collections.abc import Callable, Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.datasets import circles
from pipeline.initializers import fan_scaling, fixed_scale
from pipeline.initializers.recipes import validate_layer
from pipeline.initializers.registry import Initializer
from pipeline.networks import activations, reference
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics import elementary
from pipeline.numerics.sums import Array, lane_sum, pad
from pipeline.training import gradient_descent

SEED = 3  # of the tutorial's weights
HIDDEN_SIZES = (10, 5)

Dictionary = dict[str, Array]
InitializeParameters = Callable[[Sequence[int]], Dictionary]


def load_dataset() -> tuple[Array, Array, Array, Array]:
    """train_X (2, 300), train_Y (1, 300), test_X (2, 100), test_Y (1, 100): two concentric circles, noise 0.05."""
    return *circles(300, 0.05, 1), *circles(100, 0.05, 2)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + e**-x) of every element."""
    result: Array = np.asarray(elementary.sigmoid(np.asarray(x, dtype=np.float64)))[()]
    return result


def relu(x: ArrayLike) -> Array:
    """max(0, x) of every element."""
    result: Array = np.asarray(activations.relu(np.asarray(x, dtype=np.float64)))[()]
    return result


def compute_loss(a3: Array, Y: Array) -> float:
    """The mean cross-entropy in nats of the probabilities a3 (1, m) of class 1.

    It is inf if a label has the probability 0 after rounding, as in the tutorial; `model` computes its costs from the
    logits, and they are finite.
    """
    probability = np.where(Y == 1.0, a3, 1.0 - a3)  # of the label
    if (probability == 0.0).any():
        return np.inf
    m = Y.shape[1]
    return float(lane_sum(pad(-elementary.log(probability) * (1.0 / m)))[0])


def forward_propagation(X: Array, parameters: Dictionary) -> tuple[Array, tuple[Array, ...]]:
    """The probabilities (1, m) of class 1, and the cache (z1, a1, W1, b1, z2, ..., bL) for `backward_propagation`."""
    layers = _layers(parameters, len(X))
    Z, A = reference.forward_propagation(layers, X, _relus(layers))
    A.append(sigmoid(Z[-1]))
    cache = chain.from_iterable((z, a, W, b) for z, a, (W, b) in zip(Z, A[1:], layers, strict=True))
    return A[-1], tuple(cache)


def backward_propagation(X: Array, Y: Array, cache: tuple[Array, ...]) -> Dictionary:
    """The gradients "dW1", "db1", ..., "dWL", "dbL" of the cost, with the shapes of the parameters."""
    X, Y = _samples(X, Y)
    layers = list(zip(cache[2::4], cache[3::4], strict=True))
    Z, A = [pad(z) for z in cache[0::4]], [pad(a) for a in (X, *cache[1:-4:4])]
    S = reference.samples(X, Y)
    gradients = reference.backward_propagation(layers, Z, A, S.Y, S.weight, _relus(layers))
    return {f"d{name}": value for name, value in _dictionary(gradients).items()}


def update_parameters(parameters: Dictionary, grads: Dictionary, learning_rate: float) -> Dictionary:
    """The parameters after one step of gradient descent, as a new dictionary."""
    return {name: value - learning_rate * grads[f"d{name}"] for name, value in parameters.items()}


def predict(X: Array, y: Array, parameters: Dictionary) -> NDArray[np.int64]:
    """The predicted classes (1, m): 1 where the output is above 0.5. Prints the fraction that equals the labels y."""
    X, y = _samples(X, y)
    probability, _ = forward_propagation(X, parameters)
    print(f"Accuracy: {float(reference.accuracy(probability, y))}")
    return reference.classes(probability)[None, :]


def initialize_parameters_zeros(layers_dims: Sequence[int]) -> Dictionary:
    """All weights and biases 0, for layers of the sizes n_0, ..., n_L."""
    return _draw(fixed_scale.zeros(), layers_dims)


def initialize_parameters_random(layers_dims: Sequence[int]) -> Dictionary:
    """Weights from N(0, 10^2) with seed 3, biases 0."""
    return _draw(fixed_scale.normal(std=10.0), layers_dims)


def initialize_parameters_he(layers_dims: Sequence[int]) -> Dictionary:
    """Weights from N(0, 2 / n_{l-1}) with seed 3, biases 0."""
    return _draw(fan_scaling.he_normal(), layers_dims)


INITIALIZATIONS: dict[str, InitializeParameters] = {
    "zeros": initialize_parameters_zeros,
    "random": initialize_parameters_random,
    "he": initialize_parameters_he,
}


def model(
    X: Array,
    Y: Array,
    learning_rate: float = 0.01,
    num_iterations: int = 15000,
    print_cost: bool = True,
    initialization: str | InitializeParameters = "he",
) -> Dictionary:
    """The parameters of the network n_0, 10, 5, 1 after full-batch gradient descent.

    `initialization` is "zeros", "random", "he", or a function from layer sizes to parameters. With `print_cost` the
    cost before every 1000th iteration is printed, in the tutorial's words "after iteration".
    """
    parameters, costs = train(X, Y, learning_rate, num_iterations, initialization)
    if print_cost:
        for iteration, cost in costs.items():
            if iteration < num_iterations:
                print(f"Cost after iteration {iteration}: {cost}")
    return parameters


def train(
    X: Array,
    Y: Array,
    learning_rate: float = 0.01,
    num_iterations: int = 15000,
    initialization: str | InitializeParameters = "he",
    record_every: int = 1000,
) -> tuple[Dictionary, dict[int, float]]:
    """The parameters as of `model`, and the costs in nats before iterations 0, `record_every`, ... and at the end."""
    X, Y = _samples(X, Y)
    if isinstance(initialization, str):
        if initialization not in INITIALIZATIONS:
            allowed = ", ".join(INITIALIZATIONS)
            raise ValueError(f"initialization is {initialization!r}; expected one of {allowed}, or a function")
        initialization = INITIALIZATIONS[initialization]
    for name, value, least in (("num_iterations", num_iterations, 0), ("record_every", record_every, 1)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} is {value!r}; expected a whole number of at least {least}")
    layers_dims = [len(X), *HIDDEN_SIZES, 1]
    layers = _layers(initialization(layers_dims), len(X))
    record_at = [*range(0, num_iterations, record_every), num_iterations]
    trained = gradient_descent.train(
        stack([layers]), X, Y, _relus(layers), learning_rate=learning_rate, record_at=record_at
    )
    parameters = _dictionary([(W[0], b[0]) for W, b in trained.parameters])
    return parameters, dict(zip(record_at, trained.costs[0].tolist(), strict=True))


def _draw(initializer: Initializer, layers_dims: Sequence[int]) -> Dictionary:
    """Parameters with weights drawn layer by layer from one stream of seed 3, and biases 0."""
    rng = np.random.RandomState(SEED)
    drawn = [(initializer(rng, fan_out, fan_in), fan_out, fan_in) for fan_in, fan_out in pairwise(layers_dims)]
    return _dictionary([validate_layer(*layer) for layer in drawn])


def _dictionary(layers: Parameters) -> Dictionary:
    """Layer by layer "W1", "b1", ..., "WL", "bL"."""
    return {f"{name}{l}": value for l, layer in enumerate(layers, 1) for name, value in zip("Wb", layer, strict=True)}


def _layers(parameters: Dictionary, n_inputs: int) -> Parameters:
    """The inverse of `_dictionary`. Raises ValueError unless names and shapes are those of a network of one output."""
    L = len(parameters) // 2
    names = [f"{name}{l}" for l in range(1, L + 1) for name in "Wb"]
    if L == 0 or set(names) != set(parameters):
        raise ValueError(f"parameters has the keys {', '.join(parameters) or 'none'}; expected W1, b1, ..., WL, bL")
    arrays = {name: np.asarray(parameters[name], dtype=np.float64) for name in names}
    n = n_inputs
    for l in range(1, L + 1):
        W, b = arrays[f"W{l}"], arrays[f"b{l}"]
        rows = 1 if l == L else len(W) if W.ndim else 0
        for name, value, shape in ((f"W{l}", W, (rows, n)), (f"b{l}", b, (rows, 1))):
            if value.shape != shape or rows == 0:
                raise ValueError(f"{name} has shape {value.shape}; expected {shape}")
        n = rows
    return [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, L + 1)]


def _samples(X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
    """X and Y as arrays of float64. Raises ValueError unless they are (n_0, m) and (1, m) of labels 0 and 1."""
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    if X.ndim != 2 or X.size == 0 or Y.shape != (1, X.shape[1]):
        raise ValueError(
            f"X has shape {X.shape} and Y {Y.shape}; expected (inputs, m) and (1, m), with one sample per column"
        )
    if not np.isin(Y, (0.0, 1.0)).all():
        raise ValueError("Y has labels other than 0 and 1")
    return X, Y


def _relus(layers: Parameters) -> list[Activation]:
    """The activations of the hidden layers."""
    return [ACTIVATIONS["relu"]] * (len(layers) - 1)
