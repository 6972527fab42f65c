"""Predictions at initialization against drawn networks, and the cases without prediction."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from pipeline.datasets import circles
from pipeline.diagnostics import measure, signals
from pipeline.initializers import fan_scaling
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe
from pipeline.initializers.registry import Initializer
from pipeline.networks import probes
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array
from pipeline.theory import finite_width, initial_loss, predictions, variances
from pipeline.theory.predictions import predict
from pipeline.theory.variances import Law
from tests.marks import slow

RELU, TANH = ACTIVATIONS["relu"], ACTIVATIONS["tanh"]
LN2 = math.log(2)
Measured = dict[str, Array]


def drawn(law: Sequence[Law], layers: Sequence[int], n_models: int) -> Parameters:
    """Models whose layers have these laws; weights that are not normal are uniform."""
    rng = np.random.RandomState(1)
    models = []
    for (weight, bias, normal), (k, n) in zip(law, pairwise(layers), strict=True):
        shape = n_models, n, k
        W = rng.standard_normal(shape) if normal else rng.uniform(-math.sqrt(3), math.sqrt(3), shape)
        models.append((W * math.sqrt(weight), rng.standard_normal((n_models, n, 1)) * math.sqrt(bias)))
    return models


def measured(models: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> tuple[Measured, Measured]:
    """The columns of `measure` (models, L) and (models,), some models at a time: their histograms are large."""
    parts = [
        measure.measure([(W[i : i + 250], b[i : i + 250]) for W, b in models], X, Y, activations)
        for i in range(0, len(models[0][0]), 250)
    ]
    layers = {name: np.concatenate([part.layers[name] for part in parts]) for name in parts[0].layers}
    layers["gradient_ratio"] = np.square(
        layers["preactivation_gradient_rms"] / layers["preactivation_gradient_rms"][:, -1:]
    )
    return layers, {name: np.concatenate([part.models[name] for part in parts]) for name in parts[0].models}


def assert_predicted(values: Array, expected: float, allowance: float = 0.0, fine: float | None = None) -> None:
    """The mean over the models of which it is defined, within five standard errors and what finite width may add.

    All that must be less than `fine`, or four tenths of what is expected, else the test could hardly fail.
    """
    values = values[~np.isnan(values)]
    error = 5 * values.std(ddof=1) / math.sqrt(len(values)) + allowance
    assert error < (0.4 * abs(expected) if fine is None else fine)
    assert abs(values.mean() - expected) <= error


@pytest.mark.parametrize("normal", [True, *slow(False)], ids=["normal", "uniform"])
def test_narrow_relu_exactly(normal: bool) -> None:
    """No allowance for the width. The inputs are multiples of one, so what happens at one happens at all."""
    layers = [3, 7, 4, 8, 4]
    X, Y = np.array([[1.0], [-2.0], [0.5]]) * np.linspace(0.1, 3.0, 12), np.arange(12.0)[None] % 4
    law = [Law(variance, bias, normal) for variance, bias in [(0.5, 0.0), (0.8, 0.0), (0.3, 0.0), (0.1, 0.3)]]
    P = predict(law, layers, X, [RELU] * 3)
    by_layer, by_model = measured(drawn(law, layers, 2000), X, Y, [RELU] * 3)
    for l in range(4):
        assert_predicted(by_layer["preactivation_mean_square"][:, l], P.layers["preactivation_mean_square"][l])
        assert_predicted(by_layer["weight_mean_square"][:, l], P.layers["weight_mean_square"][l])
    for l in range(3):
        assert_predicted(by_layer["activation_mean_square"][:, l], P.layers["activation_mean_square"][l])
    assert_predicted(by_layer["bias_mean_square"][:, 3], P.layers["bias_mean_square"][3])
    assert P.layers["bias_mean_square"][:3] == [0.0] * 3
    assert_predicted(by_model["jacobian_mean_square"], P.models["jacobian_mean_square"])
    if normal:
        assert_predicted(by_model["blocked_inputs"], P.models["blocked_inputs"])
        assert_predicted(by_model["log_growth"], P.models["log_growth"])
    else:
        assert math.isnan(P.models["log_growth"])


@pytest.mark.slow
@pytest.mark.parametrize("n_out", [1, 10])
def test_wide_layers_with_biases(n_out: int) -> None:
    """Theory is asymptotic here: 1.5 % is allowed for widths near a hundred, and 0.01 for a correlation."""
    layers, activations = [60, 120, 80, 100, n_out], [TANH, ACTIVATIONS["gelu"], RELU]
    rng = np.random.RandomState(0)
    X, Y = rng.standard_normal((60, 16)), np.arange(16.0)[None] % max(n_out, 2)
    X[:, probes.N_JACOBIANS :] *= 3.0  # Jacobians are taken at the first samples, and the others have others
    law = [Law(1.2 / 60, 0.4, True), Law(1.5 / 120, 0.1, True), Law(2.5 / 80, 0.5, True), Law(3.0 / 100, 0.4, True)]
    P = predict(law, layers, X, activations)
    by_layer, by_model = measured(drawn(law, layers, 100), X, Y, activations)
    for name in ("preactivation_mean_square", "activation_mean_square", "gradient_ratio"):
        for l, expected in enumerate(P.layers[name][:3]):
            assert_predicted(by_layer[name][:, l], expected, 0.015 * expected)
    for l, expected in enumerate(P.layers["correlation"][:3]):
        assert_predicted(by_layer["correlation"][:, l], expected, 0.01, fine=0.08)
    if n_out > 1:  # else it is the square of one number, and its mean over a hundred models is rough
        assert_predicted(
            by_layer["preactivation_mean_square"][:, 3],
            P.layers["preactivation_mean_square"][3],
            0.015 * P.layers["preactivation_mean_square"][3],
        )
    assert P.layers["gradient_ratio"][3] == 1.0
    for name, expected in P.models.items():
        if name in ("initial_cost", "jacobian_mean_square"):
            assert_predicted(by_model[name], expected, 0.015 * expected)
    assert P.layers["weight_mean_square"] == [layer.weight for layer in law]
    assert P.layers["bias_mean_square"] == [layer.bias for layer in law]


def test_unlike_layers_against_closed_forms() -> None:
    """ReLU (Cho & Saul 2009, order 1), then sin twice: E[sin^2] = (1 - e^-2q) / 2, E[sin u sin v] = e^-q sinh(q c)."""
    sine = Activation(np.sin, lambda z, a: np.cos(z))
    law = [Law(0.4 / 3, 0.1, True), Law(0.9 / 5, 0.2, True), Law(1.3 / 4, 0.3, True), Law(1.7 / 6, 0.4, True)]
    P = predict(law, [3, 5, 4, 6, 2], np.array([[1.0], [-2.0], [0.5]]), [RELU, sine, sine])
    q, c = [0.4 * 5.25 / 3 + 0.1], [(0.4 * 5.25 / 3 / 3 + 0.1) / (0.4 * 5.25 / 3 + 0.1)]
    angle = math.acos(c[0])
    squares = [q[0] / 2]
    products = [q[0] / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * c[0])]
    slopes = [0.5]
    for weight, bias in [(0.9, 0.2), (1.3, 0.3), (1.7, 0.4)]:
        q.append(weight * squares[-1] + bias)
        c.append((weight * products[-1] + bias) / q[-1])
        squares.append((1 - math.exp(-2 * q[-1])) / 2)
        products.append(math.exp(-q[-1]) * math.sinh(q[-1] * c[-1]))
        slopes.append((1 + math.exp(-2 * q[-1])) / 2)
    going_down = [2 / 6 * 1.7 * slopes[2], 6 / 4 * 1.3 * slopes[1], 4 / 5 * 0.9 * slopes[0]]
    ratios = np.append(np.cumprod(going_down)[::-1], 1.0)
    # errors of quadrature
    assert P.layers["preactivation_mean_square"] == pytest.approx(q, rel=1e-12)
    assert P.layers["activation_mean_square"][:3] == pytest.approx(squares[:3], rel=1e-12)
    assert P.layers["correlation"] == pytest.approx(c, rel=1e-12)
    assert P.layers["gradient_ratio"] == pytest.approx(ratios, rel=1e-12)
    # variance across the input, along it, and the covariance with z
    x2 = 5.25
    t, s, r = 0.4 / 3, 0.4 / 3, 0.4 / 3 * math.sqrt(x2)
    steep = [q[0] / 2] + [(v + (v - 4 * v * v) * math.exp(-2 * v)) / 2 for v in q[1:]]  # E[z^2 phi'^2]
    turned = [q[0] / 2] + [v * math.exp(-2 * v) for v in q[1:]]  # E[z phi phi']
    for l, weight in enumerate([0.9, 1.3, 6.0]):
        s = weight * ((r / q[l]) ** 2 * steep[l] + (s - r * r / q[l]) * slopes[l])
        t, r = weight * t * slopes[l], weight * r / q[l] * turned[l]
    assert P.models["jacobian_mean_square"] == pytest.approx((2 * t + s) / 3, rel=1e-12)


def test_the_cost_of_ten_classes() -> None:
    """Exactly, where the logits are normal: without hidden layers. And with one that is wide, within 1 %."""
    rng = np.random.RandomState(0)
    X, Y = rng.standard_normal((5, 40)), np.arange(40.0)[None] % 10
    P = predict([Law(0.7, 0.3, True)], [5, 10], X, [])
    _, by_model = measured(drawn([Law(0.7, 0.3, True)], [5, 10], 1500), X, Y, [])
    assert_predicted(by_model["initial_cost"], P.models["initial_cost"])
    law = [Law(0.7, 0.3, True), Law(3.0 / 150, 0.5, True)]
    P = predict(law, [5, 150, 10], X, [TANH])
    by_layer, by_model = measured(drawn(law, [5, 150, 10], 250), X, Y, [TANH])
    assert_predicted(by_model["initial_cost"], P.models["initial_cost"], 0.01 * P.models["initial_cost"])
    assert_predicted(
        by_layer["correlation"][:, 1], P.layers["correlation"][1], 0.01, fine=0.15
    )  # ten logits do have angles


def test_the_loss_of_classes_at_samples_that_are_chosen() -> None:
    """Of 200 samples, a fourth tells the loss of all within 0.5 %, in whatever order they come."""
    X = np.random.RandomState(0).standard_normal((20, 200))
    of_all = np.mean([initial_loss.expected_softmax_loss(5.0 * q, 10) for q in (X**2).mean(axis=0)])
    rising = np.argsort((X**2).sum(axis=0))
    places = np.linspace(0, 199, 50).astype(int)
    unfortunate = np.insert(rising[:150], places - np.arange(50), rising[150:])  # a fourth, evenly, are the largest
    assert (np.sort(unfortunate[places]) == np.sort(rising[150:])).all()
    for order in (np.arange(200), rising, unfortunate):
        cost = predict([Law(5.0 / 20, 0.0, True)], [20, 10], X[:, order], []).models["initial_cost"]
        assert cost == pytest.approx(of_all, rel=0.005)


def test_the_tutorials_he_start() -> None:
    """The mean |x|^2 of the data in every layer, since it has two inputs."""
    X, _ = circles(300, 0.05, 1)
    known = NetworkSpec([2, 10, 5, 1], [RELU] * 2, X)
    law = variances.laws(Recipe("he_normal"), known)
    assert not isinstance(law, str)
    P = predict(law, known.layers_dims, X, known.activations)
    assert P.layers["preactivation_mean_square"] == pytest.approx([0.830449] * 3, abs=5e-7)
    assert P.layers["activation_mean_square"][:2] == pytest.approx([0.830449 / 2] * 2, abs=5e-7)
    assert P.layers["gradient_ratio"] == pytest.approx([5 / 10 * 1 / 5, 1 / 5, 1.0], rel=1e-14)  # n_(l+1) / n_l of He
    assert P.layers["correlation"][:2] == pytest.approx([0.0, 1 / math.pi], abs=1e-15)
    assert P.models["jacobian_mean_square"] == pytest.approx(5 / 2, rel=1e-14)
    assert P.models["blocked_inputs"] == pytest.approx(1 - (1 - 2**-10) * (1 - 2**-5), rel=1e-14)


@pytest.mark.parametrize("n", [300, *slow(1000)])
def test_thirty_relu_layers_of_many_units(n: int) -> None:
    """He keeps the second moment within the band of finite width; Xavier leaves 2^-30 of it, PyTorch's weights 6^-30.

    The latter two without sampling error: seed by seed they are He's draws, 1 / sqrt 2 and 1 / sqrt 6 as large.
    """
    depth = 30
    recipes: dict[str, Initializer] = {
        "he": fan_scaling.he_normal(),
        "xavier": fan_scaling.xavier_normal(),
        "he_uniform": fan_scaling.he_uniform(),
        "pytorch": fan_scaling.pytorch_linear(),
    }
    X = np.random.RandomState(0).standard_normal((n, 3))
    A = dict.fromkeys(recipes, X[None])
    for layer in range(depth):
        for name, init in recipes.items():
            W = init(np.random.RandomState(layer + 1), n, n)
            weights = W[0] if isinstance(W, tuple) else W  # PyTorch's have random biases, which are left out here
            _, (_, A[name]) = signals.forward([(weights[None], np.zeros((1, n, 1)))], A[name][0], [RELU])
    square = {name: np.mean(activations[0] ** 2, axis=0) for name, activations in A.items()}
    before = np.mean(X**2, axis=0)
    band = finite_width.log_signal([n] * depth)
    assert 5 * math.sqrt(band.variance) < 4.0  # so that He is distinguished from Xavier, which loses 20.8
    for name in ("he", "he_uniform"):
        assert (np.abs(np.log(square[name] / before) - band.mean) < 5 * math.sqrt(band.variance)).all()
    np.testing.assert_allclose(square["xavier"] / square["he"], 2.0**-30, rtol=1e-12)  # rounding of 30 layers
    np.testing.assert_allclose(square["pytorch"] / square["he_uniform"], 6.0**-30, rtol=1e-12)
    growth = signals.log_growth(X, A["xavier"])[0]
    P = predict([Law(1 / n, 0.0, True)] * depth + [Law(1.0, 0.0, False)], [n] * (depth + 1) + [1], X, [RELU] * depth)
    assert P.models["log_growth"] == pytest.approx(band.mean - depth * LN2, rel=1e-13)
    assert abs(growth - P.models["log_growth"]) < 5 * math.sqrt(band.variance)


NORMAL, UNIFORM, ZERO, BIASED = Law(0.5, 0.0, True), Law(0.5, 0.0, False), Law(0.0, 0.0, False), Law(0.5, 0.2, True)
DEAD = 1 - (1 - 2**-4) * (1 - 2**-3)


@pytest.mark.parametrize(
    ("law", "activations", "blocked_inputs", "has_growth"),
    [
        ([NORMAL] * 3, [RELU] * 2, DEAD, True),
        ([NORMAL, NORMAL, UNIFORM], [RELU] * 2, DEAD, True),  # what follows the last hidden layer does not matter
        ([NORMAL, NORMAL, BIASED], [RELU] * 2, DEAD, True),
        ([NORMAL, NORMAL, ZERO], [RELU] * 2, DEAD, True),
        ([NORMAL, UNIFORM, NORMAL], [RELU] * 2, math.nan, False),
        ([BIASED, NORMAL, NORMAL], [RELU] * 2, math.nan, False),
        ([NORMAL] * 3, [TANH] * 2, math.nan, False),
        ([NORMAL] * 3, [RELU, TANH], math.nan, False),
        ([NORMAL] * 3, [ACTIVATIONS["leaky_relu"]] * 2, math.nan, False),
        ([ZERO] * 3, [RELU] * 2, 1.0, False),
        ([NORMAL, ZERO, NORMAL], [RELU] * 2, 1.0, False),
        ([ZERO] * 3, [TANH] * 2, math.nan, False),
    ],
)
def test_where_relu_is_silent(
    law: list[Law], activations: list[Activation], blocked_inputs: float, has_growth: bool
) -> None:
    X = np.random.RandomState(0).standard_normal((2, 9))
    models = predict(law, [2, 4, 3, 1], X, activations).models
    assert models["blocked_inputs"] == pytest.approx(blocked_inputs, rel=1e-14, nan_ok=True)
    assert math.isnan(models["log_growth"]) != has_growth


def test_zeros() -> None:
    X = np.random.RandomState(0).standard_normal((2, 9))
    P = predict([ZERO] * 3, [2, 4, 3, 1], X, [RELU] * 2)
    assert (
        P.layers["preactivation_mean_square"]
        == P.layers["weight_mean_square"]
        == P.layers["bias_mean_square"]
        == [0.0] * 3
    )
    assert P.layers["activation_mean_square"][:2] == [0.0] * 2
    assert P.layers["gradient_ratio"] == [0.0, 0.0, 1.0]
    assert all(map(math.isnan, P.layers["correlation"]))
    assert P.models["initial_cost"] == pytest.approx(LN2, rel=1e-15)
    assert P.models["jacobian_mean_square"] == 0.0
    P = predict([NORMAL, ZERO, NORMAL], [2, 4, 3, 1], X, [RELU] * 2)
    assert P.layers["correlation"] == pytest.approx([0.0, math.nan, math.nan], abs=1e-15, nan_ok=True)


def test_correlations_that_are_none() -> None:
    X = np.random.RandomState(0).standard_normal((3, 9))
    for n_out in (1, 2):
        *hidden, last = predict([BIASED] * 3, [3, 4, 5, n_out], X, [TANH] * 2).layers["correlation"]
        assert not any(map(math.isnan, hidden))
        assert math.isnan(last) == (n_out == 1)
    assert all(map(math.isnan, predict([BIASED] * 2, [3, 4, 2], 0.0 * X, [TANH]).layers["correlation"]))
    q = (X**2).mean()  # two inputs of three features have 1/3 at best
    P = predict([Law(0.5, 0.2, True)], [3, 2], X, [])
    assert P.layers["correlation"] == pytest.approx([(1.5 * q / 3 + 0.2) / (1.5 * q + 0.2)], rel=1e-14)


def test_without_hidden_layers() -> None:
    X = np.random.RandomState(0).standard_normal((3, 9))
    for n_out in (1, 4):
        P = predict([BIASED], [3, n_out], X, [])
        assert P.layers["preactivation_mean_square"] == pytest.approx([1.5 * (X**2).mean() + 0.2], rel=1e-14)
        assert math.isnan(P.layers["activation_mean_square"][0])
        assert P.layers["gradient_ratio"] == [1.0]
        assert P.models["jacobian_mean_square"] == 1.0
        assert math.isnan(P.models["blocked_inputs"])
        assert math.isnan(P.models["log_growth"])
    assert predictions.predict([ZERO], [3, 4], X, []).models["initial_cost"] == pytest.approx(math.log(4), rel=1e-13)


def test_the_names_are_those_of_births() -> None:
    X, Y = circles(20, 0.05, 1)
    P = predict([NORMAL] * 3, [2, 4, 3, 1], X, [RELU] * 2)
    B = measure.measure(drawn([NORMAL] * 3, [2, 4, 3, 1], 1), X, Y, [RELU] * 2)
    assert set(P.layers) <= {*B.layers, "gradient_ratio"}
    assert set(P.models) <= set(B.models)
    assert {len(values) for values in P.layers.values()} == {3}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "gelu", "relu6"])
def test_the_jacobian_of_two_inputs(name: str) -> None:
    """Half of all directions are along the input, where slopes and derivatives are not independent: at any width."""
    activations = [ACTIVATIONS[name]] * 2
    X, Y = circles(40, 0.05, 1)
    law = [Law(4.0, 0.2, True), Law(4.0 / 150, 0.1, True), Law(1.0, 0.0, True)]
    P = predict(law, [2, 150, 150, 1], X, activations)
    _, by_model = measured(drawn(law, [2, 150, 150, 1], 20), X, Y, activations)
    expected = P.models["jacobian_mean_square"]
    assert_predicted(by_model["jacobian_mean_square"], expected, 0.03 * expected)  # 2 / n a layer for finite width


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_the_jacobian_with_kinks_in_closed_form(scale: float) -> None:
    """One layer of hardtanh: n_1 E[phi'(w.x)^2 |w|^2] / n_0, of which w.x takes a part that is not independent."""
    n_0, n_1, x = 3, 5, scale * np.array([[1.0], [-2.0], [0.5]])
    P = predict([Law(0.4, 0.0, True), Law(1.0, 0.0, True)], [n_0, n_1, 1], x, [ACTIVATIONS["hardtanh"]])
    end = 1 / math.sqrt(0.4 * (x * x).sum())
    within = math.erf(end / math.sqrt(2))
    along = within - 2 * end * math.exp(-end * end / 2) / math.sqrt(2 * math.pi)
    expected = n_1 * 0.4 * ((n_0 - 1) * within + along) / n_0
    assert P.models["jacobian_mean_square"] == pytest.approx(expected, rel=1e-13)


def test_a_signal_beyond_the_largest_number() -> None:
    X, _ = circles(10, 0.05, 1)
    P = predict([Law(1e300, 0.0, True)] * 4, [2, 10, 10, 10, 1], X, [ACTIVATIONS["relu"]] * 3)
    assert math.isfinite(P.layers["preactivation_mean_square"][0])
    assert math.isinf(P.layers["preactivation_mean_square"][1])
    assert math.isnan(P.models["initial_cost"])
