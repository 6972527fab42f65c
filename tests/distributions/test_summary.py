"""The statistics of a matrix against NumPy in extended precision, and cosines and singular values against LAPACK."""

import math
from typing import Any

import numpy as np
import pytest

from pipeline.distributions import summary as module
from pipeline.distributions.dependence import largest_cosine, largest_singular_value
from pipeline.distributions.summary import summarize
from tests.weights import bfloat16, draws

RNG = np.random.default_rng(14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (37, 53), (64, 32)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_summary(shape: tuple[int, int], order: Any) -> None:
    W = np.array(draws("normal", shape, RNG) + 0.1, dtype=np.float32, order=order)
    found = summarize(W, "float32")
    exact = W.astype(np.longdouble)
    rounding = {"rel_tol": 1e-14}  # a few additions of doubles in another order
    for value, wanted in (
        (found.squares, (exact**2).sum()),
        (found.fourth, (exact**4).sum()),
        (found.sixth, (exact**6).sum()),
    ):
        assert math.isclose(value, float(wanted), **rounding)
    assert abs(found.total - float(exact.sum())) <= 1e-14 * float(np.abs(exact).sum())
    assert (found.low, found.high) == (W.min(), W.max())
    assert (found.units, found.fan_in, found.n) == (*shape, W.size)
    assert np.allclose(found.unit_squares, (exact**2).sum(axis=1).astype(float), rtol=1e-14)
    assert np.allclose(found.input_squares, (exact**2).sum(axis=0).astype(float), rtol=1e-14)
    assert np.allclose(found.unit_totals, exact.sum(axis=1).astype(float), rtol=1e-9, atol=1e-13)
    assert np.allclose(found.input_totals, exact.sum(axis=0).astype(float), rtol=1e-9, atol=1e-13)
    assert (found.sample == np.sort(W, axis=None)).all()


def test_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    W = draws("normal", (50, 40), RNG)
    whole = summarize(W, "float64")
    monkeypatch.setattr(module, "PIECE", 130)
    parts = summarize(W, "float64")
    assert (parts.unit_squares == whole.unit_squares).all()
    assert np.allclose(parts.input_squares, whole.input_squares, rtol=1e-14)
    assert (parts.sample == whole.sample).all()
    monkeypatch.setattr(module, "SAMPLE", 100)
    assert (summarize(W, "float64").sample == np.sort(W.reshape(-1)[::21])).all()  # 20 divides both sizes, 21 neither


def test_values_that_are_not_finite_are_counted() -> None:
    W = draws("normal", (5, 6), RNG)
    W[1, 2], W[3, 3], W[0, 0], W[4, 4] = np.nan, np.inf, -np.inf, 0.0
    found = summarize(W, "float64")
    assert (found.non_finite, found.zeros) == (3, 4)  # they count as 0 in what is not defined


def test_half_spacing() -> None:
    x = np.array([1.0, 1.5, 2.0, 0.75, 0.0])
    for dtype in (np.float16, np.float32):
        found = summarize(np.ones((1, 1), dtype), np.dtype(dtype).name).half_spacing(x)
        assert (found == np.spacing(x.astype(dtype)).astype(float) / 2).all()
    assert summarize(np.ones((1, 1)), "bfloat16").half_spacing(1.0) == 2.0**-8  # 8 bits: 1, 1 + 2^-7, ...
    assert bfloat16([1.0 + 2.0**-8 + 1e-6])[0] == 1.0 + 2.0**-7


@pytest.mark.parametrize("shape", [(2, 3), (30, 8), (8, 30), (600, 20)])
def test_largest_cosine(shape: tuple[int, int]) -> None:
    W = draws("normal", shape, RNG)
    R = W / np.sqrt((W * W).sum(axis=1, keepdims=True))
    cosines = np.abs(np.triu(R @ R.T, 1))
    pair = largest_cosine(W)
    assert (pair.first, pair.second) == np.unravel_index(cosines.argmax(), cosines.shape)
    assert abs(pair.cosine - cosines.max()) < 1e-11
    assert pair.n_pairs == shape[0] * (shape[0] - 1) // 2


def test_rows_of_zeros_orthogonal_rows_and_single_rows_have_no_large_cosine() -> None:
    assert largest_cosine(np.zeros((5, 4))).n_pairs == 0
    assert largest_cosine(np.ones((1, 4))).n_pairs == 0
    assert largest_cosine(np.eye(70)).cosine == 0.0
    W = np.eye(6)
    W[2] = 0.0
    assert largest_cosine(W).n_pairs == 10
    W[5] = -1e-150 * W[1]  # whose square is beyond the smallest number
    assert largest_cosine(W)[:3] == (1.0, 1, 5)


def test_of_many_rows_some_are_compared() -> None:
    W = draws("normal", (3000, 4), RNG)
    pair = largest_cosine(W)
    assert pair.n_pairs == 1024 * 1023 // 2
    assert {pair.first, pair.second} <= {k * 3000 // 1024 for k in range(1024)}


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (1, 5), (5, 1)])
def test_largest_singular_value(shape: tuple[int, int]) -> None:
    W = draws("normal", shape, RNG)
    exact = np.linalg.svd(W, compute_uv=False)[0]
    found, rows, columns = largest_singular_value(W)
    assert (rows, columns) == shape
    # 24 steps leave the difference of the first two singular values in part; of one that stands out, rounding only
    assert 0.97 * exact < found < exact * (1 + 1e-12)
    W = W + 0.5
    assert largest_singular_value(W).largest == pytest.approx(np.linalg.svd(W, compute_uv=False)[0], rel=1e-3)


def test_of_a_large_matrix_a_part_is_used() -> None:
    W = np.ones((5000, 1000), dtype=np.float32)
    found, rows, columns = largest_singular_value(W)
    assert rows * columns <= 1 << 22
    assert found == pytest.approx(math.sqrt(rows * columns), rel=1e-12)
