"""The statistics against SciPy, NumPy, exact enumeration and published worked examples."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline import statistics
from pipeline.statistics import holm, mean_interval, paired_test, quantile


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_quantile_is_numpys(n: int, share: float) -> None:
    values = np.random.RandomState(n).randn(n)
    # NumPy interpolates with another association: an ulp or two of values of size 1
    assert quantile(values.tolist(), share) == pytest.approx(np.quantile(values, share), abs=1e-15)


def test_mean_and_deviation_are_numpys() -> None:
    values = np.random.RandomState(0).rand(50).tolist()
    assert statistics.mean(values) == pytest.approx(np.mean(values), rel=1e-15)
    assert statistics.deviation(values) == pytest.approx(np.std(values, ddof=1), rel=1e-14)
    assert math.isnan(statistics.deviation([0.5]))
    assert math.isnan(statistics.mean([0.5, math.inf]))


def test_mean_and_deviation_of_numbers_whose_sums_are_beyond_the_largest() -> None:
    assert statistics.mean([1.5e308, 1.7e308, 1.6e308]) == pytest.approx(1.6e308, rel=1e-15)
    assert statistics.mean([-1.7e308] * 100) == pytest.approx(-1.7e308, rel=1e-15)
    assert statistics.deviation([1e154, -1e154]) == math.inf  # squares of 1e308
    assert statistics.deviation([1e200, -1e200]) == math.inf


@pytest.mark.parametrize(
    "differences", [[1, 2, 3], [0, 0, 5], [-4, 1, 1, 1, 2], [3, -3], [7] * 8, list(range(-3, 9)), [0, 0]]
)
def test_paired_test_is_the_share_of_sign_patterns_at_least_as_extreme(differences: list[int]) -> None:
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    assert paired_test(differences) == sum(s >= abs(sum(differences)) for s in sums) / len(sums)


def test_paired_test_is_scipys_permutation_test() -> None:
    x, y = np.random.RandomState(5).randint(0, 30, (2, 11))
    scipys = stats.permutation_test((x, y), lambda a, b: np.sum(a - b), permutation_type="samples", n_resamples=np.inf)
    assert paired_test((x - y).tolist()) == pytest.approx(scipys.pvalue, rel=1e-12)


def test_paired_test_at_a_hundred_seeds_is_near_the_normal_law() -> None:
    differences = np.random.RandomState(1).randint(-20, 24, 100)
    z = abs(differences.sum()) / math.sqrt((differences**2).sum())
    # the sum of 100 bounded terms is normal to about 1 / 100 in its distribution function (Berry-Esseen)
    assert paired_test(differences.tolist()) == pytest.approx(2 * stats.norm.sf(z), abs=0.01)


def test_holm_is_the_worked_example() -> None:
    """R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def slow_lower_limit(values: list[float], alpha: float) -> float:
    """The same bet, on a grid of means and with one fraction after another."""
    for candidate in np.arange(1, 4000) / 4000:
        wealth = np.mean([math.prod(1 + k / 50 * (x / candidate - 1) for x in values) for k in range(1, 51)])
        if wealth < 2 / alpha:
            return candidate
    return 1.0


@pytest.mark.parametrize("values", [[0.5] * 10, [0.99, 0.98, 0.67, 0.93, 1.0], [0.0, 1.0], np.arange(20) / 20])
def test_mean_interval_against_a_slow_search(values: list[float]) -> None:
    low, high = mean_interval(values, 0.95)
    assert low == pytest.approx(slow_lower_limit(list(values), 0.05), abs=1 / 4000)
    assert high == pytest.approx(1 - slow_lower_limit([1 - v for v in values], 0.05), abs=1 / 4000)
    assert 0 <= low <= np.mean(values) <= high <= 1
    assert mean_interval(values[::-1], 0.95) == (low, high)


@pytest.mark.parametrize("n", [5, 10, 40])
@pytest.mark.parametrize("mean", [0.03, 0.2, 0.5, 0.9, 0.99])
def test_mean_interval_holds_as_often_as_it_says(n: int, mean: float) -> None:
    """Exactly, over all outcomes of n coin flips: the hardest law on [0, 1] for a given mean."""
    covers = 0.0
    for ones in range(n + 1):
        low, high = mean_interval([1.0] * ones + [0.0] * (n - ones), 0.95)
        covers += stats.binom.pmf(ones, n, mean) * (low <= mean <= high)
    assert covers >= 0.95


@pytest.mark.parametrize(
    ("cost", "rise"),
    [([3.0, 2.0, 1.0], 0.0), ([1.0, 1.5, 1.2, 1.8], 0.5), ([0.7, 0.7], 0.0), ([0.5], 0.0), ([2.0, math.nan, 3.0], 0.0)],
)
def test_largest_rise(cost: list[float], rise: float) -> None:
    assert statistics.largest_rise(cost) == pytest.approx(rise, abs=1e-15)


MEASURED = {"finite": True, "weight_change": 1.0, "distinct_units": 5, "largest_rise": 0.0, "iterations_to_target": 100}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "smooth"),
        ({"iterations_to_target": None}, "slow"),
        ({"largest_rise": 0.02}, "unstable"),
        ({"largest_rise": 0.01}, "smooth"),
        ({"distinct_units": 1, "largest_rise": 0.02}, "symmetric units"),
        ({"weight_change": 0.0, "distinct_units": 1}, "frozen"),
        ({"finite": False, "weight_change": 0.0}, "diverged"),
    ],
)
def test_the_word_comes_from_the_measurements(change: dict, word: str) -> None:
    assert statistics.behaviour(MEASURED | change) == word


def models(accuracies: dict[str, list[float]]) -> pd.DataFrame:
    """Runs of 10 training and 4 test samples, seeds 0, 1, ...; the cost falls from 1 to 1 - accuracy."""
    metrics, costs = {}, {}
    for name, train in accuracies.items():
        n = len(train)
        final = 1.0 - np.array(train)
        metrics[name] = {
            "seed": np.arange(n),
            "initial_cost": np.ones(n),
            "final_cost": final,
            "train_accuracy": np.array(train),
            "test_accuracy": np.full(n, 0.5),
            "weight_change": np.ones(n),
            "distinct_units": np.full(n, 3),
            "at_birth": np.full(n, "healthy"),
            "at_birth_measured": np.full(n, ""),
        }
        cost = np.stack([np.ones(n), final], axis=1).ravel()
        costs[name] = {"seed": np.repeat(np.arange(n), 2), "iteration": np.tile([0, 10], n), "cost": cost}
    return statistics.runs_table(metrics, statistics.curves_table(costs), target=0.15)


def test_tables_of_a_case_worked_by_hand() -> None:
    runs = models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]})
    assert runs["initializer"].tolist() == ["b"] * 3 + ["a"] * 3  # as in params.yaml, not sorted
    assert runs["iterations_to_target"].tolist() == [pd.NA, 10, 10, pd.NA, pd.NA, pd.NA]
    assert runs["behaviour"].tolist() == ["slow", "smooth", "smooth", "slow", "slow", "slow"]

    b, a = (row for _, row in statistics.comparison(runs, 0.95, 0.9).iterrows())
    assert (b["seeds"], b["train_accuracy_min"], b["train_accuracy_median"], b["train_accuracy_max"]) == (
        3,
        0.7,
        0.9,
        1,
    )
    assert b["train_accuracy_mean"] == pytest.approx(2.6 / 3, abs=1e-15)
    assert b["train_accuracy_sd"] == pytest.approx(math.sqrt(0.14 / 6), abs=1e-15)
    assert (b["share_at_target_accuracy"], b["reached_target_cost"], b["median_iterations_to_target"]) == (2 / 3, 2, 10)
    assert (b["behaviour"], b["behaviour_seeds"]) == ("smooth", 2)
    assert b["train_accuracy_low"] < b["train_accuracy_mean"] < b["train_accuracy_high"]
    assert math.isnan(a["train_accuracy_low"])  # three times one model: nothing to be uncertain of
    assert math.isnan(a["median_iterations_to_target"])

    train, test = (row for _, row in statistics.paired(runs, "b", 10, 4).iterrows())
    assert (train["initializer"], train["metric"], test["metric"]) == ("a", "train_accuracy", "test_accuracy")
    assert train["mean_difference"] == pytest.approx((1 - 1 - 2) / 30, abs=1e-15)
    assert train["sd"] == pytest.approx(math.sqrt(7 / 300), abs=1e-15)  # of 0.1, -0.1, -0.2
    assert (train["wins"], train["ties"], train["losses"]) == (1, 0, 2)
    assert (train["p"], train["p_holm"]) == (0.75, 1.0)  # |±1 ±1 ±2| >= 2: six of the eight patterns
    assert (test["mean_difference"], test["ties"], test["p"]) == (0.0, 3, 1.0)
    assert statistics.paired(runs, "absent", 10, 4).empty


def test_cost_bands() -> None:
    costs = {"x": {"seed": np.repeat([0, 1, 2], 2), "iteration": np.tile([0, 10], 3), "cost": [3.0, 1, 4, 2, 8, 3]}}
    first, last = (row for _, row in statistics.cost_bands(statistics.curves_table(costs)).iterrows())
    assert first.tolist() == ["x", 0, 3.0, 3.5, 4.0, 6.0, 8.0]
    assert last.tolist() == ["x", 10, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_metrics_are_json_numbers() -> None:
    compared = statistics.comparison(models({"b": [0.7, 0.9, 1.0]}), 0.95, 0.9)
    assert statistics.metrics(compared)["b"]["train_accuracy"] == pytest.approx(2.6 / 3)
    compared["final_cost_median"] = math.nan
    assert statistics.metrics(compared)["b"]["final_cost"] is None
