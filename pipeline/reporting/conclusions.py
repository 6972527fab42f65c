"""The sentences at the beginning of the reports, computed from their tables for any experiment.

Names are those of initializers, in the order of params.yaml unless a sentence ranks them.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pipeline.analysis.comparison import Table
from pipeline.analysis.estimators import smallest_holm_p
from pipeline.analysis.initialization_table import agreement_bound, compared_with_theory
from pipeline.config.schema import Comparison
from pipeline.diagnostics.labels import LABEL_RULES, Label
from pipeline.reporting.formatting import format_interval, format_number, format_percent, format_share

HEALTHY = LABEL_RULES[-1].name


def of_comparison(settings: Comparison, runs: Table, compared: Table, paired: Table) -> str:
    """Four sentences: the target cost and divergence, test accuracy, differences from the reference, labels.

    `runs`, `compared` and `paired` are the tables of runs.csv, comparison.csv and paired.csv.
    """
    sentences = [
        _target(runs, compared, settings.target_cost),
        _test_accuracy(compared, settings.confidence),
        _differences(compared, paired, settings.reference, 1.0 - settings.confidence),
        _labels_and_outcomes(runs),
    ]
    return " ".join(sentences)


def of_initialization(
    measured: Table, model_labels: Mapping[str, Sequence[Label]], unpredicted: Sequence[str], n_layers: int
) -> str:
    """Four sentences: labels, initial cost, gradients, and how far the measurements agree with theory.

    `measured` is the table of initialization.csv, `model_labels` has the label of every model of each initializer, and
    `unpredicted` names the initializers for which theory makes no prediction.
    """
    gradient = "The network has no hidden layers."
    if n_layers > 1:
        what = f"The mean ratio of the mean-square gradients of the pre-activations in layers 1 and {n_layers}"
        gradient = _range(what, _means(measured, model_labels, "gradient_ratio", 1), format_number)
    sentences = [
        _labels(model_labels),
        _range("The mean initial cost", _means(measured, model_labels, "initial_cost", 0), format_number),
        gradient,
        _theory(measured, unpredicted, max(map(len, model_labels.values()))),
    ]
    return " ".join(sentences)


def _target(runs: Table, compared: Table, target_cost: float) -> str:
    """The initializers that reach the target cost, and in how many seeds; those with models that diverged."""
    reached = dict(zip(compared["initializer"], compared["reached_target_cost"], strict=True))
    n_seeds = int(compared["seeds"].max())  # of every initializer
    some = sorted((name for name in reached if reached[name]), key=lambda name: -reached[name])
    never = [name for name in reached if not reached[name]]
    if not some:
        text = f"No model reaches the target cost of {target_cost:g}"
    elif min(reached.values()) == n_seeds:
        models = "The only model reaches" if len(runs) == 1 else f"All {len(runs)} models reach"
        text = f"{models} the target cost of {target_cost:g}"
    else:
        text = f"The target cost of {target_cost:g} is reached by {_in_seeds(some, reached, n_seeds)}"
        text += f", and in no seed by {_list(never)}" if never else ""
    diverged = Counter(runs.loc[runs["behaviour"] == "diverged", "initializer"].tolist())
    if not diverged:
        return f"{text}; no model diverged."
    return f"{text}; training diverged with {_in_seeds([*diverged], diverged, n_seeds)}."


def _in_seeds(names: Sequence[str], counts: Mapping[str, int], n_seeds: int) -> str:
    """he in 3 of 5 seeds, normal in 2 and zeros in 1."""
    parts = [f"{name} in {counts[name]}" for name in names]
    return _list([f"{parts[0]} of {_count(n_seeds, 'seed')}", *parts[1:]])


def _test_accuracy(compared: Table, confidence: float) -> str:
    """The range of the mean test accuracy, with the intervals of the initializers at its ends; equal ones once."""
    groups: dict[tuple[float, str], list[str]] = {}  # with the same mean and interval
    for _, row in compared.iterrows():
        low, high = row["test_accuracy_low"], row["test_accuracy_high"]
        interval = "" if math.isnan(low) else format_interval(low, high)
        groups.setdefault((row["test_accuracy_mean"], interval), []).append(row["initializer"])
    means = {}
    for (mean, interval), names in groups.items():
        of_each = " of each" if len(names) > 1 else ""
        text = f", {format_share(confidence)} interval{of_each} {interval}" if interval else ""
        means[f"{_list(names)}{text}"] = mean
    what = f"The mean test accuracy over {_count(int(compared['seeds'].max()), 'seed')}"
    return _range(what, means, format_percent)


def _differences(compared: Table, paired: Table, reference: str, level: float) -> str:
    """The initializers whose test accuracy differs significantly from the reference's."""
    if reference not in compared["initializer"].tolist():
        return f"The reference, {reference}, is not among the initializers."
    if paired.empty:
        return f"There is no other initializer to compare with {reference}."
    at_level = f"{format_share(level)} level"
    if smallest_holm_p((paired["wins"] + paired["losses"]).tolist()) > level:
        return f"No difference from {reference} can be significant at the {at_level}: too few seeds with a difference."
    test = paired[paired["metric"] == "test_accuracy"]
    significant, below = test["p_holm"] <= level, test["mean_difference"] < 0.0
    if not significant.any():
        return f"No test accuracy differs significantly from that of {reference} ({at_level}, Holm's correction)."
    parts = []
    for which, word in (
        (significant & below, "significantly lower for"),
        (significant & ~below, "significantly higher for"),
        (~significant, "not significantly different for"),
    ):
        if which.any():
            parts.append(f"{word} {_list(test.loc[which, 'initializer'].tolist())}")
    text = f"Compared with {reference}, the test accuracy is {'; '.join(parts)}"
    return f"{text} (paired test, {at_level}, Holm's correction)."


def _labels_and_outcomes(runs: Table) -> str:
    """How many models labelled healthy, and how many others, reach the target cost."""
    healthy, reached = runs["initial_label"] == HEALTHY, runs["iterations_to_target"].notna()
    parts, other = [], "with another label" if healthy.any() else f"with other labels than {HEALTHY}"
    for models, label in ((healthy, f"labelled {HEALTHY} at initialization"), (~healthy, other)):
        if models.any():
            parts.append(f"{(models & reached).sum()} of {_count(int(models.sum()), 'model')} {label}")
    agree = f"{(healthy == reached).sum()} of {_count(len(runs), 'model')}"
    return f"The target cost is reached by {_list(parts)}: label and outcome agree for {agree}."


def _labels(model_labels: Mapping[str, Sequence[Label]]) -> str:
    """How many models have each label, and which initializers have no healthy model."""
    labels = Counter(label.name for models in model_labels.values() for label in models)
    n_models = labels.total()
    if len(labels) == 1:
        models = "The only model is" if n_models == 1 else f"All {n_models} models are"
        return f"{models} labelled {next(iter(labels))}."
    counts = [f"{n} {label}" for label, n in labels.most_common()]
    counts[0] = counts[0].replace(" ", f" {'is' if labels.most_common()[0][1] == 1 else 'are'} labelled ", 1)
    none = [name for name, models in model_labels.items() if all(label.name != HEALTHY for label in models)]
    text = f"Of {n_models} models, {_list(counts)}"
    return f"{text}; {_list(none)} {'has' if len(none) == 1 else 'have'} no {HEALTHY} model." if none else f"{text}."


def _theory(measured: Table, unpredicted: Sequence[str], n_seeds: int) -> str:
    """How many predictions agree with the measurements, and the initializers without predictions."""
    compared, far = compared_with_theory(measured)
    n, bound = len(compared), agreement_bound(n_seeds)
    text = f"{n - len(far)} of {_count(n, 'mean')} over the seeds agree with theory to within {bound}"
    if not n:
        text = "No prediction of theory can be compared with the measurements"
    return f"{text}; theory makes no prediction for {_list(unpredicted)}." if unpredicted else f"{text}."


def _means(measured: Table, names: Mapping[str, object], quantity: str, layer: int) -> dict[str, float]:
    """The mean of a quantity in a layer, or of the model where `layer` is 0, of each initializer; nan if undefined."""
    rows = measured[(measured["quantity"] == quantity) & (measured["layer"].fillna(0) == layer)]
    found = dict(zip(rows["initializer"], rows["mean"], strict=True))
    return {name: found.get(name, math.nan) for name in names}


def _range(what: str, values: Mapping[str, float], shown: Callable[[float], str]) -> str:
    """A sentence with the smallest and the largest of the finite values and the names that have them."""
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    if not finite:
        return f"{what} is not a finite number for any initializer."
    ends = []
    for value in (min(finite.values()), max(finite.values())):
        ends.append(f"{shown(value)} ({'; '.join(name for name in finite if finite[name] == value)})")
    others = [name for name in values if name not in finite]
    beside = f"; it is not a finite number for {_list(others)}" if others else ""
    return f"{what} {f'is {ends[0]}' if ends[0] == ends[1] else f'ranges from {ends[0]} to {ends[1]}'}{beside}."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun if n == 1 else f'{noun}s'}"


def _list(parts: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
