"""Stage `track`: publish every model and the tables, figures and parameters to MLflow.

It runs last and reads only the files of other stages, so a result restored from DVC's cache is published as well.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from pipeline.config import params
from pipeline.storage import atomic_files
from pipeline.tracking import provenance, publish
from pipeline.tracking.publish import Result
from pipeline.tracking.runs import ahead, children, fingerprint, rooms, whole


def track() -> None:
    """Publish the result unless it is published already; write its fingerprint to tracked.json. Raises UserError."""
    P = params.load()
    root = Path(os.environ.get("DVC_ROOT") or ".").resolve()
    result = Result(fingerprint(P), whole(P), provenance.experiment())
    n = len(P.initializers) * len(P.seeds)
    begin = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=n, desc="publishing", unit="model", leave=False, disable=None) as bar,
        contextlib.closing(ahead(children(P, rooms(folder), bar))) as runs,
    ):
        is_new = publish.publish(publish.store_uri(root), root, result, runs)
    seconds = time.monotonic() - begin
    rate = f" in {seconds:.0f} s, {n / seconds:.0f} per second"
    done = f"Published {n} models to MLflow{rate}" if is_new else f"MLflow already has these {n} models"
    print(f"{done}: {result.run.name}.")
    atomic_files.write_text(
        publish.TRACKED, json.dumps({"fingerprint": result.fingerprint, "models": n}, indent=2) + "\n"
    )


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(track))
