"""Histograms of pre-activations and activations with bins of a fixed relative width."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sums import Array

OCTAVES, STEPS = (-100, 60), 8  # of a histogram: from 2^-100 to 2^60, eight bins of equal width in each octave
Counts = NDArray[np.int64]


def histogram(values: Array) -> Counts:
    """The counts (models, bins) of values (models, n, m) between `bin_edges`; nan counts in the last bin."""
    low, high = OCTAVES
    last = (high - low) * STEPS + 1
    fraction, exponent = np.frexp(np.abs(values))  # exact: fraction is in [1/2, 1)
    finite = np.isfinite(values)
    steps = np.floor((np.where(finite, fraction, 0.5) - 0.5) * (2 * STEPS)).astype(np.int64)
    place = np.where(values == 0.0, 0, (exponent - 1 - low) * STEPS + steps + 1)
    place = np.where(finite, np.clip(place, 0, last), last)
    bins = np.where(values < 0.0, last - place, last + place).reshape(len(values), -1)
    n_bins = 2 * last + 1
    bins += n_bins * np.arange(len(values))[:, None]
    return np.asarray(np.bincount(bins.ravel(), minlength=n_bins * len(values)).reshape(-1, n_bins))


def bin_edges() -> Array:
    """The edges between the bins of a `histogram`, (bins - 1,), in ascending order.

    The middle bin has 0 and all |values| below 2^-100; the outer bins are unbounded. A bin of positive values includes
    its lower edge and excludes its upper one, and the reverse for negative values.
    """
    low, high = OCTAVES
    octaves = np.arange(low, high)[:, None]
    above = np.append(np.ldexp(1.0 + np.arange(STEPS) / STEPS, octaves).ravel(), math.ldexp(1.0, high))
    return np.concatenate([-above[::-1], above])


def _histograms(layers: Sequence[Array], n_models: int) -> Counts:
    counts = [histogram(values) for values in layers]
    return np.stack(counts, axis=1) if counts else np.zeros((n_models, 0, len(bin_edges()) + 1), dtype=np.int64)
