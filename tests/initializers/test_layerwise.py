"""The law of every recipe at unequal fans, and the values that the tutorial's exercise publishes."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import linalg, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from pipeline.initializers import layerwise
from pipeline.initializers.layerwise import RECIPES
from pipeline.numerics import gram_schmidt, matrices, random
from tests.initializer_cases import FAN_IN, FAN_OUT, cases, first_settings
from tests.sampling import initialize_parameters


def weights(name: str, settings: dict[str, Any], seed: int = 0, fan_out: int = FAN_OUT, fan_in: int = FAN_IN) -> Any:
    ((W, _),) = initialize_parameters(RECIPES[name].factory(**settings), seed, [fan_in, fan_out])
    return W


def assert_law(drawn: Any, law: Any) -> None:
    """Mean and variance within five standard errors, the bounds, kurtosis and shape."""
    n = drawn.size
    mean, variance, _, excess = law.stats("mvsk")
    assert abs(drawn.mean() - mean) < 5 * math.sqrt(variance / n)
    assert abs(drawn.var() / variance - 1) < 5 * math.sqrt((excess + 2) / n)
    # no law here has a wider spread of sample kurtosis than the normal one
    assert abs(stats.kurtosis(drawn.ravel()) - excess) < 5 * math.sqrt(24 / n)
    low, high = law.support()
    rounding = 1e-15 * max(map(abs, filter(math.isfinite, (low, high, 0.0))))
    assert drawn.min() >= low - rounding
    assert drawn.max() <= high + rounding
    assert stats.kstest(drawn.ravel(), law.cdf).pvalue > 1e-4


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
    assert math.isclose(layerwise.STD_WITHIN_2, stats.truncnorm.std(-2, 2), rel_tol=1e-12)


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
    ]:
        W = weights(name, settings, seed=3, fan_out=30, fan_in=20)
        np.testing.assert_array_equal(W, drawn * std)


def test_uniform_recipes_are_one_draw_rescaled() -> None:
    he, lecun, xavier = (weights(f"{name}_uniform", {}) for name in ("he", "lecun", "xavier"))
    # a product of one rounding on either side
    np.testing.assert_allclose(he / math.sqrt(6 / FAN_IN), lecun / math.sqrt(3 / FAN_IN), rtol=1e-15)
    np.testing.assert_allclose(he / math.sqrt(6 / FAN_IN), xavier / math.sqrt(6 / 700), rtol=1e-15)


def test_constants() -> None:
    assert not weights("zeros", {}, 0, 3, 2).any()
    assert (weights("ones", {}, 0, 3, 2) == 1.0).all()
    assert (weights("constant", {"value": 0.5}, 0, 3, 2) == 0.5).all()


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
    assert layerwise.sparse.__kwdefaults__["std"] == 0.01  # as PyTorch


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
    assert gram_schmidt.orthonormalize_rows(drawn).tobytes() == Q.tobytes()
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


def test_published_unit_values() -> None:
    """The tutorial's exercise, seed 3, as everybody's notebook prints them to eight digits."""
    (W1, _), (W2, _) = initialize_parameters(layerwise.normal(std=10.0), 3, [3, 2, 1])
    expected = [[17.88628473, 4.36509851, 0.96497468], [-18.63492703, -2.77388203, -3.54758979]]
    np.testing.assert_allclose(W1, expected, rtol=0, atol=5e-9)
    np.testing.assert_allclose(W2, [[-0.82741481, -6.27000677]], rtol=0, atol=5e-9)
    (W1, _), (W2, _) = initialize_parameters(layerwise.he_normal(), 3, [2, 4, 1])
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
