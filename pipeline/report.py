"""The tables as Markdown for a reader: reports/comparison.md. Pure."""

import math
from typing import Any

import pandas as pd

from pipeline.markdown import table
from pipeline.outcomes import Classes
from pipeline.statistics import BEHAVIOURS, Table, quantile, seeds_needed, smallest_holm_p, smallest_p

LEARNED = 0.01  # share by which a cost must lie below the entropy of the classes to show more than their frequencies
EQUAL = 0.001  # relative difference up to which a cost counts as the entropy of the classes


def comparison(
    runs: Table,
    compared: Table,
    paired: Table,
    published: Table,
    twins: Table,
    outcomes: Table,
    classes: Classes,
    *,
    tutorial_seed: int,
    shown_seed: int,
    reference: str,
    target_cost: float,
    target_accuracy: float,
    confidence: float,
) -> str:
    """The comparison of the initializers, from the tables of `statistics`, the published accuracies if any, the table
    of `outcomes` in the order of `runs`, the frequencies of the classes among the training samples, and what
    `along_training` tells of a model of `shown_seed` and its twin."""
    remarks = _published_remarks(runs, compared, published, tutorial_seed, target_accuracy)
    remarks += _outcome_remarks(runs, outcomes, classes)
    parts = [
        "# How the weights were born, and how they learned",
        f"{len(compared)} initializers, {len(runs)} models. Every number here comes from runs.csv, comparison.csv and "
        "paired.csv beside this file, which hold all digits.",
        f"## Seed {tutorial_seed} alone" if published.empty else f"## The tutorial's table: seed {tutorial_seed} alone",
        _one_seed(runs, published, tutorial_seed, target_cost),
        "## The same over all seeds",
        _distribution(compared, target_accuracy, target_cost, confidence),
        f"## Against {reference}, seed by seed",
        _paired(paired, reference, reference in compared["initializer"].tolist(), confidence),
        *(["## Remarks", "\n".join(remarks)] if remarks else []),
        f"## A last bit in the first weights of seed {shown_seed}",
        _last_bit(twins),
        "## Figures",
        "![Cost against iterations](figures/cost_curves.png)",
        f"![What the models of seed {shown_seed} predict](figures/boundaries.png)",
        "![Accuracy of every model](figures/accuracy.png)",
        "![Symmetry and saturation along training](figures/along_training.png)",
        "![A last bit, and what becomes of it](figures/reproducibility.png)",
        "![The data](figures/data.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _one_seed(runs: Table, published: Table, seed: int, target_cost: float) -> str:
    shown = runs[runs["seed"] == seed]
    if shown.empty:
        return f"Seed {seed} is not among the trained seeds."
    facts = published.set_index("initializer")
    rows = []
    for _, run in shown.iterrows():
        name = run["initializer"]
        accuracies = []
        for metric in ("train_accuracy", "test_accuracy"):
            accuracies.append(_percent(run[metric]))
            if not facts.empty:
                accuracies.append(_percent(facts.loc[name, metric]) if name in facts.index else "–")
        rows.append(
            [
                name,
                *accuracies,
                _cost(run["initial_cost"]),
                _cost(run["final_cost"]),
                _count(run["iterations_to_target"]),
                (run["at_birth_measured"] and f"{run['at_birth']}: {run['at_birth_measured']}") or run["at_birth"],
                run["behaviour"],
            ]
        )
    beside = [] if facts.empty else ["published"]
    heads = ["initializer", "train", *beside, "test", *beside]
    heads += ["first cost", "final cost", f"cost ≤ {target_cost:g} at", "at birth", "behaviour"]
    rules = [f"- **{kind.word}**: {kind.rule};" for kind in BEHAVIOURS]
    rules[-1] = rules[-1].rstrip(";") + "."
    source = "Published: what the tutorial's exercise prints, where it has the initializer. " if not facts.empty else ""
    return "\n".join(
        [
            table(heads, rows, left=(0, len(heads) - 2, len(heads) - 1)),
            "",
            f"{source}At birth: a word from measurements before the first step, by rules that stand in "
            "[birth.md](birth.md). The behaviour is the first of these rules that the measurements of the training "
            "fulfil:",
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
            row["at_birth"],
            row["behaviour"],
        ]
        for _, row in compared.iterrows()
    ]
    heads = ["initializer", "mean", "sd", "min", "median", "max", f"reach {target_cost:g}", "median at"]
    heads += ["models at initialization", "models in training"]
    parts += ["### Final cost", table(heads, rows, left=(0, 8, 9))]
    parts.append(
        "The interval of a mean is a betting interval (Waudby-Smith & Ramdas 2024): it holds at least as often as it "
        "says for any values between 0 % and 100 %, few or many, skewed or all equal. It is wide for few seeds because "
        "few seeds say little, and empty where all seeds gave one model. “≥” is the share of seeds whose training "
        "accuracy is at least that; “median at” is the median, over all seeds, of the iteration at which the target "
        "cost was reached: a seed that did not reach it counts as later than any that did, and “–” stands where the "
        "median is such a seed. The last two columns count the models with each label."
    )
    return "\n\n".join(parts)


def _paired(paired: Table, reference: str, is_trained: bool, confidence: float) -> str:
    if not is_trained:
        return f"There is nothing to compare with: {reference} is not among the initializers."
    if paired.empty:
        return f"There is nothing to compare: {reference} is the only initializer."
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
    parts = [
        table([*heads, "p", "p (Holm)"], rows, left=(0, 1)),
        f"Differences in percentage points, initializer minus {reference}, between models of the same seed, which draw "
        "from the same random stream. p: exact two-sided sign-flip test on the numbers of samples predicted right; "
        f"p (Holm): corrected for the {len(paired)} comparisons of this table.",
    ]
    unequal = (paired["wins"] + paired["losses"]).tolist()
    n_seeds, level, lowest = int(paired["seeds"].max()), 1.0 - confidence, smallest_holm_p(unequal)
    if lowest > level:
        of_all = "" if max(unequal) == n_seeds else f", of which at most {max(unequal)} differ in a comparison"
        parts.append(
            f"**No difference in this table can be significant at the {_share(level)} level, however large: there are "
            f"too few seeds.** With {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}{of_all}, p is at least "
            f"{_p(smallest_p(max(unequal)))} and p (Holm) at least {_p(lowest)}."
        )
    parts.append(
        "The smallest p that n seeds can give is 2^(1−n), where all differ in the same direction; a seed without a "
        f"difference does not count. Here that is {smallest_p(n_seeds):.3g}, and after Holm's correction "
        f"{smallest_holm_p([n_seeds] * len(paired)):.3g}. A p (Holm) of at most {level:.3g} needs at least "
        f"{seeds_needed(len(paired), level)} seeds."
    )
    return "\n\n".join(parts)


def _of(models: Table, group: Table) -> str:
    return f"{len(models)} of {len(group)} {'model' if len(group) == 1 else 'models'}"


def _published_remarks(runs: Table, compared: Table, published: Table, seed: int, target: float) -> list[str]:
    """Where a published accuracy is not typical of the seeds."""
    remarks = []
    for _, row in compared[compared["initializer"].isin(published["initializer"])].iterrows():
        name = row["initializer"]
        alone = runs[(runs["initializer"] == name) & (runs["seed"] == seed)]["train_accuracy"].tolist()
        if alone and abs(alone[0] - row["train_accuracy_mean"]) >= 0.01:
            remarks.append(
                f"- **{name}: {_percent(alone[0])} is seed {seed}.** Over {row['seeds']} seeds it averages "
                f"{_percent(row['train_accuracy_mean'])}, from {_percent(row['train_accuracy_min'])} to "
                f"{_percent(row['train_accuracy_max'])}; {_percent(row['share_at_target_accuracy'])} of the seeds "
                f"reach {_share(target)}."
            )
    return remarks


def _outcome_remarks(runs: Table, outcomes: Table, classes: Classes) -> list[str]:
    """What the measurements of the trained models show of each initializer; nothing where they show nothing."""
    remarks = []
    every = runs.merge(outcomes, on=["initializer", "seed"], validate="one_to_one")
    for name in every["initializer"].unique():
        group = every[every["initializer"] == name]
        for of in (_frozen, _constant_output, _symmetric_units, _diverged):
            if remark := of(group, classes):
                remarks.append(f"- **{name}: {remark}")
    return remarks


def _frozen(group: Table, classes: Classes) -> str:
    models = group[group["behaviour"] == "frozen"]
    if models.empty:
        return ""
    remark = f"no weight and no bias changed in {_of(models, group)}.** "
    largest, n_blocked = models["largest_weight"].max(), int(models["blocked"].sum())
    if largest == 0.0:
        remark += "This is not a failure of symmetry: every weight is 0, and so is the gradient of every weight"
    else:
        remark += f"Their weights are not 0 but up to {largest:.3g} in absolute value"
        if n_blocked:
            remark += (
                f"; in {n_blocked} of them no gradient passes some hidden layer, whose derivatives are 0 at every "
            )
            remark += "training sample"
    if classes.balanced:
        remark += "; the gradient of the output's bias is 0 because the classes are balanced"
    return f"{remark}."


def _constant_output(group: Table, classes: Classes) -> str:
    models = group[group["constant_output"] & (group["behaviour"] != "frozen")]
    if models.empty:
        return ""
    where = "input" if models["largest_weight"].max() == 0.0 else "training sample"
    predicted = models["output_class"].unique().tolist()
    most = [label for label, count in enumerate(classes.counts) if count == max(classes.counts)]
    label = f"class {predicted[0]}" if len(predicted) == 1 else "one class"
    label += ", the majority class," if predicted == most else ""
    remark = (
        f"{label} is predicted for every {where} in {_of(models, group)}.** Their output is the same for all of these"
    )
    n_biases, final = int(models["only_biases"].sum()), quantile(models["final_cost"].tolist(), 0.5)
    if n_biases:
        remark += f"; only biases changed during training in {_of(models[models['only_biases']], models)}"
    remark += f". The smallest cost of a constant output is the entropy of the classes, {_cost(classes.entropy)}; "
    reached = abs(final - classes.entropy) <= EQUAL * classes.entropy
    return remark + f"the median final cost {'equals it to within 0.1 %' if reached else 'is higher'}: {_cost(final)}."


def _symmetric_units(group: Table, classes: Classes) -> str:
    models = group[group["behaviour"] == "symmetric units"]
    if models.empty:
        return ""
    first, final = quantile(models["initial_cost"].tolist(), 0.5), quantile(models["final_cost"].tolist(), 0.5)
    remark = (
        f"all units of some hidden layer are identical in {_of(models, group)}.** After training they have the same "
        f"weights and biases, in every bit. The median cost goes from {_cost(first)} to {_cost(final)}; a constant "
        f"output reaches {_cost(classes.entropy)}, the entropy of the classes, "
    )
    if final <= (1.0 - LEARNED) * classes.entropy:
        return remark + "so they learned more than the frequencies of the classes."
    return remark + f"and they did not get {_share(LEARNED)} below it."


def _diverged(group: Table, classes: Classes) -> str:
    models = group[group["behaviour"] == "diverged"]
    if models.empty:
        return ""
    return (
        f"the cost is not finite in {_of(models, group)}.** Mean and standard deviation of the final cost are then not "
        "defined; in its quantiles such a model counts as above all others. Where the output is not a number class 0 "
        "is predicted, and the accuracies are those of that prediction."
    )


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


def _percent(share: Any) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def _share(share: float) -> str:
    return f"{100 * share:g} %"


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{_percent(low)} to {_percent(high)}"


def _points(difference: float) -> str:
    return "–" if math.isnan(difference) else f"{100 * difference:+.1f}".replace("-", "−")


def _cost(cost: float) -> str:
    return "–" if math.isnan(cost) else f"{cost:.4g}"


def _count(iterations: Any) -> str:
    return "–" if pd.isna(iterations) else f"{iterations:,.0f}"


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
