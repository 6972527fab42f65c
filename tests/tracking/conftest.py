"""An MLflow store without runs."""

import shutil
from pathlib import Path

import pytest

from pipeline.tracking import store


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs: MLflow takes some seconds to create it."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    store._create_database(path)
    return path


@pytest.fixture
def root(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    return tmp_path
