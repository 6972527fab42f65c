"""Results of a benchmark beside those of its previous run, which are kept in a CSV file: quantity, unit, value."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

COLUMNS = ["quantity", "unit", "value"]


class Measured(NamedTuple):
    """A result of a benchmark."""

    value: float
    unit: str


def read(path: Path) -> dict[str, Measured]:
    """The results in a file, by quantity; none if there is no file. Raises SystemExit if it has another format."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    try:
        if rows[:1] != [COLUMNS]:
            raise ValueError
        return {quantity: Measured(float(value), unit) for quantity, unit, value in rows[1:]}
    except ValueError:
        raise SystemExit(f"{path}: expected the columns {', '.join(COLUMNS)}, the last one numbers.") from None


def write(path: Path, results: Mapping[str, Measured]) -> None:
    """Write results to a file in the order given, with six significant digits; replaces the file as a whole."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows([quantity, each.unit, f"{each.value:.6g}"] for quantity, each in results.items())
    part.replace(path)


def show(value: float) -> str:
    """A number with at least three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"


def beside(previous: Path, new: Mapping[str, Measured]) -> str:
    """A Markdown table of new results beside those of the file `previous`, and their ratio new / previous.

    A quantity that the file does not have, or has with another unit or a value that is not positive, has no previous
    value; one that only the file has is left out.
    """
    before = read(previous)
    lines = ["| | unit | before | now | now / before |", "|---|---|--:|--:|--:|"]
    for quantity, (value, unit) in new.items():
        old = before.get(quantity)
        if old is None or old.unit != unit or old.value <= 0.0:
            then = ratio = "–"
        else:
            then, ratio = f"{show(old.value)}", f"{value / old.value:.2f}"
        lines.append(f"| {quantity} | {unit} | {then} | {show(value)} | {ratio} |")
    return "\n".join(lines)
