"""reports/audit.md, audit.csv and audit.json from audits."""

import numpy as np

from pipeline.audit.results import NOT_CHECKED, NOT_INITIAL, Audit
from pipeline.config.audits import AuditSettings
from pipeline.reporting.audit_report import in_order, layer_table, metrics, report, summary, verdict
from tests.audited import audited, he

RNG = np.random.RandomState(0)
FINE = audited({"0": he(RNG, 32, 64), "2": he(RNG, 32, 32)}, "he_normal", "fine.pt")
WRONG = audited({"0": he(RNG, 32, 64), "2": 10.0 * he(RNG, 32, 32), "4": np.zeros((4, 32))}, "he_normal", "wrong.pt")
UNREADABLE = Audit("notes.pt", "", NOT_CHECKED, 0.01, [], [], None, ["audits/notes.pt is not a model."])
TRAINED = Audit("old.pt", "", NOT_INITIAL, 0.01, [], [])
ALL = {"fine.pt": FINE, "notes.pt": UNREADABLE, "old.pt": TRAINED, "wrong.pt": WRONG}


def test_the_report_begins_with_the_verdict_alarms_first() -> None:
    assert in_order(ALL) == ["wrong.pt", "notes.pt", "old.pt", "fine.pt"]
    assert verdict(ALL) == (
        "**Alarm: wrong.pt; not checked: notes.pt; not at initialization: old.pt; as intended: fine.pt.**"
    )
    assert verdict({"fine.pt": FINE}) == "**As intended: fine.pt.**"
    lines = report(ALL, {"wrong.pt": AuditSettings(expect={"0": "he_normal"})}).split("\n\n")
    assert lines[:2] == ["# Audit of the models in audits/", verdict(ALL)]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2].splitlines()[2:]]
    assert [row[:2] for row in rows] == [
        ["wrong.pt", "alarm"],
        ["notes.pt", "not checked"],
        ["old.pt", "not at initialization"],
        ["fine.pt", "as intended"],
    ]
    assert rows[0][2:] == [summary(WRONG), "`0: he_normal`", "3", "3,200"]  # 2,048 + 1,024 + 128
    assert rows[1][2:] == ["audits/notes.pt is not a model", "any documented initializer", "0", "0"]
    assert "## wrong.pt\n\n```text\nALARM" in report(ALL, {})


def test_what_was_found_on_one_line() -> None:
    assert summary(FINE) == ""
    assert set(summary(WRONG).split("; ")) == {"zeros in 4", "wrong scale in 2"}
    assert "\n" not in summary(UNREADABLE)


def test_without_models_the_report_is_two_lines() -> None:
    assert report({}, {}).splitlines() == [
        "# Audit of the models in audits/",
        "",
        "**The folder audits/ holds no models.** [docs/audit.md](../docs/audit.md) shows how to add one.",
    ]
    assert metrics({}) == {"models": 0, "alarms": 0, "not_checked": 0, "not_at_initialization": 0, "findings": 0}
    assert not any(layer_table({}).values())


def test_the_numbers() -> None:
    assert metrics({"a": WRONG, "b": WRONG, "c": FINE}) == {
        "models": 3,
        "alarms": 2,
        "not_checked": 0,
        "not_at_initialization": 0,
        "findings": 4,
    }
    assert metrics(ALL) == {"models": 4, "alarms": 1, "not_checked": 1, "not_at_initialization": 1, "findings": 2}


def test_a_row_per_layer() -> None:
    table = layer_table(ALL)
    assert table["model"] == ["fine.pt"] * 2 + ["wrong.pt"] * 3
    assert table["layer"] == ["0", "2", "0", "2", "4"]
    assert table["shape"] == ["32x64", "32x32", "32x64", "32x32", "4x32"]
    assert table["weights"] == [2048, 1024, 2048, 1024, 128]
    assert table["findings"] == ["", "", "", "wrong_scale", "zeros"]
    assert table["expected"] == ["he_normal"] * 5
    W = WRONG.layers[1].layer.matrix()
    assert np.isclose(table["std"][3], np.sqrt(np.mean(W**2)), rtol=1e-12)  # 1,024 terms, each rounded
    assert "he_normal" in str(table["laws"][0])
