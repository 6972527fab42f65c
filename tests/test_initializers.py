"""The law of every recipe at unequal fans, and the values that the seed's exercise publishes."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline import initializers
from pipeline.initializers import RECIPES, initialize_parameters

FAN_OUT, FAN_IN = 300, 400
VARIANCES = {
    "normal": ({"sd": 0.3}, 0.09),
    "he_normal": ({}, 2 / FAN_IN),
    "xavier_normal": ({}, 2 / (FAN_IN + FAN_OUT)),
    "lecun_normal": ({}, 1 / FAN_IN),
    "variance_scaling": ({"scale": 3.0, "fan": "fan_out"}, 3 / FAN_OUT),
}
SETTINGS = {name: settings for name, (settings, _) in VARIANCES.items()}
SETTINGS |= {"zeros": {}, "constant": {"value": 0.5}, "orthogonal": {"gain": 1.5}}


def test_every_recipe_is_tested() -> None:
    assert set(SETTINGS) == set(RECIPES)


@pytest.mark.parametrize("name", VARIANCES)
def test_normal_law(name: str) -> None:
    settings, variance = VARIANCES[name]
    W = RECIPES[name](**settings)(np.random.RandomState(0), FAN_OUT, FAN_IN)
    assert W.shape == (FAN_OUT, FAN_IN)
    n = W.size
    assert abs(W.mean()) < 5 * math.sqrt(variance / n)
    assert abs(W.var() / variance - 1) < 5 * math.sqrt(2 / n)  # five standard errors of a normal sample's variance
    assert abs(stats.kurtosis(W.ravel(), fisher=False) - 3) < 5 * math.sqrt(24 / n)
    assert stats.kstest(W.ravel() / math.sqrt(variance), "norm").pvalue > 1e-4


@pytest.mark.parametrize("name", SETTINGS)
def test_same_seed_same_bytes(name: str) -> None:
    init = RECIPES[name](**SETTINGS[name])
    first, second = (initialize_parameters(init, 5, [3, 7, 2]) for _ in range(2))
    assert all(
        a.tobytes() == b.tobytes() for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert [(W.shape, b.shape) for W, b in first] == [((7, 3), (7, 1)), ((2, 7), (2, 1))]
    assert all(W.dtype == np.float64 and W.flags.c_contiguous and not b.any() for W, b in first)


def test_constants() -> None:
    assert not RECIPES["zeros"]()(np.random.RandomState(0), 3, 2).any()
    assert (RECIPES["constant"](value=0.5)(np.random.RandomState(0), 3, 2) == 0.5).all()


@pytest.mark.parametrize(("fan_out", "fan_in"), [(40, 25), (25, 40), (30, 30), (1, 9), (9, 1), (1, 1)])
def test_orthogonal(fan_out: int, fan_in: int) -> None:
    W = RECIPES["orthogonal"](gain=1.5)(np.random.RandomState(1), fan_out, fan_in) / 1.5
    gram = W @ W.T if fan_out <= fan_in else W.T @ W
    np.testing.assert_allclose(gram, np.eye(min(fan_out, fan_in)), rtol=0, atol=1e-14)


def test_orthogonal_is_the_q_of_qr_with_a_positive_diagonal() -> None:
    W = RECIPES["orthogonal"](gain=1.0)(np.random.RandomState(4), 12, 7)
    Q, R = np.linalg.qr(np.random.RandomState(4).randn(12, 7))
    # two orthonormalisations of one matrix differ by its condition number (about 10) times a few ulp
    np.testing.assert_allclose(W, Q * np.sign(np.diag(R)), rtol=0, atol=1e-14)


def test_orthogonal_is_haar() -> None:
    """E[tr Q] = 0 and E[(tr Q)^2] = 1 for the Haar law at any n; without the correction of signs they are not."""
    init, n_draws = RECIPES["orthogonal"](gain=1.0), 4000
    rng = np.random.RandomState(0)
    traces = np.array([np.trace(init(rng, 8, 8)) for _ in range(n_draws)])
    assert abs(traces.mean()) < 5 / math.sqrt(n_draws)
    # the trace's fourth moment is 3 (Diaconis & Shahshahani 1994), so its square has variance 2
    assert abs((traces**2).mean() - 1) < 5 * math.sqrt(2 / n_draws)


def test_published_unit_values() -> None:
    """The seed's exercise, seed 3, as everybody's notebook prints them to eight digits."""
    (W1, _), (W2, _) = initialize_parameters(initializers.normal(sd=10.0), 3, [3, 2, 1])
    expected = [[17.88628473, 4.36509851, 0.96497468], [-18.63492703, -2.77388203, -3.54758979]]
    np.testing.assert_allclose(W1, expected, rtol=0, atol=5e-9)
    np.testing.assert_allclose(W2, [[-0.82741481, -6.27000677]], rtol=0, atol=5e-9)
    (W1, _), (W2, _) = initialize_parameters(initializers.he_normal(), 3, [2, 4, 1])
    expected = [
        [1.78862847, 0.43650985],
        [0.09649747, -1.8634927],
        [-0.2773882, -0.35475898],
        [-0.08274148, -0.62700068],
    ]
    np.testing.assert_allclose(W1, expected, rtol=0, atol=5e-9)
    np.testing.assert_allclose(W2, [[-0.03098412, -0.33744411, -0.92904268, 0.62552248]], rtol=0, atol=5e-9)


@pytest.mark.parametrize(
    ("name", "settings", "clause"),
    [
        ("normal", {"sd": 0.0}, "sd must be greater than 0"),
        ("normal", {"sd": math.nan}, "sd must be greater than 0"),
        ("orthogonal", {"gain": -1.0}, "gain must be greater than 0"),
        ("variance_scaling", {"scale": 0.0, "fan": "fan_in"}, "scale must be greater than 0"),
        ("variance_scaling", {"scale": 1.0, "fan": "fan_middle"}, "fan must be one of fan_in, fan_out, fan_avg"),
    ],
)
def test_bad_settings_fail_when_the_recipe_is_built(name: str, settings: dict, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        RECIPES[name](**settings)
