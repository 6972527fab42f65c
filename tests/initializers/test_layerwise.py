"""The law of every recipe at unequal fans, and the values that the tutorial's exercise publishes."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from pipeline.initializers import fan_scaling, fixed_scale
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec, critical_variances
from pipeline.networks.activations import ACTIVATIONS
from pipeline.numerics import random
from tests.initializer_cases import FAN_IN, FAN_OUT, assert_law, cases, first_settings, weights
from tests.sampling import initialize_parameters


@pytest.mark.parametrize("name", RECIPES)
def test_law(name: str) -> None:
    for case in cases(name).cases:
        W = weights(name, case.settings)
        assert W.shape == (FAN_OUT, FAN_IN)
        if case.weights is not None:
            assert_law(W, case.weights)


def test_truncation_at_two_standard_deviations() -> None:
    """The published variance and kurtosis of N(0, 1) within [-2, 2], and the number that Keras and JAX divide by."""
    W = weights("truncated_normal", {"std": 1.0}, fan_out=2000, fan_in=1000)
    # standard errors: sqrt((2.3655 - 1) / n) = 0.0008 of the variance, less than sqrt(24 / n) = 0.0035 of the kurtosis
    assert abs(W.var() / 0.7737413 - 1) < 5 * 0.0008
    assert abs(stats.kurtosis(W.ravel(), fisher=False) - 2.3655) < 5 * 0.0035
    assert math.isclose(fan_scaling.STD_WITHIN_2, stats.truncnorm.std(-2, 2), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("name", "settings", "r"),
    [
        ("pytorch_linear", {}, 0.5),
        ("sklearn_mlp", {}, math.sqrt(6 / 40_004)),
        ("sklearn_mlp", {"activation": "tanh"}, math.sqrt(6 / 40_004)),
        ("sklearn_mlp", {"activation": "logistic"}, math.sqrt(2 / 40_004)),
    ],
)
def test_law_of_biases(name: str, settings: dict[str, Any], r: float) -> None:
    ((W, b),) = initialize_parameters(RECIPES[name].factory(**settings), 0, [4, 40_000])
    assert b.shape == (40_000, 1)
    assert_law(W, stats.uniform(-r, 2 * r))
    assert_law(b, stats.uniform(-r, 2 * r))
    assert abs(np.corrcoef(W[:, 0], b[:, 0])[0, 1]) < 5 / math.sqrt(40_000)  # drawn after W, and not the same again


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_sklearn_mlp_is_scikit_learns(activation: str) -> None:
    """One seed, the same weights and biases: scikit-learn draws with C's arithmetic, which may round differently."""
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}  # it cannot but take a step
    peer = MLPRegressor(hidden_layer_sizes=(7, 5), activation=activation, random_state=6, **still)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(np.arange(12.0).reshape(4, 3) / 12, np.arange(4.0))
    ours = initialize_parameters(RECIPES["sklearn_mlp"].factory(activation=activation), 6, [3, 7, 5, 1])
    for (W, b), coefs, intercepts in zip(ours, peer.coefs_, peer.intercepts_, strict=True):
        np.testing.assert_allclose(W, coefs.T, rtol=1e-14)
        np.testing.assert_allclose(b[:, 0], intercepts, rtol=1e-14)


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_bytes(name: str) -> None:
    init = RECIPES[name].factory(**first_settings(name))
    first, second = (initialize_parameters(init, 5, [3, 7, 2]) for _ in range(2))
    assert all(
        a.tobytes() == b.tobytes() for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert [(W.shape, b.shape) for W, b in first] == [((7, 3), (7, 1)), ((2, 7), (2, 1))]
    assert all(a.dtype == np.float64 and a.flags.c_contiguous for layer in first for a in layer)
    assert all(b.any() == cases(name).draws_biases for _, b in first)


def test_normal_recipes_are_one_draw_rescaled() -> None:
    drawn = random.normal(np.random.RandomState(3), (30, 20))
    for name, settings, std in [
        ("normal", {"std": 0.3}, 0.3),
        ("he_normal", {}, math.sqrt(2 / 20)),
        ("xavier_normal", {}, math.sqrt(2 / 50)),
        ("lecun_normal", {}, math.sqrt(1 / 20)),
        ("variance_scaling", {"scale": 3.0, "mode": "fan_geo_avg"}, math.sqrt(3 / math.sqrt(600))),
        ("mean_field_normal", {"weight_variance": 2.5}, math.sqrt(2.5 / 20)),
    ]:
        W = weights(name, settings, seed=3, fan_out=30, fan_in=20)
        np.testing.assert_array_equal(W, drawn * std)


def test_the_mean_field_recipe_at_the_edge_of_chaos_is_the_critical_one() -> None:
    """W, then b, layer after layer; sigma_w^2 of tanh at sigma_b^2 = .05 is Schoenholz et al.'s 1.76."""
    of = NetworkSpec([40, 30, 20], [ACTIVATIONS["tanh"]], np.zeros((40, 1)))
    sigma_w2 = critical_variances(of, 0.05)[0]
    assert abs(sigma_w2 - 1.7609546) < 1e-7
    critical = NETWORK_RECIPES["critical_normal"].factory(bias_variance=0.05)(np.random.RandomState(3), of)
    init = fan_scaling.mean_field_normal(weight_variance=sigma_w2, bias_variance=0.05)
    for (W, b), (V, c) in zip(initialize_parameters(init, 3, [40, 30, 20]), critical, strict=True):
        np.testing.assert_array_equal(W, V)
        np.testing.assert_array_equal(b, c)
        assert abs(b.var() / 0.05 - 1) < 5 * math.sqrt(2 / b.size)


def test_uniform_recipes_are_one_draw_rescaled() -> None:
    he, lecun, xavier = (weights(f"{name}_uniform", {}) for name in ("he", "lecun", "xavier"))
    # a product of one rounding on either side
    np.testing.assert_allclose(he / math.sqrt(6 / FAN_IN), lecun / math.sqrt(3 / FAN_IN), rtol=1e-15)
    np.testing.assert_allclose(he / math.sqrt(6 / FAN_IN), xavier / math.sqrt(6 / 700), rtol=1e-15)


def test_constants() -> None:
    assert not weights("zeros", {}, 0, 3, 2).any()
    assert (weights("ones", {}, 0, 3, 2) == 1.0).all()
    assert (weights("constant", {"value": 0.5}, 0, 3, 2) == 0.5).all()


def test_published_unit_values() -> None:
    """The tutorial's exercise, seed 3, as everybody's notebook prints them to eight digits."""
    (W1, _), (W2, _) = initialize_parameters(fixed_scale.normal(std=10.0), 3, [3, 2, 1])
    expected = [[17.88628473, 4.36509851, 0.96497468], [-18.63492703, -2.77388203, -3.54758979]]
    np.testing.assert_allclose(W1, expected, rtol=0, atol=5e-9)
    np.testing.assert_allclose(W2, [[-0.82741481, -6.27000677]], rtol=0, atol=5e-9)
    (W1, _), (W2, _) = initialize_parameters(fan_scaling.he_normal(), 3, [2, 4, 1])
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
        ("normal", {"std": 0.0}, "std must be greater than 0, not 0.0"),
        ("normal", {"std": math.nan}, "std must be greater than 0"),
        ("mean_field_normal", {"weight_variance": 0.0}, "weight_variance must be greater than 0, not 0.0"),
        ("mean_field_normal", {"weight_variance": 1.0, "bias_variance": -0.1}, "bias_variance must be at least 0"),
        ("uniform", {"low": 1.0, "high": 1.0}, "high must be greater than low, not 1.0"),
        ("truncated_normal", {"std": -1.0}, "std must be greater than 0"),
        ("truncated_normal", {"std": 1.0, "low": 2.0, "high": -2.0}, "high must be greater than low"),
        # P(T > 2.3263) = 0.01
        ("truncated_normal", {"std": 1.0, "low": 5.25, "high": 1e6}, "low must be so small that"),
        ("truncated_normal", {"std": 1.0, "low": 2.327, "high": 1e6}, "low must be so small that"),
        ("truncated_normal", {"std": 1.0, "low": -1e6, "high": -2.327}, "high must be so large that"),
        ("truncated_normal", {"std": 1.0, "low": 4.0, "high": 5.0}, "low must be so small that"),
        ("truncated_normal", {"std": 1.0, "low": 1.0, "high": 1.001}, "high must be so far above low that"),
        ("truncated_normal_absolute", {"std": 1.0, "low": 4.0, "high": 5.0}, "low must be so small that"),
        (
            "truncated_normal_absolute",
            {"std": 0.1, "mean": 3.0, "low": -2.0, "high": 2.0},
            "high must be so large that",
        ),
        ("truncated_normal_absolute", {"std": 0.0}, "std must be greater than 0"),
        ("variance_scaling", {"scale": 0.0, "mode": "fan_in"}, "scale must be greater than 0"),
        (
            "variance_scaling",
            {"scale": 1.0, "mode": "fan_middle"},
            "mode must be one of fan_in, fan_out, fan_avg, fan_geo_avg, not 'fan_middle'",
        ),
        (
            "variance_scaling",
            {"scale": 1.0, "mode": "fan_in", "distribution": "cauchy"},
            "distribution must be one of normal, truncated_normal, uniform, not 'cauchy'",
        ),
        ("he_uniform", {"mode": "in"}, "mode must be one of"),
        (
            "sklearn_mlp",
            {"activation": "swish"},
            "activation must be one of identity, logistic, tanh, relu, not 'swish'",
        ),
        ("sparse", {"sparsity": 1.5}, "sparsity must be from 0 to 1, not 1.5"),
        ("sparse", {"sparsity": 0.5, "std": 0.0}, "std must be greater than 0"),
        ("martens_sparse", {"n_connections": 0}, "n_connections must be at least 1, not 0"),
        ("martens_sparse", {"std": 0.0}, "std must be greater than 0"),
    ],
)
def test_bad_settings_fail_when_the_recipe_is_built(name: str, settings: dict, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        RECIPES[name].factory(**settings)
