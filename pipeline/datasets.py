"""Data sets: X (n_0, m) with one sample per column, and Y (1, m) of class numbers.

Synthetic data sets are generated from a number of samples, a noise level and a seed. Real data sets are those included
in scikit-learn, split into a training and a test set; nothing is downloaded. No trigonometric function and no matrix
product of a library is used, so a data set has the same bits on every computer.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.numerics.elementary import circle
from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array, lane_sum, pad

INNER_RADIUS = 0.8  # the default of scikit-learn's `factor`, used in the tutorial
SPIRAL_TURNS = 1.5
SPIRAL_START = 0.1  # radius at the inner end; the outer radius is 1

Labelled = tuple[Array, Array]
Generator = Callable[[int, float, int], Labelled]
Split = Callable[[int, int, float, int, int], tuple[Labelled, Labelled]]


class DataSet(NamedTuple):
    """A source of training and test sets."""

    n_inputs: int
    n_classes: int
    n_samples: int | None  # available for training and test together; None: unlimited
    split: Split  # (n_train, n_test, noise, train_seed, test_seed) -> (X, Y), (X_test, Y_test)


def circles(n_samples: int, noise: float, seed: int) -> Labelled:
    """Two concentric circles: class 0 at radius 1, class 1 at radius 0.8, plus N(0, noise^2) on both axes.

    Equals scikit-learn's `make_circles(n_samples, noise=noise, random_state=seed)` up to rounding in the C library.
    """
    outer, inner = (np.stack(circle(np.arange(n) / n)) for n in _halves(n_samples))
    return _shuffle(outer, INNER_RADIUS * inner, noise, np.random.RandomState(seed))


def moons(n_samples: int, noise: float, seed: int) -> Labelled:
    """Two interleaved half circles of radius 1, plus N(0, noise^2) on both axes.

    Class 0 is (cos a, sin a) and class 1 (1 - cos a, 1/2 - sin a), with a evenly spaced from 0 to pi, inclusive.
    Equals scikit-learn's `make_moons(n_samples, noise=noise, random_state=seed)` up to rounding.
    """
    (x, y), (u, v) = (circle(_steps(n) * 0.5) for n in _halves(n_samples))
    return _shuffle(np.stack([x, y]), np.stack([1.0 - u, 1.0 - v - 0.5]), noise, np.random.RandomState(seed))


def xor(n_samples: int, noise: float, seed: int) -> Labelled:
    """Uniform points in the square [-1, 1)^2: class 1 where x1 x2 < 0, else class 0; plus N(0, noise^2) on both axes.

    The classes have equal probability, but in general not equal size.
    """
    rng = np.random.RandomState(seed)
    X = 2.0 * rng.random_sample((n_samples, 2)).T - 1.0
    Y = (X[:1] * X[1:] < 0.0).astype(np.float64)
    return _add_noise(X, noise, rng), Y


def spirals(n_samples: int, noise: float, seed: int) -> Labelled:
    """Two interleaved Archimedean spirals of 1.5 turns, plus N(0, noise^2) on both axes.

    Class 0 is r (cos a, sin a) with r = 0.1 + 0.3 a / pi and a evenly spaced from 0 to 3 pi, inclusive;
    class 1 is rotated by pi. Along a ray, neighbouring arms are 0.3 apart.
    """
    arms = []
    for n in _halves(n_samples):
        progress = _steps(n)
        turns = SPIRAL_TURNS * progress
        radius = SPIRAL_START + (1.0 - SPIRAL_START) * progress
        arms.append(radius * np.stack(circle(turns - np.floor(turns))))
    return _shuffle(arms[0], -arms[1], noise, np.random.RandomState(seed))


def gaussian_quantiles(n_samples: int, noise: float, seed: int) -> Labelled:
    """Points from N(0, I): class 0 is the half nearer to 0, class 1 the rest; plus N(0, noise^2) on both axes.

    Without noise it equals scikit-learn's `make_gaussian_quantiles(n_samples=n_samples, n_features=2, n_classes=2,
    random_state=seed)` up to rounding: `multivariate_normal` there multiplies `randn` by the singular vectors of the
    covariance, which are the identity.
    """
    rng = np.random.RandomState(seed)
    X = normal(rng, (n_samples, 2)).T
    X = X[:, np.argsort(X[0] * X[0] + X[1] * X[1], kind="stable")]
    n_near, _ = _halves(n_samples)
    return _shuffle(X[:, :n_near], X[:, n_near:], noise, rng)


def breast_cancer() -> Labelled:
    """UCI Breast Cancer Wisconsin (Diagnostic): 30 features of cell nuclei, unscaled; class 0 malignant, 1 benign.

    Street, Wolberg & Mangasarian 1993, as included in scikit-learn.
    """
    from sklearn.datasets import load_breast_cancer  # slow to import

    samples, classes = load_breast_cancer(return_X_y=True)
    return np.ascontiguousarray(samples.T), classes.astype(np.float64)[None, :]


def digits() -> Labelled:
    """UCI Optical Recognition of Handwritten Digits: 8 x 8 grey values in [0, 1]; the class is the digit.

    Alpaydin & Kaynak 1998; the part included in scikit-learn, which is UCI's test set. The integers from 0 to 16 are
    divided by 16, which is exact. `standardized_digits` of DATASETS has each pixel standardized.
    """
    from sklearn.datasets import load_digits  # slow to import

    samples, classes = load_digits(return_X_y=True)
    return np.ascontiguousarray(samples.T) / 16.0, classes.astype(np.float64)[None, :]


def standardize(X: Array, X_test: Array) -> tuple[Array, Array]:
    """X (n_0, m) and X_test standardized by the mean and standard deviation (divisor m) of each input in `X`.

    An input that is constant in `X` becomes 0 in both.
    """
    n = X.shape[1]
    mean = (lane_sum(pad(X)) / n)[:, None]
    centred = X - mean
    std = np.sqrt(lane_sum(pad(centred * centred)) / n)[:, None]
    constant = (X == X[:, :1]).all(axis=1, keepdims=True)  # rounding of its mean may make std nonzero
    std = np.where(constant, 1.0, std)
    return np.where(constant, 0.0, centred / std), np.where(constant, 0.0, (X_test - mean) / std)


def synthetic(draw: Generator) -> DataSet:
    """A data set of two classes in the plane, whose training and test sets are generated from separate seeds."""

    def split(n_train: int, n_test: int, noise: float, train_seed: int, test_seed: int) -> tuple[Labelled, Labelled]:
        return draw(n_train, noise, train_seed), draw(n_test, noise, test_seed)

    return DataSet(2, 2, None, split)


def real(read: Callable[[], Labelled], n_samples: int, n_inputs: int, n_classes: int, standardized: bool) -> DataSet:
    """A data set split from the samples returned by `read`: of a shuffle, first `n_train`, then `n_test` test samples.

    The shuffle depends only on `train_seed`, so training and test set are disjoint. Then N(0, noise^2) is added to
    every input, for the training set from the same stream and for the test set from `test_seed`, which has no other
    effect. `split` raises ValueError if n_train + n_test exceeds `n_samples`.
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
        X_train, X_test = standardize(*parts) if standardized else parts
        return (
            (_add_noise(X_train, noise, rng), Y[:, train]),
            (_add_noise(X_test, noise, np.random.RandomState(test_seed)), Y[:, test]),
        )

    return DataSet(n_inputs, n_classes, n_samples, split)


def _halves(n_samples: int) -> tuple[int, int]:
    """The sizes of class 0 and class 1; class 1 has one more if n_samples is odd."""
    return n_samples // 2, n_samples - n_samples // 2


def _steps(n: int) -> Array:
    """`n` evenly spaced numbers from 0 to 1 inclusive; 0 if n is 1."""
    return np.arange(n) / max(n - 1, 1)


def _add_noise(X: Array, noise: float, rng: np.random.RandomState) -> Array:
    """X (n_0, m) plus N(0, noise^2), drawn sample by sample."""
    return np.ascontiguousarray(X + normal(rng, X.T.shape).T * noise)


def _shuffle(X0: Array, X1: Array, noise: float, rng: np.random.RandomState) -> Labelled:
    """The points of both classes in random order, plus noise, drawn in the order of scikit-learn."""
    X = np.concatenate([X0, X1], axis=1)
    Y = np.concatenate([np.zeros(X0.shape[1]), np.ones(X1.shape[1])])
    order = np.arange(len(Y))
    rng.shuffle(order)
    return _add_noise(X[:, order], noise, rng), Y[order][None, :]


DATASETS: dict[str, DataSet] = {
    "circles": synthetic(circles),
    "moons": synthetic(moons),
    "xor": synthetic(xor),
    "spirals": synthetic(spirals),
    "gaussian_quantiles": synthetic(gaussian_quantiles),
    "breast_cancer": real(breast_cancer, n_samples=569, n_inputs=30, n_classes=2, standardized=True),
    "digits": real(digits, n_samples=1797, n_inputs=64, n_classes=10, standardized=False),
    "standardized_digits": real(digits, n_samples=1797, n_inputs=64, n_classes=10, standardized=True),
}
