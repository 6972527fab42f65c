"""comparison.md from tables worked by hand."""

import math
import re

import pandas as pd
import pytest

from pipeline.analysis import comparison
from pipeline.config.schema import Comparison
from pipeline.diagnostics.classes import Classes
from pipeline.reporting import comparison_report
from tests.analysis.test_comparison import models, outcomes

PUBLISHED = pd.DataFrame({"initializer": ["b"], "train_accuracy": [0.83], "test_accuracy": [0.5]})
BALANCED = Classes([5, 5])
COPIES = pd.DataFrame(
    {
        "initializer": ["b", "b", "a", "a"],
        "iteration": [0, 10, 0, 10],
        "cost": [1.0, 0.25, 1.0, 0.5],
        "cost_difference": [0.0, 2e-3, 0.0, 0.0],
        "weight_difference": [1e-16, 0.125, 1e-16, 3e-16],
    }
)
CHOICES = {"highlight_seed": 0, "reference": "b", "target_cost": 0.15, "target_accuracy": 0.9, "confidence": 0.95}


def written(
    runs: pd.DataFrame,
    published: pd.DataFrame = PUBLISHED,
    ended: pd.DataFrame | None = None,
    classes: Classes = BALANCED,
    **choices: object,
) -> str:
    C = CHOICES | choices
    if ended is None:
        ended = pd.concat([outcomes(name, len(group)) for name, group in runs.groupby("initializer")])
    compared = comparison.compare(runs, C["confidence"], C["target_accuracy"])
    paired = comparison.paired(runs, C["reference"], 10, 4)
    return comparison_report.comparison(Comparison(**C), runs, compared, paired, published, COPIES, ended, classes)


def row(text: str, heading: str, name: str) -> list[str]:
    """The cells of the row `name` in the first table after `heading`."""
    lines = text.partition(heading)[2].split("\n")
    line = next(line for line in lines if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_tutorials_table() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}))
    cells = row(text, "## Seed 0", "b")
    assert cells == ["b", "70.0 %", "83.0 %", "50.0 %", "50.0 %", "1", "0.3", "–", "healthy", "target not reached"]
    assert row(text, "## Seed 0", "a")[2] == "–"  # nothing published
    assert all(kind.rule in text for kind in comparison.BEHAVIOURS)
    assert "models with other labels, such as unstable, may have reached the target as well:" in text


def test_the_tables_over_seeds() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}))
    cells = row(text, "### Training accuracy", "b")
    assert [*cells[:3], *cells[4:]] == ["b", "3", "86.7 %", "15.3 %", "70.0 %", "90.0 %", "100.0 %", "66.7 %"]
    assert row(text, "### Training accuracy", "a")[3] == "–"
    assert row(text, "### Final cost", "b")[6:] == [
        "2 of 3",
        "10",
        "healthy 3",
        "target reached 2, target not reached 1",
    ]
    assert row(text, "## Paired differences from b", "a")[1:3] == ["train", "−6.7"]
    assert row(text, "## Paired differences from b", "a")[4:] == ["1 / 0 / 2", "0.7500", "1.0000"]


def test_labels_at_initialization() -> None:
    runs = models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]})
    runs.loc[:1, ["initial_label", "initial_label_reason"]] = ["saturated", "95 % of outputs"]
    text = written(runs)
    assert row(text, "## Seed 0", "b")[8] == "saturated: 95 % of outputs"
    assert row(text, "### Final cost", "b")[8] == "saturated 2, healthy 1"
    assert row(text, "## Seed 0", "a")[8] == "healthy"


def test_differences_from_the_perturbed_copy_at_the_end() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}))
    assert row(text, "## Effect of a perturbation by 1 ulp, seed 0", "b")[1:] == ["2.5e-01", "2.0e-03", "1.2e-01"]
    assert row(text, "## Effect of a perturbation by 1 ulp, seed 0", "a")[2:] == ["0.0e+00", "3.0e-16"]


def test_a_published_accuracy_has_its_remark() -> None:
    remarks = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.9, 0.7]})).partition("## Remarks")[2]
    assert "**b: 70.0 % with seed 0, 86.7 % on average.** The training accuracy over 3 seeds" in remarks
    assert "**a: " not in remarks


def test_nothing_is_said_of_publications_where_there_are_none() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}), published=PUBLISHED.iloc[:0])
    assert row(text, "## Seed 0", "b") == ["b", "70.0 %", "50.0 %", "1", "0.3", "–", "healthy", "target not reached"]
    assert "ublished" not in text
    assert "utorial" not in text
    assert "with seed 0" not in text
    assert "## Remarks" not in text


def remarks(behaviour: str, classes: Classes = BALANCED, n: int = 3, **measured: object) -> str:
    """What comparison.md remarks on three models with that behaviour, of which this is measured."""
    runs = models({"a": [0.5] * 3})
    runs.loc[: n - 1, "behaviour"] = behaviour
    changed = {key: measured.pop(key) for key in ("initial_cost", "final_cost") if key in measured}
    runs = runs.assign(**changed)
    text = written(runs, published=PUBLISHED.iloc[:0], ended=outcomes("a", 3, **measured), classes=classes)
    return text.partition("## Remarks\n\n")[2].partition("\n\n##")[0]


def test_frozen_models_have_weights_of_0_only_where_they_do() -> None:
    zeros = remarks("frozen", largest_weight=0.0, constant_output=True)
    assert "no weight and no bias changed in 3 of 3 models" in zeros
    assert "every weight is 0" in zeros
    assert "the classes are balanced" in zeros
    assert "\n" not in zeros  # nothing about their output besides
    dead = remarks("frozen", n=2, largest_weight=[2.24, 1.0, 9.0], blocked=True)
    assert "no weight and no bias changed in 2 of 3 models" in dead
    assert "up to 2.24 in absolute value; in 2 of them no gradient passes some hidden layer" in dead
    assert "every weight is 0" not in dead
    assert "derivatives are 0" not in remarks("frozen", largest_weight=2.24)
    assert "balanced" not in remarks("frozen", Classes([4, 6]), largest_weight=0.0)


def test_the_majority_class_is_named_where_it_is_predicted() -> None:
    """Of 3 and 7 samples: entropy -(0.3 ln 0.3 + 0.7 ln 0.7) = 0.6109."""
    measured = {"constant_output": True, "only_biases": True, "largest_weight": 0.0, "final_cost": 0.610864303}
    text = remarks("constant output", Classes([3, 7]), output_class=1, **measured)
    assert "class 1, the majority class, is predicted for every input in 3 of 3 models" in text
    assert "only biases changed during training in 3 of 3 models" in text
    assert "entropy of the classes, 0.6109; the median final cost equals it to within 0.1 %: 0.6109." in text
    assert "majority" not in remarks("constant output", Classes([3, 7]), output_class=0, **measured)
    assert "majority" not in remarks("constant output", Classes([5, 5]), output_class=1, **measured)
    measured |= {"final_cost": 0.62, "largest_weight": 1.0, "only_biases": [True, False, False]}
    text = remarks("target not reached", Classes([3, 7]), output_class=[1, 0, 1], **measured)
    assert "one class is predicted for every training sample in 3 of 3 models" in text
    assert "only biases changed during training in 1 of 3 models" in text
    assert "the median final cost is higher: 0.62." in text


@pytest.mark.parametrize(("final", "learned"), [(2.302, False), (2.28, False), (2.27, True)])
def test_symmetric_units_learn_where_the_cost_says_so(final: float, learned: bool) -> None:
    """Against the entropy of ten balanced classes, ln 10 = 2.3026; 1 % below it is 2.2796."""
    text = remarks("symmetric units", Classes([50] * 10), initial_cost=2.303, final_cost=final)
    assert f"The median cost goes from 2.303 to {final:g}; a constant output reaches 2.303" in text
    assert ("learned more than the frequencies of the classes" in text) == learned
    assert ("did not get 1 % below it" in text) != learned


def test_diverged_models_are_counted() -> None:
    assert "the cost is not finite in 2 of 3 models" in remarks("diverged", n=2)
    assert remarks("target not reached") == ""


def test_too_few_seeds_are_said() -> None:
    """Two comparisons: p >= 2**(1 - n), Holm twice that; 0.05 needs 2**(2 - n) <= 0.05, n = 7."""
    few = written(models({"b": [0.9] * 5, "a": [0.1] * 5}))
    assert row(few, "## Paired differences from b", "a")[4:] == ["0 / 0 / 5", "0.0625", "0.1250"]
    assert "No difference in this table can be significant at the 5 % level" in few
    assert "With 5 seeds, p is at least 0.0625 and p (Holm) at least 0.1250." in few
    assert "at most 0.05 needs at least 7 seeds" in few
    enough = written(models({"b": [0.9] * 7, "a": [0.1] * 7}))
    assert row(enough, "## Paired differences from b", "a")[4:] == ["0 / 0 / 7", "0.0156", "0.0312"]
    assert "No difference" not in enough
    assert "Here that is 0.0156, and after Holm's correction 0.0312." in enough
    assert "at most 0.05 needs at least 7 seeds" in enough
    ties = written(models({"b": [0.9] * 7, "a": [0.1] * 4 + [0.9] * 3}))
    assert "With 7 seeds, of which at most 4 differ in a comparison, p is at least 0.1250" in ties


def test_a_single_seed_is_said() -> None:
    text = written(models({"b": [0.9], "a": [0.1]}))
    assert "With 1 seed, p is at least 1.0000" in text
    assert "nan" not in text


def test_words_do_not_hang_on_names() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.9, 0.8]}))
    other = written(models({"b": [0.7, 0.9, 1.0], "z": [0.8, 0.9, 0.8]}))
    assert re.sub(r"\bz\b", "a", other) == text


def test_an_absent_seed_and_an_absent_reference_are_said() -> None:
    text = written(models({"b": [0.7, 0.9]}), highlight_seed=7, reference="he")
    assert "No model was trained with seed 7." in text
    assert "No comparison: he is not among the initializers." in text
    assert "No comparison: b is the only initializer." in written(models({"b": [0.7, 0.9]}))


def test_a_diverged_model_is_shown() -> None:
    runs = models({"b": [0.7, 0.9]})
    runs.loc[0, ["final_cost", "behaviour"]] = [math.nan, "diverged"]
    assert row(written(runs), "## Seed 0", "b")[6:] == ["–", "–", "healthy", "diverged"]


def test_tables_are_aligned() -> None:
    text = written(models({"b": [0.7, 0.9], "a_longer_name": [0.8, 0.9]}))
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("|"):
            assert len({len(line) for line in lines if line.startswith("|")}) == 1
