"""Publish the results of all replications to MLflow, one run each: `python -m pipeline.replications.publish`.

Each content is published once: a run is identified by a digest of the settings, the rows and the figure.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.replications import paper, results, run
from pipeline.replications.results import Section
from pipeline.stages import progress, run_and_exit
from pipeline.tracking import provenance, publish, store, ui_views
from pipeline.tracking.content import Details, MetricPoint, Run
from pipeline.tracking.publish import NOTE
from pipeline.tracking.runs import MAX_NOTE, cut, digest_of, file_digest, leaves
from pipeline.tracking.ui_views import View

LEVEL = "replications"
LONGEST = 245  # characters of a metric's name, with a number after it; MLflow's limit is 250
COLUMNS = [f"tags.`{key}`" for key in ("verdict", "rows", "rows.passed", "rows.failed")]
VIEWS = {
    "replications": View("Verdicts", "all", "", COLUMNS),
    "replications_failed": View(
        "Failed", "papers with numbers outside their bands", "tags.verdict = 'failed'", COLUMNS
    ),
}
DESCRIPTION = """\
Results of papers, recomputed, one run for each: {links}

The metrics are the measured numbers. The tag `verdict` is `passed` if all of them lie within their bands;
`tags.verdict = 'failed'` finds the others. docs/replications.md explains them."""


def publish_all() -> None:
    """Publish the results in reports/replications/ and print what was missing. Raises UserError."""
    root = Path(os.environ.get("DVC_ROOT") or ".").resolve()
    found, missing = results.sections()
    origin = provenance.origin() | {"mlflow.source.name": "replications/dvc.yaml"}
    runs = [content(one, origin) for one in found]
    with store.writing(root, [LEVEL]) as opened:
        n_missing = publish.publish_runs(opened, LEVEL, runs)
        place = opened.ids[LEVEL]
        links = " · ".join(f"[{view.name}]({ui_views.page(place, key, False)})" for key, view in VIEWS.items())
        ui_views.save(opened, LEVEL, VIEWS, DESCRIPTION.format(links=links))
    print(f"MLflow: {progress.count(n_missing, 'replication')} published, {len(runs) - n_missing} already there.")
    print(results.conclusion(found, missing) if found else "There are no results; `make replications` makes them.")


def content(one: Section, origin: Mapping[str, str]) -> Run:
    """The MLflow run of a replication. Raises FileError."""
    folder = paper.FOLDER / one.name
    made = [run.RESULTS / f"{one.name}{end}" for end in (".csv", ".png")]
    files = [*made, *(folder / file for file in paper.FILES)]
    params = leaves(str(folder / "params.yaml"))
    n = run.counts(one.rows)
    verdict = {
        "verdict": "failed" if n["failed"] else "passed",
        "rows": str(n["rows"]),
        "rows.passed": str(n["passed"]),
        "rows.failed": str(n["failed"]),
    }
    note = f"{one.title}\n\n{one.claim}\n\n{one.setting}\n\n{results.results_table(one.rows)}"
    return Run(
        one.name,
        digest_of(one.name, params, [file_digest(path) for path in made]),
        cut(params),
        {NOTE: note[:MAX_NOTE]} | verdict | dict(origin),
        metrics(one.rows),
        digest_of([file_digest(path) for path in files]),
        lambda _: Details(files=[(path, path.name) for path in files]),
    )


def metrics(rows: Any) -> list[MetricPoint]:
    """The measured numbers under their quantities, without characters that MLflow refuses in a name; no NaN."""
    names = [" ".join(re.sub(r"[^\w.\- ]+", " ", quantity).split())[:LONGEST] for quantity in rows["quantity"]]
    unique = [f"{name} {n + 1}" if (n := names[:place].count(name)) else name for place, name in enumerate(names)]
    return [(name, x, 0) for name, x in zip(unique, rows["measured"].tolist(), strict=True) if not math.isnan(x)]


if __name__ == "__main__":
    run_and_exit(publish_all)
