"""Initial parameters for tests, drawn by an initializer of a single layer, and the bits of parameters."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.initializers.registry import Initializer
from pipeline.networks.parameters import Parameters, stack


def initialize_parameters(init: Initializer, seed: int, layers_dims: Sequence[int]) -> Parameters:
    """One model: W (n_l, n_{l-1}) and b (n_l, 1) of each layer, drawn in order from one RandomState(seed)."""
    rng = np.random.RandomState(seed)
    parameters: Parameters = []
    for fan_in, fan_out in pairwise(layers_dims):
        drawn = init(rng, fan_out, fan_in)
        parameters.append(drawn if isinstance(drawn, tuple) else (drawn, np.zeros((fan_out, 1))))
    return parameters


def sample_models(
    init: Initializer, seeds: Sequence[int] = (3,), layers_dims: Sequence[int] = (2, 10, 5, 1)
) -> Parameters:
    """A stack of models, one per seed: W (models, n_l, n_{l-1}) and b (models, n_l, 1) of each layer.

    The seed and the network are the tutorial's unless given.
    """
    return stack([initialize_parameters(init, seed, layers_dims) for seed in seeds])


def bits(parameters: Parameters) -> list[bytes]:
    """The bytes of each weight matrix and bias."""
    return [array.tobytes() for layer in parameters for array in layer]
