"""The recipes for whole networks, against their papers: on data, against closed forms and against SciPy's quadrature."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.networks import edge_of_chaos, reference
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.edge_of_chaos import critical_point
from pipeline.networks.parameters import Parameters
from pipeline.numerics import random
from pipeline.numerics.sums import lane_sum
from pipeline.reporting.initializers_page import initializers_page, law, registry_table
from tests.initializer_cases import CASES, first_settings

RELU, TANH = ACTIVATIONS["relu"], ACTIVATIONS["tanh"]
LINEAR = Activation(lambda z: z, lambda z, a: 1.0)
LEAKY = Activation(lambda z: np.where(z < 0, 0.1 * z, z), lambda z, a: np.where(z < 0, 0.1, 1.0))
ELU = Activation(lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z), lambda z, a: np.exp(np.minimum(z, 0)))
SIGMOID = Activation(special.expit, lambda z, a: a * (1 - a))
SOFTPLUS = Activation(lambda z: np.logaddexp(0, z), lambda z, a: special.expit(z))
GELU = Activation(
    lambda z: z * special.ndtr(z), lambda z, a: special.ndtr(z) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
)
SILU = Activation(
    lambda z: z * special.expit(z), lambda z, a: special.expit(z) * (1 + z * (1 - special.expit(z)))
)  # fmt: skip


def network_spec(layers_dims: list[int], activation: Activation, m: int = 203) -> NetworkSpec:
    """Inputs that are neither centred nor scaled."""
    X = 3.0 * np.random.RandomState(0).randn(layers_dims[0], m) + 2.0
    return NetworkSpec(layers_dims, [activation] * (len(layers_dims) - 2), X)


def sample_models(name: str, settings: dict[str, Any], of: NetworkSpec, seed: int = 1) -> Parameters:
    return NETWORK_RECIPES[name].factory(**settings)(np.random.RandomState(seed), of)


def forward(parameters: Parameters, X: Any, of: NetworkSpec) -> list[Any]:
    return reference.forward_propagation(parameters, X, of.activations)[0]


def drawn(layers_dims: list[int], seed: int = 1) -> list[Any]:
    """The normal draws of a network without biases."""
    rng = np.random.RandomState(seed)
    return [random.normal(rng, (n, m)) for m, n in pairwise(layers_dims)]


def test_every_recipe_is_documented() -> None:
    registered = {**RECIPES, **NETWORK_RECIPES}
    assert len(registered) == len(RECIPES) + len(NETWORK_RECIPES)
    assert set(CASES) <= set(registered), "tests/initializer_cases.py has cases of recipes that are not registered"
    for name, entry in registered.items():
        assert law(entry), f"the docstring of {name} must begin with its law, for docs/initializers.md"
        assert entry.use
    head, rule, *rows = registry_table(registered).splitlines()
    assert [row.split("`")[1] for row in rows] == list(registered)
    assert {line.count("|") - line.count("\\|") for line in (head, rule, *rows)} == {7}
    committed = (Path(__file__).parents[2] / "docs" / "initializers.md").read_text(encoding="utf-8")
    assert committed == initializers_page(), "run `make docs`"


@pytest.mark.parametrize("name", NETWORK_RECIPES)
def test_same_seed_same_bytes(name: str) -> None:
    of = network_spec([3, 7, 4, 2], RELU)
    first, second = (sample_models(name, first_settings(name), of, seed=5) for _ in range(2))
    assert all(
        a.tobytes() == b.tobytes() for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert [(W.shape, b.shape) for W, b in first] == [((7, 3), (7, 1)), ((4, 7), (4, 1)), ((2, 4), (2, 1))]
    assert all(a.dtype == np.float64 and a.flags.c_contiguous for layer in first for a in layer)


@pytest.mark.parametrize("activation", [RELU, TANH, LEAKY], ids=["relu", "tanh", "leaky"])
def test_lsuv(activation: Activation) -> None:
    of = network_spec([4, 30, 20, 3], activation)
    parameters = sample_models("lsuv", {}, of)
    # one division leaves rounding alone: of a sum of 6090 terms about their mean, 1e-13 at most
    assert all(abs(np.var(Z) - 1) < 1e-12 for Z in forward(parameters, of.X, of))
    for W, b in parameters:
        gram = W @ W.T if len(W) <= W.shape[1] else W.T @ W
        np.testing.assert_allclose(gram, gram[0, 0] * np.eye(len(gram)), rtol=0, atol=1e-13)
        assert not b.any()


def test_lsuv_stops_where_it_may() -> None:
    of = network_spec([4, 30, 3], RELU)
    (loose, _), *_ = sample_models("lsuv", {"tolerance": 1e9}, of)
    np.testing.assert_allclose(loose.T @ loose, np.eye(4), rtol=0, atol=1e-14)
    strict = sample_models("lsuv", {"tolerance": 1e-300, "max_iterations": 3}, of)  # no variance is 1 that closely
    assert all(abs(np.var(Z) - 1) < 1e-12 for Z in forward(strict, of.X, of))
    dead = sample_models("lsuv", {}, of._replace(X=np.zeros((4, 8))))
    np.testing.assert_array_equal(dead[0][0], loose)


@pytest.mark.parametrize(("variance", "rescaled"), [(1.019, False), (1.021, True), (0.981, False), (0.979, True)])
def test_lsuv_rescales_a_variance_that_is_off_by_more_than_0_02(variance: float, rescaled: bool) -> None:
    """The default tolerance is that of the authors' script."""
    of = network_spec([4, 30, 3], LINEAR)
    (loose, _), *_ = sample_models("lsuv", {"tolerance": 1e9}, of)
    X = of.X * math.sqrt(variance / np.var(loose @ of.X))
    (W, _), *_ = sample_models("lsuv", {}, of._replace(X=X))
    # the variance is 1 up to the rounding of a sum of 6090 terms
    assert np.var(W @ X) == pytest.approx(1.0 if rescaled else variance, abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_data_dependent(beta: float) -> None:
    of = network_spec([4, 30, 20, 3], RELU)
    parameters = sample_models("data_dependent", {"beta": beta}, of)
    for Z in forward(parameters, of.X, of):
        # rounding of sums of 203 terms of size 10
        np.testing.assert_allclose(Z.mean(axis=1), beta, rtol=0, atol=1e-13)
        np.testing.assert_allclose(Z.var(axis=1), 1, rtol=1e-12)
    for (W, _), D in zip(parameters, drawn([4, 30, 20, 3]), strict=True):
        ratio = W / D
        np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones_like(D), rtol=1e-14)  # each row of draws, scaled
        assert (ratio > 0).all()


def test_data_dependent_keeps_units_that_do_not_vary() -> None:
    of = network_spec([2, 3, 1], RELU)._replace(X=np.full((2, 9), 0.3))
    (W, b), _ = sample_models("data_dependent", {}, of)
    np.testing.assert_array_equal(W, drawn([2, 3, 1])[0])
    assert np.isfinite(b).all()


@pytest.mark.parametrize("layers_dims", [[7, 12, 8, 3], [7, 11, 9, 3], [2, 10, 5, 1], [4, 2, 3, 2], [5, 1]])
@pytest.mark.parametrize(
    ("activation", "c"),
    [(RELU, 1), (LEAKY, 1.1), (LINEAR, 2), (GELU, 1), (SILU, 1), (SOFTPLUS, 1)],
    ids=["relu", "leaky", "linear", "gelu", "silu", "softplus"],
)
def test_looks_linear(activation: Activation, c: float, layers_dims: list[int]) -> None:
    """f(x) = M x, M the product of c times the blocks that stand above and left."""
    of = network_spec(layers_dims, activation)
    parameters = sample_models("looks_linear", {}, of)
    M, kept = np.eye(layers_dims[0]), layers_dims[0]
    for l, (W, _) in enumerate(parameters):
        rows = len(W) if l == len(parameters) - 1 else len(W) // 2
        block = W[:rows, :kept] * (c if l > 0 else 1)
        singular = np.linalg.svd(block, compute_uv=False)
        assert singular.max() < 1 + 1e-14  # orthonormal, but for a row that an odd unit has taken
        if layers_dims[l + 1] % 2 == 0 or l == len(parameters) - 1:
            np.testing.assert_allclose(singular, 1, rtol=0, atol=1e-14)
        M, kept = block @ M, rows
    f, mirrored = (forward(parameters, X, of)[-1] for X in (of.X, -of.X))
    np.testing.assert_allclose(f, M @ of.X, rtol=0, atol=1e-13)  # rounding of inputs of size 10
    np.testing.assert_allclose(mirrored, -f, rtol=0, atol=1e-13)


def test_looks_linear_carries_gradients_without_loss() -> None:
    """The Jacobian of a ReLU network of even width is orthogonal at every input, whatever its depth."""
    of = network_spec([6, *[12] * 40, 6], RELU)
    parameters = sample_models("looks_linear", {}, of)
    Z, A = reference.forward_propagation(parameters, of.X[:, :5], of.activations)
    for sample in range(5):
        J = np.eye(6)
        for l, (W, _) in enumerate(parameters):
            slope = RELU.slope(Z[l - 1][:, sample], A[l][:, sample]) if l > 0 else 1.0
            J = (W * slope) @ J
        np.testing.assert_allclose(J.T @ J, np.eye(6), rtol=0, atol=1e-13)


def test_looks_linear_odd_units_hear_and_are_not_heard() -> None:
    of = network_spec([7, 11, 9, 3], RELU)
    (W1, _), (W2, _), (W3, _) = sample_models("looks_linear", {}, of)
    assert W1[10].any()
    assert W2[8].any()
    assert not W2[:, 10].any()
    assert not W3[:, 8].any()


@pytest.mark.parametrize(
    "activation",
    # the last three are linear, or ReLU, for |z| <= 1, 6 and 3
    [TANH, SIGMOID, ELU, *(ACTIVATIONS[name] for name in ("hardtanh", "relu6", "hard_sigmoid"))],
    ids=["tanh", "sigmoid", "elu", "hardtanh", "relu6", "hard_sigmoid"],
)
def test_looks_linear_refuses_what_cannot_look_linear(activation: Activation) -> None:
    with pytest.raises(ValueError, match="looks_linear requires an activation with"):
        sample_models("looks_linear", {}, network_spec([3, 4, 1], activation))
    with pytest.raises(ValueError, match="at least 2 units in every hidden layer"):
        sample_models("looks_linear", {}, network_spec([3, 1, 1], RELU))


def test_random_walk_gains() -> None:
    """The paper's formulas, at the fan-in of each layer, on the draws that normal recipes share."""
    layers_dims = [3, 50, 20, 4]
    relu_gains = [math.sqrt(2) * math.exp(1.2 / (max(n, 6) - 2.4)) for n in (3, 50)] + [math.exp(1 / 40)]
    for activation, settings, gains in [
        (RELU, {}, relu_gains),
        (LINEAR, {}, [math.exp(1 / (2 * n)) for n in (3, 50, 20)]),
        (TANH, {}, [1.13, 1.13, math.exp(1 / 40)]),
        (TANH, {"tanh_gain": 1.3}, [1.3, 1.3, math.exp(1 / 40)]),
    ]:
        parameters = sample_models("random_walk", settings, network_spec(layers_dims, activation))
        for (W, b), D, g in zip(parameters, drawn(layers_dims), gains, strict=True):
            np.testing.assert_allclose(W, D * (g / math.sqrt(D.shape[1])), rtol=1e-15)
            assert not b.any()
    with pytest.raises(ValueError, match="random_walk has gains for relu, tanh and linear layers only, not for"):
        sample_models("random_walk", {}, network_spec(layers_dims, ELU))
    with pytest.raises(ValueError, match="not for relu6"):  # it is ReLU below 6
        sample_models("random_walk", {}, network_spec(layers_dims, ACTIVATIONS["relu6"]))


@pytest.mark.parametrize("n", [20, 100, 400])
def test_random_walk_has_no_drift(n: int) -> None:
    """E[ln(g^2 z)] = 0 (Sussillo & Abbott 2014), z = chi^2_k / n with k = n, or k of n units on for ReLU."""
    k = np.arange(1, n + 1)
    log_chi_squared = special.digamma(k / 2) + math.log(2)
    on = stats.binom.pmf(k, n, 0.5)
    exact = {LINEAR: log_chi_squared[-1] - math.log(n), RELU: (on * log_chi_squared).sum() / on.sum() - math.log(n)}
    for activation, log_z in exact.items():
        parameters = sample_models("random_walk", {}, network_spec([n, n, n], activation))
        ratio = parameters[1][0] if activation is LINEAR else parameters[0][0]
        D = drawn([n, n, n])[1 if activation is LINEAR else 0]
        g = (ratio / D)[0, 0] * math.sqrt(n)
        # the formulas are expansions: of 1 / n for linear layers, and a fit to simulations for ReLU
        assert abs(2 * math.log(g) + log_z) < {LINEAR: 0.5 / n**2, RELU: 0.3 / n}[activation]


def expectation(f: Any) -> float:
    """E[f(z)], z ~ N(0, 1), by SciPy's adaptive quadrature."""
    pieces = [(-12, -1), (-1, 0), (0, 1), (1, 12)]
    weighted = lambda z: f(np.float64(z)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return sum(integrate.quad(weighted, *piece, epsabs=1e-13)[0] for piece in pieces)


def test_expectations_are_exact() -> None:
    for power, moment in [(0, 1), (1, 0), (2, 1), (3, 0), (4, 3), (6, 15)]:
        assert abs(lane_sum(edge_of_chaos.WEIGHTS * edge_of_chaos.NODES**power) - moment) < 1e-14 * max(moment, 1)


@pytest.mark.parametrize(
    ("activation", "bias_variance", "weight_variance", "q"),
    [
        (TANH, 0.05, 1.760954640, 0.570047882),
        (TANH, 0.0, 1.0, 0.0),
        (RELU, 0.0, 2.0, 0.0),
        (LEAKY, 0.0, 2 / 1.01, 0.0),  # He et al. (2015), eq. 15
        (LINEAR, 0.0, 1.0, 0.0),
        (ELU, 0.0, 1.0, 0.0),
    ],
    ids=["tanh", "tanh0", "relu", "leaky", "linear", "elu"],
)
def test_critical_points(activation: Activation, bias_variance: float, weight_variance: float, q: float) -> None:
    found = critical_point(activation, bias_variance)
    assert abs(found.weight_variance - weight_variance) < 1e-9
    assert abs(found.q - q) < 1e-9


@pytest.mark.parametrize(("activation", "q_between"), [(GELU, (1, 10)), (SILU, (5, 50))], ids=["gelu", "silu"])
def test_critical_points_begin_where_q_attracts(activation: Activation, q_between: tuple[float, float]) -> None:
    """At the least bias variance both chi_1 and dq/dq, the growth of a difference in q, are 1."""

    def growth(q: float) -> float:
        s = math.sqrt(q)
        pull = expectation(lambda z: activation.phi(s * z) * activation.slope(s * z, activation.phi(s * z)) * z) / s
        return pull / expectation(lambda z: activation.slope(s * z, activation.phi(s * z)) ** 2)

    q = optimize.brentq(lambda q: growth(q) - 1, *q_between, xtol=1e-12)
    s = math.sqrt(q)
    weight_variance = 1 / expectation(lambda z: activation.slope(s * z, activation.phi(s * z)) ** 2)
    least = q - weight_variance * expectation(lambda z: activation.phi(s * z) ** 2)
    if activation is GELU:  # as Roberts, Yaida & Hanin publish it (2022)
        assert abs(least - 0.17292239) < 1e-8
        assert abs(weight_variance - 1.98305826) < 1e-8
    # sigma_w^2 moves as the square root of the distance from the least bias variance: a distance of 1e-7 is 3e-4 of q
    found = critical_point(activation, least + 1e-7)
    assert abs(found.q / q - 1) < 1e-3
    assert abs(found.weight_variance - weight_variance) < 1e-6
    with pytest.raises(ValueError, match=r"no critical point at bias_variance = .* at a stable fixed point"):
        critical_point(activation, least - 1e-7)


@pytest.mark.parametrize(
    ("activation", "bias_variance"),
    [(TANH, 0.05), (TANH, 2.0), (ELU, 0.05), (ELU, 0.5), (SIGMOID, 0.0), (SIGMOID, 0.5), (GELU, 0.3), (SILU, 0.7)],
    ids=lambda value: str(value) if isinstance(value, float) else "",
)
def test_critical_points_against_quadrature(activation: Activation, bias_variance: float) -> None:
    weight_variance, q = critical_point(activation, bias_variance)
    s = math.sqrt(q)
    phi_squared = expectation(lambda z: activation.phi(s * z) ** 2)
    slope_squared = expectation(lambda z: activation.slope(s * z, activation.phi(s * z)) ** 2)
    # quad's absolute error of 1e-13, times sigma_w^2 of up to 100
    assert abs(weight_variance * phi_squared + bias_variance - q) < 1e-10 * max(1, q)
    assert abs(weight_variance * slope_squared - 1) < 1e-10


def test_critical_normal_law() -> None:
    of = network_spec([400, 300, 500, 200], TANH)
    parameters = sample_models("critical_normal", {"bias_variance": 0.05}, of)
    for (W, b), fan_in in zip(parameters, of.layers_dims, strict=False):
        assert stats.kstest(W.ravel() / math.sqrt(1.760954640 / fan_in), "norm").pvalue > 1e-4
        assert abs(W.var() * fan_in / 1.760954640 - 1) < 5 * math.sqrt(2 / W.size)
        assert abs(b.var() / 0.05 - 1) < 5 * math.sqrt(2 / b.size)


def test_critical_normal_is_he_and_lecun_without_biases() -> None:
    layers_dims = [30, 41, 20, 3]
    for activation, scale in [(RELU, 2.0), (TANH, 1.0)]:
        parameters = sample_models("critical_normal", {}, network_spec(layers_dims, activation))
        for (W, b), D in zip(parameters, drawn(layers_dims), strict=True):
            np.testing.assert_array_equal(W, D * math.sqrt(scale / D.shape[1]))
            assert not b.any()


def test_critical_normal_takes_the_activation_that_feeds_a_layer() -> None:
    of = network_spec([30, 41, 20, 3], RELU)._replace(activations=[RELU, TANH])
    scales = [
        (W / D)[0, 0] ** 2 * W.shape[1]
        for (W, _), D in zip(sample_models("critical_normal", {}, of), drawn([30, 41, 20, 3]), strict=True)
    ]
    np.testing.assert_allclose(scales, [2, 2, 1], rtol=1e-14)
    ((W, _),) = sample_models("critical_normal", {}, network_spec([30, 3], RELU))
    np.testing.assert_allclose(W, drawn([30, 3])[0] / math.sqrt(30), rtol=1e-15)


@pytest.mark.parametrize(
    ("activation", "bias_variance", "clause"),
    [
        (RELU, 0.05, "bias_variance must be 0 for relu, .*, not 0.05"),
        (LEAKY, 0.05, "bias_variance must be 0 for"),
        (GELU, 0.0, "no critical point at bias_variance = 0.0: .* stable fixed point"),
        (SOFTPLUS, 0.0, "no critical point at bias_variance = 0.0: .* at a fixed point"),
        (SOFTPLUS, 0.1, "no critical point"),
        (Activation(lambda z: z * z, lambda z, a: 2 * z), 0.0, "no critical point"),
    ],
)
def test_no_critical_point(activation: Activation, bias_variance: float, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        sample_models("critical_normal", {"bias_variance": bias_variance}, network_spec([3, 4, 1], activation))


@pytest.mark.parametrize(
    ("name", "settings", "clause"),
    [
        ("lsuv", {"tolerance": 0.0}, "tolerance must be greater than 0, not 0.0"),
        ("lsuv", {"max_iterations": 0}, "max_iterations must be greater than 0, not 0"),
        ("random_walk", {"tanh_gain": -1.0}, "tanh_gain must be greater than 0, not -1.0"),
        ("critical_normal", {"bias_variance": -0.1}, "bias_variance must be at least 0, not -0.1"),
        ("critical_normal", {"bias_variance": math.nan}, "bias_variance must be at least 0, not nan"),
    ],
)
def test_bad_settings_fail_when_the_recipe_is_built(name: str, settings: dict[str, Any], clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        NETWORK_RECIPES[name].factory(**settings)
