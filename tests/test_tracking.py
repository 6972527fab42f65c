"""What is published to MLflow, read back through MLflow's own client."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from conftest import Laboratory
from pipeline import storage, tracking
from pipeline.tracking import PARENT, Model, Result, TrackingError


def result(folder: Path, fingerprint: str = "abc") -> Result:
    table = folder / "table.csv"
    table.write_text("a\n1\n")
    return Result(fingerprint, {"n_seeds": 1}, {"git.dirty": "true"}, "# Table", [(table, "reports")])


def model(name: str = "he seed 3", n_costs: int = 3) -> Model:
    costs = [(10 * i, 1.0 / (i + 1)) for i in range(n_costs)]
    return Model(name, {"initializer": "he", "seed": 3}, {"train_accuracy": 0.75}, costs, [])


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path.as_posix()}/mlflow.db"


def runs(uri: str) -> list:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id], "", ViewType.ACTIVE_ONLY, 1000))


def test_parent_and_children(tmp_path: Path, store: str) -> None:
    assert tracking.publish(store, tmp_path, result(tmp_path), [model(), model("he seed 4", 2500)])
    client = MlflowClient(store)
    (parent,) = (run for run in runs(store) if PARENT not in run.data.tags)
    children = {run.info.run_name: run for run in runs(store) if run.data.tags.get(PARENT) == parent.info.run_id}
    assert set(children) == {"he seed 3", "he seed 4"}
    assert all(run.info.status == "FINISHED" for run in [parent, *children.values()])
    assert parent.data.params == {"n_seeds": "1"}
    assert parent.data.tags["mlflow.note.content"] == "# Table"
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "reports")] == ["reports/table.csv"]
    child = children["he seed 3"]
    assert child.data.params == {"initializer": "he", "seed": "3"}
    assert child.data.metrics == {"cost": pytest.approx(1 / 3), "train_accuracy": 0.75}
    history = client.get_metric_history(child.info.run_id, "cost")
    assert [(m.step, m.value) for m in history] == [(0, 1.0), (10, 0.5), (20, pytest.approx(1 / 3))]
    assert len(client.get_metric_history(children["he seed 4"].info.run_id, "cost")) == 2500  # in several batches


def test_the_same_result_is_published_once(tmp_path: Path, store: str) -> None:
    assert tracking.publish(store, tmp_path, result(tmp_path), [model()])
    before = {run.info.run_id for run in runs(store)}
    assert not tracking.publish(store, tmp_path, result(tmp_path), [model()])
    assert {run.info.run_id for run in runs(store)} == before
    assert tracking.publish(store, tmp_path, result(tmp_path, "def"), [model()])
    assert len(runs(store)) == 4


def test_an_interrupted_publishing_is_done_anew(tmp_path: Path, store: str) -> None:
    def interrupted():
        yield model()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tracking.publish(store, tmp_path, result(tmp_path), interrupted())
    assert tracking.publish(store, tmp_path, result(tmp_path), [model()])
    assert sorted(run.info.run_name for run in runs(store)) == ["he seed 3", "pipeline abc"]
    assert all(run.info.status == "FINISHED" for run in runs(store))


def test_the_database_is_there_whole_or_not_at_all(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow cannot go on from tables half made; six processes at once left five crashed when they made them in place."""

    def killed(*arguments: object) -> None:
        (tmp_path / "mlflow.db.1.part").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking, "SqlAlchemyStore", killed)
        with pytest.raises(KeyboardInterrupt):
            tracking.publish(store, tmp_path, result(tmp_path), [model()])
    assert not (tmp_path / "mlflow.db").exists()
    code = (
        "import sys; from pathlib import Path; from pipeline import tracking as t; folder = Path(sys.argv[1]);"
        "t.publish(f'sqlite:///{folder.as_posix()}/mlflow.db', folder, t.Result(sys.argv[2], {}, {}, '', []), [])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert sorted(run.data.tags["fingerprint"] for run in runs(store)) == ["0", "1", "2", "3"]


def test_a_deleted_experiment_comes_back(tmp_path: Path, store: str) -> None:
    tracking.publish(store, tmp_path, result(tmp_path), [model()])
    client = MlflowClient(store)
    client.delete_experiment(client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id)
    tracking.publish(store, tmp_path, result(tmp_path, "def"), [model()])
    assert client.get_experiment_by_name(tracking.EXPERIMENT).lifecycle_stage == "active"


@pytest.mark.parametrize(
    "uri", ["http://user:secret@127.0.0.1:9", "sqlite:///{folder}/table.csv/mlflow.db", "nonsense://x"]
)
def test_a_store_that_does_not_answer_is_told_in_a_sentence(tmp_path: Path, uri: str) -> None:
    start = time.monotonic()
    with pytest.raises(TrackingError) as raised:
        tracking.publish(uri.format(folder=tmp_path.as_posix()), tmp_path, result(tmp_path), [model()])
    message = str(raised.value)
    assert message.startswith("MLflow's store ")
    assert "set MLFLOW_TRACKING_URI to a store that answers" in message
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
    assert tracking.store_uri(tmp_path) == expected.format(root=tmp_path.as_posix())


def test_the_pipeline_publishes_every_model(finished: Laboratory, tmp_path: Path) -> None:
    uri = f"sqlite:///{finished.root.as_posix()}/mlflow.db"
    client = MlflowClient(uri)
    parents = [run for run in runs(uri) if run.data.tags["level"] == "pipeline"]
    models = {run.info.run_name: run for run in runs(uri) if run.data.tags["level"] == "model"}
    assert len(parents) == 1
    assert set(models) == {f"{name} seed {seed}" for name in ("zeros", "small", "he") for seed in (3, 5)}
    kept = {file.path for file in client.list_artifacts(parents[0].info.run_id)}
    assert kept == {"params.yaml", "dvc.lock", "reports"}
    assert "reports/comparison.md" in {f.path for f in client.list_artifacts(parents[0].info.run_id, "reports")}
    he = models["he seed 3"]
    assert {"boundary.png", "weights.npz"} == {file.path for file in client.list_artifacts(he.info.run_id)}
    assert ["weights.npz"] == [file.path for file in client.list_artifacts(models["he seed 5"].info.run_id)]
    weights = client.download_artifacts(he.info.run_id, "weights.npz", str(tmp_path))
    whole = storage.read_weights(finished.root / "runs" / "he" / "weights.npz", (3, 5), [2, 4, 3, 1])
    alone = storage.read_weights(Path(weights), (3,), [2, 4, 3, 1])
    assert all((W[:1] == V).all() for (W, _), (V, _) in zip(whole, alone, strict=True))
    costs = storage.read_csv(finished.root / "runs" / "he" / "costs.csv", storage.COSTS)
    history = client.get_metric_history(he.info.run_id, "cost")
    assert [m.value for m in history] == costs["cost"][costs["seed"] == 3].tolist()
    assert he.data.params["recipe"] == "he_normal"


def test_a_store_that_is_gone_comes_back_whole(laboratory: Laboratory) -> None:
    uri = f"sqlite:///{laboratory.root.as_posix()}/mlflow.db"
    (laboratory.root / "mlflow.db").unlink()
    assert laboratory.repro("--single-item", "--force", "track") == ["track"]
    assert len(runs(uri)) == 7
    assert laboratory.repro("--single-item", "--force", "track") == ["track"]
    assert len(runs(uri)) == 7


def test_an_unreachable_server_costs_nothing_but_the_publishing(laboratory: Laboratory) -> None:
    laboratory.change("params.yaml", "sd: 0.01", "sd: 0.02")
    done = laboratory.run("dvc", "repro", check=False, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode != 0
    assert "MLflow's store http://127.0.0.1:9 cannot be used" in done.stdout
    assert "Traceback" not in done.stdout
    assert laboratory.repro() == ["track"]  # the next run catches up
