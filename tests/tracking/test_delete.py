"""`make gc`: a result is deleted with its artifacts and with what no other result contains."""

import sqlite3
import subprocess
from pathlib import Path

import pytest
from mlflow.entities import ViewType

from pipeline.tracking import delete, store
from tests.stores import logged_models
from tests.tracking.test_publish import client, detailed, put, result, run, state, with_models


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_without_a_name_the_results_are_listed(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(root, result("a" * 64))
    put(root, result("b" * 64, experiment="rate-5"))
    put(root, result("b" * 64, experiment="again"))
    monkeypatch.setenv("DVC_ROOT", str(root))
    assert delete.main([]) == 0
    assert capsys.readouterr().out.splitlines() == ["bbbbbbbb  rate-5, again", f"aaaaaaaa  result {'a' * 64}"]
    assert delete.main(["rate"]) == 1
    assert capsys.readouterr().err.startswith(f"0 results in MLflow's store sqlite:///{root.as_posix()}/mlflow.db have")
    assert delete.main(["rate-5,again"]) == 1
    assert " have the name rate-5,again; one name or id can be given. There are:\n" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["again", "bbbbbbbb"])
def test_a_result_goes_with_its_artifacts_and_what_it_alone_contains(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shared = run("he seed 4")
    put(root, with_models(result("a" * 64, content="kept"), [shared]))
    put(root, with_models(result("b" * 64, experiment="rate-5"), [shared, detailed()]))
    put(root, with_models(result("b" * 64, experiment="again"), [shared, detailed()]))
    assert "weights.npz" in files(root / "mlartifacts")
    monkeypatch.setenv("DVC_ROOT", str(root))
    assert delete.main([name]) == 0
    kept = f"result {'a' * 64}"
    assert state(root) == {
        "models": {"he seed 4": f"|{kept}|"},
        "initializers": {"he": f"|{kept}|"},
        "results": {kept: f"|{kept}|"},
    }
    assert logged_models(client(root)) == []
    tables = list((root / "mlartifacts").rglob("table.csv"))
    assert [path.read_text() for path in tables] == ["kept"]
    assert "weights.npz" not in files(root / "mlartifacts")
    ids = [client(root).get_experiment_by_name(each).experiment_id for each in store.EXPERIMENTS.values()]
    assert client(root).search_runs(ids, "", ViewType.DELETED_ONLY) == []
    with sqlite3.connect(root / "mlflow.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM runs").fetchone() == (3,)
    put(root, with_models(result("b" * 64, experiment="rate-5"), [shared, detailed()]))
    assert len(state(root)["results"]) == 2


def test_a_store_that_does_not_exist_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for arguments in ([], ["rate-5"]):
        assert delete.main(arguments) == 1
        assert "mlflow.db does not exist" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_make_passes_the_name() -> None:
    project = Path(__file__).parents[2]
    for arguments, expected in ([], ""), (["NAME=rate 5"], "rate 5"):
        command = ["make", "--no-print-directory", "-n", "-o", "install", "gc", *arguments]
        done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == f'python -m pipeline.tracking.delete "{expected}"'
