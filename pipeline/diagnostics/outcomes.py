"""What trained models do, beyond their costs and accuracies: the measurements behind the remarks of comparison.md."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.diagnostics.signals import forward
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks import reference
from pipeline.networks.parameters import Parameters
from pipeline.numerics.elementary import log
from pipeline.numerics.sums import Array, integer_sum


class Classes(NamedTuple):
    """How often each class occurs among the training samples."""

    counts: list[int]  # of class 0, 1, ...

    @property
    def entropy(self) -> float:
        """In nats: the smallest cost of a network whose output is the same for every training sample."""
        m = integer_sum(self.counts)
        return -math.fsum(n / m * float(log(np.float64(n / m))) for n in self.counts if n)

    @property
    def balanced(self) -> bool:
        """Whether all classes occur equally often."""
        return len(set(self.counts)) == 1


def class_counts(Y: Array, n_classes: int) -> Classes:
    """Of the labels Y (1, m)."""
    return Classes(np.bincount(Y[0].astype(np.int64), minlength=n_classes).tolist())


def outcomes(
    name: str,
    recipe: Recipe,
    seeds: Sequence[int],
    trained: Parameters,
    known: NetworkSpec,
    weight_change: Sequence[float],
    blocked: Sequence[float],
) -> pd.DataFrame:
    """A table with one row per model of an initializer.

    constant_output: whether its output is the same for every training sample, in every bit; output_class: the class
    predicted for the first of them. only_biases: whether, with such an output, something changed in training but no
    weight did. largest_weight: the largest |weight| after training. blocked: whether, before training, every sample is
    blocked by some hidden layer whose derivatives are all 0.

    `trained` is the stack of models; `weight_change` and `blocked` are measured already: the largest change of a weight
    or bias of each model, and the share of samples that are blocked.
    """
    rows = []
    for index, seed in enumerate(seeds):
        model = [(W[index : index + 1], b[index : index + 1]) for W, b in trained]
        with np.errstate(all="ignore"):  # of a diverged model
            outputs = forward(model, known.X, known.activations)[0][-1]
            probability = reference.predict(model, known.X[:, :1], known.activations)
        constant = bool((outputs == outputs[..., :1]).all())
        rows.append(
            {
                "initializer": name,
                "seed": seed,
                "constant_output": constant,
                "output_class": int(reference.classes(probability)[0, 0]),
                "only_biases": constant and weight_change[index] > 0.0 and _same_weights(recipe, seed, known, model),
                "largest_weight": max(float(np.abs(W).max()) for W, _ in model),
                "blocked": blocked[index] == 1.0,
            }
        )
    return pd.DataFrame(rows)


def _same_weights(recipe: Recipe, seed: int, known: NetworkSpec, model: Parameters) -> bool:
    """Whether the weights of the only model in the stack `model` are those that it started from."""
    initial = sample_parameters(recipe, seed, known)
    return all(np.array_equal(W[0], W_0) for (W, _), (W_0, _) in zip(model, initial, strict=True))
