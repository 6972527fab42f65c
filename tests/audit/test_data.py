"""The p-values of dependence on data: their level by simulation, their power, and exact special cases."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pipeline.audit.data import Quotient, cumulants, data_dependence, layer_p, quotient, quotient_tails
from pipeline.distributions.families import FAMILIES
from pipeline.initializers import recipes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe
from pipeline.networks.activations import ACTIVATIONS
from pipeline.training import gradient_descent
from tests.marks import slow
from tests.weights import draws, network

Floats = NDArray[np.float64]


def inputs(kind: str, n: int, m: int) -> Floats:
    """Inputs (n, m) of a layer: independent, or of few directions as behind a ReLU, or of unequal scales."""
    rng = np.random.RandomState(1)
    if kind == "independent":
        return rng.standard_normal((n, m))
    if kind == "activations":
        return np.maximum(rng.standard_normal((n, 20)) @ rng.standard_normal((20, m)), 0.0)
    return rng.standard_normal((n, m)) * np.exp(1.5 * rng.standard_normal((n, 1))) * 1e3


@pytest.mark.parametrize("family", FAMILIES)
def test_cumulants_of_the_families(family: str) -> None:
    """Against moments of SciPy's distributions, to rounding."""
    law = {"normal": stats.norm(), "uniform": stats.uniform(-1.0, 2.0), "truncated": stats.truncnorm(-2.0, 2.0)}[family]
    fourth, sixth = (law.moment(k) / law.moment(2) ** (k / 2) for k in (4, 6))
    expected = (fourth - 3.0, sixth - 15.0 * fourth + 30.0)
    np.testing.assert_allclose(cumulants(FAMILIES[family]), expected, atol=1e-9)  # SciPy integrates


@pytest.mark.parametrize(("n", "m"), [(30, 200), (30, 8)])
def test_moments_of_the_quotient(n: int, m: int) -> None:
    """Against traces by NumPy's matrix products: the variance and third moment for normal weights."""
    h, units = inputs("scaled", n, m), 5
    G = h @ h.T * (n / np.trace(h @ h.T)) - np.eye(n)
    N = n * units
    second, third = np.trace(G @ G), np.trace(G @ G @ G)
    found = quotient(h, units, cumulants(FAMILIES["normal"]))
    assert found.variance == pytest.approx(2.0 * units * second / (N * (N + 2)), rel=1e-10)
    assert found.third == pytest.approx(8.0 * units * third / (N * (N + 2) * (N + 4)), rel=1e-10)


def test_the_distribution_is_exact_for_a_projection() -> None:
    """With h h' a projection of rank r of n, T r / n ~ Beta(units r / 2, units (n - r) / 2): squared normal weights."""
    units, n, r = 3, 7, 2
    h = np.zeros((n, r))
    h[[1, 4], [0, 1]] = 5.0
    law = quotient(h, units, cumulants(FAMILIES["normal"]))
    exact = stats.beta(units * r / 2, units * (n - r) / 2)
    for t in (0.1, 0.7, 1.0, 1.9, 3.4):
        below, above = quotient_tails(t, law)
        assert below == pytest.approx(exact.cdf(t * r / n), rel=1e-9)
        assert above == pytest.approx(exact.sf(t * r / n), rel=1e-9)
    assert quotient_tails(3.5, law) == (1.0, 0.0)
    assert quotient_tails(0.0, law) == (0.0, 1.0)


def test_the_distribution_of_one_large_eigenvalue() -> None:
    """T = 1/2 + chi^2_1 / 2, whose skewness exceeds that of a gamma distribution from 0: Pearson type III is exact."""
    law = Quotient(0.5, 1.0)  # variance 2 / 4 and third central moment 8 / 8
    for t in (1.0, 2.0, 5.0):
        assert quotient_tails(t, law)[1] == pytest.approx(stats.chi2(1).sf(2.0 * t - 1.0), rel=1e-9)
    # Below its beginning a gamma distribution from 0 bounds the probability.
    assert quotient_tails(0.4, law)[0] == pytest.approx(stats.gamma(2.0, scale=0.5).cdf(0.4), rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("kind", "n", "m", "units"),
    [
        ("activations", 64, 200, 64),
        *slow(
            ("independent", 64, 200, 64),
            ("scaled", 64, 20, 64),
            ("activations", 128, 20, 16),
            ("activations", 10, 300, 20),
            ("scaled", 200, 100, 1),
            ("activations", 64, 200, 1),
        ),
    ],
)
def test_level(family: str, kind: str, n: int, m: int, units: int) -> None:
    """Of 2,000 independent layers, at most .05 and .01 have a p-value below, plus 3.5 sampling errors.

    With more than 5 units also at least .04 and .0075 less 3.5 errors: the test spends .05 of the level on a variance
    of 1, and the lower tail of skewed distributions is bounded.
    """
    h, rng, count = inputs(kind, n, m), np.random.default_rng(2), 2000
    law = quotient(h, units, cumulants(FAMILIES[family]))
    G = h @ h.T * (n / np.trace(h @ h.T))
    W = draws(family, (count, units, n), rng)
    T = ((W @ G) * W).sum(axis=(1, 2)) / (W * W).sum(axis=(1, 2))
    p = np.array([min(1.0, 2.0 * min(quotient_tails(float(t), law))) for t in T])
    for level in (0.05, 0.01):
        error = 3.5 * math.sqrt(level / count)
        share = np.mean(p <= level)
        assert share <= level + error
        if units > 5:
            assert share >= 0.75 * level - error


@pytest.mark.parametrize("mean_square", [1.0, *slow(30.0)])
def test_level_of_a_layer(mean_square: float) -> None:
    """`layer_p` itself, on 2,000 layers of normal weights: at most .05 + 3.5 errors, and .8 of it less 3.5 errors.

    Also where the expected mean square of the pre-activations is 1, the target of LSUV.
    """
    rng, h = np.random.RandomState(3), inputs("activations", 24, 40)
    std = math.sqrt(mean_square / 24 / np.mean(h * h))
    p = []
    for _ in range(2000):
        W = rng.standard_normal((16, 24)) * std
        p.append(layer_p(W, W @ h, h, "normal"))
    error = 3.5 * math.sqrt(0.05 / 2000)
    assert 0.8 * 0.05 - error <= np.mean(np.array(p) <= 0.05) <= 0.05 + error


def initial(recipe: str, sizes: list[int], X: Floats, seed: int, **settings: float) -> list[tuple[Floats, Floats]]:
    """The parameters of a tanh network by a recipe, on the inputs X (n_0, m)."""
    spec = NetworkSpec(sizes, [ACTIVATIONS["tanh"]] * (len(sizes) - 2), X)
    return recipes.sample_parameters(Recipe(recipe, settings), seed, spec)


def p_values(parameters: list[tuple[Floats, Floats]], X: Floats, dtype: type = np.float64) -> list[float]:
    layers = network([W.astype(dtype) for W, _ in parameters], [b[:, 0].astype(dtype) for _, b in parameters])
    n = len(layers)
    return data_dependence(layers, ["normal"] * n, [ACTIVATIONS["tanh"]] * (n - 1), X.T)


@pytest.mark.parametrize(("recipe", "dtype"), [("lsuv", np.float64), ("data_dependent", np.float32)])
def test_power_for_initializers_that_use_data(recipe: str, dtype: type) -> None:
    """A 64 x 64 layer that is scaled on the data, with LSUV's tolerance of .02, has p < .001 in 98 of 100 networks.

    Layer 1 is the second one: with standardized inputs, LSUV leaves an orthogonal first layer as it is.
    """
    rng, found = np.random.RandomState(4), 0
    for seed in range(100):
        X = rng.standard_normal((64, 100)) * 3.0
        found += p_values(initial(recipe, [64, 64, 64], X, seed), X, dtype)[1] < 1e-3
    assert found >= 98


@pytest.mark.parametrize("recipe", ["he_normal", "orthogonal", "lecun_normal"])
def test_initializers_without_data_are_independent_of_them(recipe: str) -> None:
    X = inputs("scaled", 32, 50) / 1e3
    assert min(p_values(initial(recipe, [32, 64, 48, 1], X, 5), X)) > 0.001


def test_trained_weights_depend_on_the_data() -> None:
    """They turn to the directions of the data. The test is one of initialization: after 300 steps p is far below."""
    rng = np.random.RandomState(6)
    X = rng.standard_normal((20, 5)) @ rng.standard_normal((5, 100))
    Y = (X[:1] > 0.0).astype(np.float64)
    parameters = initial("lecun_normal", [20, 32, 32, 1], X, 7)
    before = p_values(parameters, X)
    stack = [(W[None], b[None]) for W, b in parameters]
    tanh = [ACTIVATIONS["tanh"]] * 2
    after = gradient_descent.train(stack, X, Y, tanh, learning_rate=0.5, record_at=[300]).parameters
    assert min(before) > 0.01
    assert min(p_values([(W[0], b[0]) for W, b in after], X)) < 1e-6


def test_layers_for_which_nothing_can_be_said() -> None:
    X = np.ones((3, 4))
    layers = network([np.zeros((2, 3)), np.ones((1, 2))])
    assert all(map(math.isnan, data_dependence(layers, ["normal"] * 2, [ACTIVATIONS["relu"]], X.T)))
    # An input of orthogonal samples of equal norm: T is 1 for any weights.
    assert layer_p(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]), np.eye(2), "normal") == 1.0


def test_the_bound_for_a_variance_of_1() -> None:
    """p = 3 / .05 times 2 d over the standard deviation of the variance times sqrt(2 pi), by NumPy's own products.

    The variance is about the mean of each unit, as Krähenbühl et al. (2016) set it, so inputs are centered as well.
    """
    n, units, m, d = 24, 16, 40, 1e-7
    h = inputs("activations", n, m)
    W = np.random.RandomState(8).standard_normal((units, n))
    W *= math.sqrt((1.0 + d) / np.mean(np.var(W @ h, axis=1)))
    centered = h - h.mean(axis=1, keepdims=True)
    G = centered @ centered.T / m
    N, g = n * units, np.trace(G) / n
    relative = math.sqrt(2.0 * units * np.trace((G / g - np.eye(n)) @ (G / g - np.eye(n))) / (N * (N + 2)))
    expected = np.sum(W * W) / units * g  # of the variance
    p = 3.0 / 0.05 * 2.0 * d / (expected * relative * math.sqrt(2.0 * math.pi))
    assert layer_p(W, W @ h, h, "normal") == pytest.approx(p, rel=1e-6)  # the variance is rounded to 1e-16 / d
