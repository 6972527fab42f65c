"""Theory at points of the phase diagram: published numbers, and a fixed point iterated by SciPy's quadrature."""

import math

import numpy as np
import pytest
from scipy import integrate

from pipeline.errors import UserError
from pipeline.networks.activations import ACTIVATIONS
from pipeline.theory.phase_diagram import point

TANH = ACTIVATIONS["tanh"]


def gaussian_mean(f, q: float) -> float:
    """E[f(sqrt(q) z)] by adaptive quadrature."""
    return integrate.quad(lambda z: f(math.sqrt(q) * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12)[0]


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.0, 0.05), (1.3, 0.05), (1.5, 0.2)])
def test_ordered_points(sigma_w2: float, sigma_b2: float) -> None:
    q = 1.0
    for _ in range(300):
        q = sigma_w2 * gaussian_mean(lambda x: np.tanh(x) ** 2, q) + sigma_b2
    chi = sigma_w2 * gaussian_mean(lambda x: np.cosh(x) ** -4, q)
    found = point(TANH, sigma_w2, sigma_b2)
    # the quadrature of SciPy has a tolerance of 1.5e-8
    assert found.q == pytest.approx(q, rel=1e-7)
    assert found.chi_1 == pytest.approx(chi, rel=1e-7)
    assert found.xi_c == pytest.approx(-1 / math.log(chi), rel=1e-6)


def test_the_edge_of_chaos_is_at_the_published_point() -> None:
    """sigma_w^2 = 1.76 at sigma_b^2 = 0.05 (Schoenholz et al. 2017; Pennington et al. 2017)."""
    assert point(TANH, 1.7609, 0.05).chi_1 < 1.0 < point(TANH, 1.7610, 0.05).chi_1
    assert point(TANH, 1.761, 0.05).xi_c > 1e4 > point(TANH, 2.5, 0.05).xi_c


def test_without_biases_signals_vanish_below_the_edge() -> None:
    assert point(TANH, 0.5, 0.0)[:2] == (0.0, 0.5)
    assert point(TANH, 0.5, 0.0).xi_c == pytest.approx(1 / math.log(2), rel=1e-14)


def test_more_than_one_fixed_point() -> None:
    with pytest.raises(UserError, match="relu has 0 stable fixed points of the variance at sigma_w2 = 2, sigma_b2 = 0"):
        point(ACTIVATIONS["relu"], 2.0, 0.0)
