"""The draws against NumPy's own `randn` and `uniform`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.numerics import random
from pipeline.numerics.random import COMPILED, PAIRS, compiled_pairs, normal, normal_pairs, truncated_normal, uniform


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


def test_draws_without_numba_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of PAIRS; the last one is smaller, and one value of a pair remains in the generator."""
    shape = (5 * PAIRS + 1,)
    expected = normal(np.random.RandomState(1), shape)
    monkeypatch.setattr(random, "has_compiler", lambda: False)
    monkeypatch.setattr(random, "compiled_pairs", None)
    assert normal(np.random.RandomState(1), shape).tobytes() == expected.tobytes()


def test_truncated_normal_without_truncation_is_normal() -> None:
    one, other = truncated_normal(np.random.RandomState(5), (9,), -9.0, 9.0), normal(np.random.RandomState(5), (9,))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n_pairs", [1, 63, 64, 65, COMPILED, PAIRS, PAIRS + 1, 3 * PAIRS - 1])
def test_compiled_draws_have_the_bits_of_numpy(n_pairs: int) -> None:
    ours, numpys = np.random.RandomState(n_pairs), np.random.RandomState(n_pairs)
    drawn, expected = np.zeros(2 * n_pairs + 1), np.zeros(2 * n_pairs)
    compiled_pairs(ours, drawn[:-1])
    normal_pairs(numpys, expected)
    assert drawn[:-1].tobytes() == expected.tobytes()
    assert drawn[-1] == 0.0  # nothing is written behind the array
    assert ours.random_sample() == numpys.random_sample()


class Points:
    """A generator of given points, which are uniform in (0, 1)."""

    def __init__(self, *points: float) -> None:
        self.points = list(points)

    def random_sample(self, shape: int | tuple[int, int]) -> np.ndarray:
        n = math.prod(np.atleast_1d(shape))
        drawn, self.points = self.points[:n], self.points[n:]
        return np.array(drawn).reshape(shape)


@pytest.mark.parametrize("fill", [normal_pairs, compiled_pairs])
def test_centre_and_edge_of_the_disc_are_drawn_anew(fill: Callable[..., None]) -> None:
    rng: Any = Points(0.5, 0.5, 1.0, 0.5, 0.75, 0.5)  # the points (0, 0), (1, 0) and (1/2, 0)
    drawn = np.empty(2)
    fill(rng, drawn)
    np.testing.assert_allclose(drawn, [0.0, math.sqrt(-2.0 * math.log(0.25))], rtol=1e-15)
    assert not rng.points
