"""Gradient descent over a stack of models: full batch, a fixed learning rate, the cost recorded along the way."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline import network
from pipeline.activations import Activation
from pipeline.initializers import Parameters
from pipeline.sums import Array


class Trained(NamedTuple):
    """What training a stack of models leaves."""

    parameters: Parameters
    iterations: NDArray[np.int64]  # (records,): how many steps had been made when the cost was recorded
    costs: Array  # (models, records)


def recorded_iterations(iterations: int, record_every: int) -> NDArray[np.int64]:
    """0, record_every, 2 record_every, ... and `iterations`: before the first step, in between, after the last."""
    regular = np.arange(0, iterations, record_every, dtype=np.int64)
    return np.append(regular, np.int64(iterations))


def train(
    parameters: Parameters,
    X: Array,
    Y: Array,
    activations: Sequence[Activation],
    *,
    iterations: int,
    learning_rate: float,
    record_every: int,
    progress: Callable[[int], object] = lambda iteration: None,
) -> Trained:
    """Train the stack `parameters` on X (n_0, m), Y (1, m); the input is left as it was.

    A model's bits do not depend on the models beside it. `progress` is called with the number of steps made
    whenever the cost is recorded.
    """
    S = network.samples(X, Y)
    when = recorded_iterations(iterations, record_every)
    costs = np.empty((len(parameters[0][0]), len(when)))
    step = 0
    with np.errstate(over="ignore", invalid="ignore"):  # a model that diverges is a result: its costs say so
        for record, due in enumerate(when):
            while True:
                Z, A = network.forward_propagation(parameters, S.X, activations)
                if step == due:
                    break
                gradients = network.backward_propagation(parameters, Z, A, S.Y, S.weight, activations)
                parameters = network.update_parameters(parameters, gradients, learning_rate)
                step += 1
            costs[:, record] = network.compute_cost(Z[-1], S.Y, S.weight)
            progress(step)
    return Trained(parameters, when, costs)
