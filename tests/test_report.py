"""comparison.md from tables worked by hand."""

import math

import pandas as pd
from test_statistics import models

from pipeline import report, statistics

PUBLISHED = pd.DataFrame({"initializer": ["b"], "train_accuracy": [0.83], "test_accuracy": [0.5]})
TWINS = pd.DataFrame(
    {
        "initializer": ["b", "b", "a", "a"],
        "iteration": [0, 10, 0, 10],
        "cost": [1.0, 0.25, 1.0, 0.5],
        "cost_difference": [0.0, 2e-3, 0.0, 0.0],
        "weight_difference": [1e-16, 0.125, 1e-16, 3e-16],
    }
)
CHOICES = {"reference": "b", "target_cost": 0.15, "target_accuracy": 0.9, "confidence": 0.95}


def written(runs: pd.DataFrame, tutorial_seed: int = 0, **choices: object) -> str:
    C = CHOICES | choices
    compared = statistics.comparison(runs, C["confidence"], C["target_accuracy"])
    paired = statistics.paired(runs, C["reference"], 10, 4)
    return report.comparison(runs, compared, paired, PUBLISHED, TWINS, tutorial_seed=tutorial_seed, shown_seed=0, **C)


def row(text: str, heading: str, name: str) -> list[str]:
    """The cells of the row `name` in the first table after `heading`."""
    lines = text.partition(heading)[2].split("\n")
    line = next(line for line in lines if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_tutorials_table() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}))
    cells = row(text, "seed 0 alone", "b")
    assert cells == ["b", "70.0 %", "83.0 %", "50.0 %", "50.0 %", "1", "0.3", "–", "healthy", "slow"]
    assert row(text, "seed 0 alone", "a")[2] == "–"  # nothing published
    assert all(kind.rule in text for kind in statistics.BEHAVIOURS)


def test_the_tables_over_seeds() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}))
    cells = row(text, "### Training accuracy", "b")
    assert [*cells[:3], *cells[4:]] == ["b", "3", "86.7 %", "15.3 %", "70.0 %", "90.0 %", "100.0 %", "66.7 %"]
    assert row(text, "### Training accuracy", "a")[3] == "–"
    assert row(text, "### Final cost", "b")[6:] == ["2 of 3", "10", "healthy (3 of 3)", "smooth (2 of 3)"]
    assert row(text, "## Against b", "a")[1:3] == ["train", "−6.7"]
    assert row(text, "## Against b", "a")[4:] == ["1 / 0 / 2", "0.7500", "1.0000"]


def test_words_for_the_newborn() -> None:
    runs = models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]})
    runs.loc[:1, ["at_birth", "at_birth_measured"]] = ["saturated", "95 % of outputs"]
    text = written(runs)
    assert row(text, "seed 0 alone", "b")[8] == "saturated: 95 % of outputs"
    assert row(text, "### Final cost", "b")[8] == "saturated (2 of 3)"
    assert row(text, "seed 0 alone", "a")[8] == "healthy"


def test_a_last_bit_at_the_end() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.8, 0.8]}))
    assert row(text, "## A last bit in the first weights of seed 0", "b")[1:] == ["2.5e-01", "2.0e-03", "1.2e-01"]
    assert row(text, "## A last bit in the first weights of seed 0", "a")[2:] == ["0.0e+00", "3.0e-16"]


def test_remarks_stand_only_where_the_measurements_bear_them_out() -> None:
    runs = models({"b": [0.7, 0.9, 1.0], "zeros": [0.8, 0.8, 0.8]})
    hidden = written(runs).partition("## What one seed hides")[2]
    assert "**b: 70.0 % is seed 0.** Over 3 seeds it averages 86.7 %" in hidden
    assert "through symmetry" not in hidden  # whatever its name, this one moved
    runs.loc[runs["initializer"] == "zeros", "behaviour"] = "frozen"
    assert "**zeros did not fail through symmetry.**" in written(runs).partition("## What one seed hides")[2]


def test_words_do_not_hang_on_names() -> None:
    text = written(models({"b": [0.7, 0.9, 1.0], "a": [0.8, 0.9, 0.8]}))
    other = written(models({"b": [0.7, 0.9, 1.0], "z": [0.8, 0.9, 0.8]}))
    assert other.replace("| z ", "| a ").replace("**z:", "**a:") == text


def test_an_absent_seed_and_an_absent_reference_are_said() -> None:
    text = written(models({"b": [0.7, 0.9]}), tutorial_seed=7, reference="he")
    assert "Seed 7 is not among the trained seeds." in text
    assert "There is nothing to compare" in text


def test_a_diverged_model_is_shown() -> None:
    runs = models({"b": [0.7, 0.9]})
    runs.loc[0, ["final_cost", "behaviour"]] = [math.nan, "diverged"]
    assert row(written(runs), "seed 0 alone", "b")[6:] == ["–", "–", "healthy", "diverged"]


def test_tables_are_aligned() -> None:
    text = written(models({"b": [0.7, 0.9], "a_longer_name": [0.8, 0.9]}))
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("|"):
            assert len({len(line) for line in lines if line.startswith("|")}) == 1
