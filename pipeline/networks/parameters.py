"""The parameters of a network or of a stack of networks: W and b of each layer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sums import Array

Parameters = list[tuple[Array, Array]]  # (W, b) of each layer


def with_perturbed_copies(parameters: Parameters) -> Parameters:
    """Every model of a stack, and after them all once more with each weight of W_1 a last bit larger.

    Trained alike they tell how reproducible a start is: what `weight_change` from a model to its twin has become.
    """
    (W, b), *others = parameters
    return concatenate([parameters, [(np.nextafter(W, np.inf), b), *others]])


def stack(models: Sequence[Parameters]) -> Parameters:
    """Models of the same layer sizes as one: W (models, n_l, n_{l-1}), b (models, n_l, 1)."""
    return [(np.stack([W for W, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*models, strict=True)]


def concatenate(stacks: Sequence[Parameters]) -> Parameters:
    """Several stacks of models of the same layer sizes as one."""
    layers = zip(*stacks, strict=True)
    return [(np.concatenate([W for W, _ in layer]), np.concatenate([b for _, b in layer])) for layer in layers]


def take(parameters: Parameters, places: Sequence[int] | NDArray[np.intp]) -> Parameters:
    """The models of a stack at these places, as a stack."""
    places = np.asarray(places, dtype=np.intp)
    return [(W[places], b[places]) for W, b in parameters]
