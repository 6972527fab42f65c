"""The study of labels against outcomes: its rules worked by hand, its committed tables, and a part of it run again."""

import collections
import csv
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import labels
from benchmarks.labels import LEARNING_RATES, Problem
from pipeline.diagnostics.labels import LABEL_RULES, RATES

ROOT = Path(__file__).parent.parent
DOCS = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
REPORT = (ROOT / "reports" / "labels.md").read_text(encoding="utf-8")
OUTCOMES = ("learned", "between", "failed")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """reports/labels.csv."""
    with (ROOT / "reports" / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(text: str, head: str) -> list[list[str]]:
    """The rows of the first table in `text` whose head starts with `head`."""
    lines = text[text.index(f"| {head}") :].split("\n\n")[0].split("\n")[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_outcomes_at_their_thresholds() -> None:
    assert [labels.outcome(share) for share in (1.0, 0.9, 0.899, 0.501, 0.5, -1.0)] == [
        *("learned", "learned", "between", "between", "failed", "failed")
    ]


def test_shares_and_confusion_worked_by_hand() -> None:
    made = [("none", "learned")] * 3 + [("vanishing", "learned"), ("frozen", "failed"), ("none", "failed")]
    made += [("dead", "between")]
    rows = [{"label": label, "outcome": outcome} for label, outcome in made]
    assert labels.shares(rows) == (0.25, 0.5)
    counts = labels.confusion(rows)
    assert counts["none"] == [3, 0, 1]
    assert counts["vanishing"] == [1, 0, 0]
    assert counts["dead"] == [0, 1, 0]
    assert sum(map(sum, counts.values())) == 7


def test_the_study_covers_what_it_says(rows: list[dict[str, Any]]) -> None:
    problems = [problem for chosen, _ in labels.SETS.values() for problem in chosen]
    assert len(rows) == 2221
    assert len({row["problem"] for row in rows}) == len(problems) == 48
    assert {problem.data for problem in problems} == set(labels.DATASETS) - {"standardized_digits"}  # those of digits
    assert {problem.activation for problem in problems} == {"relu", "tanh", "sigmoid"}
    assert (min(len(p.hidden) for p in problems), max(len(p.hidden) for p in problems)) == (0, 30)
    sizes = [size for problem in problems for size in problem.hidden]
    assert (min(sizes), max(sizes)) == (5, 256)
    assert "2,221 networks on 48 problems" in DOCS


def test_the_report_follows_from_the_rows(rows: list[dict[str, Any]]) -> None:
    read = [row | {"steps": int(row["steps"])} for row in rows]
    assert labels.report(read) == REPORT
    assert f"<!-- from reports/labels.md -->\n{labels.summary(read)}\n<!-- end -->" in DOCS


def test_the_documentation_has_the_counts_of_the_rows(rows: list[dict[str, Any]]) -> None:
    assert [row[:4] for row in table(DOCS, "label | learned")] == [
        [word, *map(str, counts)] for word, counts in labels.confusion(rows).items()
    ]
    at_rates = collections.Counter((r[f"label_{x:g}"], r[f"outcome_{x:g}"]) for r in rows for x in LEARNING_RATES)
    assert table(DOCS, "label for that rate") == [
        [word, *(str(at_rates[word, outcome]) for outcome in OUTCOMES)] for word in RATES
    ]
    expected = []
    for name, activation in (("ReLU", "relu"), ("tanh", "tanh"), ("sigmoid", "sigmoid")):
        cells = [name]
        for chosen in (rows, [row for row in rows if row["set"] == "held-out set"]):
            for outcome in ("learned", "failed"):
                own = [r for r in chosen if r["problem"].endswith(f" {activation}") and r["outcome"] == outcome]
                cells.append(f"{sum(r['label'] != 'none' for r in own)} of {len(own)}")
        expected.append(cells)
    assert table(DOCS, "activation") == expected


def test_every_label_is_explained(rows: list[dict[str, Any]]) -> None:
    words = {row["label"] for row in rows} | {row[f"label_{rate:g}"] for row in rows for rate in LEARNING_RATES}
    assert words == {kind.name for kind in LABEL_RULES} | {"none"}


SMALL = [
    Problem("breast_cancer", [], "relu", 1000),
    Problem("circles", [10, 5], "relu", 4000),
    Problem("moons", [2 * 10] * 2, "sigmoid", 1000),
    Problem("breast_cancer", [12, 8], "tanh", 1000),
]


@pytest.mark.parametrize("problem", SMALL, ids=str)
def test_labels_are_those_of_the_committed_rows(problem: Problem, rows: list[dict[str, Any]]) -> None:
    """A rule that was changed needs the study anew: `python -m benchmarks.labels`."""
    name, seed = next((name, seed) for name, (chosen, seed) in labels.SETS.items() if problem in chosen)
    found, _ = labels.labels(problem, seed)
    committed = [row for row in rows if row["problem"] == str(problem) and row["set"] == name]
    assert [[v.name for v in given] for given in found] == [
        [row[f"label_{rate:g}"] for rate in LEARNING_RATES] for row in committed
    ]


def test_outcomes_are_those_of_the_committed_rows(rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of softmax regression, in a second."""
    problem = SMALL[0]
    costs = {str(problem): labels.final_costs(problem, 0)}
    monkeypatch.setitem(labels.SETS, "first development set", ([problem], 0))
    made = labels.study("first development set", costs)
    committed = [row for row in rows if row["problem"] == str(problem)]
    assert [{key: str(value) for key, value in row.items()} for row in made] == committed


def test_numbers_in_the_text_of_what_falls_short(rows: list[dict[str, Any]]) -> None:
    missed = collections.Counter(r["initializer"] for r in rows if r["outcome"] == "failed" and r["label"] == "none")
    false = collections.Counter(r["initializer"] for r in rows if r["outcome"] == "learned" and r["label"] != "none")
    text = DOCS.partition("### What falls short")[2]
    n_false, n_missed = sum(false.values()), sum(missed.values())
    small = ("normal 0.0001", "normal 0.01", "normal 0.1", "truncated_normal 0.02")
    for names, count, of in [
        (("xavier_normal, last layer × 30",), false, n_false),
        (("xavier_normal, bias 3",), missed, n_missed),
        (("identity", "zero_init"), missed, n_missed),
        (small, missed, n_missed),
        (("he_normal, first layer × 30", "normal 10"), missed, n_missed),
    ]:
        assert re.search(rf"\b{sum(count[name] for name in names)} of the {of}\b", text), names
