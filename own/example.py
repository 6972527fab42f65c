"""A worked example of an initializer of one's own."""

import math

import numpy as np

from pipeline.numerics.random import normal


def mirrored(rng: np.random.RandomState, fan_out: int, fan_in: int, *, scale: float = 2.0) -> np.ndarray:
    """W ~ N(0, scale / fan_in) in the first half of the units, and their mirror images, -W, in the second.

    Together a unit and its image tell relu(w x) + relu(-w x) = |w x|: no direction of the input is lost at birth.
    """
    half = normal(rng, (math.ceil(fan_out / 2), fan_in)) * math.sqrt(scale / fan_in)
    return np.concatenate([half, -half[: fan_out // 2]])
