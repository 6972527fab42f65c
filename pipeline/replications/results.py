"""The results of all replications as read from reports/replications/, and in sentences and tables of Markdown."""

import inspect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.numerics.sums import integer_sum
from pipeline.replications import paper, run
from pipeline.replications.measurement import written
from pipeline.reporting.markdown import table
from pipeline.storage import atomic_files

ROUNDING = 2.0**-50  # four units in the last place of 1: differences that rounding makes
VERDICTS = {"True": "passed", "False": "**failed**"}


class Section(NamedTuple):
    """The results of a replication."""

    name: str
    title: str
    claim: str  # the first paragraph of the docstring of replication.py
    setting: str  # the other paragraphs
    figure: str  # what the paper's figure shows, and how the one here differs
    analysis: dict[str, str]  # of rows that fail
    not_reproduced: dict[str, str]  # why numbers differ from what is published though no band excludes them
    rows: Any  # pandas table


def sections() -> tuple[list[Section], list[str]]:
    """The results of each replication that has been run, by year, and the names of the others. Raises UserError."""
    found, missing = [], []
    for name in sorted(paper.names(), key=year):
        path = run.RESULTS / f"{name}.csv"
        if not path.is_file():
            missing.append(name)
            continue
        rows = atomic_files.read_table(path)
        if tuple(rows.columns) != paper.COLUMNS:
            raise atomic_files.FileError(f"{path} is damaged; delete it and run `make replications NAME={name}`.")
        module = paper.load_module(name)
        claim, _, setting = (inspect.getdoc(module) or "").partition("\n\n")
        texts = claim, setting.strip(), getattr(module, "FIGURE", "")
        reasons = getattr(module, "ANALYSIS", {}), getattr(module, "NOT_REPRODUCED", {})
        found.append(Section(name, module.TITLE, *texts, *reasons, rows))
    return found, missing


def year(name: str) -> str:
    """The year in the name of a replication; empty, which is sorted first, if there is none."""
    last = name.rpartition("_")[2]
    return last if last.isdecimal() else ""


def conclusion(found: Sequence[Section], missing: Sequence[str]) -> str:
    """A sentence about all rows, and the replications without results with the command that makes them."""
    counts = [run.counts(one.rows) for one in found]
    rows, passed = (integer_sum(each[key] for each in counts) for key in ("rows", "passed"))
    whole = len([each for each in counts if not each["failed"]])
    bands = "lies within its band" if rows == 1 else "lie within their bands"
    text = f"{passed} of {rows} measured numbers {bands}; in {whole} of {len(found) + len(missing)} replications all do"
    if not missing:
        return f"{text}."
    have = "has" if len(missing) == 1 else "have"
    return f"{text}; {', '.join(missing)} {have} no results: `make replications NAME={','.join(missing)}`."


def origins(found: Sequence[Section]) -> str:
    """Sentences about how many rows have a band, and how many of these have a published number or theory."""
    rows = [row for one in found for row in one.rows.itertuples()]
    bands = [row for row in rows if str(row.passed) in VERDICTS]
    judged = [(not math.isnan(row.published), not math.isnan(row.theory)) for row in bands]
    published = len([row for row in judged if row[0]])
    theory = len([row for row in judged if row[1]])
    both, neither = judged.count((True, True)), judged.count((False, False))
    return (
        f"Of {len(rows)} rows {len(judged)} have a band. Of these, {published} have a published number, {theory} have "
        f"theory, {both} have both and {neither} neither: their bands follow from statements of the paper or from "
        "independent programs."
    )


def outside_theory(found: Sequence[Section]) -> str:
    """A sentence about the rows that pass and whose interval does not contain theory; empty if there are none."""
    counts: dict[str, int] = {}
    n_rows = 0
    for one in found:
        rows = [row for row in one.rows.itertuples() if not math.isnan(row.theory + row.interval_low)]
        n_rows += len(rows)
        outside = [row for row in rows if not row.interval_low <= row.theory <= row.interval_high]
        if n := len([row for row in outside if row.passed == "True"]):
            counts[one.name] = n
    if not counts:
        return ""
    papers = ", ".join(f"`{name}` {n}" for name, n in counts.items())
    return (
        f"In {integer_sum(counts.values())} of the {n_rows} rows with theory and an interval, theory is outside the "
        f"interval and the row passes ({papers})."
    )


def differences(one: Section) -> list[str]:
    """A line for each row of NOT_REPRODUCED, with the reason."""
    lines = []
    for row in one.rows.itertuples():
        if reason := one.not_reproduced.get(row.quantity):
            published = "" if math.isnan(row.published) else f", published {number(row.published)}"
            lines.append(f"**{row.quantity}**: measured {number(row.measured)}{published}. {reason}")
    return lines


def failures(one: Section) -> list[str]:
    """A line for each row outside its band, with the analysis of replication.py."""
    return [
        f"**{row.quantity}**: measured {number(row.measured)}, band {limits(row.least, row.most)}. "
        f"{one.analysis.get(row.quantity, 'There is no analysis yet.')}"
        for row in one.rows.itertuples()
        if row.passed == "False"
    ]


def number(value: float) -> str:
    """Five significant digits; – for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:,.0f}" if value == math.floor(value) and abs(value) < 1e9 else written(value, 5)
    return text.replace("-", "−")


def limits(low: float, high: float) -> str:
    """An interval, either end of which may be NaN; – if both are."""
    if math.isnan(low):
        return "–" if math.isnan(high) else f"≤ {number(high)}"
    if math.isnan(high):
        return f"≥ {number(low)}"
    if high - low <= 2.0 * ROUNDING * abs(high):  # both ends are one number, to rounding
        return number(high)
    if number(low) == number(high):  # narrower than what is shown
        return f"{number(low)} ± {number(float(f'{(high - low) / 2.0:.1e}'))}"
    return f"{number(low)} to {number(high)}"


def results_table(rows: Any) -> str:
    """The rows of a paper in Markdown, without columns that are empty."""
    optional = {
        "theory": [number(0.0 if abs(value) < ROUNDING else value) for value in rows["theory"]],
        "published": [number(value) for value in rows["published"]],
        "measured": [number(value) for value in rows["measured"]],
        "over seeds": [limits(row.interval_low, row.interval_high) for row in rows.itertuples()],
        "band": [limits(row.least, row.most) for row in rows.itertuples()],
    }
    columns = {
        "figure": [str(value) for value in rows["figure"]],
        "quantity": [str(value) for value in rows["quantity"]],
        **{head: cells for head, cells in optional.items() if any(cell != "–" for cell in cells)},
        "result": [VERDICTS.get(str(value), "no band") for value in rows["passed"]],
    }
    cells = [[cell.replace("|", "\\|") for cell in row] for row in zip(*columns.values(), strict=True)]
    return table(list(columns), cells, left=(0, 1, len(columns) - 1))
