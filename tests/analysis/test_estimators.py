"""Estimators on values worked out by hand; more are in test_comparison.py."""

import math

import pytest
from scipy import stats

from pipeline.analysis.estimators import THREE_SIGMA, quantile, student_tail, three_sigma_bound


def test_nan_counts_as_above_all_values_in_a_quantile() -> None:
    values = [math.nan, 2.0, 1.0]
    assert quantile(values, 0.0) == 1.0
    assert quantile(values, 0.5) == 2.0
    assert math.isnan(quantile(values, 1.0))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 11, 100, 1000])
def test_the_bound_of_a_mean_is_a_quantile_of_students_t(n: int) -> None:
    assert three_sigma_bound(n) == pytest.approx(stats.t.isf(stats.norm.sf(3.0), n - 1), rel=2e-9)


@pytest.mark.parametrize(("t", "degrees"), [(0.1, 1), (1.0, 2), (5.0, 7), (300.0, 3), (2.0, 1000), (129.0, 9999)])
def test_the_tail_of_students_t(t: float, degrees: int) -> None:
    assert student_tail(t, degrees) == pytest.approx(2.0 * stats.t.sf(t, degrees), rel=1e-12, abs=1e-290)


def test_three_sigma() -> None:
    assert pytest.approx(2.0 * stats.norm.sf(3.0), rel=1e-15) == THREE_SIGMA
    assert three_sigma_bound(1) == math.inf
