"""Networks of a replication: drawn from recipes, and measured on all cores."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any, TypeVar

import numpy as np

from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, find, sample_parameters
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array
from pipeline.training.executors import n_cores
from pipeline.training.memory import require_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def network(recipe: Recipe, seed: int, spec: NetworkSpec, bias_std: float = 0.0) -> Parameters:
    """The model of `sample_parameters` as a stack of one, its biases increased by draws from N(0, bias_std^2).

    The biases are drawn from a stream of their own, RandomState([seed, 1]), so that the weights are those of `seed`.
    """
    require_memory(spec.layers_dims, 1)
    parameters = stack([sample_parameters(recipe, seed, spec)])
    rng = np.random.RandomState([seed, 1])
    return [(W, b + bias_std * normal(rng, b.shape)) if bias_std > 0.0 else (W, b) for W, b in parameters]


def small_networks(recipe: Recipe, rng: np.random.RandomState, n_networks: int, sizes: Sequence[int]) -> Parameters:
    """A stack of models of layer sizes n_0 ... n_L without biases, drawn layer by layer from one generator.

    W of all models of a layer is drawn as one matrix, which takes a fraction of the time of `network` for thousands of
    small networks. The recipe must be one for single layers with independent rows, whose law depends on fan_in only.
    """
    require_memory(sizes, n_networks)
    init = find(recipe.recipe)(**recipe.settings)
    parameters = []
    for fan_in, fan_out in pairwise(sizes):
        W = init(rng, n_networks * fan_out, fan_in) * recipe.gain
        parameters.append((W.reshape(n_networks, fan_out, fan_in), np.zeros((n_networks, fan_out, 1))))
    return parameters


def measured(work: Callable[[Item], Result], items: Sequence[Item], advance: Callable[[int], Any]) -> list[Result]:
    """[work(item) for item in items], computed by one thread per core; `advance(1)` is called for each result."""
    results = []
    with ThreadPoolExecutor(n_cores()) as threads:
        for result in threads.map(work, items):
            results.append(result)
            advance(1)
    return results


def measured_by_seed(
    work: Callable[[Item, int], Result], items: Sequence[Item], seeds: Sequence[int], advance: Callable[[int], Any]
) -> dict[Item, list[Result]]:
    """{item: [work(item, seed) for each seed]} for different items, computed as by `measured`."""
    pairs = [(item, seed) for item in items for seed in seeds]
    found = iter(measured(lambda pair: work(*pair), pairs, advance))
    return {item: list(islice(found, len(seeds))) for item in items}


def unit_columns(rng: np.random.RandomState, n: int, m: int) -> Array:
    """m independent directions as columns (n, m) of mean square 1."""
    X = normal(rng, (n, m))
    total = np.zeros(m)
    for row in X:
        total += row * row
    return np.asarray(X / np.sqrt(total / n))
