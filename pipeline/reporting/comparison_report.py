"""The tables as Markdown for a reader: reports/comparison.md. Pure."""

from pipeline.analysis.comparison import BEHAVIOURS, Table
from pipeline.analysis.estimators import seeds_needed, smallest_holm_p, smallest_p
from pipeline.diagnostics.outcomes import Classes
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
    runs: Table,
    compared: Table,
    paired: Table,
    published: Table,
    twins: Table,
    outcomes: Table,
    classes: Classes,
    *,
    highlight_seed: int,
    shown_seed: int,
    reference: str,
    target_cost: float,
    target_accuracy: float,
    confidence: float,
) -> str:
    """The comparison of the initializers, from the tables of `statistics`, the published accuracies if any, the table
    of `outcomes` in the order of `runs`, the frequencies of the classes among the training samples, and what
    `along_training` tells of a model of `shown_seed` and its twin."""
    remarks = _published_remarks(runs, compared, published, highlight_seed, target_accuracy)
    remarks += _outcome_remarks(runs, outcomes, classes)
    parts = [
        "# How the weights were born, and how they learned",
        f"{len(compared)} initializers, {len(runs)} models. Every number here comes from runs.csv, comparison.csv and "
        "paired.csv beside this file, which hold all digits.",
        f"## Seed {highlight_seed} alone"
        if published.empty
        else f"## The tutorial's table: seed {highlight_seed} alone",
        _one_seed(runs, published, highlight_seed, target_cost),
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
    heads += ["first cost", "final cost", f"cost ≤ {target_cost:g} at", "at birth", "behaviour"]
    rules = [f"- **{kind.word}**: {kind.rule};" for kind in BEHAVIOURS]
    rules[-1] = rules[-1].rstrip(";") + "."
    source = "Published: what the tutorial's exercise prints, where it has the initializer. " if not facts.empty else ""
    return "\n".join(
        [
            table(heads, rows, left=(0, len(heads) - 2, len(heads) - 1)),
            "",
            f"{source}At birth: a word from measurements before the first step, by rules that stand in "
            "[initialization.md](initialization.md). The behaviour is the first of these rules that the "
            "measurements of the training fulfil:",
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
            + [format_percent(row[f"{metric}_{key}"]) for key in ("sd", "min", "median", "max")]
            + ([format_percent(row["share_at_target"])] if metric == "train_accuracy" else [])
            for _, row in compared.iterrows()
        ]
        heads = ["initializer", "seeds", "mean", f"{format_share(confidence)} interval", "sd", "min", "median", "max"]
        heads += [f"≥ {format_share(target_accuracy)}"] if metric == "train_accuracy" else []
        parts += [f"### {title}", table(heads, rows)]
    rows = [
        [
            row["initializer"],
            *(format_cost(row[f"final_cost_{key}"]) for key in ("mean", "sd", "min", "median", "max")),
            f"{row['reached_target_cost']} of {row['seeds']}",
            format_count(row["median_iterations_to_target"]),
            row["initial_label"],
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
            format_points(row["mean_difference"]),
            format_points(row["sd"]).lstrip("+"),
            f"{row['wins']} / {row['ties']} / {row['losses']}",
            format_p(row["p"]),
            format_p(row["p_holm"]),
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
            f"**No difference in this table can be significant at the {format_share(level)} level, however large: "
            f"there are too few seeds.** With {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}{of_all}, p is at least "
            f"{format_p(smallest_p(max(unequal)))} and p (Holm) at least {format_p(lowest)}."
        )
    parts.append(
        "The smallest p that n seeds can give is 2^(1−n), where all differ in the same direction; a seed without a "
        f"difference does not count. Here that is {smallest_p(n_seeds):.3g}, and after Holm's correction "
        f"{smallest_holm_p([n_seeds] * len(paired)):.3g}. A p (Holm) of at most {level:.3g} needs at least "
        f"{seeds_needed(len(paired), level)} seeds."
    )
    return "\n\n".join(parts)


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
