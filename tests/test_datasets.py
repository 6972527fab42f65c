"""The data sets against scikit-learn's generators, their formulas and the files that they come from."""

import csv
import gzip
import hashlib
import math
import os
import subprocess
import sys
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_circles, make_gaussian_quantiles, make_moons

from pipeline.datasets import (
    DATASETS,
    Generator,
    breast_cancer,
    circles,
    digits,
    gaussian_quantiles,
    moons,
    spirals,
    standardize,
    xor,
)
from pipeline.numerics.random import normal

SYNTHETIC: list[Generator] = [circles, moons, xor, spirals, gaussian_quantiles]
REAL = {"breast_cancer": breast_cancer, "digits": digits, "standardized_digits": digits}
STANDARDIZED = ("breast_cancer", "standardized_digits")
SIZES = [(300, 0.05, 1), (100, 0.05, 2), (7, 0.2, 0), (1, 0.1, 4), (64, 0.0, 9)]


@pytest.mark.parametrize(("n", "noise", "seed"), SIZES)
def test_circles_are_scikit_learns(n: int, noise: float, seed: int) -> None:
    X, Y = circles(n, noise, seed)
    points, labels = make_circles(n, noise=noise, random_state=seed)
    # scikit-learn's angles run to 2 pi and carry half an ulp of that, 4.4e-16, at either end of the subtraction
    np.testing.assert_allclose(X.T, points, rtol=0, atol=2e-15)
    np.testing.assert_array_equal(Y[0], labels)


@pytest.mark.parametrize(("n", "noise", "seed"), SIZES)
def test_moons_are_scikit_learns(n: int, noise: float, seed: int) -> None:
    X, Y = moons(n, noise, seed)
    points, labels = make_moons(n, noise=noise, random_state=seed)
    # scikit-learn's angles run to pi: half an ulp, 2.2e-16, each of pi, the step and the product, and the last sum's
    np.testing.assert_allclose(X.T, points, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(Y[0], labels)


@pytest.mark.parametrize(("n", "seed"), [(300, 1), (101, 2), (7, 0), (2, 4)])
def test_gaussian_quantiles_are_scikit_learns(n: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    points, labels = make_gaussian_quantiles(n_samples=n, n_features=2, n_classes=2, random_state=rng)
    X, Y = gaussian_quantiles(n, 0.0, seed)
    np.testing.assert_array_max_ulp(X.T, points, maxulp=4)  # as normal draws and randn: test_draws.py
    np.testing.assert_array_equal(Y[0], labels)
    X, Y = gaussian_quantiles(n, 0.3, seed)
    # four ulp of numbers below 4, and of the noise
    np.testing.assert_allclose(X.T, points + 0.3 * rng.randn(n, 2), rtol=0, atol=4e-15)
    np.testing.assert_array_equal(Y[0], labels)


def test_mean_square_of_the_tutorials_points() -> None:
    """The mean |x|^2 of the training data, which fixes the scale of every first layer."""
    X, _ = circles(300, 0.05, 1)
    assert np.sum(X * X) / 300 == pytest.approx(0.830449, abs=5e-7)


@pytest.mark.parametrize("n", [1, 2, 300, 301])
@pytest.mark.parametrize("draw", SYNTHETIC)
def test_shapes_and_classes_of_the_synthetic(draw: Generator, n: int) -> None:
    X, Y = draw(n, 0.05, 3)
    assert (X.shape, Y.shape, X.dtype, Y.dtype) == ((2, n), (1, n), np.float64, np.float64)
    assert X.flags.c_contiguous
    assert set(Y[0]) <= {0.0, 1.0}
    if draw is xor:
        assert abs(np.sum(Y) - n / 2) <= 5 * math.sqrt(n) / 2  # five standard deviations of a fair coin
    else:
        assert np.sum(Y) == n - n // 2
    if n >= 300:
        assert len(set(Y[0, :30])) == 2  # shuffled: one class alone would come once in 2**29


@pytest.mark.parametrize("draw", SYNTHETIC)
def test_noise_is_normal_on_both_coordinates(draw: Generator) -> None:
    """It neither moves the points before it nor changes their classes."""
    n, noise = 20_000, 0.3
    (clean, Y), (X, Y_noisy) = draw(n, 0.0, 8), draw(n, noise, 8)
    np.testing.assert_array_equal(Y, Y_noisy)
    z = (X - clean) / noise
    # five standard errors: 1 / sqrt(n) of a mean and of a correlation, sqrt(2 / n) of a mean square
    np.testing.assert_allclose(np.mean(z, axis=1), 0, atol=5 / math.sqrt(n))
    np.testing.assert_allclose(np.mean(z * z, axis=1), 1, atol=5 * math.sqrt(2 / n))
    assert abs(np.mean(z[0] * z[1])) < 5 / math.sqrt(n)


@pytest.mark.parametrize("name", DATASETS)
def test_same_seeds_same_bytes(name: str) -> None:
    def content(train_seed: int, test_seed: int) -> list[list[bytes]]:
        parts = DATASETS[name].split(40, 30, 0.05, train_seed, test_seed)
        return [[array.tobytes() for array in part] for part in parts]

    first = content(5, 6)
    assert content(5, 6) == first
    other = content(5, 7)
    assert other[0] == first[0]
    assert other[1][0] != first[1][0]
    assert content(4, 6)[0][0] != first[0][0]


@pytest.mark.parametrize("draw", SYNTHETIC)
def test_the_synthetic_are_drawn_from_their_own_seeds(draw: Generator) -> None:
    data_set = DATASETS[draw.__name__]
    assert (data_set.n_inputs, data_set.n_classes, data_set.n_samples) == (2, 2, None)
    for part, (n, seed) in zip(data_set.split(30, 20, 0.1, 1, 2), [(30, 1), (20, 2)], strict=True):
        for ours, expected in zip(part, draw(n, 0.1, seed), strict=True):
            assert ours.tobytes() == expected.tobytes()


def test_every_set_is_tested() -> None:
    assert list(DATASETS) == [draw.__name__ for draw in SYNTHETIC] + list(REAL)


def test_xor_is_uniform_and_labelled_by_sign() -> None:
    n = 20_000
    X, Y = xor(n, 0.0, 1)
    for x1, x2, y in zip(*X, Y[0], strict=True):
        assert y == ((x1 > 0) != (x2 > 0))
    assert np.abs(X).max() <= 1
    quadrant = 2 * (X[0] > 0) + (X[1] > 0)
    # five standard deviations of a count of n draws with chance 1 / 4; five standard errors of the variance 1 / 3
    np.testing.assert_allclose(np.bincount(quadrant), n / 4, atol=5 * math.sqrt(n * 3 / 16))
    np.testing.assert_allclose(np.mean(X * X, axis=1), 1 / 3, atol=5 * math.sqrt(4 / 45 / n))
    X_noisy, Y_noisy = xor(n, 0.2, 1)
    assert np.mean((X_noisy[0] * X_noisy[1] < 0) != (Y_noisy[0] == 1)) > 0.1  # the label is of the point before


@pytest.mark.parametrize("n", [2, 7, 300, 301])
def test_spirals_are_archimedean_and_half_a_turn_apart(n: int) -> None:
    X, Y = spirals(n, 0.0, 2)
    for label, sign, count in ((0, 1, n // 2), (1, -1, n - n // 2)):
        arm = sign * X[:, Y[0] == label]
        arm = arm[:, np.argsort(np.hypot(*arm))]
        for i, (x, y) in enumerate(arm.T):
            angle = 3 * math.pi * i / max(count - 1, 1)
            r = 0.1 + 0.3 / math.pi * angle
            # the angle reaches 9.4 and is rounded to half an ulp, 8.9e-16, up to three times
            assert x == pytest.approx(r * math.cos(angle), abs=4e-15)
            assert y == pytest.approx(r * math.sin(angle), abs=4e-15)
    if n % 2 == 0:
        assert {(-x, -y) for x, y in X[:, Y[0] == 0].T} == {(x, y) for x, y in X[:, Y[0] == 1].T}


def test_gaussian_quantiles_are_the_inner_and_the_outer_half() -> None:
    n = 20_001
    X, Y = gaussian_quantiles(n, 0.0, 5)
    norms = np.hypot(*X)
    inner, outer = norms[Y[0] == 0], norms[Y[0] == 1]
    assert (len(inner), len(outer)) == (10_000, 10_001)
    assert inner.max() < outer.min()
    # the median of a norm is sqrt(2 ln 2); the standard error of a median is 1 / (2 f sqrt(n)), with density f there
    median = math.sqrt(2 * math.log(2))
    assert inner.max() == pytest.approx(median, abs=5 / (2 * median / 2 * math.sqrt(n)))


@pytest.mark.parametrize("name", REAL)
def test_the_real_have_the_sizes_that_they_state(name: str) -> None:
    X, Y = REAL[name]()
    data_set = DATASETS[name]
    assert (X.shape, Y.shape) == ((data_set.n_inputs, data_set.n_samples), (1, data_set.n_samples))
    assert (X.dtype, Y.dtype) == (np.float64, np.float64)
    assert set(Y[0]) == set(range(data_set.n_classes))
    assert len(np.unique(X.T, axis=0)) == data_set.n_samples  # no sample is there twice


def test_numbers_of_breast_cancer_are_those_of_its_file() -> None:
    """Every number is the double nearest to its text, so no processor can read another."""
    text = (resources.files("sklearn.datasets.data") / "breast_cancer.csv").read_text()
    _, *rows = csv.reader(text.splitlines())
    X, Y = breast_cancer()
    for row, x, y in zip(rows, X.T, Y[0], strict=True):
        assert int(row[-1]) == y
        for number, value in zip(row[:-1], x.tolist(), strict=True):
            assert value == float(number)
            assert abs(Fraction(number) - Fraction(value)) <= Fraction(math.ulp(value)) / 2
    assert np.bincount(Y[0].astype(int)).tolist() == [212, 357]  # malignant, benign


def test_numbers_of_digits_are_those_of_its_file() -> None:
    packed = (resources.files("sklearn.datasets.data") / "digits.csv.gz").read_bytes()
    rows = np.array([[int(number) for number in line.split(",")] for line in gzip.decompress(packed).decode().split()])
    X, Y = digits()
    np.testing.assert_array_equal(16 * X.T, rows[:, :-1])
    np.testing.assert_array_equal(Y[0], rows[:, -1])
    assert (X.min(), X.max()) == (0, 1)
    assert np.bincount(Y[0].astype(int)).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.mark.parametrize(("name", "n_train"), [("breast_cancer", 400), ("digits", 1200), ("standardized_digits", 1200)])
def test_training_and_test_set_are_disjoint_parts_of_one_shuffle(name: str, n_train: int) -> None:
    samples, classes = REAL[name]()
    n = samples.shape[1]
    (X, Y), (X_test, Y_test) = DATASETS[name].split(n_train, n - n_train, 0.0, 1, 2)
    assert (X.shape[1], Y.shape, X_test.shape[1], Y_test.shape) == (
        n_train,
        (1, n_train),
        n - n_train,
        (1, n - n_train),
    )
    order = np.random.RandomState(1).permutation(n)
    np.testing.assert_array_equal(np.concatenate([Y, Y_test], axis=1), classes[:, order])
    expected = samples[:, order]
    if name in STANDARDIZED:
        train = expected[:, :n_train]
        std = train.std(axis=1, keepdims=True)
        expected = (expected - train.mean(axis=1, keepdims=True)) / np.where(std == 0, 1, std)
        expected[std[:, 0] == 0] = 0  # pixels that are 0 in every training sample
    # sums of 400 numbers in another order: 400 half ulps, 1.1e-16 each, of means up to 10 deviations from 0; of rarely
    # lit pixels, up to 92 deviations from 0, as many of the value
    np.testing.assert_allclose(np.concatenate([X, X_test], axis=1), expected, rtol=1e-13, atol=4e-13)
    few = DATASETS[name].split(n_train, 5, 0.0, 1, 99)  # the first of the same; the seed of the test set moves nothing
    assert [part.tobytes() for part in few[1]] == [X_test[:, :5].tobytes(), Y_test[:, :5].tobytes()]
    assert few[0][0].tobytes() == X.tobytes()


@pytest.mark.parametrize("name", REAL)
def test_noise_on_the_real_is_drawn_from_both_seeds(name: str) -> None:
    n = DATASETS[name].n_inputs
    clean, noisy = (DATASETS[name].split(200, 100, noise, 3, 4) for noise in (0.0, 0.5))
    rng = np.random.RandomState(3)
    rng.permutation(DATASETS[name].n_samples)
    for (X, Y), (X_noisy, Y_noisy), z in zip(
        clean, noisy, (normal(rng, (200, n)), normal(np.random.RandomState(4), (100, n))), strict=True
    ):
        np.testing.assert_array_equal(X_noisy, X + 0.5 * z.T)
        np.testing.assert_array_equal(Y_noisy, Y)


@pytest.mark.parametrize("n_train", [7, 300, 569])
def test_training_inputs_have_mean_0_and_deviation_1(n_train: int) -> None:
    (X, _), _ = DATASETS["breast_cancer"].split(n_train, 0, 0.0, 1, 2)
    for x in X.tolist():
        # A lane adds an eighth of the numbers one after another: at most 569 / 8 + 4 half ulps, 1.1e-16 each, of a mean
        # up to 10 deviations from 0; of a deviation, the root of such a sum, half of that.
        mean = math.fsum(x) / n_train
        assert mean == pytest.approx(0, abs=1e-13)
        assert math.sqrt(math.fsum((a - mean) ** 2 for a in x) / n_train) == pytest.approx(1, abs=1e-14)


def test_standardising_is_the_fixed_order_of_sums() -> None:
    """Bit by bit what plain Python adds up in eight lanes and a tree, however the array lies in memory."""

    def total(x: list[float]) -> float:
        lanes = [0.0] * 8
        for i, a in enumerate(x):
            lanes[i % 8] += a
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [a + b for a, b in zip(lanes[:half], lanes[half:], strict=True)]
        return lanes[0]

    X = breast_cancer()[0][:, :301]
    expected = []
    for x in X.tolist():
        mean = total(x) / len(x)
        std = math.sqrt(total([(a - mean) * (a - mean) for a in x]) / len(x))
        expected.append([(a - mean) / std for a in x])
    for layout in (np.ascontiguousarray, np.asfortranarray):
        for part in standardize(layout(X), layout(X)):
            np.testing.assert_array_equal(part, expected)


def test_constant_inputs_become_0() -> None:
    X = np.array([[0.1] * 6, [0.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])  # six 0.1, added and divided, are not 0.1
    X_test = np.array([[0.1, 7.0], [0.0, 1.0], [3.5, 3.5]])
    train, test = standardize(X, X_test)
    assert (train[:2] == 0).all()
    assert (test == 0).all()
    assert (train[2] != 0).all()
    (X, _), (X_test, _) = DATASETS["breast_cancer"].split(1, 5, 0.0, 1, 2)
    assert (X == 0).all()
    assert (X_test == 0).all()


@pytest.mark.parametrize(("name", "n"), [("breast_cancer", 569), ("digits", 1797)])
def test_more_samples_than_there_are(name: str, n: int) -> None:
    (X, _), (X_test, _) = DATASETS[name].split(n - 200, 200, 0.0, 1, 2)
    assert X.shape[1] + X_test.shape[1] == n
    message = f"^n_train and n_test together must be at most {n}, the samples of {name}, not {n + 1}$"
    with pytest.raises(ValueError, match=message):
        DATASETS[name].split(n - 199, 200, 0.0, 1, 2)


def content() -> str:
    """A digest of all sets."""
    whole = hashlib.sha256()
    for data_set in DATASETS.values():
        for noise in (0.0, 0.05):
            for seed in range(5):
                for part in data_set.split(301, 100, noise, seed, seed + 100):
                    for array in part:
                        whole.update(array.astype("<f8").tobytes())
    return whole.hexdigest()


@pytest.mark.slow
def test_same_bits_on_another_processor() -> None:
    """Without fused multiply-add in the C library's sine and cosine, scikit-learn's circles and moons change."""
    imitation = {
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR X86_V3 X86_V4",
        "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from tests.test_datasets import content; print(content())"],
        cwd=Path(__file__).parents[1],
        env=os.environ | imitation,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == content()
