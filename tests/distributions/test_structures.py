"""Structured weights, reused draws and biases are recognized; random ones are not taken for them."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.audit.local_faults import dependence
from pipeline.distributions import biases
from pipeline.distributions.streams import matches, prefixes
from pipeline.distributions.structures import count_equal, equal_rows, structure
from pipeline.distributions.summary import summarize
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.networks.activations import ACTIVATIONS
from tests.marks import slow
from tests.weights import bfloat16, draws, he

SHAPES = [(64, 64), (48, 80), (80, 48), (3, 40), (40, 3)]
ROUNDINGS: dict[str, Any] = {
    "float64": lambda W: W,
    "float32": lambda W: W.astype(np.float32),
    "float16": lambda W: W.astype(np.float16),
    "bfloat16": bfloat16,
}


def name_of(W: Any, dtype: str = "float64") -> tuple[str, str]:
    return structure(W, summarize(W, dtype), dependence(W))


@pytest.mark.parametrize("dtype", ROUNDINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_recipes(shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.RandomState(3)
    for name, settings, wanted, detail in (
        ("zeros", {}, "zeros", ""),
        ("constant", {"value": 0.5}, "constant", "all 0.5"),
        ("orthogonal", {}, "orthogonal", ""),
        ("identity", {"value": 2.0}, "identity", "value 2"),
        ("sparse", {"sparsity": 0.25}, "sparse", None),
        ("zero_init", {}, "identity" if shape[0] <= shape[1] else "zero_init", ""),  # ZerO is I* for fan_out <= fan_in
        ("normal", {"std": 0.1}, "random", ""),
        ("uniform", {"low": -1.0, "high": 1.0}, "random", ""),
    ):
        if name == "sparse" and min(shape) == 3:
            continue  # of 3 weights per input one is 0: any of the rules fits
        W = ROUNDINGS[dtype](RECIPES[name].factory(**settings)(rng, *shape))
        found = name_of(W, dtype)
        assert found[0] == wanted, (name, found)
        assert detail is None or found[1] == detail
    gain = ROUNDINGS[dtype](RECIPES["orthogonal"].factory()(rng, *shape) * math.sqrt(2.0))
    assert name_of(gain, dtype)[0] == "orthogonal"
    assert name_of(gain, dtype)[1].startswith("gain 1.4")


def test_sparse_recipes_say_what_is_zero() -> None:
    rng = np.random.RandomState(4)
    assert name_of(RECIPES["sparse"].factory(sparsity=0.25)(rng, 64, 48)) == (
        "sparse",
        "25 % of the weights of each input are 0",
    )
    assert name_of(RECIPES["martens_sparse"].factory()(rng, 64, 48)) == (
        "martens_sparse",
        "15 of 48 inputs of each unit",
    )


def test_convolutions() -> None:
    """dirac_ of PyTorch and delta_orthogonal of JAX: all weights at the centre of the kernel."""
    kernel = np.zeros((8, 8, 3, 3))
    kernel[:, :, 1, 1] = np.eye(8)
    assert name_of(kernel.reshape(8, -1)) == ("dirac", "")
    kernel[:, :, 1, 1] = stats.ortho_group.rvs(8, random_state=1)
    assert name_of(kernel.reshape(8, -1))[0] == "delta_orthogonal"


def test_looks_linear() -> None:
    activation = ACTIVATIONS["relu"]
    for dims in ([30, 40, 40, 1], [30, 41, 40, 3]):
        spec = NetworkSpec(dims, (activation,) * 2, np.zeros((30, 4)))
        for W, _ in NETWORK_RECIPES["looks_linear"].factory()(np.random.RandomState(0), spec):
            assert name_of(W)[0] == "looks_linear"
    half = draws("normal", (20, 40), np.random.default_rng(0))
    W = np.concatenate([half, -half])
    assert name_of(W)[0] == "random"  # mirrored, but not orthogonal: equal units
    assert equal_rows(dependence(W).units, W, summarize(W, "float64"))
    assert count_equal(W, 0, "float64") == 2


@pytest.mark.parametrize("dtype", ROUNDINGS)
def test_equal_units(dtype: str) -> None:
    """A copy, a scaled one and a mirrored one are equal units; random units of few inputs are not."""
    rng = np.random.default_rng(5)
    for factor in (1.0, -1.0, 0.3):
        W = draws("normal", (64, 48), rng)
        W[7] = factor * W[4]
        W = ROUNDINGS[dtype](W)
        assert equal_rows(dependence(W).units, W, summarize(W, dtype)), factor
        assert count_equal(W, 4, dtype) == 2
    for n in (1, 2, 3, 10):
        W = ROUNDINGS[dtype](draws("normal", (500, n), rng))
        assert not equal_rows(dependence(W).units, W, summarize(W, dtype)), n


def test_units_with_one_common_huge_value_are_not_equal() -> None:
    W = draws("normal", (40, 30), np.random.default_rng(8))
    W[:, 4] = 1e38
    assert dependence(W).units.cosine == 1.0
    assert not equal_rows(dependence(W).units, W, summarize(W, "float64"))


@pytest.mark.parametrize("shape", [(2, 64), *slow(((3, 40),))])
@pytest.mark.parametrize("dtype", ROUNDINGS)
def test_few_random_units_are_not_called_orthogonal(shape: tuple[int, int], dtype: str) -> None:
    """Of 300, at most one in any format: two units are nearly orthogonal by chance."""
    rng = np.random.default_rng(9)
    found = [name_of(ROUNDINGS[dtype](draws("normal", shape, rng)), dtype)[0] for _ in range(300)]
    assert found.count("orthogonal") <= 1


def test_a_zero_unit_is_not_a_sparse_matrix() -> None:
    for place in (np.s_[7], np.s_[:, 7]):
        W = draws("normal", (12, 12), np.random.default_rng(10))
        W[place] = 0.0
        assert name_of(W)[0] == "random"


def test_reused_draws_are_found() -> None:
    rng = np.random.default_rng(6)
    stream = rng.normal(size=10_000)

    def drawn(*shape: int) -> Any:
        return stream[: math.prod(shape)].reshape(shape)

    layers = [
        *he(rng, 3),
        drawn(64, 64),
        drawn(80, 20) * 0.1,
        drawn(48, 96).T,
        draws("normal", (30, 30), rng),
        drawn(4, 5),
    ]
    found = matches([prefixes(W) for W in layers], 1e-3)
    assert [(match.second, match.first) for match in found] == [(4, 3), (5, 3), (7, 3)]
    assert all(match.correlation > 1 - 1e-9 for match in found)


def test_the_p_value_of_a_match() -> None:
    """Of two layers, each in two orders of its weights, four pairs are compared."""
    rng = np.random.default_rng(11)
    first, second = rng.normal(size=(8, 8)), rng.normal(size=(8, 8))
    second = 0.6 * first + 0.8 * second
    (match,) = matches([prefixes(first), prefixes(second)], 0.01)
    r = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert math.isclose(match.correlation, abs(r), rel_tol=1e-12)
    assert math.isclose(match.p, 4 * stats.pearsonr(first.ravel(), second.ravel()).pvalue, rel_tol=1e-9)


def test_level_of_reused_draws() -> None:
    """300 networks of 12 layers at the level .01: at most 3 + 5 standard deviations of alarms."""
    rng = np.random.default_rng(7)
    n_found = 0
    for _ in range(300):
        shapes = rng.integers(3, 40, size=(12, 2))
        n_found += bool(matches([prefixes(draws("uniform", tuple(shape), rng)) for shape in shapes], 0.01))
    assert n_found <= 3 + 5 * math.sqrt(3)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (np.zeros(8), "zeros"),
        (np.full(8, 0.1), "constant"),
        (np.repeat([0.0, 1.0, 0.0, 0.0], 6), "gates"),
        (np.repeat([0.0, 1.0, 0.5], 6), "gates"),
        (np.array([0.1, np.nan]), "non_finite"),
        (draws("uniform", (64,), np.random.default_rng(1), 0.1 / math.sqrt(3)), "default"),
        (draws("normal", (64,), np.random.default_rng(2), 0.3), "random"),
        (draws("uniform", (64,), np.random.default_rng(3), 0.3), "random"),
        (np.append(np.zeros(60), [1.0, -2.0, 3.0, 0.4]), "other"),
    ],
)
def test_biases(values: Any, name: str) -> None:
    assert biases.classify(values, "float64", (0.1,)).name == name
