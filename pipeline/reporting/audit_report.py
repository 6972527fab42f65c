"""reports/audit.md, reports/audit.csv and reports/audit.json: the audits of the models in audits/."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.audit.command.numbers import listed
from pipeline.audit.command.text import text
from pipeline.audit.results import ALARM, AS_INTENDED, NOT_CHECKED, NOT_INITIAL, Audit, LayerAudit
from pipeline.config.audits import AuditSettings
from pipeline.numerics.sums import integer_sum
from pipeline.reporting.markdown import table

STATES = (ALARM, NOT_CHECKED, NOT_INITIAL, AS_INTENDED)  # in the order in which a reader should see them


def report(audits: Mapping[str, Audit], settings: Mapping[str, AuditSettings]) -> str:
    """The text of reports/audit.md: the verdict on all models, then each as the command prints it, alarms first."""
    parts = ["# Audit of the models in audits/", verdict(audits)]
    if audits:
        parts += [
            _overview(audits, settings),
            "[docs/audit.md](../docs/audit.md) explains the verdicts, the tests and what they cannot detect; "
            "[audit.csv](audit.csv) has a row per layer with all digits.",
            "![Distribution of each layer's weights beside the expected law](figures/audit.png)",
        ]
    parts += [f"## {name}\n\n```text\n{text(audits[name]).rstrip()}\n```" for name in in_order(audits)]
    return "\n\n".join(parts) + "\n"


def in_order(audits: Mapping[str, Audit]) -> list[str]:
    """The names of the models, those with alarms first."""
    return sorted(audits, key=lambda name: (STATES.index(audits[name].state), name))


def verdict(audits: Mapping[str, Audit]) -> str:
    """A sentence about all models, in bold."""
    if not audits:
        return "**The folder audits/ holds no models.** [docs/audit.md](../docs/audit.md) shows how to add one."
    names = {state: [name for name, audit in audits.items() if audit.state == state] for state in STATES}
    clauses = "; ".join(f"{state}: {listed(names[state], 6)}" for state in STATES if names[state])
    return f"**{clauses[0].upper()}{clauses[1:]}.**"


def summary(audit: Audit) -> str:
    """What was found in a model, on one line: each cause with its layers, or why the model was not checked."""
    layers: dict[str, list[str]] = {}
    for finding in audit.findings:
        layers.setdefault(finding.cause, []).append(finding.layer)
    clauses = [
        cause.replace("_", " ") + (f" in {listed(found)}" if all(found) else "") for cause, found in layers.items()
    ]
    if audit.state == NOT_CHECKED:
        clauses += [note.rstrip(".") for note in audit.notes]
    return "; ".join(clauses)


def _overview(audits: Mapping[str, Audit], settings: Mapping[str, AuditSettings]) -> str:
    rows = []
    for name in in_order(audits):
        audit, expect = audits[name], settings.get(name, AuditSettings()).expect
        if isinstance(expect, dict):
            expect = ", ".join(f"{layer}: {law}" for layer, law in expect.items())
        weights = integer_sum(layer.n for layer in audit.layers)
        cells = [name, audit.state, summary(audit) or "–", f"`{expect}`" if expect else "any documented initializer"]
        rows.append([*(cell.replace("|", "\\|") for cell in cells), str(len(audit.layers)), f"{weights:,}"])
    return table(["model", "verdict", "what was found", "expected", "layers", "weights"], rows, left=(0, 1, 2, 3))


def layer_table(audits: Mapping[str, Audit]) -> dict[str, Sequence[Any]]:
    """The columns of reports/audit.csv, a row per layer: text, integers and floats."""
    rows = [(name, audit, each) for name, audit in audits.items() for each in audit.layers]
    return {column: [value(*row) for row in rows] for column, value in LAYER_COLUMNS.items()}


LAYER_COLUMNS: dict[str, Callable[[str, Audit, LayerAudit], Any]] = {
    "model": lambda name, audit, each: name,
    "verdict": lambda name, audit, each: audit.state,
    "layer": lambda name, audit, each: each.layer.name,
    "kind": lambda name, audit, each: each.layer.kind,
    "shape": lambda name, audit, each: "x".join(map(str, each.layer.weight.shape)),
    "dtype": lambda name, audit, each: each.layer.weight.dtype,
    "weights": lambda name, audit, each: each.n,
    "mean": lambda name, audit, each: each.mean,
    "std": lambda name, audit, each: each.std,
    "largest": lambda name, audit, each: each.largest,
    "structure": lambda name, audit, each: each.structure,
    "expected": lambda name, audit, each: " or ".join(each.expected),
    "p": lambda name, audit, each: each.p,
    "laws": lambda name, audit, each: " or ".join(candidate.law for candidate in each.candidates),
    "findings": lambda name, audit, each: " and ".join(dict.fromkeys(one.cause for one in each.findings)),
    "std_factor": lambda name, audit, each: each.power.std_factor,
}


def metrics(audits: Mapping[str, Audit]) -> dict[str, int]:
    """The numbers of reports/audit.json: models by their verdict, and findings in all of them."""
    of = {state: integer_sum(audit.state == state for audit in audits.values()) for state in STATES}
    return {
        "models": len(audits),
        "alarms": of[ALARM],
        "not_checked": of[NOT_CHECKED],
        "not_at_initialization": of[NOT_INITIAL],
        "findings": integer_sum(len(audit.findings) for audit in audits.values()),
    }
