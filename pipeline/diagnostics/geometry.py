"""Lengths of curves and angles between samples and between gradients, in stacks of models."""

from collections.abc import Sequence

import numpy as np

from pipeline.diagnostics.signals import column_squares, derivatives_by_Z
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array, lane_sum, pad


def curve_length(Z: Array) -> Array:
    """The length (models,) of the closed polygon whose corners are the columns of Z (models, n, m)."""
    sides = np.roll(Z, -1, axis=2) - Z
    return lane_sum(pad(np.sqrt(column_squares(sides))))


def cosines(Z: Array) -> Array:
    """The cosines (models, m, m) between the columns of Z (models, n, m); nan for a column of zeros."""
    size = np.sqrt(column_squares(Z))
    with np.errstate(invalid="ignore"):
        return np.asarray(product(Z.swapaxes(1, 2), Z) / (size[:, :, None] * size[:, None, :]))


def input_gradients(
    parameters: Parameters, Z: list[Array], A: list[Array], dZ_L: Array, activations: Sequence[Activation]
) -> Array:
    """The derivatives (models, n_0, m) by the inputs of a function of the outputs, from its derivative dZ_L by them.

    `Z` and `A` are returned by `signals.forward`; dZ_L is (models, n_L, m).
    """
    dZ = derivatives_by_Z(parameters, Z, A, dZ_L, activations)
    return product(parameters[0][0].swapaxes(1, 2), dZ[0])


def weight_gradient_square(dZ: Array, A: Array) -> Array:
    """The mean square (models,) of the gradient dZ A' of W, from dZ (models, n, m) and A (models, k, m).

    Computed as the sum of the products of the entries of dZ' dZ and A' A, which are smaller if there are fewer samples
    than units.
    """
    products = product(dZ.swapaxes(1, 2), dZ) * product(A.swapaxes(1, 2), A)
    return np.asarray(lane_sum(pad(lane_sum(pad(products)))) / (dZ.shape[1] * A.shape[1]))
