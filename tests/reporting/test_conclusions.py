"""The first sentences of the reports, on tables made by hand: what they say can be read off the accuracies given."""

import math
import re

import pandas as pd
import pytest

from pipeline.analysis import comparison
from pipeline.config.schema import Comparison
from pipeline.diagnostics.labels import Label
from pipeline.reporting import conclusions
from tests.analysis.test_comparison import models

NAN = math.nan


def sentences(runs: pd.DataFrame, reference: str = "b") -> list[str]:
    """The conclusions of a comparison with target cost 0.15 at 95 % confidence, one by one."""
    compared, paired = comparison.compare(runs, 0.95, 0.9), comparison.paired(runs, reference, 10, 4)
    targets = {"target_cost": 0.15, "target_accuracy": 0.9, "confidence": 0.95}
    return split(
        conclusions.of_comparison(Comparison(highlight_seed=0, reference=reference, **targets), runs, compared, paired)
    )


def split(text: str) -> list[str]:
    assert not re.search(r"\bnan\b|<NA>|None|Counter|  |\.\.", text)
    return [f"{part}." for part in text.removesuffix(".").split(". ")]


def test_the_target_is_reached_by_the_initializers_whose_cost_falls_that_far() -> None:
    """The final cost is 1 - accuracy: at most 0.15 for 0.9 and 1.0."""
    runs = models({"a": [0.8, 0.8, 0.9], "b": [0.7, 0.9, 1.0], "c": [0.1, 0.2, 0.3]})
    target, *_, labels = sentences(runs)
    assert (
        target
        == "The target cost of 0.15 is reached by b in 2 of 3 seeds and a in 1, and in no seed by c; no model diverged."
    )
    assert labels == (
        "The target cost is reached by 3 of 9 models labelled healthy at initialization: "
        "label and outcome agree for 3 of 9 models."
    )
    target, *_ = sentences(models({"b": [0.9, 1.0], "a": [1.0, 0.1]}))
    assert target == "The target cost of 0.15 is reached by b in 2 of 2 seeds and a in 1; no model diverged."
    target, *_ = sentences(models({"b": [0.9, 1.0], "a": [1.0, 0.9]}))
    assert target == "All 4 models reach the target cost of 0.15; no model diverged."
    target, *_ = sentences(models({"b": [0.1, 0.2]}))
    assert target == "No model reaches the target cost of 0.15; no model diverged."


def test_models_with_other_labels_are_counted_apart() -> None:
    runs = models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.9]})
    runs["initial_label"] = ["healthy", "healthy", "frozen", "frozen", "saturated", "healthy"]
    assert sentences(runs)[3] == (
        "The target cost is reached by 2 of 3 models labelled healthy at initialization and 1 of 3 models with another "
        "label: label and outcome agree for 4 of 6 models."  # healthy: seeds 1 of b and 2 of a; others: 0 and 1 of a
    )
    runs["initial_label"] = "frozen"
    assert sentences(runs)[3].startswith("The target cost is reached by 3 of 6 models with other labels than healthy: ")


def test_one_initializer_and_one_seed() -> None:
    assert sentences(models({"b": [1.0]}).assign(test_accuracy=0.75)) == [
        "The only model reaches the target cost of 0.15; no model diverged.",
        # By hand: a bet c on x = 0.75 against m < x wins 1 + c (x / m - 1); averaged over c = 0.02, 0.04, ... 1, it is
        # 1 + 0.51 (0.75 / m - 1) = 40 at m = 0.75 / (1 + 39 / 0.51) = 0.0097. For 1 - x: 0.25 / 77.47 = 0.0032.
        "The mean test accuracy over 1 seed is 75.0 % (b, 95 % interval 1.0 % to 99.7 %).",
        "There is no other initializer to compare with b.",
        "The target cost is reached by 1 of 1 model labelled healthy at initialization: "
        "label and outcome agree for 1 of 1 model.",
    ]


def test_all_models_diverged() -> None:
    runs = models({"a": [0.5, 0.5], "b": [0.5, 0.5]})
    runs[["final_cost", "behaviour"]] = [NAN, "diverged"]  # 0.5 is above the target
    runs["initial_label"] = "exploding"
    target, accuracy, difference, labels = sentences(runs)
    assert target == "No model reaches the target cost of 0.15; training diverged with a in 2 of 2 seeds and b in 2."
    assert accuracy == "The mean test accuracy over 2 seeds is 50.0 % (a and b)."  # one model: no interval
    assert difference == "No difference from b can be significant at the 5 % level: too few seeds with a difference."
    assert labels.endswith("0 of 4 models with other labels than healthy: label and outcome agree for 4 of 4 models.")


def test_some_models_diverged() -> None:
    runs = models({"a": [0.5, 1.0, 1.0], "b": [1.0, 1.0, 1.0]})
    runs.loc[0, "behaviour"] = "diverged"
    target, *_ = sentences(runs)
    assert target.endswith("by b in 3 of 3 seeds and a in 2; training diverged with a in 1 of 3 seeds.")


def of_test(**accuracies: list[float]) -> pd.DataFrame:
    """Runs with these test accuracies."""
    runs = models({name: [0.5] * len(values) for name, values in accuracies.items()})
    return runs.assign(test_accuracy=[value for values in accuracies.values() for value in values])


def test_the_range_of_test_accuracies_has_all_initializers_at_its_ends() -> None:
    runs = of_test(c=[0.5, 0.5], a=[0.25, 0.25], b=[0.5, 0.5], d=[0.25, 0.5])
    assert sentences(runs)[1] == "The mean test accuracy over 2 seeds ranges from 25.0 % (a) to 50.0 % (c and b)."


def test_an_interval_that_several_initializers_share_is_written_once() -> None:
    """One seed of accuracy 0.5: the bets of the test above reach 40 at m = 0.5 / 77.47 = 0.0065, and at 1 - 0.0065."""
    runs = of_test(a=[0.5], b=[0.5], c=[0.5], d=[0.75])
    assert sentences(runs)[1] == (
        "The mean test accuracy over 1 seed ranges from 50.0 % (a, b and c, 95 % interval of each 0.6 % to 99.4 %) "
        "to 75.0 % (d, 95 % interval 1.0 % to 99.7 %)."
    )
    # Equal means over seeds: a is one model and has no interval; those of b and c are equal, and that of d is narrower
    runs = models({"a": [0.5] * 4} | dict.fromkeys("bcd", [0.5, 0.6] * 2))
    text = sentences(runs.assign(test_accuracy=[0.5] * 4 + [0.0, 1.0] * 2 + [1.0, 0.0] * 2 + [0.4, 0.6] * 2))[1]
    assert re.fullmatch(r"The mean test accuracy over 4 seeds is 50\.0 % \(a; b and c, [^;]*; d, [^;]*\)\.", text)
    assert text.count("interval of each") == 1
    assert text.count("interval") == 2


def test_differences_in_either_direction() -> None:
    """8 seeds that all differ in one direction: p = 2 / 2**8, times the 6 comparisons at most 0.047."""
    runs = of_test(a=[0.25] * 8, b=[0.5] * 8, c=[0.5] * 8, d=[1.0] * 8)
    text = "(paired test, 5 % level, Holm's correction)."
    assert sentences(runs)[2] == (
        "Compared with b, the test accuracy is significantly lower for a; significantly higher for d; "
        f"not significantly different for c {text}"
    )
    assert (
        sentences(runs, "a")[2] == f"Compared with a, the test accuracy is significantly higher for b, c and d {text}"
    )
    assert sentences(runs, "d")[2] == f"Compared with d, the test accuracy is significantly lower for a, b and c {text}"
    # 7 seeds that differ: p = 2 / 2**7 = 0.016, and 5 times that after Holm's correction
    runs = of_test(a=[0.25] * 7 + [0.5], b=[0.5] * 8, c=[0.5] * 8, d=[1.0] * 8)
    assert "for d; not significantly different for a and c (" in sentences(runs)[2]
    runs = of_test(a=[0.25, 0.75] * 8, b=[0.5] * 16)
    assert sentences(runs)[2] == "No test accuracy differs significantly from that of b (5 % level, Holm's correction)."
    assert sentences(runs, "x")[2] == "The reference, x, is not among the initializers."
    runs = of_test(a=[0.25] * 5, b=[0.5] * 5)  # p = 2 / 2**5 = 0.0625
    assert (
        sentences(runs)[2]
        == "No difference from b can be significant at the 5 % level: too few seeds with a difference."
    )


LABELS = {"a": ["frozen"] * 2, "b": ["healthy", "frozen"], "c": ["saturated", "healthy"]}


def at_initialization(
    labels: dict[str, list[str]],
    cells: dict[tuple[str, str, int], tuple[float, float, float]],
    unpredicted: tuple[str, ...] = (),
    n_layers: int = 3,
) -> list[str]:
    """The conclusions from a table with these (mean, predicted, deviation) by initializer, quantity and layer."""
    rows = [(*key[:2], key[2] or None, 2, *values) for key, values in cells.items()]
    table = pd.DataFrame(rows, columns=["initializer", "quantity", "layer", "seeds", "mean", "predicted", "z_score"])
    model_labels = {name: [Label(label, "") for label in found] for name, found in labels.items()}
    return split(conclusions.of_initialization(table.astype({"layer": "Int64"}), model_labels, unpredicted, n_layers))


def test_networks_at_initialization() -> None:
    cells = {
        ("a", "initial_cost", 0): (0.6931, 0.6931, 0.0),
        ("b", "initial_cost", 0): (1276.4, NAN, NAN),
        ("c", "initial_cost", 0): (0.75, 0.7, 236.0),  # with 2 seeds the bound is 235.8
        ("a", "gradient_ratio", 1): (0.5, 0.5, -2.9),
        ("a", "gradient_ratio", 3): (9.0, 9.0, 0.0),
        ("b", "gradient_ratio", 1): (2.0, 9.0, -3000.0),
        ("c", "gradient_ratio", 1): (0.5, 0.5, 235.0),
    }
    assert at_initialization(LABELS, cells, ("b",)) == [
        "Of 6 models, 3 are labelled frozen, 2 healthy and 1 saturated; a has no healthy model.",
        "The mean initial cost ranges from 0.693 (a) to 1,276 (b).",
        "The mean ratio of the mean-square gradients of the pre-activations in layers 1 and 3 ranges from 0.5 (a; c) "
        "to 2 (b).",
        "4 of 6 means over the seeds agree with theory to within 236 standard errors; theory makes no prediction for b.",
    ]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({"a": ["healthy"]}, "The only model is labelled healthy."),
        ({"a": ["frozen"], "b": ["frozen"] * 2}, "All 3 models are labelled frozen."),
        ({"a": ["dead"], "b": ["healthy"]}, "Of 2 models, 1 is labelled dead and 1 healthy; a has no healthy model."),
        (
            {"a": ["dead", "learning rate too small"], "b": ["dead"]},
            "Of 3 models, 2 are labelled dead and 1 learning rate too small; a and b have no healthy model.",
        ),
        ({"a": ["healthy", "dead"]}, "Of 2 models, 1 is labelled healthy and 1 dead."),
    ],
)
def test_the_labels_of_few_models(labels: dict[str, list[str]], text: str) -> None:
    cells = {(name, "initial_cost", 0): (0.7, NAN, NAN) for name in labels}
    assert at_initialization(labels, cells, n_layers=1) == [
        text,
        f"The mean initial cost is 0.7 ({'; '.join(labels)}).",
        "The network has no hidden layers.",
        "No prediction of theory can be compared with the measurements.",
    ]


def test_costs_that_are_not_finite_are_named() -> None:
    labels = {"a": ["exploding"], "b": ["exploding"], "c": ["healthy"]}
    _, cost, gradient, _ = at_initialization(
        labels, {("a", "initial_cost", 0): (NAN, NAN, NAN), ("c", "initial_cost", 0): (0.7, 0.7, 0.0)}
    )
    assert cost == "The mean initial cost is 0.7 (c); it is not a finite number for a and b."
    assert gradient.endswith("layers 1 and 3 is not a finite number for any initializer.")
