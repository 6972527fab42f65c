"""Trained networks of a replication: drawn from recipes, their accuracies on all cores, and the speed of training."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pipeline.config.schema import Data, Training
from pipeline.datasets import DATASETS
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks import kernel, reference
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, stack, take
from pipeline.numerics.sums import Array
from pipeline.training import gradient_descent
from pipeline.training.executors import SLICES, n_cores
from pipeline.training.memory import require_memory

PEAK = 1e11  # floating-point operations per second of one core


def training_set(data: Data) -> tuple[Array, Array]:
    """X (n_0, m) and the class numbers Y (1, m) of the training samples."""
    train, _ = DATASETS[data.name].split(data.n_train, data.n_test, data.noise, data.train_seed, data.test_seed)
    return train


def deep(data: Data, depth: int, width: int, activation: Activation, X: Array) -> NetworkSpec:
    """A classifier with `depth` layers of weights, all hidden layers of one width."""
    outputs = 1 if data.n_classes == 2 else data.n_classes
    return NetworkSpec([data.n_inputs, *[width] * (depth - 1), outputs], [activation] * (depth - 1), X)


def drawn(recipe: Recipe, seeds: Sequence[int], spec: NetworkSpec) -> Parameters:
    """A stack of models, one for each seed."""
    require_memory(spec.layers_dims, len(seeds))
    with ThreadPoolExecutor(n_cores()) as threads:
        return stack(list(threads.map(lambda seed: sample_parameters(recipe, seed, spec), seeds)))


def accuracies(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> Array:
    """The share (models,) of the samples whose class is predicted correctly, computed by one thread per core."""
    n_models = len(parameters[0][0])
    size = -(-n_models // (SLICES * n_cores()))

    def part(start: int) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):  # the weights of a diverged model
            chosen = take(parameters, slice(start, start + size))
            return reference.accuracy(kernel.predict(chosen, X, activations), Y)

    with ThreadPoolExecutor(n_cores()) as threads:
        return np.concatenate(list(threads.map(part, range(0, n_models, size))))


class Speed:
    """The arithmetic of training and the time that it took."""

    def __init__(self) -> None:
        self.flops = self.seconds = 0.0

    @contextlib.contextmanager
    def training(self, parameters: Parameters, n_samples: int) -> Iterator[None]:
        """Count six operations for each weight and sample, and the time of the block."""
        start = time.monotonic()
        yield
        self.seconds += time.monotonic() - start
        for W, _ in parameters:
            self.flops += 6.0 * W.size * n_samples

    def report(self, n_cores: int) -> None:
        """Print both on stderr, and the share of the arithmetic limit of `n_cores` cores."""
        share = self.flops / (self.seconds * PEAK * n_cores)
        print(
            f"Training: {self.flops / 1e9:,.0f} Gflop of matrix products in {self.seconds:.1f} s, {share:.0%} of "
            f"{n_cores} cores at {PEAK / 1e9:.0f} Gflop/s.",
            file=sys.stderr,
        )


def costs_of_training(
    models: Parameters,
    X: Array,
    Y: Array,
    activations: Sequence[Activation],
    settings: Training,
    record_at: Sequence[int],
    seeds: Sequence[int],
    speed: Speed,
    advance: Callable[[int], object],
) -> Array:
    """The costs (models, records) of a stack of models trained on X, Y by the section `training`, in nats.

    The cost of a model that diverged is infinite.
    """
    with speed.training(models, settings.iterations * (settings.samples_per_step or Y.shape[1])):
        costs = gradient_descent.train(
            models,
            *(X, Y, activations),
            learning_rate=settings.learning_rate,
            momentum=settings.momentum,
            batch_size=settings.samples_per_step,
            record_at=record_at,
            seeds=seeds,
            progress=advance,
        ).costs
    return np.where(np.isnan(costs), np.inf, costs)


def cost_table(costs: Sequence[Sequence[float]], settings: Any, when: Sequence[int], **labels: Any) -> Any:
    """The pandas table of costs (models, records) at the steps `when`, with labels in the first columns.

    The other columns are the seed, the epoch, which is the number of steps over that of one pass through the training
    samples, and the cost in nats. `settings` has the sections data, training and seeds.
    """
    import pandas as pd

    per_epoch = -(-settings.data.n_train // (settings.training.samples_per_step or settings.data.n_train))
    epochs = [step / per_epoch for step in when]
    parts = [
        pd.DataFrame({**labels, "seed": seed, "epoch": epochs, "cost": row})
        for seed, row in zip(settings.seeds, costs, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
