"""Families and laws against SciPy's distributions and against the registry of initializers."""

import inspect
import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from pipeline.distributions import laws
from pipeline.distributions.families import FAMILIES
from pipeline.distributions.laws import Fans
from pipeline.initializers.layerwise import RECIPES

WITHIN_2 = stats.truncnorm(-2, 2)
SCIPY = {
    "normal": stats.norm(),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "truncated": stats.truncnorm(-2, 2, scale=1 / WITHIN_2.std()),
}
FANS = Fans(48, 32)
SHAPE = {"normal": "normal", "uniform": "uniform", "truncated": "truncated_normal"}


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str) -> None:
    family, other = FAMILIES[name], SCIPY[name]
    x = np.linspace(-4, 4, 801)
    assert np.abs(family.cdf(x) - other.cdf(x)).max() < 1e-14
    assert math.isclose(family.bound, min(other.support()[1], math.inf), rel_tol=1e-14)

    def expectation(f: Any) -> float:
        low, high = np.clip(other.support(), -12, 12)  # the density of N(0, 1) at 12 is 2e-32
        return integrate.quad(lambda t: f(t) * other.pdf(t), low, high, epsabs=1e-13, limit=200)[0]

    assert math.isclose(expectation(lambda t: t * t), 1.0, rel_tol=1e-10)
    assert math.isclose(family.square_variance, expectation(lambda t: (t * t - 1) ** 2), rel_tol=1e-9)
    assert math.isclose(family.square_third, expectation(lambda t: (t * t - 1) ** 3), rel_tol=1e-8)
    sample = np.array([-1.2, 0.3, 1.5])
    square = float((sample * sample).mean())
    assert math.isclose(family.log_density(square), float(other.logpdf(sample).mean()), rel_tol=1e-12)


def test_laws_have_the_variances_of_the_registered_recipes() -> None:
    recipes = {
        **{name: {} for name in laws.BY_NAME if name in RECIPES},
        "pytorch_linear": {},
        "sklearn_mlp(activation='logistic')": {"activation": "logistic"},
        **{f"he_{shape}(mode='fan_out')": {"mode": "fan_out"} for shape in SHAPE.values()},
        "normal(std=0.02)": {"std": 0.02},
        "truncated_normal(std=0.05)": {"std": 0.05, "low": -2.0, "high": 2.0},
        "uniform(low=-0.05, high=0.05)": {"low": -0.05, "high": 0.05},
        "uniform(low=0, high=1)": {"low": 0.0, "high": 1.0},
    }
    assert len(recipes) >= 18
    for name, settings in recipes.items():
        entry = RECIPES[name.partition("(")[0]]
        defaults = {key: setting.default for key, setting in inspect.signature(entry.factory).parameters.items()}
        wanted = entry.variances(FANS.fan_out, FANS.fan_in, **{**defaults, **settings})
        assert not isinstance(wanted, str)
        found = laws.law(name, FANS)
        assert math.isclose(found.variance, wanted.weight, rel_tol=1e-12), name
        assert found.mean == wanted.mean, name
        assert (found.family.name == "normal") == wanted.normal, name


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("pytorch_recurrent", 1 / (3 * 20)),  # U(-1/sqrt(h), 1/sqrt(h)), docs of torch.nn.LSTM
        ("xavier_normal(gain=5/3)", (5 / 3) ** 2 * 2 / 80),  # docs of torch.nn.init.calculate_gain
        ("kaiming_uniform(nonlinearity='selu')", (3 / 4) ** 2 / 48),
        ("he_normal with the variance as standard deviation", (2 / 48) ** 2),
        ("he_uniform without the factor sqrt(3)", 2 / 48 / 3),
        ("lecun_truncated_normal without correction of the variance", 0.7737413 / 48),
        ("normal(std=0.3)", 0.09),
        ("uniform(low=-1, high=3)", 16 / 12),
        ("truncated_normal(std=0.1)", 0.007737413),
    ],
)
def test_variance_of_a_law(name: str, variance: float) -> None:
    assert math.isclose(laws.law(name, Fans(48, 32, 20)).variance, variance, rel_tol=1e-7)


@pytest.mark.parametrize("name", ["he", "normal", "normal(std=x)", "normal(mean=0)", "uniform(low=1)", "gamma(std=1)"])
def test_unknown_laws_are_refused(name: str) -> None:
    with pytest.raises(KeyError):
        laws.law(name, FANS)


def test_equal_laws_are_one() -> None:
    square = [law.name for law in laws.catalogue([Fans(64, 64)])]
    assert sum("he_normal" in name.split(" = ") for name in square) == 1
    assert any({"he_normal", "he_normal(mode='fan_out')"} <= set(name.split(" = ")) for name in square)
    assert any({"xavier_normal", "lecun_normal"} <= set(name.split(" = ")) for name in square)
    oblong = [law.name for law in laws.catalogue([FANS])]
    assert "he_normal" in oblong
    assert not any("he_normal" in name.split(" = ") and "fan_out" in name for name in oblong)
    both = {name for law in laws.catalogue([FANS, Fans(32, 48)]) for name in law.name.split(" = ")}
    assert both >= {name for name in laws.BY_NAME if name != "pytorch_recurrent"}
