"""Runs to tidy tables: what each model did, how initializers compare over seeds, and how sure that is. Pure.

Whatever is stored comes from correctly rounded sums (`math.fsum`), + - * / and square roots, or exact integers, so
that the tables have the same bits on every computer.
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
    deviation,
    holm,
    largest_rise,
    mean,
    mean_interval,
    paired_test,
    quantile,
)
from pipeline.numerics.sums import integer_sum

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
    """One row per model: its measurements and its behaviour.

    `metrics` holds the columns of `outcomes.metrics` for each initializer, and initial_label and initial_label_reason;
    `outcomes` is the table of the module of that name; `target` is the cost to be reached.
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
    """The word of the first rule of BEHAVIOURS that holds."""
    return next(kind.word for kind in BEHAVIOURS if kind.holds(run))


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
        "share_at_target": "share_at_target",
    }
    return {
        row["initializer"]: {key: None if math.isnan(row[column]) else row[column] for key, column in chosen.items()}
        for _, row in compared.iterrows()
    }
