"""Initial parameters for tests, drawn by an initializer of a single layer."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.initializers.layerwise import Initializer
from pipeline.networks.parameters import Parameters


def initialize_parameters(init: Initializer, seed: int, layers_dims: Sequence[int]) -> Parameters:
    """One model: W (n_l, n_{l-1}) and b (n_l, 1) of each layer, drawn in order from one RandomState(seed)."""
    rng = np.random.RandomState(seed)
    parameters: Parameters = []
    for fan_in, fan_out in pairwise(layers_dims):
        drawn = init(rng, fan_out, fan_in)
        parameters.append(drawn if isinstance(drawn, tuple) else (drawn, np.zeros((fan_out, 1))))
    return parameters
