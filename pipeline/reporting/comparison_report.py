"""reports/comparison.md: the tables of the trained models in Markdown."""

from pipeline.analysis.comparison import BEHAVIOURS, Table
from pipeline.analysis.estimators import seeds_needed, smallest_holm_p, smallest_p
from pipeline.config.schema import Comparison
from pipeline.diagnostics.classes import Classes
from pipeline.reporting import conclusions
from pipeline.reporting.formatting import (
    format_cost,
    format_count,
    format_interval,
    format_p,
    format_percent,
    format_points,
    format_share,
)
from pipeline.reporting.markdown import table
from pipeline.reporting.remarks import _outcome_remarks, _published_remarks


def comparison(
    settings: Comparison,
    runs: Table,
    compared: Table,
    paired: Table,
    published: Table,
    copies: Table,
    outcomes: Table,
    classes: Classes,
) -> str:
    """The text of reports/comparison.md with the section `comparison` of params.yaml as `settings`.

    `runs`, `compared` and `paired` are the tables of runs.csv, comparison.csv and paired.csv; `published` has the
    published accuracies of models of the highlighted seed and may be empty; `copies` is the second table of
    `diagnostics.trajectory.follow`, of the models of that seed; `outcomes` is the table of
    `diagnostics.outcomes.outcomes` in the order of `runs`; `classes` counts the training samples of each class.
    """
    seed, reference = settings.highlight_seed, settings.reference
    remarks = _published_remarks(runs, compared, published, seed, settings.target_accuracy)
    remarks += _outcome_remarks(runs, outcomes, classes)
    parts = [
        "# Comparison of initializers",
        conclusions.of_comparison(settings, runs, compared, paired),
        f"{len(compared)} initializers, {len(runs)} models. The numbers are rounded; runs.csv, comparison.csv and "
        "paired.csv in this folder have all digits.",
        f"## Seed {seed}" if published.empty else f"## Seed {seed}, as in the tutorial",
        _one_seed(runs, published, seed, settings.target_cost),
        "## All seeds",
        _distribution(compared, settings.target_accuracy, settings.target_cost, settings.confidence),
        f"## Paired differences from {reference}",
        _paired(paired, reference, reference in compared["initializer"].tolist(), settings.confidence),
        *(["## Remarks", "\n".join(remarks)] if remarks else []),
        f"## Effect of a perturbation by 1 ulp, seed {seed}",
        _perturbation(copies),
        "## Figures",
        "![Cost against iterations](figures/cost_curves.png)",
        f"![Predicted classes, seed {seed}](figures/boundaries.png)",
        "![Accuracy of every model](figures/accuracy.png)",
        "![Symmetry and saturation during training](figures/along_training.png)",
        "![Differences from the perturbed copies](figures/reproducibility.png)",
        "![The data](figures/data.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _one_seed(runs: Table, published: Table, seed: int, target_cost: float) -> str:
    shown = runs[runs["seed"] == seed]
    if shown.empty:
        return f"No model was trained with seed {seed}."
    facts = published.set_index("initializer")
    rows = []
    for _, run in shown.iterrows():
        name = run["initializer"]
        accuracies = []
        for metric in ("train_accuracy", "test_accuracy"):
            accuracies.append(format_percent(run[metric]))
            if not facts.empty:
                accuracies.append(format_percent(facts.loc[name, metric]) if name in facts.index else "–")
        rows.append(
            [
                name,
                *accuracies,
                format_cost(run["initial_cost"]),
                format_cost(run["final_cost"]),
                format_count(run["iterations_to_target"]),
                (run["initial_label_reason"] and f"{run['initial_label']}: {run['initial_label_reason']}")
                or run["initial_label"],
                run["behaviour"],
            ]
        )
    beside = [] if facts.empty else ["published"]
    heads = ["initializer", "train", *beside, "test", *beside]
    heads += ["initial cost", "final cost", f"cost ≤ {target_cost:g} at", "at initialization", "in training"]
    rules = [f"- **{kind.name}**: {kind.rule};" for kind in BEHAVIOURS]
    rules[-1] = rules[-1].rstrip(";") + "."
    source = "Published: the accuracies printed in the tutorial's exercise. " if not facts.empty else ""
    return "\n".join(
        [
            table(heads, rows, left=(0, len(heads) - 2, len(heads) - 1)),
            "",
            f"{source}At initialization: the label from measurements before the first step, by the rules in "
            "[initialization.md](initialization.md). In training: the label of the first of these rules that applies, "
            "so models with other labels, such as unstable, may have reached the target as well:",
            "",
            *rules,
        ]
    )


def _distribution(compared: Table, target_accuracy: float, target_cost: float, confidence: float) -> str:
    parts = []
    for metric, title in (("train_accuracy", "Training accuracy"), ("test_accuracy", "Test accuracy")):
        rows = [
            [row["initializer"], f"{row['seeds']}", format_percent(row[f"{metric}_mean"])]
            + [format_interval(row[f"{metric}_low"], row[f"{metric}_high"])]
            + [format_percent(row[f"{metric}_{key}"]) for key in ("std", "min", "median", "max")]
            + ([format_percent(row["share_at_target"])] if metric == "train_accuracy" else [])
            for _, row in compared.iterrows()
        ]
        heads = ["initializer", "seeds", "mean", f"{format_share(confidence)} interval", "std", "min", "median", "max"]
        heads += [f"≥ {format_share(target_accuracy)}"] if metric == "train_accuracy" else []
        parts += [f"### {title}", table(heads, rows)]
    rows = [
        [
            row["initializer"],
            *(format_cost(row[f"final_cost_{key}"]) for key in ("mean", "std", "min", "median", "max")),
            f"{row['reached_target_cost']} of {row['seeds']}",
            format_count(row["median_iterations_to_target"]),
            row["initial_label"],
            row["behaviour"],
        ]
        for _, row in compared.iterrows()
    ]
    heads = ["initializer", "mean", "std", "min", "median", "max", f"reach {target_cost:g}", "median at"]
    heads += ["models at initialization", "models in training"]
    parts += ["### Final cost", table(heads, rows, left=(0, 8, 9))]
    parts.append(
        "Intervals of means are betting intervals (Waudby-Smith & Ramdas 2024): their coverage is at least the stated "
        "one for any distribution on [0 %, 100 %] and any number of seeds, so they are wide for few seeds; “–” where "
        "all seeds give the same model. “≥” is the share of seeds whose training accuracy is at least the target. "
        "“median at” is the median over all seeds of the iteration at which the target cost was reached; seeds that "
        "did not reach it count as later than all others, and “–” means that the median is one of them. The last two "
        "columns count the models with each label."
    )
    return "\n\n".join(parts)


def _paired(paired: Table, reference: str, is_trained: bool, confidence: float) -> str:
    if not is_trained:
        return f"No comparison: {reference} is not among the initializers."
    if paired.empty:
        return f"No comparison: {reference} is the only initializer."
    words = {"train_accuracy": "train", "test_accuracy": "test"}
    rows = [
        [
            row["initializer"],
            words[row["metric"]],
            format_points(row["mean_difference"]),
            format_points(row["std"]).lstrip("+"),
            f"{row['wins']} / {row['ties']} / {row['losses']}",
            format_p(row["p"]),
            format_p(row["p_holm"]),
        ]
        for _, row in paired.iterrows()
    ]
    heads = ["initializer", "accuracy", "mean difference", "std", "better / equal / worse"]
    parts = [
        table([*heads, "p", "p (Holm)"], rows, left=(0, 1)),
        f"Differences in percentage points, initializer minus {reference}, between models of the same seed, which use "
        "the same random stream. p: exact two-sided sign-flip test on the numbers of correct predictions; "
        f"p (Holm): corrected for the {len(paired)} comparisons of this table.",
    ]
    unequal = (paired["wins"] + paired["losses"]).tolist()
    n_seeds, level, lowest = int(paired["seeds"].max()), 1.0 - confidence, smallest_holm_p(unequal)
    if lowest > level:
        of_all = "" if max(unequal) == n_seeds else f", of which at most {max(unequal)} differ in a comparison"
        parts.append(
            f"**No difference in this table can be significant at the {format_share(level)} level, however large: "
            f"there are too few seeds.** With {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}{of_all}, p is at least "
            f"{format_p(smallest_p(max(unequal)))} and p (Holm) at least {format_p(lowest)}."
        )
    parts.append(
        "The smallest possible p for n seeds is 2^(1−n), if all differ in the same direction; seeds without a "
        f"difference do not count. Here that is {smallest_p(n_seeds):.3g}, and after Holm's correction "
        f"{smallest_holm_p([n_seeds] * len(paired)):.3g}. A p (Holm) of at most {level:.3g} needs at least "
        f"{seeds_needed(len(paired), level)} seeds."
    )
    return "\n\n".join(parts)


def _perturbation(copies: Table) -> str:
    rows = [
        [row["initializer"], *(f"{row[column]:.1e}" for column in ("cost", "cost_difference", "weight_difference"))]
        for _, row in copies.groupby("initializer", sort=False).tail(1).iterrows()
    ]
    return "\n\n".join(
        [
            table(["initializer", "final cost", "difference of cost", "largest difference of weights"], rows),
            "Absolute differences from a copy that is perturbed by 1 ulp in every weight of the first layer, and "
            "trained in the same way. Where they grow, rounding errors grow as well, and ordinary matrix products give "
            "different results on different processors; the products used here give the same bits on all of them.",
        ]
    )
