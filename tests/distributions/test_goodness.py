"""The tests of goodness of fit: their levels by simulation, and the laws that they name."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.audit.local_faults import dependence
from pipeline.distributions.explain import candidates, explain, log_likelihood
from pipeline.distributions.families import FAMILIES
from pipeline.distributions.goodness import NOT_TESTED, TESTS, combined, normal_quantile, p_values
from pipeline.distributions.laws import BY_NAME, Fans, Law, law
from pipeline.distributions.power import POWER, SEPARATED, std_factor
from pipeline.distributions.summary import summarize
from tests.marks import slow
from tests.weights import bfloat16, draws

DTYPES = {"float32": lambda W: W.astype(np.float32), "float16": lambda W: W.astype(np.float16), "bfloat16": bfloat16}


def measured(W: Any, wanted: Law, dtype: str = "float64") -> dict[str, float]:
    return p_values(summarize(W, dtype), dependence(W), wanted)


def highest(n: int, level: float) -> int:
    """The number of n that an event of this probability exceeds once in 100,000 times."""
    return int(stats.binom.ppf(1 - 1e-5, n, level))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(16, 16), *slow(((3, 40),), ((24, 48),))])
def test_level(family: str, shape: tuple[int, int]) -> None:
    """No test refuses right weights more often than its level; those without approximation about as often.

    The angles between vectors of uniform draws are approximated by those of normal ones: at .05, up to .08 in 16
    dimensions. The level of all tests together allows for it.
    """
    rng, n = np.random.default_rng(5), 300
    wanted = Law("law", FAMILIES[family], 0.01)
    p = [measured(draws(family, shape, rng, 0.1), wanted) for _ in range(n)]
    for test in p[0]:
        rate = sum(one[test] < 0.05 for one in p)
        assert rate <= highest(n, 0.08 if family == "uniform" and "angle" in test else 0.05), test
        if test in ("scale", "mean", "shape", "extreme"):
            assert rate >= stats.binom.ppf(1e-5, n, 0.05), test
    assert sum(combined(one) < 0.01 for one in p) <= highest(n, 0.01)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", ["truncated", *slow("normal", "uniform")])
def test_level_of_rounded_weights(dtype: str, family: str) -> None:
    """Equal values, values on the bound and the rounding of few bits give no alarm: 40 layers at 1e-4 each."""
    rng = np.random.default_rng(6)
    for std in (0.125 / 3, 2e-3):
        for _ in range(20):
            W = DTYPES[dtype](draws(family, (96, 64), rng, std))
            tests = measured(W, Law("law", FAMILIES[family], std * std), dtype)
            assert combined(tests) > 1e-4, tests


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_the_scale_against_scipy(factor: float) -> None:
    """Chi-squared for normal weights; Pearson III with the third cumulant of x^2, 16 / 35, for uniform ones."""
    rng = np.random.default_rng(15)
    for family in ("normal", "uniform"):
        W = draws(family, (6, 10), rng, factor)
        total = float((W * W).sum())
        if family == "normal":
            law = stats.chi2(60)
        else:
            std = math.sqrt(60 * 0.8)
            law = stats.pearson3(60 * (16 / 35) / std**3, loc=60, scale=std)
        wanted = min(1.0, 2.0 * min(law.cdf(total), law.sf(total)))
        found = measured(W, Law("law", FAMILIES[family], 1.0))["scale"]
        assert math.isclose(found, wanted, rel_tol=1e-8)  # SciPy's own error, far above that of the project's tails


def test_each_test_sees_what_it_is_for() -> None:
    rng = np.random.default_rng(7)
    wanted = Law("law", FAMILIES["normal"], 1.0)

    def refused(W: Any) -> set[str]:
        return {test for test, p in measured(W, wanted).items() if p < 1e-6}

    def right() -> Any:
        return draws("normal", (64, 48), rng)

    assert refused(right()) == set()
    assert refused(right() * 1.2) >= {"scale"}
    assert refused(right() + 0.15) >= {"mean"}
    assert refused(draws("uniform", (64, 48), rng)) >= {"shape", "extreme"}
    W = right()
    W[3, 4] = 7.0
    assert refused(W) == {"extreme"}
    W = right()
    W[3] *= 2.5
    assert "units" in refused(W)
    W = right()
    W[:, 3] *= 2.5
    assert "inputs" in refused(W)
    W = right()
    W[3] = W[4] * 0.95 + W[3] * math.sqrt(1 - 0.95**2)
    assert refused(W) == {"unit_angle"}
    W = right()
    W[:, 3] = W[:, 4] * 0.95 + W[:, 3] * math.sqrt(1 - 0.95**2)
    assert refused(W) == {"input_angle"}
    W = right() + 1.4 * np.outer(draws("normal", (64,), rng), draws("normal", (48,), rng)) / math.sqrt(8)
    W *= math.sqrt(W.size / (W * W).sum())
    assert "spectrum" in refused(W)
    assert set(measured(right(), wanted)) == set(TESTS)


def test_small_layers_have_the_tests_that_apply() -> None:
    rng = np.random.default_rng(8)
    wanted = Law("law", FAMILIES["uniform"], 1.0)
    assert set(measured(draws("uniform", (1, 5), rng), wanted)) == {"scale", "mean", "extreme"}
    assert set(measured(draws("uniform", (1, 1), rng), wanted)) == {"scale", "mean", "extreme"}
    assert "unit_angle" not in measured(draws("uniform", (10, 2), rng), wanted)
    assert "unit_angle" in measured(draws("normal", (10, 2), rng), Law("law", FAMILIES["normal"], 1.0))


def test_beyond_the_bound_nothing_is_possible() -> None:
    W = draws("uniform", (20, 20), np.random.default_rng(9))
    W[0, 0] = 1.7321  # the bound is 1.73205
    assert measured(W, Law("law", FAMILIES["uniform"], 1.0))["extreme"] == 0.0
    assert log_likelihood(summarize(W, "float64"), Law("law", FAMILIES["uniform"], 1.0)) == -math.inf


@pytest.mark.parametrize("family", FAMILIES)
def test_log_likelihood(family: str) -> None:
    W = draws(family, (5, 6), np.random.default_rng(10), 0.3) + 0.01
    wanted = {
        "normal": stats.norm(0.01, 0.3),
        "uniform": stats.uniform(0.01 - 0.3 * math.sqrt(3), 0.6 * math.sqrt(3)),
        "truncated": stats.truncnorm(-2, 2, 0.01, 0.3 / stats.truncnorm.std(-2, 2)),
    }[family].logpdf(W)
    found = log_likelihood(summarize(W, "float64"), Law("law", FAMILIES[family], 0.09, 0.01))
    assert math.isclose(found, float(wanted.sum()), rel_tol=1e-10)


@pytest.mark.parametrize("name", ["he_normal", "xavier_uniform", "lecun_truncated_normal", "pytorch_linear"])
def test_laws_are_named(name: str) -> None:
    """Of 40 layers 32 x 48, the right law comes first in 95 %, is listed always, and no wrong one stands alone."""
    rng, fans = np.random.default_rng(11), Fans(48, 32)
    first = 0
    for _ in range(40):
        wanted = law(name, fans)
        W = draws(wanted.family.name, (32, 48), rng, wanted.std).astype(np.float32)
        names = [
            one.law.name.split(" = ") for one in candidates(explain(summarize(W, "float32"), dependence(W), [fans]))
        ]
        first += name in names[0]
        assert any(name in one for one in names)
    assert first >= 36  # 40 * .95 less 1.5 standard deviations of the binomial law


def test_every_law_of_the_catalogue_is_a_candidate_for_its_own_draws() -> None:
    rng, fans = np.random.default_rng(12), Fans(96, 64, 80)
    for name in BY_NAME:
        wanted = law(name, fans)
        W = draws(wanted.family.name, (64, 96), rng, wanted.std) + wanted.mean
        found = candidates(explain(summarize(W, "float64"), dependence(W), [fans]))
        assert name in found[0].law.name.split(" = "), (name, found[0])


def test_normal_quantile() -> None:
    for p in (0.3, 0.01, 1e-6, 1e-100):
        assert math.isclose(normal_quantile(p), stats.norm.isf(p / 2), rel_tol=1e-12)


@pytest.mark.parametrize("n", [40, 556, *slow(80, 3245)])
def test_stated_power(n: int) -> None:
    """A standard deviation that is too large or too small by the stated factor is seen in at least 95 % of the cases.

    In one of the two directions in about 95 %.
    """
    rng, level, wanted = np.random.default_rng(13), 1e-3, Law("law", FAMILIES["normal"], 1.0)
    rates = []
    for factor in (std_factor(n, level), 1 / std_factor(n, level)):
        seen = 0
        for _ in range(400):
            W = draws("normal", (1, n), rng, factor)
            seen += p_values(summarize(W, "float64"), NOT_TESTED, wanted)["scale"] < level / len(TESTS)
        rates.append(seen / 400)
    assert abs(min(rates) - POWER) < 5 * math.sqrt(POWER * (1 - POWER) / 400)


def test_stated_separation_of_families() -> None:
    """With the stated number of weights and equal variances, the wrong family of a pair is less likely in 95 %."""
    rng = np.random.default_rng(14)
    for pair, n in SEPARATED:
        for right, wrong in (pair, pair[::-1]):
            won = 0
            for _ in range(400):
                summary = summarize(draws(right, (1, n), rng), "float64")
                one, other = (log_likelihood(summary, Law("", FAMILIES[name], 1.0)) for name in (right, wrong))
                won += one > other
            assert won / 400 > POWER - 3 * math.sqrt(POWER * (1 - POWER) / 400), (right, wrong, won)
