"""The MLflow store: its address, its experiments, and one process at a time in a local one.

A local store is a SQLite database. While a process publishes to it, it holds the lock of the file `<database>.lock`,
which the operating system releases when the process ends. A server has no lock: see `publish`.
"""

import contextlib
import math
import os
import random
import re
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import UserError
from pipeline.tracking.mlflow_api import MlflowClient, MlflowException, SqlAlchemyStore, append_to_uri_path, entities

TRACKED = Path("tracked.json")  # the identity of the result that the repository holds
SQLITE = "sqlite:///"
LEVELS = ("models", "initializers", "results")  # MLflow's start page lists the newest experiment first
TITLE = "weight initialization: {}"  # the name of the MLflow experiment of a level
EXPERIMENTS = {level: TITLE.format(level) for level in LEVELS}
METRIC = ("key", "value", "is_nan", "step", "timestamp", "run_uuid")
TABLES = {  # the tables of MLflow that describe a run, and their columns
    "runs": (
        *("run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status"),
        *("start_time", "end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri"),
        "experiment_id",
    ),
    "tags": ("key", "value", "run_uuid"),
    "params": ("key", "value", "run_uuid"),
    "metrics": METRIC,
    "latest_metrics": METRIC,
}
TRIES = 5  # attempts to write a row that another process may write at the same time


class Store(NamedTuple):
    """An open MLflow store; `ids` holds the id of the experiment of each level."""

    client: MlflowClient
    uri: str
    ids: dict[str, str]

    @property
    def is_local(self) -> bool:
        """Whether the store is a SQLite database, of which this process then holds the lock."""
        return self.uri.startswith(SQLITE)

    def search(self, level: str, filter_string: str = "") -> list[Any]:
        """All runs of a level that match a filter, without deleted ones."""
        runs: list[Any] = []
        token: str | None = None
        while level in self.ids:
            page = self.client.search_runs(
                [self.ids[level]], filter_string, entities.ViewType.ACTIVE_ONLY, 5000, page_token=token
            )
            runs += page
            if not (token := page.token):
                break
        return runs


def store_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or mlflow.db in `root`, the folder of the repository, to which paths are relative."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "") or "sqlite:///mlflow.db"
    scheme, separator, path = uri.partition(":///")
    if separator and scheme.startswith("sqlite") and not Path(path).is_absolute():
        uri = f"{scheme}:///{(root / path).as_posix()}"
    return uri


def database(uri: str) -> Path:
    """The file of a local store."""
    return Path(uri.removeprefix(SQLITE))


@contextlib.contextmanager
def writing(root: Path, levels: Sequence[str] = LEVELS) -> Iterator[Store]:
    """The store, created if necessary, for writing to the experiments of `levels`.

    Waits for other processes that write to a local store. Raises UserError.
    """
    uri = store_uri(root)
    after = (
        "all other results are complete: set MLFLOW_TRACKING_URI to an available store, or unset it, and run "
        "`dvc repro` again"
    )
    with _errors(uri, after):
        if not uri.startswith(SQLITE):
            client = MlflowClient(uri)
            yield Store(client, uri, {level: _experiment(client, level, None) for level in levels})
            return
        path = database(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            _create_database(path)
            client = MlflowClient(uri)
            yield Store(client, uri, {level: _experiment(client, level, root / "mlartifacts") for level in levels})
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that a copy of mlflow.db alone is complete


@contextlib.contextmanager
def reading(root: Path) -> Iterator[Store]:
    """The store for reading; creates nothing. Raises UserError."""
    uri = store_uri(root)
    if uri.startswith(SQLITE) and not database(uri).is_file():
        raise UserError(
            f"MLflow's store {uri} does not exist; `dvc repro --single-item --force track` publishes to it."
        )
    with _errors(uri, "check MLFLOW_TRACKING_URI"):
        client = MlflowClient(uri)
        found = {level: client.get_experiment_by_name(name) for level, name in EXPERIMENTS.items()}
        yield Store(client, uri, {level: each.experiment_id for level, each in found.items() if each})


@contextlib.contextmanager
def _errors(uri: str, remedy: str) -> Iterator[None]:
    """Raise errors of the store as a UserError."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, sqlite3.Error) as error:
        sentence = f"MLflow's store {uri} cannot be used ({_reason(error)}); {remedy}."
        raise UserError(re.sub(r"//[^/@ ]*@", "//", sentence)) from error  # without user names and passwords


def _reason(error: Exception) -> str:
    """The message of an error of a store, on one line of at most 200 characters."""
    message = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error  # the database's
    message = getattr(error, "strerror", None) or message
    why = re.sub(r"\s+", " ", str(message))
    return "it does not respond" if "Max retries exceeded" in why else why if len(why) <= 200 else f"{why[:197]}..."


def _create_database(path: Path) -> None:
    """Create an MLflow database atomically, under a temporary name: interrupted migrations leave an unusable one."""
    if path.exists():
        return
    part = path.with_name(f"{path.name}.part")
    for left in (f"{name}{end}" for name in (part, path) for end in ("", "-journal", "-wal", "-shm")):
        Path(left).unlink(missing_ok=True)  # of a deleted database: SQLite would apply them to the new one
    with contextlib.closing(sqlite3.connect(part)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # concurrent reading and writing; stored in the file
        SqlAlchemyStore(f"{SQLITE}{part.as_posix()}", (path.parent / "mlruns").as_uri()).engine.dispose()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the other files of `part` keep its name
    part.replace(path)


def _hasten(connection: Any, _: Any) -> None:
    """Make SQLite flush to disk at checkpoints only, not after each transaction, of which a run takes three.

    With a write-ahead log this is safe: a power failure loses the last transactions, in order.
    """
    if not isinstance(connection, sqlite3.Connection):
        return
    with contextlib.suppress(sqlite3.Error):  # MLflow reports a damaged file itself
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA synchronous = NORMAL")


event.listen(Engine, "connect", _hasten)


def _experiment(client: MlflowClient, level: str, artifacts: Path | None) -> str:
    """The id of an MLflow experiment, created if necessary; its artifacts are in `artifacts`, or on the server."""
    name = TITLE.format(level)
    found = client.get_experiment_by_name(name)
    if found is None:
        location = (artifacts / level).resolve().as_uri() if artifacts else None
        try:
            found = client.get_experiment(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process created it
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


class FinishedRun(NamedTuple):
    """A finished run without files, data and models."""

    name: str
    time: int  # of its start, its end and its metrics, in ms
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Sequence[tuple[str, float, int]]  # name, value, step


def insert_runs(store: Store, level: str, runs: Sequence[FinishedRun]) -> bool:
    """Write the rows that MLflow writes for new runs into a local store; returns False, and writes none, if it cannot.

    It cannot if the tables of MLflow have other columns than TABLES. One transaction writes all runs: MLflow takes
    several transactions and 12 ms for each.
    """
    experiment = store.ids[level]
    location = store.client.get_experiment(experiment).artifact_location
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    for run in runs:
        run_id = uuid.uuid4().hex
        files = append_to_uri_path(location, run_id, "artifacts")
        times = run.time, run.time, None
        rows["runs"].append(
            (run_id, run.name, "UNKNOWN", "", "", "unknown", "FINISHED", *times, "", "active", files, experiment)
        )
        rows["tags"] += [(key, value, run_id) for key, value in {**run.tags, "mlflow.runName": run.name}.items()]
        rows["params"] += [(key, value, run_id) for key, value in run.params.items()]
        points = [(key, *_stored(value), step, run.time, run_id) for key, value, step in run.metrics]
        rows["metrics"] += points
        rows["latest_metrics"] += {point[0]: point for point in sorted(points, key=lambda point: point[3])}.values()
    try:
        with contextlib.closing(sqlite3.connect(database(store.uri))) as connection, connection:
            for table, columns in TABLES.items():
                if {column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")} != set(columns):
                    raise sqlite3.DataError(f"the table {table} has other columns")
                places = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows[table])
    except sqlite3.Error:
        return False
    return True


def _stored(value: float) -> tuple[float, bool]:
    """The columns `value` and `is_nan` of a metric: SQL has neither NaN nor infinity."""
    if math.isnan(value):
        return 0.0, True
    return max(-sys.float_info.max, min(value, sys.float_info.max)), False


def set_experiment_tags(store: Store, level: str, tags: dict[str, str]) -> None:
    """Set those tags of the experiment of a level that differ."""
    present = store.client.get_experiment(store.ids[level]).tags
    for key, value in tags.items():
        if present.get(key) != value:
            retry(store.client.set_experiment_tag, store.ids[level], key, value)


def set_tags(store: Store, key: str, values: Mapping[str, str]) -> None:
    """Set a tag that runs of a local store have already; `values` holds the new value of each run's id.

    One transaction changes all of them: MLflow takes a transaction and a millisecond for each.
    """
    if not _updated(database(store.uri), key, values):
        for run_id, value in values.items():
            retry(store.client.set_tag, run_id, key, value)


def _updated(path: Path, key: str, values: Mapping[str, str]) -> bool:
    """Change tags in MLflow's table of them; returns False, and changes none, if it has not the expected form."""
    rows = [(value, key, run_id) for run_id, value in values.items()]
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            changed = connection.executemany("UPDATE tags SET value = ? WHERE key = ? AND run_uuid = ?", rows).rowcount
            if changed != len(rows):
                raise sqlite3.DataError(f"{changed} of {len(rows)} tags were found")
    except sqlite3.Error:
        return False
    return True


def retry(write: Callable[..., object], *arguments: Any) -> None:
    """Call `write`, again if another process wrote the same row at the same time.

    MLflow inserts a row if it does not find it. If another process inserts it in between, the error is BAD_REQUEST;
    at the next attempt MLflow finds the row.
    """
    for attempt in range(1, TRIES + 1):
        try:
            write(*arguments)
            return
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST" or attempt == TRIES:
                raise
        time.sleep(random.uniform(0.01, 0.1))
