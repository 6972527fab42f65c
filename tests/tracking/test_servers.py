"""A team's servers, as compose.yaml and docs/team.md have them: DVC's data in S3, MLflow on PostgreSQL with artifacts in S3."""

import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.server import get_app_client

from tests import servers
from tests.conftest import Laboratory
from tests.stores import artifacts, assert_whole, published, runs

pytestmark = pytest.mark.servers
TEAM = (Path(__file__).parents[2] / "docs" / "team.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with servers.s3() as address:
        yield address


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    if servers.programs_of_postgres() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with servers.postgres(servers.SECRETS["POSTGRES_PASSWORD"]) as port:
        yield port


@pytest.fixture(scope="module")
def mlflow(s3: str, postgres: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.mlflow(s3, postgres, tmp_path_factory.mktemp("mlflow")) as address:
        yield address


def client(finished: Laboratory, folder: Path, mlflow: str, **environment: str) -> Laboratory:
    """The computer of a member with an account of that name: everything is made there and nothing is published."""
    name, password = folder.name, f"of {folder.name} in a test"
    one = finished.copied(folder)
    one.unpublish()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        patched.setenv("MLFLOW_TRACKING_PASSWORD", servers.SECRETS["MLFLOW_ADMIN_PASSWORD"])
        get_app_client("basic-auth", mlflow).create_user(name, password)
    account = {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}
    one.environment = one.environment | {"MLFLOW_TRACKING_URI": mlflow} | account | environment
    return one


def garbage_collect(mlflow: str, s3: str, postgres: int) -> None:
    """The command of docs/team.md, in the environment of the service."""
    (command,) = re.findall(r"mlflow (mlflow gc\s.*?)`", TEAM, re.DOTALL)
    environment = servers.filled(servers.COMPOSE["services"]["mlflow"]["environment"], servers.SECRETS) | {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres),
        "MLFLOW_S3_ENDPOINT_URL": s3,
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": servers.SECRETS["MLFLOW_ADMIN_PASSWORD"],
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    done = subprocess.run(command.split(), env=environment, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nobody_enters_without_a_password(mlflow: str) -> None:
    search = f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
    assert servers.status(search) == 401
    assert servers.status(search, Authorization="Basic " + b64encode(b"admin:password1234").decode()) == 401
    assert servers.status(f"{mlflow}/", Host="elsewhere.example.org") == 403
    right = f"admin:{servers.SECRETS['MLFLOW_ADMIN_PASSWORD']}".encode()
    assert servers.status(search, Authorization="Basic " + b64encode(right).decode()) == 200


FINISH = "            store.client.set_terminated(info.run_id, end_time=start)\n"
KILL = """
            if store.search("models", "attributes.status = 'FINISHED'"):
                __import__("os").kill(__import__("os").getpid(), 9)
"""


def test_four_clients_at_once_publish_every_result_once(
    finished: Laboratory, mlflow: str, s3: str, postgres: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [client(finished, tmp_path / name, mlflow) for name in ("eve", "ada", "ben", "cem", "dora")]
    for one, confidence in zip(clients, ("0.8", "0.95", "0.95", "0.9", "0.8"), strict=True):  # three results
        one.change("params.yaml", "confidence: 0.95", f"confidence: {confidence}")
    for name, value in clients[0].environment.items():
        if name.startswith("MLFLOW_"):
            monkeypatch.setenv(name, value)
    eve = clients.pop(
        0
    )  # is killed before her second model is finished; all have the same models, dora the same result
    eve.change("pipeline/tracking/publish.py", FINISH, KILL + FINISH)
    assert eve.stage("track").returncode == -signal.SIGKILL
    assert sorted(run.info.status for run in runs(MlflowClient(mlflow), "models")) == ["FINISHED", "RUNNING"]
    assert not runs(MlflowClient(mlflow), "results")
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda one: one.run("dvc", "repro", "--single-item", "track", check=False), clients))
    assert [each.returncode for each in done] == [0] * 4, "\n".join(each.stdout for each in done)

    expected = published(finished.store, with_histories=False)
    assert_whole(mlflow, 3, expected)
    assert len(runs(MlflowClient(mlflow), "models")) == 6
    results = {run.info.run_id: run.info.run_name for run in runs(MlflowClient(mlflow), "results")}
    assert {"comparison.confidence=0.8", "comparison.confidence=0.9"} < set(results.values())
    kept = {item.key for item in servers.bucket(s3).objects.filter(Prefix="mlflow/")}
    assert all(any(key.endswith(f"{run}/artifacts/reports/comparison.md") for key in kept) for run in results)
    artifact = next(iter(artifacts(MlflowClient(mlflow), next(iter(results)))))
    kept_here = MlflowClient(mlflow).download_artifacts(next(iter(results)), artifact, str(tmp_path))
    assert Path(kept_here).stat().st_size > 0
    name = "comparison.confidence=0.9"
    (gone,) = (run for run in results if results[run] == name)
    clients[0].run("python", "-m", "pipeline.tracking.delete", name)
    garbage_collect(mlflow, s3, postgres)
    left = {item.key for item in servers.bucket(s3).objects.filter(Prefix="mlflow/")}
    assert left < kept
    assert not any(gone in key for key in left)
    assert_whole(mlflow, 2, expected)
    assert not any((one.root / "mlflow.db").exists() for one in clients)


def test_a_second_clone_pulls_and_makes_nothing_anew(
    finished: Laboratory, mlflow: str, s3: str, tmp_path: Path
) -> None:
    """The commands of docs/team.md."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    keys = {name: servers.COMPOSE["services"]["s3"]["environment"][name] for name in names}
    first = client(finished, tmp_path / "first", mlflow, **servers.filled(keys, servers.SECRETS))
    first.run("dvc", "remote", "add", "--default", "team", f"s3://{servers.BUCKET}/dvc")
    first.run("dvc", "remote", "modify", "team", "endpointurl", s3)
    first.repro()
    assert "files pushed" in first.run("dvc", "push").stdout
    first.commit("The team's remote")

    second = client(finished, tmp_path / "second", mlflow)
    second.environment = first.environment
    second.delete(".")
    first.run("git", "clone", "-q", ".", str(second.root))
    second.run("dvc", "pull")
    said = second.run("dvc", "repro").stdout
    assert "Running stage" not in said
    assert said.strip().endswith("Data and pipelines are up to date.")
    assert {**second.results()} == {**first.results()}
    assert second.repro() == []
    assert second.run("git", "status", "--porcelain").stdout == ""
