"""Where a result comes from."""

import getpass
from pathlib import Path

import pytest

from pipeline import provenance


def test_without_git_and_user_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(getpass, "getuser", nobody)
    tags = provenance.origin()
    assert not {"mlflow.source.git.commit", "git.dirty", "mlflow.user"} & set(tags)
    assert {"version.python", "version.numpy", "processor", "os"} < set(tags)
    assert all(isinstance(value, str) and value for value in tags.values())


def test_whether_anything_differs_from_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    provenance.git("init", "-q")
    provenance.git("commit", "-q", "--allow-empty", "-m", "start")
    assert provenance.origin()["git.dirty"] == "false"
    assert len(provenance.origin()["mlflow.source.git.commit"]) == 40
    (tmp_path / "new").touch()
    assert provenance.origin()["git.dirty"] == "true"


def test_the_experiment_is_dvcs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    assert provenance.experiment() == ""
    monkeypatch.setenv("DVC_EXP_NAME", "wilder")
    assert provenance.experiment() == "wilder"
