"""How alike the units of a layer are. Pure, for a stack of models as in `diagnostics`, and the same bits everywhere."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.parameters import Parameters
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array

Counts = NDArray[np.int64]


class Symmetry(NamedTuple):
    """How alike the units of a layer are, each (models, L)."""

    distinct: Counts  # different rows of [W b]
    told_apart: Counts  # different pairs of a row of [W b] and of what leaves the unit, a column of the next layer's W
    largest_cosine: Array  # of two rows of W


def distinct_rows(rows: Array) -> Counts:
    """The number of different rows of each matrix (models, n, k), (models,). A row with a nan equals no other."""
    plain = rows + 0.0  # without -0
    broken = np.asarray(np.isnan(rows).any(axis=2))
    counts = [
        len({row.tobytes() for row in plain[model][~broken[model]]}) + np.count_nonzero(broken[model])
        for model in range(len(rows))
    ]
    return np.array(counts, dtype=np.int64)


def distinct_units(parameters: Parameters) -> Counts:
    """The number of different units, rows of [W b], in the hidden layer that has fewest (models,).

    Hidden layers of a single unit do not count; 0 if there is no other.
    """
    counts = [distinct_rows(np.concatenate([W, b], axis=2)) for W, b in parameters[:-1] if W.shape[1] > 1]
    return np.min(counts, axis=0) if counts else np.zeros(len(parameters[0][0]), dtype=np.int64)


def symmetry(parameters: Parameters) -> Symmetry:
    """Of every layer. The cosine of a layer of one unit is nan.

    Two units that are not told apart have equal activations and equal gradients: gradient descent leaves them equal for
    ever, to the last bit.
    """
    incoming = [np.concatenate([W, b], axis=2) for W, b in parameters]
    leaving = [*(W.swapaxes(1, 2) for W, _ in parameters[1:]), incoming[-1][:, :, :0]]
    both = [np.concatenate(rows, axis=2) for rows in zip(incoming, leaving, strict=True)]
    distinct, told_apart = (np.stack([distinct_rows(rows) for rows in layers], axis=1) for layers in (incoming, both))
    with np.errstate(all="ignore"):
        cosines = np.stack([largest_cosine(W) for W, _ in parameters], axis=1)
    return Symmetry(distinct, told_apart, cosines)


def largest_cosine(W: Array) -> Array:
    """The largest |cosine| of the angle between the incoming weights, biases left out, of two units (models,).

    Exactly 1 for two units that are equal. Units whose weights are all 0 do not count; nan if less than two are left.
    """
    cosines: Array = np.full(len(W), np.nan)
    for model, every in enumerate(W):
        rows = every[every.any(axis=1)]
        if len(rows) > 1:
            rows = rows / np.abs(rows).max()  # so that no square overflows
            gram = product(rows[None], rows.T)[0].copy()
            squares = gram.diagonal().copy()
            np.fill_diagonal(gram, 0.0)
            cosines[model] = np.max(np.abs(gram) / np.sqrt(squares[:, None] * squares))
    return np.minimum(cosines, 1.0)  # a rounding may be beyond
