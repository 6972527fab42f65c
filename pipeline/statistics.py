"""Runs to tidy tables: what each model did, how initializers compare over seeds, and how sure that is. Pure.

Whatever is stored comes from correctly rounded sums (`math.fsum`), + - * / and square roots, or exact integers, so
that the tables have the same bits on every computer.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.sums import integer_sum, sum_in_order

Table = pd.DataFrame
Columns = Mapping[str, Any]  # from a name to as many values as there are rows
ACCURACIES = ("train_accuracy", "test_accuracy")
PAIRED = ["initializer", "metric", "seeds", "mean_difference", "sd", "wins", "ties", "losses", "p", "p_holm"]


class Behaviour(NamedTuple):
    """A word for how a model learned, and the rule that gives it."""

    word: str
    rule: str
    holds: Callable[[Mapping[str, Any]], bool]


# The first rule that holds gives the word. Gradient descent on a smooth cost never goes up while the learning rate is
# below 2 / curvature (Nesterov 2004, section 1.2.3), so a rise shows steps too long; 1 % is far above rounding.
UNSTABLE = 0.01
BEHAVIOURS = (
    Behaviour("diverged", "a recorded cost is not finite", lambda run: not run["finite"]),
    Behaviour("frozen", "no weight and no bias ever changed", lambda run: run["weight_change"] == 0.0),
    Behaviour(
        "constant output",
        "the output is the same for every training sample, and no weight changed: only biases did",
        lambda run: run["only_biases"],
    ),
    Behaviour(
        "symmetric units",
        "after training, all units of a hidden layer are equal",
        lambda run: run["distinct_units"] == 1,
    ),
    Behaviour(
        "unstable",
        f"a recorded cost is more than {100 * UNSTABLE:g} % above the one before",
        lambda run: run["largest_rise"] > UNSTABLE,
    ),
    Behaviour(
        "slow", "the recorded cost never came down to the target", lambda run: run["iterations_to_target"] is None
    ),
    Behaviour("smooth", "none of these", lambda run: True),
)


def runs_table(metrics: Mapping[str, Columns], curves: Table, outcomes: Table, target: float) -> Table:
    """A row a model: what was measured, and the word for how it learned.

    `metrics` holds the columns of each initializer's metrics.csv, and at_birth, the word of `verdicts`; `outcomes` is
    the table of the module of that name; `target` is the cost to be reached.
    """
    only_biases = outcomes.set_index(["initializer", "seed"])["only_biases"]
    of_model = dict(iter(curves.groupby(["initializer", "seed"])))
    rows = []
    for name, columns in metrics.items():
        for values in zip(*columns.values(), strict=True):
            run = {"initializer": name} | {key: value.item() for key, value in zip(columns, values, strict=True)}
            curve = of_model[name, run["seed"]]
            cost = curve["cost"].to_numpy()
            reached = curve["iteration"].to_numpy()[cost <= target]
            run["iterations_to_target"] = int(reached[0]) if len(reached) else None
            run["largest_rise"] = largest_rise(cost.tolist())
            finite = bool(np.isfinite(cost).all())
            run["behaviour"] = behaviour(run | {"finite": finite, "only_biases": only_biases[name, run["seed"]]})
            rows.append(run)
    table = pd.DataFrame(rows)
    table["iterations_to_target"] = table["iterations_to_target"].astype("Int64")
    return table


def largest_rise(cost: Sequence[float]) -> float:
    """How far, as a share, a cost lies above the one before it, at most; 0 if the costs never rise."""
    return max((after / before - 1.0 for before, after in pairwise(cost) if 0.0 < before < after), default=0.0)


def behaviour(run: Mapping[str, Any]) -> str:
    """The word of the first rule of BEHAVIOURS that holds."""
    return next(kind.word for kind in BEHAVIOURS if kind.holds(run))


def mean(values: Sequence[float]) -> float:
    """The correctly rounded sum over the number; nan if a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:  # the sum is beyond the largest number, the mean is not
        return 2.0 * math.fsum(value / len(values) / 2.0 for value in values)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1); nan for a single value or one that is not finite, inf where the squares
    are beyond the largest number."""
    centre = mean(values)
    if len(values) < 2 or not math.isfinite(centre):
        return math.nan
    try:
        squares = math.fsum((value - centre) * (value - centre) for value in values)
    except OverflowError:
        return math.inf
    return math.sqrt(squares / (len(values) - 1))


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7: NumPy's)."""
    ordered = sorted(values, key=lambda value: (math.isnan(value), value))
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high] or place == low:
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


QUANTILES = (("min", 0.0), ("median", 0.5), ("max", 1.0))

BETS = 50  # the bettor spreads the stake evenly over this many fractions of what may be bet
HALVINGS = 60  # of the unit interval: to the last bit


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """A confidence interval for the mean of independent values known to lie in [0, 1], at any number of values.

    The betting interval (Waudby-Smith & Ramdas 2024, JRSS B 86:1, section 4; the stake spread over fixed fractions as
    by Orabona & Jun 2024, IEEE Trans. Inf. Theory 70:1): a mean m is refused when a bettor who plays fair games at odds
    set by m, prod(1 + c (x / m - 1)), would have multiplied the stake by 2 / (1 - confidence). By Markov's inequality
    that happens to the true mean with probability at most 1 - confidence, whatever the law: skewed, with ties, or with
    all values equal, where Student's t and the bootstrap give width 0 and cover far less than they say.
    The order of the values does not matter.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    threshold = 2.0 / (1.0 - confidence)
    return _lower_limit(ordered, threshold), 1.0 - _lower_limit(np.sort(1.0 - ordered), threshold)


def _lower_limit(ordered: Any, threshold: float) -> float:
    """The smallest mean against which a bet on larger values does not win `threshold` times the stake."""
    fractions = (np.arange(BETS) + 1.0) / BETS
    refused, kept = 0.0, 1.0
    for _ in range(HALVINGS):
        candidate = (refused + kept) / 2.0
        with np.errstate(over="ignore"):
            gains = 1.0 + fractions * (ordered[:, None] / candidate - 1.0)
            wealth = np.multiply.reduce(gains, axis=0)  # over the first axis: row after row, on every computer
        if sum_in_order(wealth.tolist()) / BETS < threshold:
            kept = candidate
        else:
            refused = candidate
    return refused


def paired_test(differences: Sequence[int]) -> float:
    """The exact two-sided p-value of the paired sign-flip test (Fisher 1935; Pitman 1937).

    If the two of each pair were exchangeable, every difference could as well have had the other sign; p is the share
    of the 2**n sign patterns whose sum is at least as far from 0 as the one seen. Counted exactly in whole numbers.
    """
    sizes, seen = [abs(difference) for difference in differences], abs(integer_sum(differences))
    if seen == 0:
        return 1.0
    # The number of subsets with sum s stands in slot s of one long integer; a pattern's sum is 2 s - sum(sizes).
    slot = len(sizes) // 8 + 1  # bytes, for counts up to 2**n
    ways = 1
    for size in sizes:
        ways += ways << (8 * slot * size)
    tail = ways >> (8 * slot * ((integer_sum(sizes) + seen) // 2))
    digits = tail.to_bytes(tail.bit_length() // 8 + slot, "little")
    extreme = integer_sum(
        int.from_bytes(digits[start : start + slot], "little") for start in range(0, len(digits), slot)
    )
    return float(Fraction(2 * extreme, 2 ** len(sizes)))


def smallest_p(unequal: int) -> float:
    """The smallest p-value that `paired_test` can give for so many differences that are not 0.

    Only two of the 2**unequal sign patterns are as extreme as the one where all have the same sign. A difference of 0
    leaves every sum as it is, so it doubles both the extreme patterns and all of them.
    """
    return min(1.0, 2.0 ** (1 - unequal))


def smallest_holm_p(unequal: Sequence[int]) -> float:
    """The smallest p-value after `holm` that tests of so many differences that are not 0 can give.

    The smallest of k p-values is multiplied by k, and none of the others may be smaller than that.
    """
    return min(holm([smallest_p(n) for n in unequal]), default=1.0)


def seeds_needed(n_tests: int, level: float) -> int:
    """The smallest number of seeds at which so many tests can give a p-value of at most `level` after `holm`."""
    n = 1
    while n_tests * smallest_p(n) > level:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the chance of any false claim stays below the level."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def comparison(runs: Table, confidence: float, target_accuracy: float) -> Table:
    """A row an initializer: how its models fared over the seeds, in the order of the runs."""
    rows = []
    for name in runs["initializer"].unique():
        group = runs[runs["initializer"] == name]
        row: dict[str, Any] = {"initializer": name, "seeds": len(group)}
        for metric in (*ACCURACIES, "final_cost"):
            values = group[metric].tolist()
            row |= {f"{metric}_mean": mean(values), f"{metric}_sd": deviation(values)}
            row |= {f"{metric}_{key}": quantile(values, share) for key, share in QUANTILES}
            if metric in ACCURACIES:
                interval = mean_interval(values, confidence) if seed_matters(group) else (math.nan, math.nan)
                row[f"{metric}_low"], row[f"{metric}_high"] = interval
        row["share_at_target_accuracy"] = int((group["train_accuracy"] >= target_accuracy).sum()) / len(group)
        reached = group["iterations_to_target"]
        row["reached_target_cost"] = int(reached.notna().sum())
        row["median_iterations_to_target"] = censored_median(reached.astype(float).fillna(math.inf).tolist())
        row |= {labels: label_counts(group[labels].tolist()) for labels in ("at_birth", "behaviour")}
        rows.append(row)
    return pd.DataFrame(rows)


def censored_median(values: Sequence[float]) -> float:
    """The median of values of which some are infinite: not reached while observed. nan where that is infinite too."""
    median = quantile(values, 0.5)
    return median if math.isfinite(median) else math.nan


def label_counts(labels: Sequence[str]) -> str:
    """How many models have each label, the most frequent first: "healthy 108, frozen 72, vanishing 20"."""
    return ", ".join(f"{label} {count}" for label, count in Counter(labels).most_common())


def seed_matters(group: Table) -> bool:
    """Whether the models of an initializer differ; where they are one model many times, nothing is uncertain."""
    return len(group) == 1 or len(group.drop_duplicates(["initial_cost", "final_cost"])) > 1


def paired(runs: Table, reference: str, n_train: int, n_test: int) -> Table:
    """A row for each other initializer and accuracy: its difference from the reference over the same seeds.

    The p-values are of `paired_test` on the numbers of samples predicted right; `p_holm` corrects for all of them.
    """
    base = runs[runs["initializer"] == reference].set_index("seed")
    rows: list[dict[str, Any]] = []
    for name in runs["initializer"].unique() if len(base) else ():
        if name == reference:
            continue
        other = runs[runs["initializer"] == name].set_index("seed").loc[base.index]
        for metric, n in zip(ACCURACIES, (n_train, n_test), strict=True):
            counts = [
                round(a * n) - round(b * n) for a, b in zip(other[metric].tolist(), base[metric].tolist(), strict=True)
            ]
            row: dict[str, Any] = {"initializer": name, "metric": metric, "seeds": len(counts)}
            row |= {
                "mean_difference": integer_sum(counts) / (n * len(counts)),
                "sd": deviation([count / n for count in counts]),
            }
            row |= {"wins": integer_sum(c > 0 for c in counts), "ties": counts.count(0)}
            row |= {"losses": integer_sum(c < 0 for c in counts)}
            rows.append(row | {"p": paired_test(counts)})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return pd.DataFrame(rows, columns=PAIRED)


def curves_table(costs: Mapping[str, Columns]) -> Table:
    """A row a recorded cost, from the columns of each initializer's costs.csv."""
    tables = [pd.DataFrame({"initializer": name} | dict(columns)) for name, columns in costs.items()]
    return pd.concat(tables, ignore_index=True)


def cost_bands(curves: Table) -> Table:
    """A row an initializer and recorded iteration: smallest, quartiles and largest cost over the seeds."""
    shares = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
    rows = []
    for (name, iteration), group in curves.groupby(["initializer", "iteration"], sort=False):
        values = group["cost"].tolist()
        band = {key: quantile(values, share) for key, share in shares.items()}
        rows.append({"initializer": name, "iteration": iteration} | band)
    return pd.DataFrame(rows)


def metrics(compared: Table) -> dict[str, dict[str, float | None]]:
    """The few numbers an initializer that DVC shows and compares between experiments; None for one that is nan."""
    chosen = {
        "train_accuracy": "train_accuracy_mean",
        "test_accuracy": "test_accuracy_mean",
        "final_cost": "final_cost_median",
        "share_at_target": "share_at_target_accuracy",
    }
    return {
        row["initializer"]: {key: None if math.isnan(row[column]) else row[column] for key, column in chosen.items()}
        for _, row in compared.iterrows()
    }
