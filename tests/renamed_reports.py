"""Compares reports/ of an older commit with those of today, under the new names: `python -m tests.renamed_reports REV`.

Prints, for each table, how many rows and numbers are equal in every digit, and each difference that is not one of name.
Exits with 1 if a number differs.
"""

import csv
import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

FILES = {"birth.csv": "initialization.csv"}
COLUMNS = {
    "at_birth": "initial_label",
    "at_birth_measured": "initial_label_reason",
    "share_at_target_accuracy": "share_at_target",
    "sd": "std",
    **{f"{metric}_sd": f"{metric}_std" for metric in ("train_accuracy", "test_accuracy", "final_cost")},
    "deviation": "z_score",
    "distinct_units": "unique_units",
    "distinct": "unique_incoming",
    "told_apart": "unique_incoming_outgoing",
    "distinct_activations": "unique_activations",
    "silent": "blocked_inputs",
    "gradient": "preactivation_gradient_rms",
    "weight_gradient": "weight_gradient_rms",
    "jacobian_square": "jacobian_mean_square",
    **{f"{kind}_square": f"{kind}_mean_square" for kind in ("weight", "bias")},
    **{
        f"{old}_{moment}": f"{new}_{moment.replace('sd', 'std').replace('square', 'mean_square')}"
        for old, new in (("z", "preactivation"), ("a", "activation"))
        for moment in ("mean", "sd", "square")
    },
}
VALUES = {"slow": "target not reached", "smooth": "target reached", "cost": "initial_cost"} | COLUMNS
# Columns that an issue says are wrong at the older commit: labels, and the median over those that reach the target alone
CHANGED = {
    *("at_birth", "at_birth_measured", "at_birth_seeds", "behaviour_seeds", "median_iterations_to_target"),
    *("behaviour",),
}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def key_of(row: dict[str, str], columns: list[str]) -> tuple[str, ...]:
    return tuple(row[column] for column in columns)


def compare(name: str, before: str, after: str) -> int:
    """Print what differs between two texts of a table; return the number of numbers that do."""
    old, new = rows_of(before), rows_of(after)
    names = [
        column for column in ("initializer", "seed", "iteration", "layer", "quantity", "metric") if column in old[0]
    ]
    found = {key_of(row, names): row for row in new}
    equal, differing, missing = 0, 0, Counter[str]()
    for row in old:
        key = tuple(VALUES.get(value, value) for value in key_of(row, names))
        if key not in found:
            missing["rows"] += 1
            continue
        for column, value in row.items():
            if column in CHANGED:
                continue
            other = found[key].get(COLUMNS.get(column, column))
            if other is None:
                missing[f"column {column}"] += 1
            elif other == VALUES.get(value, value):
                equal += 1
            else:
                differing += 1
                print(f"  {name} {key}: {column} was {value}, is {other}")
    gone = f"; not found: {dict(missing)}" if missing else ""
    print(f"{name}: {len(old)} rows before, {len(new)} after; {equal} values equal, {differing} differ{gone}")
    return differing + sum(missing.values())


def main(revision: str) -> int:
    listed = subprocess.run(
        ["git", "ls-tree", "--name-only", revision, "reports/"], capture_output=True, text=True, check=True
    ).stdout.split()
    differing = 0
    for path in listed:
        if not path.endswith(".csv"):
            continue
        name = Path(path).name
        before = subprocess.run(
            ["git", "show", f"{revision}:{path}"], capture_output=True, text=True, check=True
        ).stdout
        after = Path("reports") / FILES.get(name, name)
        differing += compare(name, before, after.read_text(encoding="utf-8"))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
