"""The data sets: X (n_0, m), a sample a column, and Y (1, m) of class numbers.

The synthetic ones are drawn: so many samples, with so much noise, from a seed. The real ones are those that
scikit-learn carries along, and are split into two parts; nothing is downloaded. No sine, cosine or product of
matrices of a library comes near them, so a data set has the same bits on every computer.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.numerics.elementary import circle
from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array, lane_sum, pad

INNER_RADIUS = 0.8  # scikit-learn's `factor`, which the seed leaves at its default
SPIRAL_TURNS = 1.5
SPIRAL_START = 0.1  # radius at the inner end; that at the outer one is 1

Labelled = tuple[Array, Array]
Generator = Callable[[int, float, int], Labelled]
Split = Callable[[int, int, float, int, int], tuple[Labelled, Labelled]]


class DataSet(NamedTuple):
    """Where a training and a test set come from."""

    n_inputs: int
    n_classes: int
    n_samples: int | None  # all there are, for training and test together; None: as many as one asks for
    split: Split  # (n_train, n_test, noise, train_seed, test_seed) -> (X, Y), (X_test, Y_test)


def circles(n_samples: int, noise: float, seed: int) -> Labelled:
    """Two circles with centre 0: class 0 on radius 1, class 1 on radius 0.8, plus N(0, noise^2) on both axes.

    scikit-learn's `make_circles(n_samples, noise=noise, random_state=seed)`, point for point, but for the last bits,
    which there are the C library's.
    """
    outer, inner = (np.stack(circle(np.arange(n) / n)) for n in _halves(n_samples))
    return _shuffled(outer, INNER_RADIUS * inner, noise, np.random.RandomState(seed))


def moons(n_samples: int, noise: float, seed: int) -> Labelled:
    """Two interleaved half circles of radius 1, plus N(0, noise^2) on both axes.

    Class 0 is (cos a, sin a) and class 1 (1 - cos a, 1/2 - sin a), with a evenly from 0 to pi, both included.
    scikit-learn's `make_moons(n_samples, noise=noise, random_state=seed)`, but for the last bits.
    """
    (x, y), (u, v) = (circle(_steps(n) * 0.5) for n in _halves(n_samples))
    return _shuffled(np.stack([x, y]), np.stack([1.0 - u, 1.0 - v - 0.5]), noise, np.random.RandomState(seed))


def xor(n_samples: int, noise: float, seed: int) -> Labelled:
    """Uniform points of the square [-1, 1)^2: class 1 where x1 x2 < 0, else class 0; then N(0, noise^2) on both axes.

    The classes are equally likely, but not equally many.
    """
    rng = np.random.RandomState(seed)
    X = 2.0 * rng.random_sample((n_samples, 2)).T - 1.0
    Y = (X[:1] * X[1:] < 0.0).astype(np.float64)
    return _noisy(X, noise, rng), Y


def spirals(n_samples: int, noise: float, seed: int) -> Labelled:
    """Two interleaved Archimedean spirals of 1.5 turns, plus N(0, noise^2) on both axes.

    Class 0 is r (cos a, sin a) with r = 0.1 + 0.3 a / pi and a evenly from 0 to 3 pi, both included; class 1
    is the same turned by half a turn. Along a ray the arms are 0.3 apart.
    """
    arms = []
    for n in _halves(n_samples):
        progress = _steps(n)
        turns = SPIRAL_TURNS * progress
        radius = SPIRAL_START + (1.0 - SPIRAL_START) * progress
        arms.append(radius * np.stack(circle(turns - np.floor(turns))))
    return _shuffled(arms[0], -arms[1], noise, np.random.RandomState(seed))


def gaussian_quantiles(n_samples: int, noise: float, seed: int) -> Labelled:
    """Points of N(0, I): class 0 is the half nearer to 0, class 1 the rest; then N(0, noise^2) on both axes.

    Without noise, scikit-learn's `make_gaussian_quantiles(n_samples=n_samples, n_features=2, n_classes=2,
    random_state=seed)`, point for point, but for the last bits: its `multivariate_normal` multiplies `randn` by the
    singular vectors of the covariance, and those of the identity are the identity.
    """
    rng = np.random.RandomState(seed)
    X = normal(rng, (n_samples, 2)).T
    X = X[:, np.argsort(X[0] * X[0] + X[1] * X[1], kind="stable")]
    n_near, _ = _halves(n_samples)
    return _shuffled(X[:, :n_near], X[:, n_near:], noise, rng)


def breast_cancer() -> Labelled:
    """UCI Breast Cancer Wisconsin (Diagnostic): 30 measures of cell nuclei, as they are; class 0 malignant, 1 benign.

    Street, Wolberg & Mangasarian 1993, as scikit-learn ships it.
    """
    from sklearn.datasets import load_breast_cancer  # slow to import

    samples, classes = load_breast_cancer(return_X_y=True)
    return np.ascontiguousarray(samples.T), classes.astype(np.float64)[None, :]


def digits() -> Labelled:
    """UCI Optical Recognition of Handwritten Digits: 8 x 8 grey values in [0, 1]; the class is the digit.

    Alpaydin & Kaynak 1998; the part that scikit-learn ships, which is UCI's test set. The whole numbers from 0 to 16
    are divided by 16, which is exact, and not standardised.
    """
    from sklearn.datasets import load_digits  # slow to import

    samples, classes = load_digits(return_X_y=True)
    return np.ascontiguousarray(samples.T) / 16.0, classes.astype(np.float64)[None, :]


def standardised(X: Array, X_test: Array) -> tuple[Array, Array]:
    """Both less the mean of `X`, over its standard deviation (that of n, not n - 1), input by input.

    An input that is constant in `X` becomes 0 in both.
    """
    n = X.shape[1]
    mean = (lane_sum(pad(X)) / n)[:, None]
    centred = X - mean
    sd = np.sqrt(lane_sum(pad(centred * centred)) / n)[:, None]
    constant = (X == X[:, :1]).all(axis=1, keepdims=True)  # its computed mean may be a last bit off, and sd not 0
    sd = np.where(constant, 1.0, sd)
    return np.where(constant, 0.0, centred / sd), np.where(constant, 0.0, (X_test - mean) / sd)


def drawn(draw: Generator) -> DataSet:
    """Two classes in the plane: the training set is drawn from its seed, the test set from its own."""

    def split(n_train: int, n_test: int, noise: float, train_seed: int, test_seed: int) -> tuple[Labelled, Labelled]:
        return draw(n_train, noise, train_seed), draw(n_test, noise, test_seed)

    return DataSet(2, 2, None, split)


def collected(
    read: Callable[[], Labelled], n_samples: int, n_inputs: int, n_classes: int, standardise: bool
) -> DataSet:
    """Samples that `read` gives: the first `n_train` of a shuffle are the training set, the next `n_test` the test set.

    `train_seed` alone fixes the shuffle, so that the two never share a sample. Then N(0, noise^2) is added to
    every input: that of the training set drawn on from `train_seed`, that of the test set from `test_seed`, which
    has no other use.
    """

    def split(n_train: int, n_test: int, noise: float, train_seed: int, test_seed: int) -> tuple[Labelled, Labelled]:
        if n_train + n_test > n_samples:
            raise ValueError(
                f"n_train and n_test together must be at most {n_samples}, the samples of {read.__name__}, "
                f"not {n_train + n_test}"
            )
        X, Y = read()
        rng = np.random.RandomState(train_seed)
        order = rng.permutation(n_samples)
        train, test = order[:n_train], order[n_train : n_train + n_test]
        parts = X[:, train], X[:, test]
        X_train, X_test = standardised(*parts) if standardise else parts
        return (
            (_noisy(X_train, noise, rng), Y[:, train]),
            (_noisy(X_test, noise, np.random.RandomState(test_seed)), Y[:, test]),
        )

    return DataSet(n_inputs, n_classes, n_samples, split)


def _halves(n_samples: int) -> tuple[int, int]:
    """The samples of class 0 and of class 1, one more if they are odd."""
    return n_samples // 2, n_samples - n_samples // 2


def _steps(n: int) -> Array:
    """`n` numbers evenly from 0 to 1, both included; a single one is 0."""
    return np.arange(n) / max(n - 1, 1)


def _noisy(X: Array, noise: float, rng: np.random.RandomState) -> Array:
    """X plus N(0, noise^2), drawn sample after sample."""
    return np.ascontiguousarray(X + normal(rng, X.T.shape).T * noise)


def _shuffled(X0: Array, X1: Array, noise: float, rng: np.random.RandomState) -> Labelled:
    """The points of class 0 and of class 1 in a random order, plus noise; scikit-learn draws in this order too."""
    X = np.concatenate([X0, X1], axis=1)
    Y = np.concatenate([np.zeros(X0.shape[1]), np.ones(X1.shape[1])])
    order = np.arange(len(Y))
    rng.shuffle(order)
    return _noisy(X[:, order], noise, rng), Y[order][None, :]


DATASETS: dict[str, DataSet] = {
    "circles": drawn(circles),
    "moons": drawn(moons),
    "xor": drawn(xor),
    "spirals": drawn(spirals),
    "gaussian_quantiles": drawn(gaussian_quantiles),
    "breast_cancer": collected(breast_cancer, n_samples=569, n_inputs=30, n_classes=2, standardise=True),
    "digits": collected(digits, n_samples=1797, n_inputs=64, n_classes=10, standardise=False),
}
