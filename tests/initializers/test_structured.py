"""Matrices with a structure: identity, Hadamard, sparse and orthogonal."""

import math

import numpy as np
import pytest
from scipy import linalg, stats

from pipeline.initializers import structured
from pipeline.numerics import matmul, matrices, random
from tests.initializer_cases import FAN_OUT, assert_law, weights


@pytest.mark.parametrize(("fan_out", "fan_in"), [(3, 5), (5, 3), (4, 4), (1, 1)])
def test_identity(fan_out: int, fan_in: int) -> None:
    np.testing.assert_array_equal(weights("identity", {}, 0, fan_out, fan_in), np.eye(fan_out, fan_in))
    halved = weights("identity", {"value": -0.5}, 0, fan_out, fan_in)
    np.testing.assert_array_equal(halved, -0.5 * np.eye(fan_out, fan_in))


@pytest.mark.parametrize(("fan_out", "fan_in", "c"), [(8, 3, 1 / 2), (5, 3, 1 / 2), (2, 1, 1.0), (33, 32, 2**-2.5)])
def test_zero_init_widening(fan_out: int, fan_in: int, c: float) -> None:
    """Zhao et al. (2022), algorithm 1, as written: c I* H_m I* with c = 2^(-(m - 1) / 2), m = ceil(log2 fan_out)."""
    size = 2 ** math.ceil(math.log2(fan_out))
    expected = c * np.eye(fan_out, size) @ linalg.hadamard(size) @ np.eye(size, fan_in)
    np.testing.assert_allclose(weights("zero_init", {}, 0, fan_out, fan_in), expected, rtol=1e-15)


@pytest.mark.parametrize(("fan_out", "fan_in"), [(3, 5), (4, 4), (1, 7)])
def test_zero_init_otherwise(fan_out: int, fan_in: int) -> None:
    np.testing.assert_array_equal(weights("zero_init", {}, 0, fan_out, fan_in), np.eye(fan_out, fan_in))


@pytest.mark.parametrize(("sparsity", "n_zeros"), [(0.0, 0), (0.1, 30), (0.3, 90), (0.3334, 101), (1.0, 300)])
def test_sparse(sparsity: float, n_zeros: int) -> None:
    """PyTorch's sparse_: ceil(sparsity * rows) zeros in each column, the other entries normal."""
    W = weights("sparse", {"sparsity": sparsity, "std": 0.2})
    assert (np.count_nonzero(W == 0.0, axis=0) == n_zeros).all()
    if n_zeros < FAN_OUT:
        assert_law(W[W != 0.0], stats.norm(scale=0.2))
    np.testing.assert_array_equal(W[W != 0.0], weights("normal", {"std": 0.2})[W != 0.0])
    assert structured.sparse.__kwdefaults__["std"] == 0.01  # as PyTorch


def test_martens_sparse() -> None:
    W = weights("martens_sparse", {})
    assert (np.count_nonzero(W, axis=1) == 15).all()
    assert_law(W[W != 0.0], stats.norm())
    W = weights("martens_sparse", {"n_connections": 3, "std": 0.1}, fan_out=3000)
    assert (np.count_nonzero(W, axis=1) == 3).all()
    assert_law(W[W != 0.0], stats.norm(scale=0.1))
    assert (np.count_nonzero(weights("martens_sparse", {}, fan_in=9), axis=1) == 9).all()


def test_chosen_places_are_equally_likely() -> None:
    """Every one of the ten pairs among five places, by a chi-squared test."""
    is_chosen = matrices.sample_mask(np.random.RandomState(0), 20_000, 5, 2)
    pairs = is_chosen @ 2 ** np.arange(5)
    _, counts = np.unique(pairs, return_counts=True)
    assert len(counts) == 10
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("fan_out", "fan_in"), [(40, 25), (25, 40), (30, 30), (1, 9), (9, 1), (1, 1)])
def test_orthogonal(fan_out: int, fan_in: int) -> None:
    W = weights("orthogonal", {}, 1, fan_out, fan_in)
    gram = W @ W.T if fan_out <= fan_in else W.T @ W
    np.testing.assert_allclose(gram, np.eye(min(fan_out, fan_in)), rtol=0, atol=1e-14)


def test_orthogonal_is_the_q_of_qr_with_a_positive_diagonal() -> None:
    W = weights("orthogonal", {}, 4, 12, 7)
    Q, R = np.linalg.qr(np.random.RandomState(4).randn(12, 7))
    # two orthonormalisations of one matrix differ by its condition number (about 10) times a few ulp
    np.testing.assert_allclose(W, Q * np.sign(np.diag(R)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 3), (7, 8), (8, 9), (13, 13), (20, 33), (66, 66), (65, 130)])
def test_compiled_gram_schmidt_has_the_bits_of_the_reference(shape: tuple[int, int]) -> None:
    drawn = random.normal(np.random.RandomState(0), shape)
    Q = matrices.orthonormal_rows(drawn)
    assert matmul.orthonormalize_rows(drawn).tobytes() == Q.tobytes()
    assert matrices.orthonormal(np.random.RandomState(0), *shape).tobytes() == Q.tobytes()
    assert np.array_equal(drawn, random.normal(np.random.RandomState(0), shape))  # the input is left as it was


@pytest.mark.slow
def test_orthogonal_is_haar() -> None:
    """E[tr Q] = 0 and E[(tr Q)^2] = 1 for the Haar law at any n; without the correction of signs they are not."""
    rng, n_draws = np.random.RandomState(0), 4000
    traces = np.array([np.trace(matrices.orthonormal(rng, 8, 8)) for _ in range(n_draws)])
    assert abs(traces.mean()) < 5 / math.sqrt(n_draws)
    # the trace's fourth moment is 3 (Diaconis & Shahshahani 1994), so its square has variance 2
    assert abs((traces**2).mean() - 1) < 5 * math.sqrt(2 / n_draws)
