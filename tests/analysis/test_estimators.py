"""Estimators on values worked out by hand; more are in test_comparison.py."""

import math

from pipeline.analysis.estimators import quantile


def test_nan_counts_as_above_all_values_in_a_quantile() -> None:
    values = [math.nan, 2.0, 1.0]
    assert quantile(values, 0.0) == 1.0
    assert quantile(values, 0.5) == 2.0
    assert math.isnan(quantile(values, 1.0))
