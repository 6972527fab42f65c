"""The laws of the recipes against drawn models, SciPy, and signals that go through them."""

import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.diagnostics import signals
from pipeline.initializers import recipes
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import stack
from pipeline.numerics.random import truncated_moments
from pipeline.numerics.sums import Array
from pipeline.theory import mean_field
from pipeline.theory.variances import Law, estimate, is_own, laws, without_theory
from tests.initializer_cases import FAN_IN, FAN_OUT, cases

RELU, TANH = ACTIVATIONS["relu"], ACTIVATIONS["tanh"]
DIMS = [40, 30, 50, 1]  # unequal, so that swapped fans show
X = np.random.RandomState(0).randn(40, 16)
SPEC = NetworkSpec(DIMS, [RELU, TANH], X)

# Options and exceptions of single layers
EXCEPTIONS = {
    "gain": Recipe("he_normal", gain=3.0),
    "gain of drawn biases": Recipe("pytorch_linear", gain=3.0),
    "negative gain": Recipe("lecun_normal", gain=-0.5),
    "gain 0": Recipe("ones", gain=0.0),
    "gain 0 of a layer": Recipe("orthogonal", layers={3: Layer(gain=0.0)}),
    "layers": Recipe(
        "xavier_normal",
        gain=0.5,
        layers={1: Layer(gain=2.0), 2: Layer("sklearn_mlp"), 3: Layer("orthogonal", gain=3.0)},
    ),
    "a layer of own settings": Recipe("normal", {"std": 0.3}, layers={2: Layer("normal", {"std": 2.0})}),
    "bias taken back": Recipe("lecun_normal", bias=0.1, layers=dict.fromkeys((1, 2, 3), Layer(bias=0.0))),
    "no layer is the network's": Recipe("lsuv", gain=0.5, layers=dict.fromkeys((1, 2, 3), Layer("orthogonal"))),
    "critical, with a layer of its own": Recipe("critical_normal", gain=2.0, layers={2: Layer("he_uniform")}),
}


def sample_models(recipe: Recipe, spec: NetworkSpec, n_models: int) -> Any:
    return stack([recipes.sample_parameters(recipe, seed, spec) for seed in range(n_models)])


def found(recipe: Recipe, spec: NetworkSpec) -> list[Law]:
    law = laws(recipe, spec)
    assert not isinstance(law, str)
    return law


def assert_mean(samples: Array, expected: float) -> None:
    """Within five standard errors, which the samples tell themselves; they may be correlated below 0, not above.

    An orthonormal first layer that widens keeps |x|^2 in every model: rounding is left alone.
    """
    samples = samples.ravel()
    error = 5 * samples.std() / math.sqrt(samples.size)
    assert abs(samples.mean() - expected) <= error + 1e-14 * abs(expected)


def assert_law(values: Array, variance: float) -> None:
    """Mean 0, the variance, and symmetry by the third moment and by the signs."""
    if variance == 0.0:
        assert not values.any()
        return
    assert_mean(values, 0.0)
    assert_mean(values * values, variance)  # the error comes from the fourth moment
    assert_mean(values * values * values, 0.0)
    assert_mean(np.sign(values), 0.0)


def assert_laws(recipe: Recipe, spec: NetworkSpec, n_models: int = 24) -> None:
    """Of 24 models, five standard errors of the variance of 1,200 normal weights are 4 %; swapped fans change it by 33 %."""
    expected = found(recipe, spec)
    assert len(expected) == len(spec.fans)
    for (W, b), law in zip(sample_models(recipe, spec, n_models), expected, strict=True):
        assert_law(W, law.weight)
        assert_law(b, law.bias)


@pytest.mark.parametrize("name", [*RECIPES, *NETWORK_RECIPES])
def test_every_recipe_has_its_variance_or_a_reason(name: str) -> None:
    """Against the models themselves, and where SciPy has the distribution against its moments."""
    for case in cases(name).cases:
        recipe = Recipe(name, case.settings)
        if case.reason:
            assert_reason(recipe, case.reason)
        else:
            assert_laws(recipe, SPEC)
        if case.weights is not None:
            reason = laws(recipe, NetworkSpec([FAN_IN, FAN_OUT], [], X))
            if isinstance(reason, str):
                assert case.weights.mean() != 0.0
            else:
                assert case.weights.mean() == 0.0
                assert math.isclose(reason[0].weight, case.weights.var(), rel_tol=1e-9)  # see test_truncated_moments


def assert_reason(recipe: Recipe, beginning: str) -> None:
    """The reason is a clause that begins so; a mean in it is that of the weights."""
    reason = laws(recipe, SPEC)
    assert isinstance(reason, str)
    assert reason.startswith(f"has {beginning}")
    assert re.fullmatch(r"has [^\n]+, (but theory assumes|whose distribution|beyond the range) [^\n]+[^.\n]", reason)
    if place := re.search(r"of mean (\S+),", reason):
        (W, _), *_ = sample_models(recipe, SPEC, 50)
        assert abs(W.mean() - float(place[1])) <= 5 * W.std() / math.sqrt(W.size) + 1e-6  # to six digits


def test_user_defined_weights_have_no_law() -> None:
    assert_reason(Recipe("own.example:mirrored"), "user-defined weights,")


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_options_and_exceptions(name: str) -> None:
    assert_laws(EXCEPTIONS[name], SPEC)


def test_critical_normal_has_biases() -> None:
    assert_laws(Recipe("critical_normal", {"bias_variance": 0.05}), SPEC._replace(activations=[TANH, TANH]), 100)
    tanh, relu = (found(Recipe("critical_normal"), SPEC._replace(activations=[phi] * 2)) for phi in (TANH, RELU))
    assert [law.weight for law in tanh] == [1 / 40, 1 / 30, 1 / 50]
    assert [law.weight for law in relu] == [2 / 40, 2 / 30, 2 / 50]
    assert found(Recipe("critical_normal"), NetworkSpec([5, 2], [], X)) == [Law(1 / 5, 0.0, True)]
    with pytest.raises(ValueError, match="no critical point"):  # as the initializer itself
        laws(Recipe("critical_normal"), SPEC._replace(activations=[ACTIVATIONS["softplus"]] * 2))


def test_activations_without_theory() -> None:
    stairs = Activation(np.floor, lambda z, a: 0.0 * z, without_theory="it jumps")
    assert without_theory([RELU, TANH]) is without_theory([]) is None
    reason = "has the activation floor, which theory does not cover: it jumps"
    assert without_theory([RELU, stairs]) == reason


def test_orthogonal_exactly() -> None:
    for W, law in zip(
        recipes.sample_parameters(Recipe("orthogonal"), 0, SPEC), found(Recipe("orthogonal"), SPEC), strict=True
    ):
        assert math.isclose((W[0] * W[0]).mean(), law.weight, rel_tol=1e-14)  # rounding of an orthonormal matrix


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe("he_normal", bias=0.1), "has biases of mean 0.1, but theory assumes mean 0"),
        (Recipe("pytorch_linear", bias=-2.0), "has biases of mean -2, but theory assumes mean 0"),
        (
            Recipe("he_normal", layers={3: Layer(bias=0.1)}),
            "has in layer 3 biases of mean 0.1, but theory assumes mean 0",
        ),
        (
            Recipe("he_normal", layers={2: Layer("constant", {"value": 0.25}, gain=2.0)}),
            "has in layer 2 weights of mean 0.5, but theory assumes mean 0",
        ),
        (Recipe("ones", gain=3.0, layers={2: Layer("orthogonal")}), "has weights of mean 3, but theory assumes mean 0"),
        (
            Recipe("critical_normal", layers={1: Layer("identity")}),
            "has in layer 1 deterministic weights, but theory assumes random ones",
        ),
        (
            Recipe("orthogonal", layers={2: Layer("own.example:mirrored")}),
            "has in layer 2 user-defined weights, whose distribution is unknown",
        ),
        (
            Recipe("lsuv", layers={1: Layer("orthogonal"), 2: Layer("orthogonal")}),
            "has weights that depend on the training data, but theory assumes independent ones",
        ),
    ],
)
def test_reasons_of_options_and_layers(recipe: Recipe, reason: str) -> None:
    assert laws(recipe, SPEC) == reason


@pytest.mark.parametrize(
    ("name", "settings", "normal"),
    [
        ("zeros", {}, [False] * 3),
        ("he_normal", {}, [True] * 3),
        ("xavier_normal", {}, [True] * 3),
        ("he_uniform", {}, [False] * 3),
        ("lecun_truncated_normal", {}, [False] * 3),
        ("variance_scaling", {"scale": 1.0, "mode": "fan_avg"}, [True] * 3),
        ("truncated_normal", {"std": 1.0, "low": -8.0, "high": 8.0}, [False] * 3),
        ("truncated_normal", {"std": 1.0, "low": -40.0, "high": 40.0}, [True] * 3),
        ("truncated_normal_absolute", {"std": 0.02}, [True] * 3),  # cut at 100 standard deviations
        ("truncated_normal_absolute", {"std": 1e-310}, [False] * 3),  # of a variance that is 0
        ("pytorch_linear", {}, [False] * 3),
        ("orthogonal", {}, [False] * 3),
        ("sparse", {"sparsity": 0.5}, [False] * 3),
        ("sparse", {"sparsity": 0.0}, [True] * 3),
        ("martens_sparse", {"n_connections": 35}, [False, True, False]),  # a unit of 30 inputs has them all
        ("random_walk", {}, [True] * 3),
        ("critical_normal", {}, [True] * 3),
    ],
)
def test_normal(name: str, settings: dict[str, Any], normal: list[bool]) -> None:
    assert [law.normal for law in found(Recipe(name, settings), SPEC)] == normal
    assert not any(law.normal for law in found(Recipe(name, settings, gain=0.0), SPEC))


@pytest.mark.parametrize(
    ("low", "high"),
    [(-2, 2), (-0.0126, 0.0126), (-1, 1), (-6, 6), (-0.5, 3), (-3, -1.8), (2.2, 2.5), (2.3, 9), (-50, 60)],
)
def test_truncated_moments(low: float, high: float) -> None:
    """Rounding: Phi is good to 1e-16, and at worst a difference of 0.01 is divided by."""
    expected = stats.truncnorm.stats(low, high, moments="mv")
    np.testing.assert_allclose(truncated_moments(low, high), expected, rtol=0, atol=1e-13)
    if low == -high:
        (law,) = found(Recipe("truncated_normal", {"std": 0.3, "low": low, "high": high}), NetworkSpec([4, 2], [], X))
        absolute = {"std": 0.3, "low": 0.3 * low, "high": 0.3 * high}
        (same,) = found(Recipe("truncated_normal_absolute", absolute), NetworkSpec([4, 2], [], X))
        assert math.isclose(law.weight, stats.truncnorm.var(low, high, scale=0.3), rel_tol=1e-9)  # 1e-13 / 5e-5
        assert math.isclose(law.weight, same.weight, rel_tol=1e-9)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("orthogonal"),
        Recipe("sparse", {"sparsity": 0.5, "std": 1.0}),
        Recipe("martens_sparse", {"n_connections": 3}),
    ],
    ids=lambda recipe: recipe.recipe,
)
def test_entries_are_uncorrelated(recipe: Recipe) -> None:
    """Those of a row, of a column, and all others: E[w w'] of all pairs, over models that are independent."""
    n_models = 500
    spec = NetworkSpec([6, 4, 5], [RELU], X)
    for (W, _), law in zip(sample_models(recipe, spec, n_models), found(recipe, spec), strict=True):
        w = W.reshape(n_models, -1)
        products = w[:, :, None] * w[:, None, :]
        error = products.std(axis=0) / math.sqrt(n_models)
        assert (np.abs(products.mean(axis=0) - law.weight * np.eye(w.shape[1])) <= 5 * error).all()


@pytest.mark.parametrize("name", ["he_normal", "orthogonal"])
def test_predicted_signal(name: str) -> None:
    """E[z^2] of ReLU networks is exact at any width: z is as likely as -z. And q is linear in |x|^2."""
    dims, activations = [7, 20, 10, 30, 2], [RELU] * 3
    inputs = np.random.RandomState(1).randn(7, 24) + 0.5
    spec = NetworkSpec(dims, activations, inputs)
    recipe = Recipe(name, gain=1.5)
    law = found(recipe, spec)
    predicted = mean_field.predicted_signal(
        (inputs * inputs).mean(),
        [fan_in * layer.weight for layer, fan_in in zip(law, dims, strict=False)],
        [layer.bias for layer in law],
        activations,
    )
    labels = np.arange(24.0)[None] % 2
    seen = signals.signals(sample_models(recipe, spec, 300), inputs, labels, activations).Z.second
    for l, q in enumerate(predicted):
        assert_mean(seen[:, l], q)


def test_laws_of_ones_own_are_estimated() -> None:
    """From what the weights turned out to be: within five standard errors, or a reason."""
    dims = [4, 30, 20, 1]
    rng = np.random.RandomState(0)

    def columns(draw: Any, bias: float = 0.0) -> dict[str, Any]:
        rows: dict[str, list[float]] = {
            f"{kind}_{what}": [] for kind in ("weight", "bias") for what in ("mean", "mean_square")
        }
        for _ in range(50):
            for n_in, n_out in pairwise(dims):
                for kind, values in (
                    ("weight", draw((n_out, n_in))),
                    ("bias", bias + 0.1 * rng.standard_normal(n_out)),
                ):
                    rows[f"{kind}_mean"].append(values.mean())
                    rows[f"{kind}_mean_square"].append((values**2).mean())
        return {name: np.array(values) for name, values in rows.items()}

    found = estimate(columns(lambda shape: rng.uniform(-0.3, 0.3, shape)), dims)
    assert not isinstance(found, str)
    for law, (n_in, n_out) in zip(found, pairwise(dims), strict=True):
        # Var(u^2) is 4/5 of E[u^2]^2 for a uniform u, and 2 for a normal one
        assert abs(law.weight - 0.03) < 5 * 0.03 * math.sqrt(0.8 / (50 * n_in * n_out))
        assert abs(law.bias - 0.01) < 5 * 0.01 * math.sqrt(2 / (50 * n_out))
        assert not law.normal
    skewed = estimate(columns(lambda shape: rng.uniform(-0.3, 0.4, shape)), dims)
    assert re.fullmatch(r"has in layer 1 weights of mean 0\.0\d+, but theory assumes mean 0", str(skewed))
    shifted = estimate(columns(rng.standard_normal, bias=0.5), dims)
    assert re.fullmatch(r"has in layer 1 biases of mean 0\.[45]\d*, but theory assumes mean 0", str(shifted))
    assert is_own(Recipe("zeros", layers={2: Layer("own.mine:f")}))
    assert not is_own(Recipe("lsuv", layers={2: Layer("he_normal")}))
