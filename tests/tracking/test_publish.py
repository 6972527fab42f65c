"""What is published to MLflow, read back through MLflow's own client."""

import contextlib
import importlib.metadata
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from ruamel.yaml import YAML
from sqlalchemy import event
from sqlalchemy.orm import Session

from pipeline.storage import atomic_files, trained
from pipeline.tracking import locking, publish
from pipeline.tracking import runs as track
from pipeline.tracking.publish import PARENT, Data, Result, Run, TrackingError
from tests.conftest import Laboratory


def result(folder: Path, fingerprint: str = "abc", experiment: str = "") -> Result:
    table = folder / "table.csv"
    table.write_text("a\n1\n")
    tags = {"git.dirty": "true", "level": "pipeline", "mlflow.note.content": "# Table"}
    return Result(fingerprint, Run("pipeline abc", {"n_seeds": 1}, tags, files=[(table, "reports")]), experiment)


def model(name: str = "he seed 3", n_costs: int = 3) -> Run:
    metrics = [("cost", 1.0 / (i + 1), 10 * i) for i in range(n_costs)] + [("train_accuracy", 0.75, 0)]
    data = [Data("circles train", "a" * 32, "data/train.csv", {"x1": "double", "y": "long"}, 30, "train")]
    return Run(name, {"initializer": "he", "seed": 3}, {"level": "model"}, metrics, data=data)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs: MLflow takes some seconds to make it."""
    folder = tmp_path_factory.mktemp("store")
    publish._create_database(folder / "mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> str:
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path.as_posix()}/mlflow.db"


def runs(uri: str) -> list:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(publish.EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id], "", ViewType.ACTIVE_ONLY, 1000))


def test_parent_and_children(tmp_path: Path, store: str) -> None:
    assert publish.publish(store, tmp_path, result(tmp_path), [model(), model("he seed 4", 2500)])
    client = MlflowClient(store)
    (parent,) = (run for run in runs(store) if PARENT not in run.data.tags)
    children = {run.info.run_name: run for run in runs(store) if run.data.tags.get(PARENT) == parent.info.run_id}
    assert set(children) == {"he seed 3", "he seed 4"}
    assert all(run.info.status == "FINISHED" for run in [parent, *children.values()])
    assert parent.data.params == {"n_seeds": "1"}
    assert parent.data.tags["mlflow.note.content"] == "# Table"
    assert locking.SIGN not in parent.data.tags
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "reports")] == ["reports/table.csv"]
    child = children["he seed 3"]
    assert child.data.params == {"initializer": "he", "seed": "3"}
    assert child.data.tags[locking.OF] == parent.data.tags[locking.FINGERPRINT] == "abc"
    (given,) = child.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest, given.tags[0].value) == ("circles train", "a" * 32, "train")
    assert json.loads(given.dataset.schema)["mlflow_colspec"][1] == {"name": "y", "type": "long", "required": True}
    assert child.data.metrics == {"cost": pytest.approx(1 / 3), "train_accuracy": 0.75}
    history = client.get_metric_history(child.info.run_id, "cost")
    assert [(m.step, m.value) for m in history] == [(0, 1.0), (10, 0.5), (20, pytest.approx(1 / 3))]
    assert len(client.get_metric_history(children["he seed 4"].info.run_id, "cost")) == 2500  # in several batches


def test_mlflow_lists_a_parent_first_and_its_children_in_our_order(tmp_path: Path, store: str) -> None:
    """MLflow puts children below their parent only if that is on the same page, and sorts by start, newest first."""
    for fingerprint in ("abc", "def"):
        children = [model(f"{fingerprint} {i}") for i in range(3)]
        publish.publish(store, tmp_path, result(tmp_path, fingerprint), children)
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name(publish.EXPERIMENT).experiment_id
    listed = client.search_runs([experiment], order_by=["attributes.start_time DESC"])
    assert [run.info.run_name for run in listed[:4]] == ["pipeline abc", "def 0", "def 1", "def 2"]
    assert [run.info.run_name for run in listed[4:]] == ["pipeline abc", "abc 0", "abc 1", "abc 2"]


def test_the_experiments_of_dvc_that_gave_a_result_are_told(tmp_path: Path, store: str) -> None:
    for name in ("wild", "", "wilder", "wild"):
        publish.publish(store, tmp_path, result(tmp_path, experiment=name), [model()])
    (parent,) = (run for run in runs(store) if PARENT not in run.data.tags)
    assert parent.data.tags[publish.EXPERIMENTS] == "wild, wilder"


def test_a_parent_deleted_alone_comes_back_without_doubles(tmp_path: Path, store: str) -> None:
    """MLflow's page deletes a parent and leaves its children."""
    publish.publish(store, tmp_path, result(tmp_path), [model()])
    client = MlflowClient(store)
    (parent,) = (run for run in runs(store) if PARENT not in run.data.tags)
    client.delete_run(parent.info.run_id)
    publish.publish(store, tmp_path, result(tmp_path), [model()])
    assert sorted(run.info.run_name for run in runs(store)) == ["he seed 3", "pipeline abc"]


def test_the_same_result_is_published_once(tmp_path: Path, store: str) -> None:
    assert publish.publish(store, tmp_path, result(tmp_path), [model()])
    before = {run.info.run_id for run in runs(store)}
    assert not publish.publish(store, tmp_path, result(tmp_path), [model()])
    assert {run.info.run_id for run in runs(store)} == before
    assert publish.publish(store, tmp_path, result(tmp_path, "def"), [model()])
    assert len(runs(store)) == 4


def test_an_interrupted_publishing_is_done_anew(tmp_path: Path, store: str) -> None:
    def interrupted():
        yield model()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish.publish(store, tmp_path, result(tmp_path), interrupted())
    assert publish.publish(store, tmp_path, result(tmp_path), [model()])
    assert sorted(run.info.run_name for run in runs(store)) == ["he seed 3", "pipeline abc"]
    assert all(run.info.status == "FINISHED" for run in runs(store))


@pytest.mark.slow
def test_what_a_deleted_database_left_does_not_spoil_the_new_one(tmp_path: Path, empty: Path) -> None:
    """SQLite would mend the new database with the log of the old one."""
    path = tmp_path / "mlflow.db"
    shutil.copyfile(empty, path)
    assert publishing(tmp_path, ["old"]) == [0]
    killed = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    killed += "c.execute(\"UPDATE alembic_version SET version_num = 'x'\"); c.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", killed, str(path)], check=True)
    assert (tmp_path / "mlflow.db-wal").stat().st_size > 0
    path.unlink()
    assert publishing(tmp_path, ["abc"]) == [0]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        values = {value for (value,) in connection.execute("SELECT value FROM tags WHERE key = 'fingerprint'")}
    assert values == {"abc"}


@pytest.mark.slow
def test_the_database_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow cannot go on from tables half made; six processes at once left five crashed when they made them in place."""

    def killed(*arguments: object) -> None:
        (tmp_path / "mlflow.db.part").write_text("half made")
        raise KeyboardInterrupt

    store = f"sqlite:///{tmp_path.as_posix()}/mlflow.db"
    with monkeypatch.context() as patched:
        patched.setattr(publish, "SqlAlchemyStore", killed)
        with pytest.raises(KeyboardInterrupt):
            publish.publish(store, tmp_path, result(tmp_path), [model()])
    assert not (tmp_path / "mlflow.db").exists()
    assert publishing(tmp_path, ["0", "1", "2", "2"]) == [0] * 4
    assert sorted(run.data.tags["fingerprint"] for run in runs(store) if PARENT not in run.data.tags) == ["0", "1", "2"]
    assert len(runs(store)) == 3 * 21
    assert {run.info.status for run in runs(store)} == {"FINISHED"}


def publishing(folder: Path, fingerprints: list[str]) -> list[int]:
    """The exit codes of as many processes, which publish twenty runs each, all at once."""
    code = (
        "import sys; from pathlib import Path; from pipeline.tracking import publish as t; folder = Path(sys.argv[1]);"
        "t.publish(f'sqlite:///{folder.as_posix()}/mlflow.db', folder, t.Result(sys.argv[2], t.Run('p', {}, {})),"
        "[t.Run(f'{i}', {}, {}) for i in range(20)])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(folder), each]) for each in fingerprints]
    return [process.wait() for process in processes]


@contextlib.contextmanager
def outrun(database: Path, table: str) -> Iterator[list[tuple]]:
    """Whenever MLflow is about to insert rows into `table`, other hands put them there first; they are collected."""
    outrun: list[tuple] = []

    def insert(session: Any, *_: Any) -> None:
        for row in [row for row in session.new if row.__tablename__ == table]:
            names = [column.name for column in row.__table__.columns]
            values = [getattr(row, name) for name in names]
            sql = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            with contextlib.closing(sqlite3.connect(database)) as other, other:
                other.execute(sql, values)
            outrun.append(tuple(values))

    event.listen(Session, "before_flush", insert)
    try:
        yield outrun
    finally:
        event.remove(Session, "before_flush", insert)


@pytest.mark.parametrize("table", ["experiments", "experiment_tags", "datasets"])
def test_what_another_process_writes_first_is_no_error(tmp_path: Path, store: str, table: str) -> None:
    with outrun(tmp_path / "mlflow.db", table) as rows:
        assert publish.publish(store, tmp_path, result(tmp_path), [model(), model("he seed 4")])
    assert rows
    assert [run.info.status for run in runs(store)] == ["FINISHED"] * 3
    assert [len(run.inputs.dataset_inputs) for run in runs(store)] == [0, 1, 1]


def test_two_experiments_that_tell_their_names_at_once(tmp_path: Path, store: str) -> None:
    publish.publish(store, tmp_path, result(tmp_path), [])
    with outrun(tmp_path / "mlflow.db", "tags") as rows:
        assert not publish.publish(store, tmp_path, result(tmp_path, experiment="brave-hen"), [])
    assert len(rows) == 1
    assert runs(store)[0].data.tags["dvc.experiments"] == "brave-hen"


def test_a_deleted_experiment_comes_back(tmp_path: Path, store: str) -> None:
    publish.publish(store, tmp_path, result(tmp_path), [model()])
    client = MlflowClient(store)
    client.delete_experiment(client.get_experiment_by_name(publish.EXPERIMENT).experiment_id)
    publish.publish(store, tmp_path, result(tmp_path, "def"), [model()])
    assert client.get_experiment_by_name(publish.EXPERIMENT).lifecycle_stage == "active"


@pytest.mark.parametrize(
    "uri", ["http://user:secret@127.0.0.1:9", "sqlite:///{folder}/table.csv/mlflow.db", "nonsense://x"]
)
def test_a_store_that_does_not_answer_is_told_in_a_sentence(tmp_path: Path, uri: str) -> None:
    start = time.monotonic()
    with pytest.raises(TrackingError) as raised:
        publish.publish(uri.format(folder=tmp_path.as_posix()), tmp_path, result(tmp_path), [model()])
    message = str(raised.value)
    assert message.startswith("MLflow's store ")
    assert "set MLFLOW_TRACKING_URI to an available store" in message
    assert "secret" not in message
    assert "\n" not in message
    assert time.monotonic() - start < 60  # MLflow itself would try again for several minutes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///other.db", "sqlite:///{root}/other.db"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_the_store_is_anchored_at_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert publish.store_uri(tmp_path) == expected.format(root=tmp_path.as_posix())


def by_level(laboratory: Laboratory, level: str) -> dict:
    uri = f"sqlite:///{laboratory.root.as_posix()}/mlflow.db"
    return {run.info.run_name: run for run in runs(uri) if run.data.tags["level"] == level}


def files(client: MlflowClient, run: Any, folder: str | None = None) -> set[str]:
    return {file.path for file in client.list_artifacts(run.info.run_id, folder)}


def test_the_pipeline_publishes_the_result(finished: Laboratory) -> None:
    client = MlflowClient(f"sqlite:///{finished.root.as_posix()}/mlflow.db")
    (parent,) = by_level(finished, "pipeline").values()
    assert files(client, parent) == {"params.yaml", "dvc.lock", "reports"}
    assert {"reports/comparison.md", "reports/comparison.csv"} < files(client, parent, "reports")
    assert "reports/figures/cost_curves.png" in files(client, parent, "reports/figures")
    assert parent.data.params["network.hidden_sizes"] == "(4, 3)"
    tags = parent.data.tags
    start = finished.run("git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()
    assert tags["mlflow.source.git.commit"] == start
    assert tags["version.numpy"] == numpy.__version__
    assert tags["version.numba"] == importlib.metadata.version("numba")
    assert tags["processor"]
    assert tags["mlflow.note.content"].startswith("# Comparison of initializers")
    assert parent.data.metrics == {}


def test_the_pipeline_publishes_every_model(finished: Laboratory, tmp_path: Path) -> None:
    client = MlflowClient(f"sqlite:///{finished.root.as_posix()}/mlflow.db")
    models = by_level(finished, "model")
    assert set(models) == {f"{name} seed {seed}" for name in ("zeros", "small", "he") for seed in (3, 5)}
    he = models["he seed 3"]
    assert {"boundary.png", "model", "images"} == files(client, he)
    pictures = [name for name in files(client, he, "images") if name.endswith(".png")]
    steps = sorted(int(name.partition("+step+")[2].partition("+")[0]) for name in pictures)
    assert steps == [0, 1, 2, 5, 10, 20, 40]  # at these the shown seed's model is kept
    assert {"boundary.png", "model"} == files(client, models["he seed 5"])
    weights = client.download_artifacts(he.info.run_id, "model/weights.npz", str(tmp_path))
    together = trained.read_weights(finished.root / "runs" / "he" / "weights.npz", (3, 5), [2, 4, 3, 1])
    alone = trained.read_weights(Path(weights), (3,), [2, 4, 3, 1])
    assert all((W[:1] == V).all() for (W, _), (V, _) in zip(together, alone, strict=True))
    costs = atomic_files.read_csv(finished.root / "runs" / "he" / "costs.csv", trained.COSTS)
    history = client.get_metric_history(he.info.run_id, "cost")
    assert [m.value for m in history] == costs["cost"][costs["seed"] == 3].tolist()
    layers = pd.read_csv(finished.root / "diagnostics" / "he" / "layers.csv").set_index("seed")
    gradients = client.get_metric_history(he.info.run_id, "first_gradient")
    assert [(m.step, m.value) for m in gradients] == list(enumerate(layers.loc[3, "weight_gradient_rms"], start=1))
    assert {"initializer": "he", "seed": "3", "recipe": "he_normal"}.items() <= he.data.params.items()
    table = pd.read_csv(finished.root / "reports" / "runs.csv").set_index(["initializer", "seed"])
    assert he.data.tags["behaviour"] == table.loc[("he", 3), "behaviour"]
    lock = YAML(typ="safe").load(finished.root / "dvc.lock")
    known = {out["path"]: out["md5"] for out in lock["stages"]["dataset"]["outs"]}
    used = {given.tags[0].value: given.dataset.digest for given in he.inputs.dataset_inputs}
    assert used == {"train": known["data/train.csv"], "test": known["data/test.csv"]}


def test_the_pipeline_publishes_the_spread_over_the_seeds(finished: Laboratory) -> None:
    client = MlflowClient(f"sqlite:///{finished.root.as_posix()}/mlflow.db")
    he = by_level(finished, "initializer")["he, 2 seeds"]
    costs = atomic_files.read_csv(finished.root / "runs" / "he" / "costs.csv", trained.COSTS)["cost"].reshape(2, -1)
    shares = {"cost_min": 0.0, "cost_q25": 0.25, "cost_median": 0.5, "cost_q75": 0.75, "cost_max": 1.0}
    for key, share in shares.items():
        reported = [(m.step, m.value) for m in client.get_metric_history(he.info.run_id, key)]
        expected = numpy.quantile(costs, share, axis=0)  # other roundings in the interpolation: some 1e-16
        assert reported == [(step, pytest.approx(c, rel=1e-14)) for step, c in zip((0, 20, 40), expected, strict=True)]
    mean = [m.value for m in client.get_metric_history(he.info.run_id, "cost_mean")]
    assert mean == pytest.approx(costs.mean(axis=0), rel=1e-14)  # numpy adds and rounds in another order
    table = pd.read_csv(finished.root / "reports" / "comparison.csv").set_index("initializer")
    assert he.data.metrics["train_accuracy_mean"] == table.loc["he", "train_accuracy_mean"]
    every = pd.read_csv(finished.root / "reports" / "runs.csv").set_index("initializer").loc["he"]
    for labels in ("behaviour", "initial_label"):
        assert set(he.data.tags[labels].split(", ")) == {f"{k} {n}" for k, n in every[labels].value_counts().items()}
    assert "costs.png" in files(client, he)


def test_a_run_is_made_while_the_one_before_it_is_published() -> None:
    made = [threading.Event() for _ in range(3)]

    def runs() -> Iterator[Run]:
        for number, begun in enumerate(made):
            begun.set()
            yield Run(str(number), {}, {})

    for number, run in enumerate(track.ahead(runs())):
        assert run.name == str(number)
        assert all(begun.wait(60.0) for begun in made[: number + 2])  # seconds; it takes none
        assert not any(begun.is_set() for begun in made[number + 2 :])


def test_a_run_that_cannot_be_made_is_told_where_it_is_published() -> None:
    def runs() -> Iterator[Run]:
        yield Run("he", {}, {})
        raise atomic_files.FileError("runs/he/weights.npz is damaged")

    published = []
    with pytest.raises(atomic_files.FileError, match="is damaged"):
        published.extend(track.ahead(runs()))
    assert [run.name for run in published] == ["he"]


def test_a_publishing_that_fails_waits_for_the_run_that_is_being_made() -> None:
    """Else its files would be written into a folder that is being deleted."""
    made = []

    def runs() -> Iterator[Run]:
        for number in range(3):
            time.sleep(0.2)
            made.append(number)
            yield Run(str(number), {}, {})

    following = track.ahead(runs())
    next(following)
    following.close()
    assert made == [0, 1]


def test_a_store_that_is_gone_comes_back_whole(laboratory: Laboratory) -> None:
    uri = f"sqlite:///{laboratory.root.as_posix()}/mlflow.db"
    (laboratory.root / "mlflow.db").unlink()
    assert laboratory.repro("--single-item", "--force", "track") == ["track"]
    assert len(runs(uri)) == 1 + 3 + 6
    assert laboratory.repro("--single-item", "--force", "track") == ["track"]
    assert len(runs(uri)) == 1 + 3 + 6


def test_an_unreachable_server_costs_nothing_but_the_publishing(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "confidence: 0.95", "confidence: 0.9")
    done = laboratory.run("dvc", "repro", check=False, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode != 0
    assert "MLflow's store http://127.0.0.1:9 cannot be used" in done.stdout
    assert "Traceback" not in done.stdout
    assert laboratory.repro() == ["track"]  # the next run catches up
