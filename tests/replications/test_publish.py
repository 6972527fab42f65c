"""One MLflow run for each replication, once for each content."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.replications import publish, run
from pipeline.tracking import store
from tests.replications import folders

pytestmark = pytest.mark.slow  # MLflow takes seconds to create a store


def found(root: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{root.as_posix()}/mlflow.db")
    experiment = client.get_experiment_by_name("weight initialization: replications")
    assert "tags.verdict = 'failed'" in experiment.tags["mlflow.note.content"]
    return list(client.search_runs([experiment.experiment_id]))


def test_each_content_is_published_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.replicate(folders.make(root, "right"))
    run.replicate(folders.make(root, "wrong", params=folders.PARAMS.replace("2.0", "2.75")))
    publish.publish_all()
    assert "MLflow: 2 replications published, 0 already there." in capsys.readouterr().out
    publish.publish_all()
    assert "MLflow: 0 replications published, 2 already there." in capsys.readouterr().out
    right, wrong = found(root)
    assert [right.info.run_name, wrong.info.run_name] == ["right", "wrong"]
    assert [right.info.status, wrong.info.status] == ["FINISHED", "FINISHED"]
    assert right.data.params["replication.factor"] == "2.0"
    assert right.data.params["initializers.he.recipe"] == "he_normal"
    assert right.data.metrics == {"twice the first": 2.0, "shown": 7.0, "upper bound": 2.0}
    counts = [
        (each.data.tags["verdict"], each.data.tags["rows.passed"], each.data.tags["rows.failed"])
        for each in (right, wrong)
    ]
    assert counts == [("passed", "2", "0"), ("failed", "1", "1")]
    assert "Numbers are doubled." in right.data.tags["mlflow.note.content"]
    client = MlflowClient(f"sqlite:///{root.as_posix()}/mlflow.db")
    files = {each.path for each in client.list_artifacts(right.info.run_id)}
    assert files == {"right.csv", "right.png", "params.yaml", "published.csv", "replication.py"}

    path = root / "replications" / "wrong" / "params.yaml"  # another result of the same paper
    path.write_text(folders.PARAMS.replace("2.0", "2.25"))
    run.replicate("wrong")
    publish.publish_all()
    assert "MLflow: 1 replication published, 1 already there." in capsys.readouterr().out
    assert sorted(each.data.tags["verdict"] for each in found(root)) == ["failed", "passed", "passed"]


def test_only_the_experiment_of_the_replications_is_created(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.replicate(folders.make(root))
    folders.make(root, "later")
    publish.publish_all()
    said = "in 1 of 2 replications all do; later has no results: `make replications NAME=later`.\n"
    assert capsys.readouterr().out.endswith(said)
    with store.reading(root) as opened:
        assert opened.ids == {}


def test_names_that_mlflow_accepts() -> None:
    quantities = ["q, σ_w² = 1.3 (L / 2): 5 %", "a", "a!", "missing", "x" * 300]
    rows = pd.DataFrame({"quantity": quantities, "measured": [1.0, 2.0, 3.0, float("nan"), 4.0]})
    assert publish.metrics(rows) == [
        ("q σ_w² 1.3 L 2 5", 1.0, 0),
        ("a", 2.0, 0),
        ("a 2", 3.0, 0),
        ("x" * 245, 4.0, 0),
    ]
