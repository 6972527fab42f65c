"""Singular values of random matrices and Jacobians against simulation, LAPACK and quadrature."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.networks.activations import ACTIVATIONS
from pipeline.theory.isometry import mean_singular_value, squared_spread


def test_the_mean_singular_value_of_a_large_matrix() -> None:
    """By LAPACK; the mean of 400 singular values fluctuates by about 1 / 400, and is biased by as little."""
    W = np.random.RandomState(0).uniform(-1.0, 1.0, (400, 400)) / 20.0
    assert mean_singular_value(1.0 / 3.0) == pytest.approx(np.linalg.svd(W, compute_uv=False).mean(), rel=0.005)
    assert mean_singular_value(1.0 / 3.0) == pytest.approx(0.490070, abs=5e-7)
    with pytest.raises(ValueError, match="at least 0"):
        mean_singular_value(-1.0)


@pytest.mark.parametrize(("orthogonal", "added"), [(True, 0.0), (False, 1.0)])
def test_the_spread_by_adaptive_quadrature(orthogonal: bool, added: float) -> None:
    q = 0.57
    slope = [
        quad(lambda z, k=k: (1 - np.tanh(math.sqrt(q) * z) ** 2) ** (2 * k) * math.exp(-z * z / 2), -12, 12)[0]
        for k in (1, 2)
    ]
    mu_1, mu_2 = (value / math.sqrt(2 * math.pi) for value in slope)
    expected = 30 * (mu_2 / mu_1**2 - 1 + added)
    assert squared_spread(30, q, ACTIVATIONS["tanh"], orthogonal) == pytest.approx(expected, rel=1e-8)


def test_the_spread_of_linear_and_relu_layers() -> None:
    """Orthogonal linear layers have equal singular values; half of the slopes of ReLU are 0: mu_1 = mu_2 = 1/2."""
    assert squared_spread(7, 1.0, ACTIVATIONS["linear"], True) == pytest.approx(0.0, abs=1e-13)
    assert squared_spread(7, 1.0, ACTIVATIONS["linear"], False) == pytest.approx(7.0)
    assert squared_spread(7, 1.0, ACTIVATIONS["relu"], True) == pytest.approx(7.0)
