"""Run a replication and write its results: `python -m pipeline.replications.run NAME`.

The files are reports/replications/NAME.csv, its rows; NAME.png, its figure; NAME.json, the numbers of rows; and
NAME_TABLE.csv for each table that `TABLES` of its module names. A row outside its band does not fail the command: it is
printed, and marked in every file.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pipeline.replications import paper
from pipeline.stages import progress, run_and_exit
from pipeline.storage import atomic_files, reports

RESULTS = reports.REPORTS / "replications"


class Results(NamedTuple):
    """The files of a replication."""

    rows: Any  # pandas table
    figure: bytes  # PNG
    tables: dict[str, Any]  # pandas tables, those of the module's TABLES


def results(loaded: paper.Paper, advance: Callable[[int], object]) -> Results:
    """Measure and draw a replication. Raises UserError."""
    found = paper.measure(loaded, advance)
    kept = getattr(loaded.module, "TABLES", ())
    tables = paper.call(loaded.name, "TABLES", lambda: {name: found.tables[name] for name in kept})
    return Results(paper.rows(loaded, found.measurements), paper.draw(loaded, found.tables), tables)


def replicate(name: str) -> None:
    """Run a replication and write its files once all of them are made. Raises UserError."""
    loaded = paper.load(name)
    paper.check_quantities(loaded)
    with progress.task(f"Replicating {name}.", paper.total(loaded), "model") as advance:
        rows, figure, tables = results(loaded, advance)
    reports.write_table(f"replications/{name}", rows)
    for each, table in tables.items():
        reports.write_table(f"replications/{name}_{each}", table)
    atomic_files.write_bytes(RESULTS / f"{name}.png", figure)
    atomic_files.write_text(RESULTS / f"{name}.json", json.dumps(counts(rows), indent=2) + "\n")
    print(verdict(name, rows), file=sys.stderr)


def counts(rows: Any) -> dict[str, int]:
    """The numbers of NAME.json: rows with a band, and of these the ones within it and outside it."""
    passed = [str(value) for value in rows["passed"]]
    return {"rows": passed.count("True") + passed.count("False")} | {
        "passed": passed.count("True"),
        "failed": passed.count("False"),
    }


def verdict(name: str, rows: Any) -> str:
    """How many rows are within their bands, then a line for each that is not."""
    n = counts(rows)
    lines = [f"{name}: {n['passed']} of {n['rows']} rows are within their bands."]
    for row in rows[rows["passed"].astype(str) == "False"].itertuples():
        band = band_text(row.least, row.most)
        lines.append(f"{name}: failed: {row.quantity}: {row.measured:g} is outside its band, {band}.")
    return "\n".join(lines)


def band_text(least: float, most: float) -> str:
    """A band in words, one end of which may be NaN."""
    if math.isnan(least):
        return f"at most {most:g}"
    if math.isnan(most):
        return f"at least {least:g}"
    return f"exactly {least:g}" if least == most else f"{least:g} to {most:g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the replication that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.replications.run", description="Run a replication.")
    parser.add_argument("name", help="a folder of replications/")
    name = parser.parse_args(arguments).name
    run_and_exit(lambda: replicate(name))


if __name__ == "__main__":
    main()
