"""What is expected of each recipe, for the tests of all that is registered.

A new recipe has its entry in CASES: settings, the distribution of its weights in SciPy, and a digest, which
`pytest tests/initializers/test_recipes.py` prints. Properties that no distribution of single weights shows, such as
orthonormal rows, are tested in tests/initializers/.
"""

import math
from typing import Any, NamedTuple

import pytest
from scipy import stats

from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES
from tests.sampling import initialize_parameters

FAN_OUT, FAN_IN = 300, 400  # unequal, so that swapped fans are noticed


class Case(NamedTuple):
    """Settings of a recipe, and what follows from them."""

    settings: dict[str, Any]
    weights: Any = None  # distribution in SciPy of a weight of shape (FAN_OUT, FAN_IN); None: other tests show it
    reason: str = ""  # how the reason begins for which theory makes no prediction; empty if it makes one


class Cases(NamedTuple):
    """All cases of a recipe; together they reach each branch of it."""

    digest: str  # of models with the settings of the first case
    cases: list[Case]
    draws_biases: bool = False


def normal(variance: float) -> Any:
    """Mean 0."""
    return stats.norm(scale=math.sqrt(variance))


def uniform(variance: float) -> Any:
    """Mean 0."""
    r = math.sqrt(3 * variance)
    return stats.uniform(-r, 2 * r)


def truncated(variance: float) -> Any:
    """Truncated at two standard deviations of a wider normal distribution, so that the variance is as given."""
    return stats.truncnorm(-2, 2, scale=math.sqrt(variance) / stats.truncnorm.std(-2, 2))


DISTRIBUTIONS = {"normal": normal, "truncated_normal": truncated, "uniform": uniform}
MODES = {"fan_out": FAN_OUT, "fan_in": FAN_IN, "fan_avg": 350, "fan_geo_avg": math.sqrt(120_000)}
MEAN = "weights of mean "
OF_THE_DATA = "weights that depend on the training data,"

CASES: dict[str, Cases] = {
    "zeros": Cases("17d4939d3a53aea9", [Case({})]),
    "ones": Cases("3fb5958645220a7c", [Case({}, reason=MEAN + "1,")]),
    "constant": Cases(
        "07f9924c2e929dcf",
        [
            Case({"value": 0.5}, reason=MEAN + "0.5,"),
            Case({"value": -0.5}, reason=MEAN + "-0.5,"),
            Case({"value": 0.0}),
        ],
    ),
    "uniform": Cases(
        "49e4399198623719",
        [
            Case({"low": -0.1, "high": 0.3}, stats.uniform(-0.1, 0.4), MEAN + "0.1,"),
            Case({"low": -0.3, "high": 0.3}, stats.uniform(-0.3, 0.6)),
        ],
    ),
    "normal": Cases(
        "4a43e188d42a7b5e",
        [
            Case({"std": 0.3}, stats.norm(scale=0.3)),
            Case({"std": 1e200}, reason="weights whose variance exceeds 1.8e308,"),
        ],
    ),
    "truncated_normal": Cases(
        "37aa31172ca3dce5",
        [
            Case({"std": 0.3}, stats.truncnorm(-2, 2, scale=0.3)),
            Case({"std": 0.3, "low": -0.5, "high": 3.0}, stats.truncnorm(-0.5, 3, scale=0.3), MEAN + "0."),
            Case({"std": 0.3, "low": -0.5, "high": 0.5}, stats.truncnorm(-0.5, 0.5, scale=0.3)),
        ],
    ),
    "truncated_normal_absolute": Cases(
        "0db78464c8a84437",
        [
            Case({}, stats.truncnorm(-2, 2)),
            Case({"std": 0.02}, stats.norm(scale=0.02)),
            Case({"std": 0.02, "high": 3.0}, stats.norm(scale=0.02)),
            Case({"std": 0.02, "mean": 0.5}, stats.norm(0.5, 0.02), MEAN + "0.5,"),
            Case({"std": 0.3, "low": -0.4, "high": 0.4}, stats.truncnorm(-4 / 3, 4 / 3, scale=0.3)),
            Case(
                {"std": 2.0, "mean": 0.5, "low": -0.5, "high": 2.5},
                stats.truncnorm(-0.5, 1, loc=0.5, scale=2),
                MEAN + "0.",
            ),
        ],
    ),
    "variance_scaling": Cases(
        "6dc082536b6e83d0",
        [
            *(
                Case({"scale": 3.0, "mode": mode, "distribution": distribution}, weights(3 / n))
                for mode, n in MODES.items()
                for distribution, weights in DISTRIBUTIONS.items()
            ),
            Case({"scale": 3.0, "mode": "fan_out"}, normal(3 / FAN_OUT)),
        ],
    ),
    **{
        f"he_{distribution}": Cases(
            digest,
            [
                Case({}, DISTRIBUTIONS[distribution](2 / FAN_IN)),
                Case({"negative_slope": 0.5, "mode": "fan_out"}, DISTRIBUTIONS[distribution](1.6 / FAN_OUT)),
            ],
        )
        for distribution, digest in {
            "normal": "0c0ef9c5c1fef79f",
            "uniform": "7925720fb6b8ce9b",
            "truncated_normal": "0f91c085a212145e",
        }.items()
    },
    "xavier_normal": Cases("e46dad89fcb5bb8b", [Case({}, normal(2 / (FAN_IN + FAN_OUT)))]),
    "xavier_uniform": Cases("203daefef42a7e19", [Case({}, uniform(2 / (FAN_IN + FAN_OUT)))]),
    "xavier_truncated_normal": Cases("ae48476ffb620d5e", [Case({}, truncated(2 / (FAN_IN + FAN_OUT)))]),
    "lecun_normal": Cases("1ac42909245892a7", [Case({}, normal(1 / FAN_IN))]),
    "lecun_uniform": Cases("7a351654897b2ef6", [Case({}, uniform(1 / FAN_IN))]),
    "lecun_truncated_normal": Cases("32209439f9041c59", [Case({}, truncated(1 / FAN_IN))]),
    "mean_field_normal": Cases(
        "900893a557a8c049",
        [
            Case({"weight_variance": 2.5, "bias_variance": 0.05}, normal(2.5 / FAN_IN)),
            Case({"weight_variance": 2.5}, normal(2.5 / FAN_IN)),
        ],
        draws_biases=True,
    ),
    "pytorch_linear": Cases("0f0bd166ff792aa0", [Case({}, stats.uniform(-1 / 20, 2 / 20))], draws_biases=True),
    "sklearn_mlp": Cases(
        "93a96219f17e38ac",
        [
            Case({}, stats.uniform(-math.sqrt(6 / 700), 2 * math.sqrt(6 / 700))),
            Case({"activation": "logistic"}, stats.uniform(-math.sqrt(2 / 700), 2 * math.sqrt(2 / 700))),
        ],
        draws_biases=True,
    ),
    "orthogonal": Cases("093d374bb39a905c", [Case({})]),
    "identity": Cases("ac477b2a72450642", [Case({}, reason="deterministic weights,")]),
    "sparse": Cases(
        "c981da1793c67899", [Case({"sparsity": 0.3}), Case({"sparsity": 0.31}), Case({"sparsity": 0.0, "std": 0.3})]
    ),
    "martens_sparse": Cases("3fa529f1279210d2", [Case({}), Case({"n_connections": 7, "std": 0.3})]),
    "zero_init": Cases("6f3035510b4bc4a7", [Case({}, reason="deterministic weights,")]),
    "lsuv": Cases("b64e388936cd37a0", [Case({}, reason=OF_THE_DATA)]),
    "data_dependent": Cases("6572d03bc707e1e6", [Case({"beta": 0.1}, reason=OF_THE_DATA)]),
    "looks_linear": Cases("7dc054d087683b9a", [Case({}, reason="weights that depend on each other,")]),
    "random_walk": Cases("77a5ba72a71d9ae0", [Case({}), Case({"tanh_gain": 2.0})]),
    "critical_normal": Cases("ab7a6baf4be80b12", [Case({})]),
}


def cases(name: str) -> Cases:
    """The cases of a registered recipe; a test that needs them fails if there are none."""
    if name not in CASES:
        pytest.fail(f"CASES of tests/initializer_cases.py lacks {name}: its settings, distribution and digest")
    return CASES[name]


def first_settings(name: str) -> dict[str, Any]:
    """The settings of the first case."""
    return cases(name).cases[0].settings


def digests() -> dict[str, str]:
    """As `digests.cases` names them."""
    return {name: CASES[name].digest for name in (*RECIPES, *NETWORK_RECIPES) if name in CASES}


def weights(name: str, settings: dict[str, Any], seed: int = 0, fan_out: int = FAN_OUT, fan_in: int = FAN_IN) -> Any:
    """W of shape (fan_out, fan_in) by a recipe for a single layer."""
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
