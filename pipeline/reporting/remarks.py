"""The remarks in reports/comparison.md; each is printed only if measurements support it."""

from pipeline.analysis.comparison import Table
from pipeline.analysis.estimators import quantile
from pipeline.diagnostics.classes import Classes
from pipeline.reporting.formatting import format_cost, format_percent, format_share

LEARNED = 0.01  # share by which a cost must lie below the entropy of the classes to show more than their frequencies
EQUAL = 0.001  # relative difference up to which a cost counts as the entropy of the classes


def _of(models: Table, group: Table) -> str:
    return f"{len(models)} of {len(group)} {'model' if len(group) == 1 else 'models'}"


def _published_remarks(runs: Table, compared: Table, published: Table, seed: int, target: float) -> list[str]:
    """A remark for each published accuracy that differs from the mean over the seeds by at least 1 percentage point."""
    remarks = []
    for _, row in compared[compared["initializer"].isin(published["initializer"])].iterrows():
        name = row["initializer"]
        alone = runs[(runs["initializer"] == name) & (runs["seed"] == seed)]["train_accuracy"].tolist()
        if alone and abs(alone[0] - row["train_accuracy_mean"]) >= 0.01:
            remarks.append(
                f"- **{name}: {format_percent(alone[0])} with seed {seed}, "
                f"{format_percent(row['train_accuracy_mean'])} on average.** The training accuracy over {row['seeds']} "
                f"seeds is between {format_percent(row['train_accuracy_min'])} and "
                f"{format_percent(row['train_accuracy_max'])}; in {format_percent(row['share_at_target'])} of "
                f"the seeds it is at least {format_share(target)}."
            )
    return remarks


def _outcome_remarks(runs: Table, outcomes: Table, classes: Classes) -> list[str]:
    """The remarks on each initializer that the measurements of its trained models support.

    A function of a remark takes the models concerned, and all models of their initializer.
    """
    remarks = []
    every = runs.merge(outcomes, on=["initializer", "seed"], validate="one_to_one")
    for name, group in every.groupby("initializer", sort=False):
        frozen, symmetric, diverged = (group["behaviour"] == kind for kind in ("frozen", "symmetric units", "diverged"))
        for concerned, remark in (
            (frozen, _frozen),
            (group["constant_output"] & ~frozen, _constant_output),
            (symmetric, _symmetric_units),
            (diverged, _diverged),
        ):
            if concerned.any():
                remarks.append(f"- **{name}: {remark(group[concerned], group, classes)}")
    return remarks


def _frozen(models: Table, group: Table, classes: Classes) -> str:
    remark = f"no weight and no bias changed in {_of(models, group)}.** "
    largest, n_blocked = models["largest_weight"].max(), int(models["blocked"].sum())
    if largest == 0.0:
        remark += "The cause is not symmetry: every weight is 0, and so is the gradient of every weight"
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


def _constant_output(models: Table, group: Table, classes: Classes) -> str:
    where = "input" if models["largest_weight"].max() == 0.0 else "training sample"
    predicted = models["output_class"].unique().tolist()
    most = [label for label, count in enumerate(classes.counts) if count == max(classes.counts)]
    label = f"class {predicted[0]}" if len(predicted) == 1 else "one class"
    label += ", the majority class," if predicted == most else ""
    remark = f"{label} is predicted for every {where} in {_of(models, group)}.** "
    remark += "The output of such a model is the same for each"
    n_biases, final = int(models["only_biases"].sum()), quantile(models["final_cost"].tolist(), 0.5)
    if n_biases:
        remark += f"; only biases changed during training in {_of(models[models['only_biases']], models)}"
    remark += (
        f". The smallest cost of a constant output is the entropy of the classes, {format_cost(classes.entropy)}; "
    )
    reached = abs(final - classes.entropy) <= EQUAL * classes.entropy
    return (
        remark
        + f"the median final cost {'equals it to within 0.1 %' if reached else 'is higher'}: {format_cost(final)}."
    )


def _symmetric_units(models: Table, group: Table, classes: Classes) -> str:
    first, final = quantile(models["initial_cost"].tolist(), 0.5), quantile(models["final_cost"].tolist(), 0.5)
    remark = (
        f"all units of some hidden layer are identical in {_of(models, group)}.** After training they have the same "
        f"weights and biases, in every bit. The median cost goes from {format_cost(first)} to {format_cost(final)}; a "
        f"constant output reaches {format_cost(classes.entropy)}, the entropy of the classes, "
    )
    if final <= (1.0 - LEARNED) * classes.entropy:
        return remark + "so they learned more than the frequencies of the classes."
    return remark + f"and they did not get {format_share(LEARNED)} below it."


def _diverged(models: Table, group: Table, classes: Classes) -> str:
    return (
        f"the cost is not finite in {_of(models, group)}.** Mean and standard deviation of the final cost are then not "
        "defined; in its quantiles such a model counts as above all others. Where the output is not a number class 0 "
        "is predicted, and the accuracies are those of that prediction."
    )
