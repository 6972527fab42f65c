"""The tables as Markdown for a reader: reports/comparison.md. Pure."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.markdown import table
from pipeline.statistics import BEHAVIOURS, Table


def comparison(
    runs: Table,
    compared: Table,
    paired: Table,
    published: Table,
    twins: Table,
    *,
    tutorial_seed: int,
    shown_seed: int,
    reference: str,
    target_cost: float,
    target_accuracy: float,
    confidence: float,
) -> str:
    """The comparison of the initializers, from the tables of `statistics`, the published accuracies, and what
    `along_training` tells of a model of `shown_seed` and its twin."""
    parts = [
        "# How the weights were born, and how they learned",
        f"{len(compared)} initializers, {len(runs)} models. Every number here comes from runs.csv, comparison.csv and "
        "paired.csv beside this file, which hold all digits.",
        f"## The tutorial's table: seed {tutorial_seed} alone",
        _tutorial(runs, published, tutorial_seed, target_cost),
        "## The same over all seeds",
        _distribution(compared, target_accuracy, target_cost, confidence),
        f"## Against {reference}, seed by seed",
        _paired(paired, reference),
        "## What one seed hides",
        _hidden(runs, compared, published, tutorial_seed, target_accuracy),
        f"## A last bit in the first weights of seed {shown_seed}",
        _last_bit(twins),
        "## Figures",
        "![Cost against iterations](figures/cost_curves.png)",
        "![Decision boundaries](figures/boundaries.png)",
        "![Accuracy of every model](figures/accuracy.png)",
        "![Symmetry and saturation along training](figures/along_training.png)",
        "![A last bit, and what becomes of it](figures/reproducibility.png)",
        "![The data](figures/data.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _tutorial(runs: Table, published: Table, seed: int, target_cost: float) -> str:
    shown = runs[runs["seed"] == seed]
    if shown.empty:
        return f"Seed {seed} is not among the trained seeds."
    facts = published.set_index("initializer")
    rows = []
    for _, run in shown.iterrows():
        name = run["initializer"]
        told = [
            _percent(facts.loc[name, key]) if name in facts.index else "–"
            for key in ("train_accuracy", "test_accuracy")
        ]
        measured = [_percent(run["train_accuracy"]), _percent(run["test_accuracy"])]
        reached = _count(run["iterations_to_target"])
        rows.append(
            [
                name,
                *_alternate(measured, told),
                _cost(run["initial_cost"]),
                _cost(run["final_cost"]),
                reached,
                (run["at_birth_measured"] and f"{run['at_birth']}: {run['at_birth_measured']}") or run["at_birth"],
                run["behaviour"],
            ]
        )
    heads = ["initializer", "train", "published", "test", "published", "first cost", "final cost"]
    heads += [f"cost ≤ {target_cost:g} at", "at birth", "behaviour"]
    rules = [f"- **{kind.word}**: {kind.rule};" for kind in BEHAVIOURS]
    rules[-1] = rules[-1].rstrip(";") + "."
    return "\n".join(
        [
            table(heads, rows, left=(0, 8, 9)),
            "",
            "Published: what the tutorial's exercise prints, where it has the initializer. At birth: a word from "
            "measurements before the first step, by rules that stand in [birth.md](birth.md). The behaviour is the "
            "first of these rules that the measurements of the training fulfil:",
            "",
            *rules,
        ]
    )


def _distribution(compared: Table, target_accuracy: float, target_cost: float, confidence: float) -> str:
    parts = []
    for metric, title in (("train_accuracy", "Training accuracy"), ("test_accuracy", "Test accuracy")):
        rows = [
            [row["initializer"], f"{row['seeds']}", _percent(row[f"{metric}_mean"])]
            + [_interval(row[f"{metric}_low"], row[f"{metric}_high"])]
            + [_percent(row[f"{metric}_{key}"]) for key in ("sd", "min", "median", "max")]
            + ([_percent(row["share_at_target_accuracy"])] if metric == "train_accuracy" else [])
            for _, row in compared.iterrows()
        ]
        heads = ["initializer", "seeds", "mean", f"{_share(confidence)} interval", "sd", "min", "median", "max"]
        heads += [f"≥ {_share(target_accuracy)}"] if metric == "train_accuracy" else []
        parts += [f"### {title}", table(heads, rows)]
    rows = [
        [
            row["initializer"],
            *(_cost(row[f"final_cost_{key}"]) for key in ("mean", "sd", "min", "median", "max")),
            f"{row['reached_target_cost']} of {row['seeds']}",
            _count(row["median_iterations_to_target"]),
            f"{row['at_birth']} ({row['at_birth_seeds']} of {row['seeds']})",
            f"{row['behaviour']} ({row['behaviour_seeds']} of {row['seeds']})",
        ]
        for _, row in compared.iterrows()
    ]
    heads = ["initializer", "mean", "sd", "min", "median", "max", f"reach {target_cost:g}", "median at"]
    heads += ["mostly at birth", "mostly in training"]
    parts += ["### Final cost", table(heads, rows, left=(0, 8, 9))]
    parts.append(
        "The interval of a mean is a betting interval (Waudby-Smith & Ramdas 2024): it holds at least as often as it "
        "says for any values between 0 % and 100 %, few or many, skewed or all equal. It is wide for few seeds because "
        "few seeds say little, and empty where all seeds gave one model. “≥” is the share of seeds whose training "
        "accuracy is at least that; “median at” is the median iteration at which the target cost was reached, among "
        "the seeds that reached it."
    )
    return "\n\n".join(parts)


def _paired(paired: Table, reference: str) -> str:
    if paired.empty:
        return f"There is nothing to compare: no other initializer, or {reference} itself was not trained."
    words = {"train_accuracy": "train", "test_accuracy": "test"}
    rows = [
        [
            row["initializer"],
            words[row["metric"]],
            _points(row["mean_difference"]),
            _points(row["sd"]).lstrip("+"),
            f"{row['wins']} / {row['ties']} / {row['losses']}",
            _p(row["p"]),
            _p(row["p_holm"]),
        ]
        for _, row in paired.iterrows()
    ]
    heads = ["initializer", "accuracy", "mean difference", "sd", "better / equal / worse"]
    return "\n\n".join(
        [
            table([*heads, "p", "p (Holm)"], rows, left=(0, 1)),
            f"Differences in percentage points, initializer minus {reference}, between models of the same seed, whose "
            "normal draws are the same but for their scale. p: exact two-sided sign-flip test on the numbers of "
            f"samples predicted right; p (Holm): corrected for the {len(paired)} comparisons of this table.",
        ]
    )


def _hidden(runs: Table, compared: Table, published: Table, seed: int, target: float) -> str:
    """Each remark stands only where the measurements bear it out."""
    remarks = []
    facts = published.set_index("initializer")["train_accuracy"]
    for _, row in compared.iterrows():
        name = row["initializer"]
        alone = runs[(runs["initializer"] == name) & (runs["seed"] == seed)]["train_accuracy"].tolist()
        if name in facts.index and alone and row["seeds"] > 1 and abs(alone[0] - row["train_accuracy_mean"]) >= 0.01:
            remarks.append(
                f"- **{name}: {_percent(alone[0])} is seed {seed}.** Over {row['seeds']} seeds it averages "
                f"{_percent(row['train_accuracy_mean'])}, from {_percent(row['train_accuracy_min'])} to "
                f"{_percent(row['train_accuracy_max'])}; {_percent(row['share_at_target_accuracy'])} of the seeds "
                f"reach {_share(target)}."
            )
    words = {row["initializer"]: row["behaviour"] for _, row in compared.iterrows()}
    frozen = [name for name, word in words.items() if word == "frozen"]
    symmetric = [name for name, word in words.items() if word == "symmetric units"]
    if frozen:
        remarks.append(
            f"- **{_list(frozen)} did not fail through symmetry.** Not one weight or bias ever changed: with every "
            "activation 0 and every weight 0, each gradient that could break the tie is exactly 0, and the classes are "
            "balanced, so the output's bias has none either."
        )
    if symmetric:
        rows = runs[runs["initializer"].isin(symmetric)]
        fell = rows["final_cost"] < rows["initial_cost"]
        remarks.append(
            f"- **Symmetry is {_list(symmetric)}.** The units of a layer are born equal and stay equal, to the last "
            f"bit; the cost falls all the same, in {int(fell.sum())} of {len(rows)} models."
        )
    return "\n".join(remarks) or "Nothing that these runs show."


def _last_bit(twins: Table) -> str:
    rows = [
        [row["initializer"], *(f"{row[column]:.1e}" for column in ("cost", "cost_difference", "weight_difference"))]
        for _, row in twins.groupby("initializer", sort=False).tail(1).iterrows()
    ]
    return "\n\n".join(
        [
            table(["initializer", "final cost", "costs differ by", "weights differ by up to"], rows),
            "Two models were trained alike, of which one was born with every weight of its first layer a last bit, "
            "1 ulp, larger. Where that grows, a rounding error does too, and ordinary matrix products give another "
            "result on another processor; here they give the same.",
        ]
    )


def _alternate(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return [cell for pair in zip(first, second, strict=True) for cell in pair]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _percent(share: Any) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def _share(share: float) -> str:
    return f"{100 * share:g} %"


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{_percent(low)} to {_percent(high)}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def _cost(cost: float) -> str:
    return "–" if math.isnan(cost) else f"{cost:.4g}"


def _count(iterations: Any) -> str:
    return "–" if pd.isna(iterations) else f"{iterations:,.0f}"


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
