"""Stage `track`: publish the result, its initializers and its models to MLflow.

It runs last and reads only the files of other stages, so a result restored from DVC's cache is published as well.
"""

import os
from pathlib import Path

from pipeline.config import params
from pipeline.stages import progress
from pipeline.storage import atomic_files
from pipeline.tracking import publish, runs, store, ui_views


def track() -> None:
    """Publish the result unless it is published already; write its identity to tracked.json. Raises UserError."""
    P = params.load()
    root = Path(os.environ.get("DVC_ROOT") or ".").resolve()
    result = runs.result(P)
    n = len(P.initializers) * len(P.seeds)
    name = result.experiment or result.run.name
    description = f"Publishing to MLflow: {progress.count(n, 'model')}, {name}."
    with store.writing(root) as opened, progress.task(description, n, "model") as advance:
        was_missing = publish.publish(opened, result, advance)
        ui_views.update(opened, P.comparison.reference)
    print(f"Published to MLflow: {name}." if was_missing else f"MLflow already has this result: {name}.")
    atomic_files.write_json(store.TRACKED, {"result": result.run.identity, "models": n})


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(track)
