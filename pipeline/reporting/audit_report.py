"""reports/audit.md, reports/audit.csv and reports/audit.json: the audits of the models in audits/."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.audit.command.numbers import listed
from pipeline.audit.command.text import text
from pipeline.audit.results import ALARM, AS_INTENDED, NOT_CHECKED, NOT_INITIAL, Audit
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
    rows = [
        {
            "model": name,
            "verdict": audit.state,
            "layer": each.layer.name,
            "kind": each.layer.kind,
            "shape": "x".join(map(str, each.layer.weight.shape)),
            "dtype": each.layer.weight.dtype,
            "weights": each.n,
            "mean": each.mean,
            "std": each.std,
            "largest": each.largest,
            "structure": each.structure,
            "expected": " or ".join(each.expected),
            "p": each.p,
            "laws": " or ".join(candidate.law for candidate in each.candidates),
            "findings": " and ".join(
                dict.fromkeys(found.cause for found in audit.findings if found.layer == each.layer.name)
            ),
            "std_factor": each.power.std_factor,
        }
        for name, audit in audits.items()
        for each in audit.layers
    ]
    return {column: [row[column] for row in rows] for column in LAYER_COLUMNS}


LAYER_COLUMNS = (
    *("model", "verdict", "layer", "kind", "shape", "dtype", "weights", "mean", "std", "largest", "structure"),
    *("expected", "p", "laws", "findings", "std_factor"),
)


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
