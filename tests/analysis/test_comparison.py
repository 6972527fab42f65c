"""The statistics against SciPy, NumPy, exact enumeration and published worked examples."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.analysis import comparison, estimators
from pipeline.analysis.comparison import label_counts
from pipeline.analysis.estimators import (
    censored_median,
    holm,
    mean_interval,
    paired_test,
    quantile,
    seeds_needed,
    smallest_holm_p,
    smallest_p,
)

RUNS = Path(__file__).parents[2] / "reports" / "runs.csv"


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_quantile_is_numpys(n: int, share: float) -> None:
    values = np.random.RandomState(n).randn(n)
    # NumPy interpolates with another association: an ulp or two of values of size 1
    assert quantile(values.tolist(), share) == pytest.approx(np.quantile(values, share), abs=1e-15)


def test_mean_and_deviation_are_numpys() -> None:
    values = np.random.RandomState(0).rand(50).tolist()
    assert estimators.mean(values) == pytest.approx(np.mean(values), rel=1e-15)
    assert estimators.sample_std(values) == pytest.approx(np.std(values, ddof=1), rel=1e-14)
    assert math.isnan(estimators.sample_std([0.5]))
    assert math.isnan(estimators.mean([0.5, math.inf]))


def test_mean_and_deviation_of_numbers_whose_sums_are_beyond_the_largest() -> None:
    assert estimators.mean([1.5e308, 1.7e308, 1.6e308]) == pytest.approx(1.6e308, rel=1e-15)
    assert estimators.mean([-1.7e308] * 100) == pytest.approx(-1.7e308, rel=1e-15)
    assert estimators.sample_std([1e154, -1e154]) == math.inf  # squares of 1e308
    assert estimators.sample_std([1e200, -1e200]) == math.inf


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


@pytest.mark.parametrize(
    ("differences", "p"),
    [([1], 1.0), ([7, 9], 0.5), ([88] * 5, 0.0625), ([3, 0, 0, 2, 1], 0.25), ([0, 0, 0], 1.0), ([-1] * 10, 1 / 512)],
)
def test_smallest_p_is_that_of_differences_of_one_sign(differences: list[int], p: float) -> None:
    """2 / 2**n: of the 2**n sign patterns of n differences that are not 0, two are as extreme as all of one sign."""
    unequal = sum(d != 0 for d in differences)
    assert smallest_p(unequal) == p
    assert paired_test(differences) == p
    signs = itertools.product((-1, 1), repeat=unequal)
    assert min(paired_test([s * k for k, s in enumerate(pattern, start=1)]) for pattern in signs) == p


def test_smallest_p_after_holm() -> None:
    """Five seeds and 14 comparisons: 14 / 16; ties in all but one comparison do not lower it."""
    assert smallest_holm_p([5] * 14) == 0.875
    assert smallest_holm_p([5] + [0] * 13) == 0.875
    assert smallest_holm_p([4] * 14) == 1.0  # 14 / 8 is no probability
    assert smallest_holm_p([]) == 1.0


@pytest.mark.parametrize(
    ("n_tests", "level", "n"),
    [(1, 0.05, 6), (14, 0.05, 10), (1, 0.5, 2), (2, 0.25, 4), (1, 0.01, 8)],  # 1/32; 14/512; 1/2; 2/8; 1/128
)
def test_seeds_needed(n_tests: int, level: float, n: int) -> None:
    """The first n with n_tests 2**(1 - n) <= level, by hand; 6 is the known minimum of the sign test at 5 %."""
    assert seeds_needed(n_tests, level) == n
    assert smallest_holm_p([n] * n_tests) <= level < smallest_holm_p([n - 1] * n_tests)


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
    assert estimators.largest_rise(cost) == pytest.approx(rise, abs=1e-15)


MEASURED = {
    "finite": True,
    "weight_change": 1.0,
    "only_biases": False,
    "unique_units": 5,
    "largest_rise": 0.0,
    "iterations_to_target": 100,
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "target reached"),
        ({"iterations_to_target": None}, "target not reached"),
        ({"largest_rise": 0.02}, "unstable"),
        ({"largest_rise": 0.01}, "target reached"),
        ({"unique_units": 1, "largest_rise": 0.02}, "symmetric units"),
        ({"weight_change": 0.0, "unique_units": 1}, "frozen"),
        ({"only_biases": True, "unique_units": 1, "iterations_to_target": None}, "constant output"),
        ({"finite": False, "weight_change": 0.0}, "diverged"),
    ],
)
def test_the_word_comes_from_the_measurements(change: dict, word: str) -> None:
    assert comparison.behaviour(MEASURED | change) == word


def models(accuracies: dict[str, list[float]]) -> pd.DataFrame:
    """Runs of 10 training and 4 test samples, seeds 0, 1, ...; the cost falls from 1 to 1 - accuracy, and stays."""
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
            "unique_units": np.full(n, 3),
            "initial_label": np.full(n, "healthy"),
            "initial_label_reason": np.full(n, ""),
        }
        cost = np.stack([np.ones(n), final, final], axis=1).ravel()
        costs[name] = {"seed": np.repeat(np.arange(n), 3), "iteration": np.tile([0, 10, 20], n), "cost": cost}
    ended = pd.concat([outcomes(name, len(train)) for name, train in accuracies.items()])
    return comparison.runs_table(metrics, comparison.curves_table(costs), ended, target=0.15)


def outcomes(name: str, n: int, **measured: object) -> pd.DataFrame:
    """The table of `pipeline.diagnostics.outcomes` of models that have nothing remarkable but what is `measured`."""
    usual: dict[str, object] = {"constant_output": False, "output_class": 0, "only_biases": False}
    usual |= {"largest_weight": 1.0, "blocked": False}
    return pd.DataFrame({"initializer": name, "seed": range(n)} | usual | measured)


def test_tables_of_a_case_worked_by_hand() -> None:
    runs = models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]})
    assert runs["initializer"].tolist() == ["b"] * 3 + ["a"] * 3  # as in params.yaml, not sorted
    assert runs["iterations_to_target"].tolist() == [pd.NA, 10, 10, pd.NA, pd.NA, pd.NA]
    assert runs["behaviour"].tolist() == ["target not reached", *["target reached"] * 2, *["target not reached"] * 3]

    b, a = (row for _, row in comparison.compare(runs, 0.95, 0.9).iterrows())
    assert (b["seeds"], b["train_accuracy_min"], b["train_accuracy_median"], b["train_accuracy_max"]) == (
        3,
        0.7,
        0.9,
        1,
    )
    assert b["train_accuracy_mean"] == pytest.approx(2.6 / 3, abs=1e-15)
    assert b["train_accuracy_std"] == pytest.approx(math.sqrt(0.14 / 6), abs=1e-15)
    assert (b["share_at_target"], b["reached_target_cost"], b["median_iterations_to_target"]) == (2 / 3, 2, 10)
    assert (b["behaviour"], b["initial_label"]) == ("target reached 2, target not reached 1", "healthy 3")
    assert b["train_accuracy_low"] < b["train_accuracy_mean"] < b["train_accuracy_high"]
    assert math.isnan(a["train_accuracy_low"])  # three times one model: nothing to be uncertain of
    assert math.isnan(a["median_iterations_to_target"])

    train, test = (row for _, row in comparison.paired(runs, "b", 10, 4).iterrows())
    assert (train["initializer"], train["metric"], test["metric"]) == ("a", "train_accuracy", "test_accuracy")
    assert train["mean_difference"] == pytest.approx((1 - 1 - 2) / 30, abs=1e-15)
    assert train["std"] == pytest.approx(math.sqrt(7 / 300), abs=1e-15)  # of 0.1, -0.1, -0.2
    assert (train["wins"], train["ties"], train["losses"]) == (1, 0, 2)
    assert (train["p"], train["p_holm"]) == (0.75, 1.0)  # |±1 ±1 ±2| >= 2: six of the eight patterns
    assert (test["mean_difference"], test["ties"], test["p"]) == (0.0, 3, 1.0)
    assert comparison.paired(runs, "absent", 10, 4).empty


def test_pairs_are_of_one_seed_in_whatever_order_the_rows_come() -> None:
    """Of seed s the models predict s and 9 - s of 10 training samples right: differences -9, -7, ..., 7, 9."""
    runs = models({"a": [s / 10 for s in range(10)], "b": [(9 - s) / 10 for s in range(10)]})
    expected = comparison.paired(runs, "b", 10, 4)
    train = expected.iloc[0]
    # deviation of the differences over 10: sqrt(2 (1 + 9 + 25 + 49 + 81) / 9) / 10
    assert train["std"] == pytest.approx(math.sqrt(330 / 9) / 10, abs=1e-15)
    assert (train["wins"], train["ties"], train["losses"]) == (5, 0, 5)
    for order in (runs.iloc[::-1], pd.concat([runs.iloc[:10], runs.iloc[:9:-1]]), runs.sort_values("final_cost")):
        found = comparison.paired(order.reset_index(drop=True), "b", 10, 4)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


INF = math.inf


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([3.0, INF, 1.0], 3.0),
        ([100.0, 200.0, INF, 300.0], 250.0),  # between the second and the third
        ([100.0, 200.0, INF, INF], math.nan),  # between a number and never
        ([1.0, INF, INF], math.nan),
        ([INF], math.nan),
        ([7.0], 7.0),
    ],
)
def test_the_median_of_censored_values_by_hand(values: list[float], median: float) -> None:
    assert censored_median(values) == pytest.approx(median, nan_ok=True)


def test_those_that_never_reached_the_target_count_in_its_median() -> None:
    """On the committed runs: 66 of 100 He models reach it, half of all by 13,400; of the x10 models 10 of 100 do."""
    runs = pd.read_csv(RUNS)
    runs["iterations_to_target"] = runs["iterations_to_target"].astype("Int64")
    table = comparison.compare(runs, 0.95, 0.99).set_index("initializer")["median_iterations_to_target"]
    assert table["he"] == 13400.0
    assert math.isnan(table["random_x10"])
    never = runs.assign(at=runs["iterations_to_target"].astype(float).fillna(INF))
    for name, group in never.groupby("initializer"):
        assert table[name] == pytest.approx(np.median(group["at"]), nan_ok=True) or np.median(group["at"]) == INF


def test_label_counts() -> None:
    labels = ["vanishing"] * 20 + ["frozen"] * 72 + ["healthy"] * 108
    assert label_counts(labels) == "healthy 108, frozen 72, vanishing 20"
    assert label_counts(["b", "a", "b", "a"]) == "b 2, a 2"  # of equally many the first


def test_cost_bands() -> None:
    costs = {"x": {"seed": np.repeat([0, 1, 2], 2), "iteration": np.tile([0, 10], 3), "cost": [3.0, 1, 4, 2, 8, 3]}}
    first, last = (row for _, row in comparison.cost_bands(comparison.curves_table(costs)).iterrows())
    assert first.tolist() == ["x", 0, 3.0, 3.5, 4.0, 6.0, 8.0]
    assert last.tolist() == ["x", 10, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_metrics_are_json_numbers() -> None:
    compared = comparison.compare(models({"b": [0.7, 0.9, 1.0]}), 0.95, 0.9)
    assert comparison.summary_metrics(compared)["b"]["train_accuracy"] == pytest.approx(2.6 / 3)
    compared["final_cost_median"] = math.nan
    assert comparison.summary_metrics(compared)["b"]["final_cost"] is None
