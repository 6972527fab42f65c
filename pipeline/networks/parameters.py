"""The parameters of a network or of a stack of networks of equal layer sizes: W and b of each layer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sums import Array

Parameters = list[tuple[Array, Array]]  # (W, b) of each layer


def with_perturbed_copies(parameters: Parameters) -> Parameters:
    """The models of a stack followed by perturbed copies of all, with every weight of W_1 increased by 1 ulp.

    Trained identically, the distance between a model and its copy shows how training amplifies rounding errors.
    """
    (W, b), *others = parameters
    return concatenate([parameters, [(np.nextafter(W, np.inf), b), *others]])


def stack(models: Sequence[Parameters]) -> Parameters:
    """Models of equal layer sizes as one stack: W (models, n_l, n_{l-1}), b (models, n_l, 1)."""
    return [(np.stack([W for W, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*models, strict=True)]


def concatenate(stacks: Sequence[Parameters]) -> Parameters:
    """Several stacks of models of equal layer sizes as one stack."""
    layers = zip(*stacks, strict=True)
    return [(np.concatenate([W for W, _ in layer]), np.concatenate([b for _, b in layer])) for layer in layers]


def take(parameters: Parameters, indices: Sequence[int] | NDArray[np.intp] | slice) -> Parameters:
    """The models of a stack at these indices, as a stack: copies, or views if `indices` is a slice."""
    chosen = indices if isinstance(indices, slice) else np.asarray(indices, dtype=np.intp)
    return [(W[chosen], b[chosen]) for W, b in parameters]
