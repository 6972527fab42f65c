"""An example of a user-defined initializer."""

import math

import numpy as np

from pipeline.numerics.random import normal


def mirrored(rng: np.random.RandomState, fan_out: int, fan_in: int, *, scale: float = 2.0) -> np.ndarray:
    """W (fan_out, fan_in): W ~ N(0, scale / fan_in) in the first half of the rows, -W in the second.

    The outputs of such a pair of ReLU units add up to relu(w x) + relu(-w x) = |w x|, so that at initialization no
    direction of the input is lost.
    """
    half = normal(rng, (math.ceil(fan_out / 2), fan_in)) * math.sqrt(scale / fan_in)
    return np.concatenate([half, -half[: fan_out // 2]])
