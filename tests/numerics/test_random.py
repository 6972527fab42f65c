"""The draws against NumPy's own `randn` and `uniform`."""

import numpy as np
import pytest

from pipeline.numerics.random import PAIRS, normal, truncated_normal, uniform


@pytest.mark.parametrize(
    "shapes",
    [
        [(10, 2), (5, 10), (1, 5)],
        [(3, 3), (1,), (7, 1), (2, 2)],
        [(0,), (1,), (0,), (1,)],
        [(2 * PAIRS,), (1,), (2 * PAIRS + 2,), (4 * PAIRS + 1,), (1,)],
    ],
)
def test_is_randn_call_after_call(shapes: list[tuple[int, ...]]) -> None:
    ours, numpys = np.random.RandomState(3), np.random.RandomState(3)
    for shape in shapes:
        # NumPy's logarithm and ours are each within an ulp; near r**2 = 1 that grows to a few in the product
        np.testing.assert_array_max_ulp(normal(ours, shape), numpys.randn(*shape), maxulp=4)
    assert ours.random_sample() == numpys.random_sample()
    assert abs(ours.randn() - numpys.randn()) < 1e-14


def test_most_draws_are_bit_for_bit_randn() -> None:
    ours, numpys = normal(np.random.RandomState(1), (100_000,)), np.random.RandomState(1).randn(100_000)
    np.testing.assert_array_max_ulp(ours, numpys, maxulp=4)
    assert np.mean(ours == numpys) > 0.95


def test_a_spare_draw_left_by_numpy_comes_first() -> None:
    ours, numpys = np.random.RandomState(7), np.random.RandomState(7)
    ours.randn(3)
    numpys.randn(3)
    np.testing.assert_array_max_ulp(normal(ours, (4,)), numpys.randn(4), maxulp=4)


def test_same_seed_same_bytes() -> None:
    first, second = (normal(np.random.RandomState(5), (33, 3)).tobytes() for _ in range(2))
    assert first == second


def test_uniform_is_randomstates() -> None:
    ours, numpys = np.random.RandomState(3), np.random.RandomState(3)
    # C's compiler may round the product and the sum at once
    np.testing.assert_allclose(uniform(ours, (7, 5), -0.1, 0.3), numpys.uniform(-0.1, 0.3, (7, 5)), rtol=0, atol=6e-17)
    assert ours.random_sample() == numpys.random_sample()


def test_truncated_normal_draws_anew_what_lies_outside() -> None:
    ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
    expected = normal(theirs, (40, 6)).ravel()
    while len(outside := np.flatnonzero((expected < -1.0) | (expected > 0.5))):
        for place, value in zip(outside, normal(theirs, (len(outside),)), strict=True):
            expected[place] = value
    np.testing.assert_array_equal(truncated_normal(ours, (40, 6), -1.0, 0.5).ravel(), expected)
    assert ours.random_sample() == theirs.random_sample()


def test_truncated_normal_without_truncation_is_normal() -> None:
    one, other = truncated_normal(np.random.RandomState(5), (9,), -9.0, 9.0), normal(np.random.RandomState(5), (9,))
    np.testing.assert_array_equal(one, other)
