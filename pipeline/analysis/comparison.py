"""The tables of the trained models: one row per model, statistics over seeds, paired tests, quantiles of costs.

All stored numbers come from correctly rounded sums (`math.fsum`), + - * /, square roots and exact integers, so that
the tables have the same bits on every computer.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.analysis.estimators import (
    QUANTILES,
    censored_median,
    holm,
    largest_rise,
    mean,
    mean_interval,
    paired_test,
    quantile,
    sample_std,
)
from pipeline.numerics.sums import integer_sum

Table = pd.DataFrame
Columns = Mapping[str, Any]  # name -> array with one value per row
ACCURACIES = ("train_accuracy", "test_accuracy")
SUMMARY = {  # the numbers in reports/metrics/ of each initializer: the column of comparison.csv, and the meaning
    "train_accuracy": ("train_accuracy_mean", "mean accuracy on the training samples"),
    "test_accuracy": ("test_accuracy_mean", "mean accuracy on the test samples"),
    "final_cost": ("final_cost_median", "median cost after training"),
    "share_at_target": ("share_at_target", "share of the seeds at comparison.target_accuracy"),
}
PAIRED = ["initializer", "metric", "seeds", "mean_difference", "std", "wins", "ties", "losses", "p", "p_holm"]


class Behaviour(NamedTuple):
    """A label of the training of a model, its rule in words, and the rule as a function of a row of runs.csv."""

    name: str
    rule: str
    holds: Callable[[Mapping[str, Any]], bool]


# The first rule that applies gives the label. Gradient descent on a smooth cost never increases it if the learning rate
# is below 2 / curvature (Nesterov 2004, section 1.2.3), so a rise shows too large a step; 1 % is far above rounding.
MIN_RISE = 0.01
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
        "all units of a hidden layer are identical after training",
        lambda run: run["unique_units"] == 1,
    ),
    Behaviour(
        "unstable",
        f"a recorded cost is more than {100 * MIN_RISE:g} % above the one before",
        lambda run: run["largest_rise"] > MIN_RISE,
    ),
    Behaviour(
        "target not reached",
        "no recorded cost is at or below the target",
        lambda run: run["iterations_to_target"] is None,
    ),
    Behaviour("target reached", "none of these", lambda run: True),
)


def runs_table(metrics: Mapping[str, Columns], curves: Table, outcomes: Table, target: float) -> Table:
    """The table of runs.csv: one row per model, with its measurements and the label of its training.

    `metrics` has the columns of `outcomes.metrics`, seed, and the label at initialization and its measurement, of each
    initializer; `curves` is the table of `curves_table`, `outcomes` that of `outcomes.outcomes`; `target` is a cost in
    nats. iterations_to_target is the first recorded iteration with a cost of at most the target, or missing;
    largest_rise is a share of the cost before.
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


def behaviour(run: Mapping[str, Any]) -> str:
    """The label of the first rule of BEHAVIOURS that applies to the measurements `run` of a model."""
    return next(kind.name for kind in BEHAVIOURS if kind.holds(run))


def compare(runs: Table, confidence: float, target_accuracy: float) -> Table:
    """The table of comparison.csv: one row per initializer, in the order of `runs`, with statistics over the seeds.

    Accuracies and `target_accuracy` are shares, costs are in nats. The limits of an interval are nan where all seeds
    give the same model; median_iterations_to_target is nan where that many models did not reach the target.
    """
    rows = []
    for name in runs["initializer"].unique():
        group = runs[runs["initializer"] == name]
        row: dict[str, Any] = {"initializer": name, "seeds": len(group)}
        for metric in (*ACCURACIES, "final_cost"):
            values = group[metric].tolist()
            row |= {f"{metric}_mean": mean(values), f"{metric}_std": sample_std(values)}
            row |= {f"{metric}_{key}": quantile(values, share) for key, share in QUANTILES}
            if metric in ACCURACIES:
                interval = mean_interval(values, confidence) if seed_matters(group) else (math.nan, math.nan)
                row[f"{metric}_low"], row[f"{metric}_high"] = interval
        row["share_at_target"] = int((group["train_accuracy"] >= target_accuracy).sum()) / len(group)
        reached = group["iterations_to_target"]
        row["reached_target_cost"] = int(reached.notna().sum())
        row["median_iterations_to_target"] = censored_median(reached.astype(float).fillna(math.inf).tolist())
        row |= {labels: label_counts(group[labels].tolist()) for labels in ("initial_label", "behaviour")}
        rows.append(row)
    return pd.DataFrame(rows)


def label_counts(labels: Sequence[str]) -> str:
    """How many models have each label, the most frequent first: "healthy 108, frozen 72, vanishing 20"."""
    return ", ".join(f"{label} {count}" for label, count in Counter(labels).most_common())


def seed_matters(group: Table) -> bool:
    """Whether the models of an initializer differ between seeds, or there is only one."""
    return len(group) == 1 or len(group.drop_duplicates(["initial_cost", "final_cost"])) > 1


def paired(runs: Table, reference: str, n_train: int, n_test: int) -> Table:
    """The table of paired.csv: one row per initializer and accuracy, with its paired differences from the reference.

    Differences are shares, initializer minus reference, over the same seeds. The p-values are those of `paired_test` on
    the numbers of correct predictions; p_holm corrects for all rows. No rows if the reference is not in `runs`.
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
                "std": sample_std([count / n for count in counts]),
            }
            row |= {"wins": integer_sum(c > 0 for c in counts), "ties": counts.count(0)}
            row |= {"losses": integer_sum(c < 0 for c in counts)}
            rows.append(row | {"p": paired_test(counts)})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return pd.DataFrame(rows, columns=PAIRED)


def curves_table(costs: Mapping[str, Columns]) -> Table:
    """One row per recorded cost, from the columns seed, iteration and cost of each initializer."""
    tables = [pd.DataFrame({"initializer": name} | dict(columns)) for name, columns in costs.items()]
    return pd.concat(tables, ignore_index=True)


def cost_bands(curves: Table) -> Table:
    """The table of cost_curves.csv: minimum, quartiles and maximum of the cost per initializer and iteration."""
    shares = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
    rows = []
    for (name, iteration), group in curves.groupby(["initializer", "iteration"], sort=False):
        values = group["cost"].tolist()
        band = {key: quantile(values, share) for key, share in shares.items()}
        rows.append({"initializer": name, "iteration": iteration} | band)
    return pd.DataFrame(rows)


def summary_metrics(compared: Table) -> dict[str, dict[str, float | None]]:
    """The numbers of SUMMARY, per initializer, that DVC compares between experiments; None instead of nan."""
    return {
        row["initializer"]: {
            key: None if math.isnan(row[column]) else row[column] for key, (column, _) in SUMMARY.items()
        }
        for _, row in compared.iterrows()
    }
