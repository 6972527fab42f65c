"""Publishing to MLflow; its only importer. What it publishes comes from files that the pipeline made before.

Nothing is published twice: a parent run carries the fingerprint of the result it stands for, and it is finished only
after its children are. A parent that never finished was interrupted; it is deleted and published anew.
"""

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # mlflow reads them when imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
for chatty in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(chatty).setLevel(logging.CRITICAL)  # what fails is told in a sentence, not in a traceback

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import SQLAlchemyError

from pipeline.wording import UserError

EXPERIMENT = "weight initialization"
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # opens the page on runs, not on language models
    "mlflow.note.content": (
        "How does the way a network's weights are born decide how it learns? A parent run for each result of the "
        "pipeline, with its tables and figures, and below it a run for each trained model. "
        "Try the filter `params.seed = '3'`, or `params.initializer = 'he' and metrics.train_accuracy < 0.9`."
    ),
}
SQLITE = "sqlite:///"
BATCH = 1000  # metrics in one call, MLflow's limit
PARENT = "mlflow.parentRunId"


class TrackingError(UserError):
    """MLflow's store cannot be used; the message is one sentence for the user."""


class Model(NamedTuple):
    """One trained model, to become a child run."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    costs: Sequence[tuple[int, float]]  # (iteration, cost)
    files: Sequence[Path]


class Result(NamedTuple):
    """One result of the pipeline, to become a parent run."""

    fingerprint: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    description: str  # Markdown
    files: Sequence[tuple[Path, str]]  # a file and the folder of the artifacts that it goes into, "" for the top


def store_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or mlflow.db in `root`, the folder of the repository; relative paths start there too."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "") or "sqlite:///mlflow.db"
    scheme, separator, path = uri.partition(":///")
    if separator and scheme.startswith("sqlite") and not Path(path).is_absolute():
        uri = f"{scheme}:///{(root / path).as_posix()}"
    return uri


def publish(uri: str, root: Path, result: Result, models: Iterable[Model]) -> bool:
    """Publish a result and its models; False if it was there already. Raises TrackingError."""
    try:
        if uri.startswith(SQLITE):
            _create_database(Path(uri.removeprefix(SQLITE)))
        client = MlflowClient(uri)
        experiment = _experiment(client, root if uri.startswith(SQLITE) else None)
        if _is_published(client, experiment, result.fingerprint):
            return False
        _publish(client, experiment, result, models)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        told = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error  # the database's words
        why = re.sub(r"\s+", " ", str(told))
        why = "it does not answer" if "Max retries exceeded" in why else why if len(why) <= 200 else f"{why[:197]}..."
        sentence = (
            f"MLflow's store {uri} cannot be used ({why}); everything else is made and kept: "
            "set MLFLOW_TRACKING_URI to a store that answers, or unset it, and run `dvc repro` again."
        )
        raise TrackingError(re.sub(r"//[^/@ ]*@", "//", sentence)) from error  # no password on the screen
    return True


def _create_database(path: Path) -> None:
    """Let MLflow make its tables under a temporary name: whole, or not there, whoever else does the same.

    Interrupted in its many migrations, or met by another process there, MLflow leaves a database that it cannot use.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{path.name}.*.part"):  # by a process killed here: it takes seconds, not a minute
        if time.time() - left.stat().st_mtime > 60:
            left.unlink(missing_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        SqlAlchemyStore(f"{SQLITE}{part.as_posix()}", (path.parent / "mlruns").as_uri()).engine.dispose()
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _experiment(client: MlflowClient, root: Path | None) -> str:
    """The id of the experiment, made if need be; its artifacts lie in `root` unless a server keeps them."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        location = (root / "mlartifacts").resolve().as_uri() if root else None
        return str(client.create_experiment(EXPERIMENT, artifact_location=location, tags=EXPERIMENT_TAGS))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _is_published(client: MlflowClient, experiment: str, fingerprint: str) -> bool:
    """Whether the result is there; what an interrupted publishing of it left is deleted."""
    found = False
    for run in _search(client, experiment, f"tags.fingerprint = '{fingerprint}'"):
        if run.info.status == "FINISHED":
            found = True
        else:
            for child in _search(client, experiment, f"tags.`{PARENT}` = '{run.info.run_id}'"):
                client.delete_run(child.info.run_id)
            client.delete_run(run.info.run_id)
    return found


def _search(client: MlflowClient, experiment: str, filter_string: str) -> list[Any]:
    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], filter_string, ViewType.ACTIVE_ONLY, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _publish(client: MlflowClient, experiment: str, result: Result, models: Iterable[Model]) -> None:
    name = f"pipeline {result.fingerprint[:8]}"
    tags = {"fingerprint": result.fingerprint, "level": "pipeline", "mlflow.note.content": result.description}
    parent = client.create_run(experiment, tags=tags | dict(result.tags), run_name=name).info.run_id
    _log(client, parent, result.params, {}, [])  # no metrics: their charts would stand before the models' own
    for path, folder in result.files:
        client.log_artifact(parent, str(path), folder or None)
    for model in models:
        child = client.create_run(experiment, tags={PARENT: parent}, run_name=model.name).info.run_id
        metrics = [("cost", cost, iteration) for iteration, cost in model.costs]
        metrics += [(key, value, 0) for key, value in model.metrics.items()]  # at step 0 MLflow draws bars
        tags = {"level": "model", "pipeline": result.fingerprint}
        _log(client, child, model.params, tags, metrics)
        for path in model.files:
            client.log_artifact(child, str(path))
        client.set_terminated(child)
    client.set_terminated(parent)


def _log(
    client: MlflowClient,
    run: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    metrics: Sequence[tuple[str, float, int]],
) -> None:
    """Log everything of a run in as few calls as MLflow's limits allow."""
    now = int(time.time() * 1000)
    entities = [Metric(key, value, now, step) for key, value, step in metrics]
    client.log_batch(
        run,
        metrics=entities[: BATCH // 2],
        params=[Param(key, str(value)) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    for start in range(BATCH // 2, len(entities), BATCH):
        client.log_batch(run, metrics=entities[start : start + BATCH])
