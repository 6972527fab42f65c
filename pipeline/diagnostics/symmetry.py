"""Identical and similar units of a layer, for a stack of models as in `signals`, with the same bits everywhere."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.parameters import Parameters
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array

Counts = NDArray[np.int64]


class Symmetry(NamedTuple):
    """Numbers of distinct units of each layer and the similarity of their weights, each (models, L)."""

    unique_incoming: Counts  # distinct rows of [W b]
    unique_incoming_outgoing: (
        Counts  # distinct pairs of a row of [W b] and a column of the next W, the outgoing weights
    )
    largest_cosine: Array  # the largest |cosine| between two rows of W


def unique_rows(rows: Array) -> Counts:
    """The number (models,) of distinct rows of each matrix (models, n, k). A row with a nan equals no other."""
    plain = rows + 0.0  # without -0
    broken = np.asarray(np.isnan(rows).any(axis=2))
    counts = [
        len({row.tobytes() for row in plain[model][~broken[model]]}) + np.count_nonzero(broken[model])
        for model in range(len(rows))
    ]
    return np.array(counts, dtype=np.int64)


def unique_units(parameters: Parameters) -> Counts:
    """The smallest number (models,) of distinct units, rows of [W b], over the hidden layers.

    Hidden layers of one unit are left out; 0 if there is no other.
    """
    counts = [unique_rows(np.concatenate([W, b], axis=2)) for W, b in parameters[:-1] if W.shape[1] > 1]
    return np.min(counts, axis=0) if counts else np.zeros(len(parameters[0][0]), dtype=np.int64)


def symmetry(parameters: Parameters) -> Symmetry:
    """The numbers of distinct units and the largest cosines of all layers; the cosine is nan in a layer of one unit.

    Two units with identical incoming and outgoing weights have identical activations and gradients, so they remain
    identical during gradient descent, in every bit.
    """
    incoming = [np.concatenate([W, b], axis=2) for W, b in parameters]
    leaving = [*(W.swapaxes(1, 2) for W, _ in parameters[1:]), incoming[-1][:, :, :0]]
    both = [np.concatenate(rows, axis=2) for rows in zip(incoming, leaving, strict=True)]
    unique_incoming, unique_both = (
        np.stack([unique_rows(rows) for rows in layers], axis=1) for layers in (incoming, both)
    )
    with np.errstate(all="ignore"):
        cosines = np.stack([largest_cosine(W) for W, _ in parameters], axis=1)
    return Symmetry(unique_incoming, unique_both, cosines)


def largest_cosine(W: Array) -> Array:
    """The largest |cosine| (models,) between the incoming weights, without biases, of two units of W (models, n, k).

    Exactly 1 for identical units. Units whose weights are all 0 are left out; nan if fewer than two are left.
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
    return np.minimum(cosines, 1.0)  # rounding can give more
