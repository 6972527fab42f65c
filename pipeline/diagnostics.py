"""What is measured of a stack of models, apart from cost and accuracy. Pure."""

import numpy as np
from numpy.typing import NDArray

from pipeline.initializers import Parameters
from pipeline.sums import Array


def weight_change(before: Parameters, after: Parameters) -> Array:
    """The largest |after - before| over all W and b of each model (models,); exactly 0 if nothing moved."""
    changes = [
        np.abs(new - old).max(axis=(-1, -2))
        for layer_before, layer_after in zip(before, after, strict=True)
        for old, new in zip(layer_before, layer_after, strict=True)
    ]
    largest: Array = np.max(changes, axis=0)
    return largest


def distinct_units(parameters: Parameters) -> NDArray[np.int64]:
    """The number of different units, rows of [W b], in the hidden layer that has fewest (models,).

    Hidden layers of a single unit do not count; 0 if there is no other.
    """
    n_models = len(parameters[0][0])
    counts = [
        [len(np.unique(np.concatenate([W[model], b[model]], axis=1), axis=0)) for model in range(n_models)]
        for W, b in parameters[:-1]
        if W.shape[1] > 1
    ]
    return np.min(counts, axis=0) if counts else np.zeros(n_models, dtype=np.int64)
