"""Measurements of trained models: columns of reports/runs.csv, and the table from which the remarks are made."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.diagnostics.signals import forward, weight_change
from pipeline.diagnostics.symmetry import unique_units
from pipeline.networks import kernel, reference
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, take
from pipeline.numerics.sums import Array

MEANINGS = {  # of the columns that `metrics` returns, with units
    "initial_cost": "cost before training, in nats",
    "final_cost": "cost after training, in nats",
    "train_accuracy": "share of the training samples that are classified correctly",
    "test_accuracy": "share of the test samples that are classified correctly",
    "weight_change": "largest absolute change of a weight or bias in training",
    "unique_units": "number of distinct units in the hidden layer that has fewest of them",
}


def metrics(
    initial: Parameters,
    final: Parameters,
    costs: Array,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    activations: Sequence[Activation],
) -> dict[str, NDArray[Any]]:
    """The columns of reports/runs.csv that are measured, one value per model of a stack.

    `initial` and `final` are the weights before and after training, `costs` (models, records) the recorded costs, and
    `train` and `test` X (n_0, m) and Y (1, m). The columns are those of MEANINGS.
    """

    def accuracy(X: Array, Y: Array) -> Array:
        return reference.accuracy(kernel.predict(final, X, activations), Y)

    with np.errstate(over="ignore", invalid="ignore"):  # the weights of a diverged model
        return {
            "initial_cost": costs[:, 0],
            "final_cost": costs[:, -1],
            "train_accuracy": accuracy(*train),
            "test_accuracy": accuracy(*test),
            "weight_change": weight_change(initial, final),
            "unique_units": unique_units(final),
        }


def outcomes(
    name: str,
    seeds: Sequence[int],
    initial: Parameters,
    final: Parameters,
    X: Array,
    activations: Sequence[Activation],
    blocked: Sequence[float],
) -> pd.DataFrame:
    """A table with one row per model of the initializer `name`.

    constant_output: whether the output is the same for every training sample, in every bit; output_class: the class
    predicted for the first of them. only_biases: whether, with such an output, something changed in training but no
    weight did. largest_weight: the largest |weight| after training. blocked: whether, before training, every sample is
    blocked by some hidden layer whose derivatives are all 0.

    `initial` and `final` are the stacks of models before and after training, X (n_0, m) the training inputs; `blocked`
    is the share of samples that are blocked, of each model.
    """
    change = weight_change(initial, final)
    rows = []
    for index, seed in enumerate(seeds):
        before, after = (take(stack, [index]) for stack in (initial, final))
        with np.errstate(all="ignore"):  # of a diverged model
            outputs = forward(after, X, activations)[0][-1]
            probability = reference.predict(after, X[:, :1], activations)
        constant = bool((outputs == outputs[..., :1]).all())
        same_weights = all(np.array_equal(W, W_0) for (W, _), (W_0, _) in zip(after, before, strict=True))
        rows.append(
            {
                "initializer": name,
                "seed": seed,
                "constant_output": constant,
                "output_class": int(reference.classes(probability)[0, 0]),
                "only_biases": constant and bool(change[index] > 0.0) and same_weights,
                "largest_weight": max(float(np.abs(W).max()) for W, _ in after),
                "blocked": blocked[index] == 1.0,
            }
        )
    return pd.DataFrame(rows)
