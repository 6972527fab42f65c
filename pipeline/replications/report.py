"""Write the results of all replications as one table and two pages: `python -m pipeline.replications.report`.

They are reports/replications.csv, the rows of all papers; reports/replications.md, conclusions and tables; and
docs/replications.md, the page of results with claims and settings.
"""

import inspect
import math
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.numerics.sums import integer_sum
from pipeline.replications import paper, run
from pipeline.replications.measurement import written
from pipeline.reporting.markdown import table
from pipeline.stages import run_and_exit
from pipeline.storage import atomic_files, reports

PAGE = Path("docs/replications.md")
ROUNDING = 2.0**-50  # four units in the last place of 1: differences that rounding makes


class Section(NamedTuple):
    """The results of a replication."""

    name: str
    title: str
    claim: str  # the first paragraph of the docstring of replication.py
    setting: str  # the other paragraphs
    figure: str  # what the paper's figure shows, and how the one here differs
    analysis: dict[str, str]  # of rows that fail
    rows: Any  # pandas table


def report() -> None:
    """Write the table and the two pages. Raises UserError."""
    found, missing = sections()
    if not found:
        raise atomic_files.FileError(f"{run.RESULTS} holds no results; run `make replications` to create them.")
    texts = [atomic_files.read_bytes(run.RESULTS / f"{one.name}.csv").decode() for one in found]
    header = ",".join(paper.COLUMNS) + "\n"
    atomic_files.write_text(
        reports.REPORTS / "replications.csv", header + "".join(text.partition("\n")[2] for text in texts)
    )
    atomic_files.write_text(reports.REPORTS / "replications.md", markdown(found, missing))
    atomic_files.write_text(PAGE, page(found, missing))
    print(conclusion(found), file=sys.stderr)


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
        found.append(Section(name, module.TITLE, *texts, getattr(module, "ANALYSIS", {}), rows))
    return found, missing


def year(name: str) -> str:
    """The year in the name of a replication; empty, which is sorted first, if there is none."""
    last = name.rpartition("_")[2]
    return last if last.isdecimal() else ""


def conclusion(found: Sequence[Section]) -> str:
    """A sentence about all rows."""
    counts = [run.counts(one.rows) for one in found]
    rows, passed = (integer_sum(each[key] for each in counts) for key in ("rows", "passed"))
    whole = len([each for each in counts if not each["failed"]])
    bands = "lies within its band" if rows == 1 else "lie within their bands"
    return f"{passed} of {rows} measured numbers {bands}; in {whole} of {len(found)} replications all do."


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


VERDICTS = {"True": "passed", "False": "**failed**"}


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


def overview(found: Sequence[Section]) -> str:
    """One row for each paper, with a link to its section: what it claims, and how many rows lie within their bands."""
    lines = []
    for one in found:
        n = run.counts(one.rows)
        verdict = f"{n['passed']} of {n['rows']}" if not n["failed"] else f"**{n['passed']} of {n['rows']}**"
        lines.append([f"[`{one.name}`](#{anchor(one.title)})", first_sentence(one.claim), verdict])
    return table(["folder", "claim", "rows passed"], lines, left=(0, 1))


def anchor(title: str) -> str:
    """The name by which a link on the page refers to the heading `title`, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def first_sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    return re.split(r"(?<=[^.]\.) (?=[A-Z])", " ".join(text.split()))[0]


def opening(found: Sequence[Section], missing: Sequence[str]) -> list[str]:
    """The conclusion, and what fails and why."""
    failed = [f"- `{one.name}`, {line}" for one in found for line in failures(one)]
    parts = [f"**{conclusion(found)}**"]
    parts += ["What fails:\n\n" + "\n".join(failed)] if failed else []
    parts += [f"Not run: {', '.join(missing)}."] if missing else []
    return parts


def markdown(found: Sequence[Section], missing: Sequence[str]) -> str:
    """The text of reports/replications.md."""
    parts = ["# Replications of published results", *opening(found, missing), overview(found)]
    parts.append(
        "Numbers are rounded; [replications.csv](replications.csv) has all digits. The bands and their sources are in "
        "`published.csv` of each folder in replications/; [docs/replications.md](../docs/replications.md) has the "
        "claims and settings."
    )
    for one in found:
        parts += [f"## {one.title}", f"![{one.title}](replications/{one.name}.png)", results_table(one.rows)]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
# Replications

Main results of papers on initialization, recomputed over several seeds. Each number stands beside theory, where there
is one, beside the published number, where the paper prints or plots it, and beside the band in which it must lie."""

RUN = """\
## Run them

```console
$ make replications                      # all, then reports/replications.md, this page, and MLflow
$ make replications NAME=tutorial        # one
$ make replications SKIP=phase_diagram   # all but one
$ make replications FORCE=1              # also those that have not changed, as all in a new clone
$ git status                             # then shows no change: the same bytes
$ dvc metrics diff                       # numbers of rows that pass, compared with the commit
$ dvc dag replications/dvc.yaml --mermaid
```

`dvc repro` alone does not run them: their stages are in [replications/dvc.yaml](../replications/dvc.yaml). A stage
runs again if its folder, or a module that measures, changes. The results are committed, so in a new clone only
`FORCE=1` recomputes them. `dvc dag` draws the graph of the stages: with `--mermaid` as a diagram for Markdown, without
it wider than a terminal. Each paper is a run in MLflow (`make ui`), in the experiment *weight initialization:
replications*, with its settings, measured numbers, rows and figure. A row outside its band fails no stage; it stays in
the tables as failed, and is marked in the numbers of `dvc metrics show`, in the tag `verdict` in MLflow, and
printed."""

HOW = """\
## Read the tables

| column | meaning |
|---|---|
| theory | from a formula of the paper, computed by [pipeline/theory](theory.md) |
| published | printed or plotted in the paper |
| measured | the mean or median over seeds, or a count |
| over seeds | the 95 % interval of a mean; for a median the smallest and largest value |
| band | where the measured number must lie; `published.csv` says how it follows from theory or the paper |

Theory is that of wide layers unless a section says otherwise: the mean over seeds of a finite network can differ from
it by more than its interval, which the bands allow for. Numbers are rounded to five digits, and theory that differs
from 0 by rounding only is 0; [reports/replications.csv](../reports/replications.csv) has all digits. All numbers have
the same bits on every computer ([numerics](numerics.md)): the tests compute the fast papers again, and small versions
of all papers as on other processors, and compare bytes; `make processors` does so in full.

## Add one

1. Copy the folder of a similar paper to `replications/NAME`: [klambauer_2017](../replications/klambauer_2017) is short
   and has no training, [mishkin_matas_2016](../replications/mishkin_matas_2016) trains networks.
2. Change its three files:
   - `params.yaml`: any of the sections `data`, `network`, `training`, `seeds` and `initializers` of the laboratory's
     [params.yaml](../params.yaml), and a section `replication` with the remaining settings;
   - `published.csv`: a row for each quantity, with the columns figure, quantity, published, least, most, source.
     `least` and `most` are the band, either may be empty; without both, the number is shown and not judged;
   - `replication.py`: `TITLE`; `FIGURE`, what the paper's figure shows and in what yours differs; `Settings`, the
     section `replication`; `measure(settings, advance)`, which returns a `Replication` of one `Measurement` for each
     row of `published.csv`, and tables; `draw(tables)`, which returns the figure; `ANALYSIS`, for quantities outside
     their band the reason. The first paragraph of its docstring is the claim, the second the setting.
     [measurement.py](../pipeline/replications/measurement.py) describes these names.
3. `python -m pipeline.replications.run NAME` measures it and writes `reports/replications/NAME.csv` and `.png`.
4. Add NAME to the two lists of [replications/dvc.yaml](../replications/dvc.yaml): to `foreach` of the stage
   `replicate`, and to `deps` of the stage `report`. `make replications NAME=NAME` then adds it to this page and
   to MLflow.
5. For `make test`: the numbers of its docstring in `PHRASES` of
   [test_docstrings.py](../tests/replications/test_docstrings.py); settings of a small version in
   [small_papers.py](../tests/small_papers.py), and its digest, which `pytest tests/numerics/test_any_processor.py -k
   this_processor` prints; a wrong initializer that leaves a band in
   [test_untrained.py](../tests/replications/test_untrained.py) or
   [test_trained.py](../tests/replications/test_trained.py).

Draw weights, propagate, train and predict with `pipeline`, so that the numbers keep their bits. Bands are set for the
settings in `params.yaml`: with others, rows may fail."""


def page(found: Sequence[Section], missing: Sequence[str]) -> str:
    """The text of docs/replications.md: conclusions and the first figure, the commands, then each paper."""
    parts = [INTRODUCTION, *opening(found, missing), figure(found[0]), overview(found), RUN]
    for one in found:
        parts += [
            f"## {one.title}",
            one.claim,
            figure(one),
            textwrap.fill(one.figure, 118),
            one.setting,
            collapsed(one),
        ]
        if lines := failures(one):
            parts.append("\n".join(f"- {line}" for line in lines))
        files = ", ".join(f"[{file}](../replications/{one.name}/{file})" for file in paper.FILES)
        parts.append(f"Settings, bands with their sources, and code: {files}.")
    return "\n\n".join(part for part in [*parts, HOW] if part) + "\n"


def figure(one: Section) -> str:
    """The figure of a replication in docs/replications.md."""
    return f"![{one.title}](../reports/replications/{one.name}.png)"


def collapsed(one: Section) -> str:
    """The table of a paper, which GitHub shows after a click on the numbers of rows."""
    n = run.counts(one.rows)
    without = len(one.rows) - n["rows"]
    more = f"; {without} without a band" if without else ""
    summary = f"<b>{n['passed']} of {n['rows']} rows passed</b>{more}: all numbers"
    return f"<details><summary>{summary}</summary>\n\n{results_table(one.rows)}\n\n</details>"


if __name__ == "__main__":
    run_and_exit(report)
