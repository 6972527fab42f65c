"""The data sets: X (n_0, m), a sample a column, and Y (1, m) of 0 and 1."""

from collections.abc import Callable

import numpy as np

from pipeline.draws import normal
from pipeline.elementary import circle
from pipeline.sums import Array

INNER_RADIUS = 0.8  # scikit-learn's `factor`, which the seed leaves at its default


def circles(n_samples: int, noise: float, seed: int) -> tuple[Array, Array]:
    """Two circles with centre 0: class 0 on radius 1, class 1 on radius 0.8, plus N(0, noise^2) on both axes.

    scikit-learn's `make_circles(n_samples, noise=noise, random_state=seed)`, point for point, but for the last bits,
    which there are the C library's.
    """
    n_outer = n_samples // 2
    n_inner = n_samples - n_outer
    outer, inner = (np.stack(circle(np.arange(n) / n)) for n in (n_outer, n_inner))
    X = np.concatenate([outer, INNER_RADIUS * inner], axis=1)
    Y = np.concatenate([np.zeros(n_outer), np.ones(n_inner)])
    rng = np.random.RandomState(seed)
    order = np.arange(n_samples)
    rng.shuffle(order)
    X = X[:, order] + normal(rng, (n_samples, 2)).T * noise
    return np.ascontiguousarray(X), Y[order][None, :]


Generator = Callable[[int, float, int], tuple[Array, Array]]

DATASETS: dict[str, Generator] = {"circles": circles}
