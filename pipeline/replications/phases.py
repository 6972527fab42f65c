"""Trained networks at points of the phase diagram: weights and biases of chosen variances, and their accuracies."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from pipeline.cluster.connection import Workers
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, concatenate
from pipeline.numerics.sums import DOUBLE, Array, integer_sum
from pipeline.replications.trained import Speed, accuracies, drawn
from pipeline.theory.phase_diagram import Point, point
from pipeline.training import gradient_descent
from pipeline.training.executors import SLICES, n_cores

MODELS_BYTES = 2.5e8  # of the weights that are trained in one call
STANDARD = Recipe("mean_field_normal", {"weight_variance": 1.0, "bias_variance": 1.0})


class Variances(NamedTuple):
    """A point of the phase diagram: W ~ N(0, weight / fan_in), b ~ N(0, bias)."""

    weight: float  # sigma_w^2
    bias: float  # sigma_b^2


class Descent(NamedTuple):
    """The settings of training."""

    steps: int
    batch_size: int
    momentum: float


def theory_of(points: Sequence[Variances], phi: Activation) -> list[Point]:
    """Theory of wide layers with the activation phi at each point, computed by one thread per core."""
    with ThreadPoolExecutor(n_cores()) as threads:
        return list(threads.map(lambda each: point(phi, *each), points))


def depth_scales(phi: Activation, first: float, last: float, bias: float, n: int) -> Any:
    """The pandas table of the depth scale xi_c in layers at n evenly spaced sigma_w^2 and one sigma_b^2."""
    import pandas as pd

    line = np.linspace(first, last, n).tolist()
    return pd.DataFrame(
        {"sigma_w2": line, "xi_c": [at.xi_c for at in theory_of([Variances(w, bias) for w in line], phi)]}
    )


def n_agree(ratios: Sequence[float], is_trained: Sequence[bool], multiple: float) -> int:
    """The number of networks that are trained exactly if the ratio of depth and xi_c is at most `multiple`."""
    return integer_sum((ratio <= multiple) == trained for ratio, trained in zip(ratios, is_trained, strict=True))


def networks(points: Sequence[Variances], standard: Parameters) -> Parameters:
    """A stack of models, for each point one for each seed of `standard`, models whose variances are both 1.

    With one seed all points have the same draws, rescaled; they are those of the recipe `mean_field_normal` up to
    rounding.
    """
    return concatenate(
        [[(W * math.sqrt(point.weight), b * math.sqrt(point.bias)) for W, b in standard] for point in points]
    )


def trained_accuracies(
    points: Sequence[Variances],
    seeds: Sequence[int],
    spec: NetworkSpec,
    Y: Array,
    descent: Descent,
    rates: Sequence[float],
    workers: Workers,
    speed: Speed,
    advance: Callable[[int], object],
) -> Array:
    """The accuracy (rates, points, seeds) on the training samples spec.X, Y after training.

    The points are trained in groups, whose weights take MODELS_BYTES, or more if the workers need more models.
    """
    standard = drawn(STANDARD, seeds, spec)
    n_weights = gradient_descent.n_weights(standard)
    at_once = max(int(MODELS_BYTES / (DOUBLE * n_weights)), SLICES * workers.n_threads)
    size = max(1, at_once // len(seeds))
    found = []
    for start in range(0, len(points), size):
        group = points[start : start + size]
        models = networks(group, standard)
        of_rates = []
        for rate in rates:
            with speed.training(models, descent.steps * descent.batch_size):
                trained = gradient_descent.train(
                    models,
                    *(spec.X, Y, spec.activations),
                    learning_rate=rate,
                    momentum=descent.momentum,
                    batch_size=descent.batch_size,
                    record_at=[descent.steps],
                    seeds=list(seeds) * len(group),
                    executor=workers.executor,
                    n_workers=workers.n_threads,
                    memory=workers.memory,
                    progress=advance,
                )
            of_models = accuracies(trained.parameters, spec.X, Y, spec.activations)
            of_rates.append(of_models.reshape(len(group), len(seeds)))
        found.append(np.stack(of_rates))
    return np.concatenate(found, axis=1)
