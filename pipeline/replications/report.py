"""Write the results of all replications as one table and two pages: `python -m pipeline.replications.report`.

They are reports/replications.csv, the rows of all papers; reports/replications.md, conclusions and tables; and
docs/replications.md, the page of results with claims and settings.
"""

import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from pipeline.replications import paper, run
from pipeline.replications.results import (
    Section,
    conclusion,
    differences,
    failures,
    origins,
    outside_theory,
    results_table,
    sections,
)
from pipeline.reporting.markdown import table
from pipeline.stages import run_and_exit
from pipeline.storage import atomic_files, reports

PAGE = Path("docs/replications.md")


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
    print(conclusion(found, missing), file=sys.stderr)


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
    """The conclusion, what fails or differs from the paper and why, and how bands and settings were chosen."""
    failed = [f"- `{one.name}`, {line}" for one in found for line in failures(one)]
    different = [f"- `{one.name}`, {line}" for one in found for line in differences(one)]
    parts = [f"**{conclusion(found, missing)}**"]
    parts += ["What fails:\n\n" + "\n".join(failed)] if failed else []
    parts += ["What does not reproduce at this scale:\n\n" + "\n".join(different)] if different else []
    return [*parts, textwrap.fill(origins(found), 118), CHOICES]


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
is one, beside the published number, where the paper prints or plots it, and beside the band in which it must lie.
`make replications` recomputes them; [more commands](#run-them)."""

CHOICES = """\
Settings (widths, numbers of samples and steps, the range of σ_b²) were chosen while looking at results. No band was
widened."""

NOTATION = """\
## Notation

[Theory](theory.md) has the sources and the functions that compute these quantities.

- **W, b**: weights W ~ N(0, σ_w² / n_in) and biases b ~ N(0, σ_b²) of a layer with n_in inputs, where no other law
  is named. He's weights have σ_w² = 2.
- **z, q, q\\*, c**: the pre-activations z = W a + b of a layer with inputs a; in wide layers q is their mean
  square, q\\* its limit with depth, and c the correlation of the pre-activations at two inputs.
- **χ₁** = σ_w² E[φ'(√q\\* x)²] for x ~ N(0, 1) and the activation φ: the factor per layer of the mean square of
  gradients in the backward pass, and of the squared distance of two nearby inputs in the forward pass.
- **edge of chaos**, or critical line: the variances (σ_w², σ_b²) with χ₁ = 1. Networks are ordered at χ₁ < 1 and
  chaotic at χ₁ > 1.
- **ξ_c**: the depth scale of correlations, the number of layers in which the difference of c from its limit
  decreases by a factor e. It is infinite at the edge of chaos.
- **multiple of ξ_c**: the number m in the rule "a network can be trained if its depth is at most m ξ_c". The
  published one is 6; the fitted one agrees with most of the trained and untrained networks.
- **area under the ROC curve of ξ_c**: the share of pairs of a trained and an untrained network in which ξ_c, or ξ_c
  over the depth, is larger for the trained one. It is 1 for perfect separation and 0.5 for chance."""

TABLES = """\
## Read the tables

| column | meaning |
|---|---|
| theory | from a formula of the paper, computed by [pipeline/theory](theory.md) |
| published | printed or plotted in the paper |
| measured | the mean or median over seeds, or a count |
| over seeds | the 95 % interval of a mean; for a median the smallest and largest value |
| band | where the measured number must lie; `published.csv` says how it follows from theory or the paper |

The interval of a mean is Student's; in `tutorial`, whose accuracies are far from normally distributed, it is the
betting interval (Waudby-Smith & Ramdas 2024), which is valid for any distribution on [0, 1].

Theory is that of wide layers and small steps of training unless a section says otherwise. For networks of finite width
and finite steps the interval need not contain it, which the bands allow for."""

DIGITS = """\
Numbers are rounded to five digits, and theory that differs from 0 by rounding only is 0;
[reports/replications.csv](../reports/replications.csv) has all digits. All numbers have the same bits on every computer
([numerics](numerics.md)): the tests compute the fast papers again, and small versions of all papers as on other
processors, and compare bytes; `make processors` does so in full."""

RUN = """\
## Run them

```console
$ make replications                             # all, then reports/replications.md, this page, and MLflow
$ make replications NAME=tutorial               # one
$ make replications NAME=lu_2019,poole_2016     # several; as for SKIP
$ make replications SKIP=phase_diagram          # all but one
$ make replications FORCE=1                     # also those that have not changed, as all in a new clone
$ git status                                    # then shows no change: the same bytes
$ dvc metrics diff                              # numbers of rows that pass, compared with the commit
$ git diff reports/replications.csv             # measured numbers, also those that stay within their bands
$ dvc dag replications/dvc.yaml --mermaid
```

`dvc repro` alone does not run them: their stages are in [replications/dvc.yaml](../replications/dvc.yaml). A stage
runs again if its folder, or a module that it imports, changes. The stage `code`, which `make replications` runs
first, writes digests of the modules on which each paper depends; after a change of any module `dvc status` names this
stage. The results are committed, so in a new clone only `FORCE=1` recomputes them. `dvc dag` draws the graph of the
stages: with `--mermaid` as a diagram for Markdown, without it wider than a terminal. Each paper is a run in MLflow
(`make ui`), in the experiment *weight initialization: replications*, with its settings, measured numbers, rows and
figure. A row outside its band fails no stage; it stays in the tables as failed, and is marked in the numbers of
`dvc metrics show`, in the tag `verdict` in MLflow, and printed.

After a change of settings in `replications/NAME/params.yaml`, `make replications NAME=NAME` measures with them. Names
of quantities contain settings, such as widths, depths and numbers of seeds: where they change, a message lists the rows
of `published.csv` to rename, whose bands hold for the old settings. `git restore . && dvc checkout` restores what is
committed."""

HOW = """\
## Add one

1. Copy the folder of a similar paper to `replications/NAME`: [klambauer_2017](../replications/klambauer_2017) is short
   and has no training, [mishkin_matas_2016](../replications/mishkin_matas_2016) trains networks.
2. Change its three files:
   - `params.yaml`: any of the sections `data`, `network`, `training`, `seeds` and `initializers` of the laboratory's
     [params.yaml](../params.yaml), and a section `replication` with the remaining settings;
   - `published.csv`: a row for each quantity, with the columns figure, quantity, published, least, most, source.
     `least` and `most` are the band, either may be empty; without both, the number is shown and not judged;
   - `replication.py`: `TITLE`; `FIGURE`, what the paper's figure shows and how yours differs; `Settings`, the
     sections of `params.yaml` with their allowed values, relations between keys included
     ([replications.py](../pipeline/config/replications.py) has the rules that papers share): what cannot work or has no
     effect must be refused before anything is computed; `measure(settings, advance)`, which returns a `Replication` of
     one `Measurement` for each row of `published.csv`, and tables; `draw(tables)`, which returns the figure;
     `ANALYSIS`, for quantities outside their band the reason, and `NOT_REPRODUCED`, for those that differ from the
     paper though no band excludes them; `quantities(settings)`, where names of quantities contain settings. The first
     paragraph of its docstring is the claim, the second the setting.
     [measurement.py](../pipeline/replications/measurement.py) describes these names.
3. `python -m pipeline.replications.run NAME` measures it and writes `reports/replications/NAME.csv` and `.png`.
4. Add NAME to the two lists of [replications/dvc.yaml](../replications/dvc.yaml): to `foreach` of the stage
   `replicate`, and to `deps` of the stage `code`. `make replications NAME=NAME` then adds it to this page and
   to MLflow.
5. For `make test`: the numbers of its docstring in `PHRASES` of
   [test_docstrings.py](../tests/replications/test_docstrings.py); settings of a small version in
   [small_papers.py](../tests/small_papers.py), and its digest, which `pytest tests/numerics/test_any_processor.py -k
   this_processor` prints; a wrong initializer that leaves a band in
   [test_untrained.py](../tests/replications/test_untrained.py) or
   [test_trained.py](../tests/replications/test_trained.py).

Draw weights, propagate, train and predict with `pipeline`, so that the numbers keep their bits. Bands are set for the
settings in `params.yaml`: with others, rows may fail. The paragraphs with the claim and the setting are text, in which
numbers do not follow `params.yaml`: `pytest tests/replications/test_docstrings.py` prints those that a change makes
wrong."""


def page(found: Sequence[Section], missing: Sequence[str]) -> str:
    """The text of docs/replications.md: conclusions, notation, the claims, then each paper, and the commands."""
    parts = [INTRODUCTION, *opening(found, missing), NOTATION, "## Claims", overview(found)]
    parts += [TABLES, textwrap.fill(outside_theory(found), 118), DIGITS]
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
    return "\n\n".join(part for part in [*parts, RUN, HOW] if part) + "\n"


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
