"""Publish results to MLflow, from files of other stages.

No result is published twice: its parent run has the fingerprint of the result as a tag, `locking.claim` selects one
process, and the parent run is finished after all its child runs.

Long because it handles concurrent publishers, kills, and stores that do not respond.
"""

import contextlib
import json
import logging
import os
import random
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # mlflow reads them when imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
for chatty in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(chatty).setLevel(logging.CRITICAL)  # errors are reported in one line, without a traceback

import mlflow
from mlflow import MlflowClient, pyfunc
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from PIL.Image import Image
from sqlalchemy.engine import Engine
from sqlalchemy.event import listens_for
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import UserError
from pipeline.storage import atomic_files
from pipeline.tracking import locking, pyfunc_model, ui_views

REPOSITORY = Path(__file__).resolve().parents[2]
TRACKED = Path("tracked.json")  # the fingerprint of the result that the repository holds

EXPERIMENT = "weight initialization"
SQLITE = "sqlite:///"
BATCH = 1000  # metrics in one call, MLflow's limit
TRIES = 5  # attempts to write a row that another process may write at the same time
PARENT = "mlflow.parentRunId"
EXPERIMENTS = "dvc.experiments"


class TrackingError(UserError):
    """MLflow's store cannot be used; the message has one line."""


class Data(NamedTuple):
    """A data set used for a model."""

    name: str
    digest: str  # at most 36 characters
    source: str
    columns: Mapping[str, str]  # the MLflow type of each column
    n_rows: int
    context: str  # "train" or "test"


class Run(NamedTuple):
    """The content of an MLflow run. MLflow draws metrics with only step 0 as bars, others as curves."""

    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Sequence[tuple[str, float, int]] = ()  # name, value, step
    files: Sequence[tuple[Path, str]] = ()  # a file and its folder among the artifacts, "" for the root
    model: pyfunc_model.Network | None = None
    data: Sequence[Data] = ()
    images: Iterable[tuple[str, int, Image]] = ()  # name, step, image; MLflow shows images of one name with a slider


class Result(NamedTuple):
    """One result of the pipeline: its fingerprint and the content of its parent run."""

    fingerprint: str
    run: Run
    experiment: str = ""  # the DVC experiment that made it, if any


def store_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or mlflow.db in `root`, the folder of the repository, to which paths are relative."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "") or "sqlite:///mlflow.db"
    scheme, separator, path = uri.partition(":///")
    if separator and scheme.startswith("sqlite") and not Path(path).is_absolute():
        uri = f"{scheme}:///{(root / path).as_posix()}"
    return uri


def publish(uri: str, root: Path, result: Result, children: Iterable[Run]) -> bool:
    """Publish a result with its child runs; returns False if it is published already. Raises TrackingError."""
    try:
        if uri.startswith(SQLITE):
            _create_database(Path(uri.removeprefix(SQLITE)))
        client = MlflowClient(uri)
        experiment = _experiment(client, root if uri.startswith(SQLITE) else None)
        parent, start = locking.claim(
            client, experiment, result.fingerprint, lambda start: _create_parent(client, experiment, result, start)
        )
        if start is None:
            _add_experiment(client, parent, result.experiment)
            return False
        try:
            _publish(client, experiment, parent, start, result, children)
        except BaseException:
            locking.give_up(client, parent)
            raise
        if uri.startswith(SQLITE):
            with contextlib.closing(sqlite3.connect(uri.removeprefix(SQLITE))) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that a copy of mlflow.db alone is complete
    except (MlflowException, SQLAlchemyError, OSError) as error:
        sentence = (
            f"MLflow's store {uri} cannot be used ({_reason(error)}); all other results are "
            "complete: set MLFLOW_TRACKING_URI to an available store, or unset it, and run `dvc repro` again."
        )
        raise TrackingError(_without_password(sentence)) from error
    return True


def load_model(initializer: str, seed: int, root: Path = REPOSITORY) -> Any:
    """The trained model of an initializer and a seed, loaded by `mlflow.pyfunc`.

    It belongs to the result of the last `dvc repro` or `dvc checkout` in `root`, not to others in the store. Creates no
    store. Raises FileError or TrackingError if the model does not exist.
    """
    try:
        result = str(json.loads(atomic_files.read_bytes(root / TRACKED))["fingerprint"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrackingError(f"{root / TRACKED} is damaged; delete it and run `dvc repro`.") from error
    uri = store_uri(root)
    remedy = "`dvc repro --single-item --force track` publishes it"
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise TrackingError(f"MLflow's store {uri} does not exist; {remedy}.")
    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        ids = [experiment.experiment_id] if experiment else []
        whole = locking.search(client, ids[0], f"tags.{locking.FINGERPRINT} = '{result}'") if ids else []
        parents = [run.info.run_id for run in whole if run.info.status == "FINISHED"]
        if not parents:
            raise TrackingError(f"MLflow's store {uri} does not hold the result {result[:8]} of {TRACKED}; {remedy}.")
        models = client.search_runs(ids, f"tags.{PARENT} = '{parents[0]}' and params.seed = '{int(seed)}'")
        named = {run.data.params["initializer"]: run.info.run_id for run in models}
        if initializer not in named:
            raise TrackingError(
                f"the result {result[:8]} has no model of the initializer {initializer} and seed {seed}."
            )
        mlflow.set_tracking_uri(uri)
        return pyfunc.load_model(f"runs:/{named[initializer]}/model")
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(_without_password(f"MLflow's store {uri} cannot be used ({_reason(error)}).")) from error


def _reason(error: Exception) -> str:
    """The message of an error of a store, on one line of at most 200 characters."""
    message = (
        getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
    )  # the message of the database
    why = re.sub(r"\s+", " ", str(message))
    return "it does not respond" if "Max retries exceeded" in why else why if len(why) <= 200 else f"{why[:197]}..."


def _without_password(sentence: str) -> str:
    """The text without the user names and passwords of the URLs in it."""
    return re.sub(r"//[^/@ ]*@", "//", sentence)


def _create_database(path: Path) -> None:
    """Create an MLflow database atomically: under a temporary name, then rename it; one process at a time.

    If MLflow's migrations are interrupted or run by two processes at once, the database is unusable.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(f"{path}-lock", timeout=300.0)) as lock:
        lock.execute("BEGIN EXCLUSIVE")  # released when the process ends
        if path.exists():  # another process created it
            return
        part = path.with_name(f"{path.name}.part")
        for left in (f"{name}{end}" for name in (part, path) for end in ("", "-journal", "-wal", "-shm")):
            Path(left).unlink(missing_ok=True)  # of a deleted database: SQLite would apply them to the new one
        SqlAlchemyStore(f"{SQLITE}{part.as_posix()}", (path.parent / "mlruns").as_uri()).engine.dispose()
        with contextlib.closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # concurrent reading and writing; stored in the file
        part.replace(path)


@listens_for(Engine, "connect")
def _hasten(connection: Any, _: Any) -> None:
    """Make SQLite flush to disk at checkpoints only, not after each of the ten transactions of a run.

    With a write-ahead log this is safe: a power failure loses the last transactions, in order, and thus also the
    end of the parent run.
    """
    if not isinstance(connection, sqlite3.Connection):
        return
    with contextlib.suppress(sqlite3.Error):  # MLflow reports a damaged file itself
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA synchronous = NORMAL")


def _experiment(client: MlflowClient, root: Path | None) -> str:
    """The id of the MLflow experiment, created if necessary; its artifacts are in `root`, or on the server."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        location = (root / "mlartifacts").resolve().as_uri() if root else None
        try:
            found = client.get_experiment(client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(EXPERIMENT)  # another process created it
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for key, value in ui_views.tags(found.experiment_id).items():
        if found.tags.get(key) != value:  # new, or written by an earlier version
            _shared(client.set_experiment_tag, found.experiment_id, key, value)
    return str(found.experiment_id)


def _shared(write: Callable[..., object], *given: Any) -> None:
    """Call `write`, again if another process wrote the same row at the same time.

    MLflow inserts a row if it does not find it. If another process inserts it in between, the error is BAD_REQUEST;
    at the next attempt MLflow finds the row.
    """
    for attempt in range(1, TRIES + 1):
        try:
            write(*given)
            return
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST" or attempt == TRIES:
                raise
        time.sleep(random.uniform(0.01, 0.1))


def _create_parent(client: MlflowClient, experiment: str, result: Result, start: int) -> str:
    tags = {locking.FINGERPRINT: result.fingerprint, locking.SIGN: locking.sign()} | dict(result.run.tags)
    if result.experiment:
        tags[EXPERIMENTS] = result.experiment
    return str(client.create_run(experiment, start_time=start, tags=tags, run_name=result.run.name).info.run_id)


def _add_experiment(client: MlflowClient, parent: str, name: str) -> None:
    """Add a DVC experiment to the tag with those that made the result; again if another process overwrites it."""
    while name and name not in (names := _names(client, parent)):
        _shared(client.set_tag, parent, EXPERIMENTS, ", ".join([*names, name]))
        time.sleep(random.uniform(0.3, 0.9))


def _names(client: MlflowClient, parent: str) -> list[str]:
    return [name for name in client.get_run(parent).data.tags.get(EXPERIMENTS, "").split(", ") if name]


def _publish(
    client: MlflowClient, experiment: str, parent: str, start: int, result: Result, children: Iterable[Run]
) -> None:
    """Write the content of the parent run, create and finish the child runs, then finish the parent run.

    Each run starts one millisecond before the previous one: MLflow lists the newest first, so the order is kept and the
    parent run is on the first page; otherwise MLflow would not show its child runs below it.
    """
    _fill(client, client.get_run(parent).info, result.run)
    last = time.monotonic()
    for place, run in enumerate(children, start=1):
        tags = {PARENT: parent, locking.OF: result.fingerprint} | dict(run.tags)
        info = client.create_run(experiment, start_time=start - place, tags=tags, run_name=run.name).info
        _fill(client, info, run)
        client.set_terminated(info.run_id, end_time=start - place)
        if time.monotonic() - last > locking.PAUSE:
            client.set_tag(parent, locking.SIGN, locking.sign())
            last = time.monotonic()
    client.delete_tag(parent, locking.SIGN)
    client.set_terminated(parent)


def _data_input(data: Data) -> DatasetInput:
    """A data set as an input of an MLflow run."""
    columns = [{"name": name, "type": kind, "required": True} for name, kind in data.columns.items()]
    entity = Dataset(
        data.name,
        data.digest,
        "local",
        json.dumps({"uri": data.source}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": data.n_rows, "num_elements": data.n_rows * len(columns)}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", data.context)])


def _fill(client: MlflowClient, info: RunInfo, run: Run) -> None:
    """Log the content of a run, except its tags, in as few calls as the limits of MLflow allow.

    Metrics are logged in reverse order: MLflow stores the latest value of each name separately and would update it at
    every step.
    """
    now = int(time.time() * 1000)
    entities = [Metric(key, value, now, step) for key, value, step in reversed(run.metrics)]
    params = [Param(key, str(value)) for key, value in run.params.items()]
    client.log_batch(info.run_id, metrics=entities[: BATCH // 2], params=params)
    for begin in range(BATCH // 2, len(entities), BATCH):
        client.log_batch(info.run_id, metrics=entities[begin : begin + BATCH])
    if run.data:
        _shared(client.log_inputs, info.run_id, [_data_input(data) for data in run.data])
    artifacts = get_artifact_repository(info.artifact_uri, tracking_uri=client.tracking_uri)
    for path, folder in run.files:
        artifacts.log_artifact(str(path), folder or None)
    if run.model is not None:
        with tempfile.TemporaryDirectory() as written:
            pyfunc_model.write(Path(written), run.model, info.run_id)
            artifacts.log_artifacts(written, "model")
    for key, step, image in run.images:
        client.log_image(info.run_id, image, key=key, step=step)
