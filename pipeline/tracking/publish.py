"""Publishing to MLflow. What it publishes comes from files that the pipeline made before.

Nothing is published twice: a parent run carries the fingerprint of the result that it stands for, `claims` leaves it to
one process, and it is finished only after its children are.

Long because it has to survive other processes that publish, kills, and stores that do not answer.
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
    logging.getLogger(chatty).setLevel(logging.CRITICAL)  # what fails is told in a sentence, not in a traceback

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
TRIES = 5  # of a row that another process may write at the same moment
PARENT = "mlflow.parentRunId"
EXPERIMENTS = "dvc.experiments"


class TrackingError(UserError):
    """MLflow's store cannot be used; the message is one sentence for the user."""


class Data(NamedTuple):
    """A data set that a model has seen."""

    name: str
    digest: str  # at most 36 characters
    source: str
    columns: Mapping[str, str]  # from a name to MLflow's word for its type
    n_rows: int
    context: str  # what it was used for


class Run(NamedTuple):
    """What becomes a run. Metrics at step 0 alone are drawn as bars, others as curves."""

    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Sequence[tuple[str, float, int]] = ()  # name, value, step
    files: Sequence[tuple[Path, str]] = ()  # a file and the folder of the artifacts that it goes into, "" for the top
    model: pyfunc_model.Network | None = None
    data: Sequence[Data] = ()
    images: Iterable[tuple[str, int, Image]] = ()  # name, step, image: those of one name get a slider


class Result(NamedTuple):
    """One result of the pipeline: its parent run, and what tells whether it is published."""

    fingerprint: str
    run: Run
    experiment: str = ""  # of DVC, under which it was made


def store_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or mlflow.db in `root`, the folder of the repository; relative paths start there too."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "") or "sqlite:///mlflow.db"
    scheme, separator, path = uri.partition(":///")
    if separator and scheme.startswith("sqlite") and not Path(path).is_absolute():
        uri = f"{scheme}:///{(root / path).as_posix()}"
    return uri


def publish(uri: str, root: Path, result: Result, children: Iterable[Run]) -> bool:
    """Publish a result and what it consists of; False if it was there already. Raises TrackingError."""
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
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all is in mlflow.db itself, to be copied
    except (MlflowException, SQLAlchemyError, OSError) as error:
        sentence = (
            f"MLflow's store {uri} cannot be used ({_reason(error)}); everything else is made and kept: "
            "set MLFLOW_TRACKING_URI to a store that answers, or unset it, and run `dvc repro` again."
        )
        raise TrackingError(_without_password(sentence)) from error
    return True


def load_model(initializer: str, seed: int, root: Path = REPOSITORY) -> Any:
    """The trained model, as `mlflow.pyfunc` loads it, of an initializer and a seed in the result of a repository.

    That is the result of the last `dvc repro` or `dvc checkout` in `root`, whatever else is in the same store. Creates
    no store. Raises FileError or TrackingError if the result is not there.
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
    """Why a store cannot be used, on one line of at most 200 characters."""
    message = (
        getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
    )  # the message of the database
    why = re.sub(r"\s+", " ", str(message))
    return "it does not answer" if "Max retries exceeded" in why else why if len(why) <= 200 else f"{why[:197]}..."


def _without_password(sentence: str) -> str:
    """The sentence without the user and password of an address in it."""
    return re.sub(r"//[^/@ ]*@", "//", sentence)


def _create_database(path: Path) -> None:
    """Let MLflow make its tables under a temporary name: whole, or not there, whoever else does the same.

    Interrupted in its many migrations, or met by another process there, MLflow leaves a database that it cannot use.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(f"{path}-lock", timeout=300.0)) as lock:
        lock.execute("BEGIN EXCLUSIVE")  # ends with the process, too
        if path.exists():  # another process was first
            return
        part = path.with_name(f"{path.name}.part")
        for left in (f"{name}{end}" for name in (part, path) for end in ("", "-journal", "-wal", "-shm")):
            Path(left).unlink(missing_ok=True)  # of a database deleted alone: SQLite would mend the new one with them
        SqlAlchemyStore(f"{SQLITE}{part.as_posix()}", (path.parent / "mlruns").as_uri()).engine.dispose()
        with contextlib.closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # reading and writing at once; stays with the file
        part.replace(path)


@listens_for(Engine, "connect")
def _hasten(connection: Any, _: Any) -> None:
    """Let SQLite wait for the disk now and then, not in each of the ten transactions of a run.

    With a WAL that is safe: if the power fails, the last runs are lost whole, and the end of the parent with them.
    """
    if not isinstance(connection, sqlite3.Connection):
        return
    with contextlib.suppress(sqlite3.Error):  # of a damaged file MLflow tells sooner by itself
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA synchronous = NORMAL")


def _experiment(client: MlflowClient, root: Path | None) -> str:
    """The id of the experiment, made if need be; its artifacts lie in `root` unless a server keeps them."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        location = (root / "mlartifacts").resolve().as_uri() if root else None
        try:
            found = client.get_experiment(client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(EXPERIMENT)  # another process was first
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for key, value in ui_views.tags(found.experiment_id).items():
        if found.tags.get(key) != value:  # new, or made by an earlier version
            _shared(client.set_experiment_tag, found.experiment_id, key, value)
    return str(found.experiment_id)


def _shared(write: Callable[..., object], *given: Any) -> None:
    """Write what other processes may write at the same moment; again, should one of them be faster.

    MLflow looks for the row and inserts it if it is not there. Who comes between is told BAD_REQUEST for a row that is
    there already; the next time it is found.
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
    """Add the name of DVC's experiment to those that gave the result; again, should another process overwrite it."""
    while name and name not in (names := _names(client, parent)):
        _shared(client.set_tag, parent, EXPERIMENTS, ", ".join([*names, name]))
        time.sleep(random.uniform(0.3, 0.9))


def _names(client: MlflowClient, parent: str) -> list[str]:
    return [name for name in client.get_run(parent).data.tags.get(EXPERIMENTS, "").split(", ") if name]


def _publish(
    client: MlflowClient, experiment: str, parent: str, start: int, result: Result, children: Iterable[Run]
) -> None:
    """Fill the parent, make the children and finish them, then the parent.

    Each starts a millisecond before the one above it: MLflow lists the newest first, so they stand in our order, and
    the parent on the first page, without which MLflow would not put its children below it.
    """
    _fill(client, client.get_run(parent).info, result.run)
    told = time.monotonic()
    for place, run in enumerate(children, start=1):
        tags = {PARENT: parent, locking.OF: result.fingerprint} | dict(run.tags)
        info = client.create_run(experiment, start_time=start - place, tags=tags, run_name=run.name).info
        _fill(client, info, run)
        client.set_terminated(info.run_id, end_time=start - place)
        if time.monotonic() - told > locking.PAUSE:
            client.set_tag(parent, locking.SIGN, locking.sign())
            told = time.monotonic()
    client.delete_tag(parent, locking.SIGN)
    client.set_terminated(parent)


def _data_input(data: Data) -> DatasetInput:
    """A data set in MLflow's words."""
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
    """Log everything of a run in as few calls as MLflow's limits allow; its tags it has.

    The last metrics come first: MLflow keeps the latest of each name apart, and would write it anew for each step.
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
