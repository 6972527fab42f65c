"""The tables of benchmarks/audit_suitability.py."""

from typing import Any

from benchmarks.audit_suitability import counts, kind, problems, report
from pipeline.audit.suitability import NOT_DECIDED


def row(theory: str, data: str, outcome: str, layers: int = 3) -> dict[str, Any]:
    network = {"set": "held-out set", "problem": "digits", "initializer": "he_normal", "activation": "relu"}
    return network | {"layers": layers, "theory": theory, "data": data, "outcome": outcome}


def test_kinds_and_counts() -> None:
    assert kind("healthy") == "healthy"
    assert kind("collapsed") == "faulty"
    assert kind(NOT_DECIDED) == NOT_DECIDED
    assert kind("the weights of 1 are constant") == "not predicted"
    rows = [
        row("healthy", "dead", "learned"),
        row("vanishing", "vanishing", "failed"),
        row("frozen", "frozen", "failed"),
    ]
    assert counts(rows, "theory", ["healthy", "faulty"]) == [["healthy", "1", "0", "0"], ["faulty", "0", "0", "2"]]
    assert counts(rows, "data", ["faulty"]) == [["faulty", "1", "0", "2"]]


def test_the_report_lists_false_alarms() -> None:
    text = report([row("healthy", "dead", "learned")], [row("frozen", "", "learned")])
    assert "- digits, he_normal: dead" in text
    assert "- held-out set: digits, he_normal: frozen" in text


def test_deep_networks_of_the_benchmark() -> None:
    """Each activation is trained with 3 and with 50 layers, and no name of a network is used twice."""
    names = [str(problem) for problem in problems()]
    assert len(set(names)) == len(names)
    assert {(p.activation, len(p.hidden) + 1) for p in problems()} >= {
        (name, depth) for name in ("relu", "tanh", "gelu") for depth in (3, 50)
    }
