"""Where a result comes from."""

import getpass
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.experiments import listing
from pipeline.tracking import provenance


def test_without_git_and_user_the_rest_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    for name in ("reports/figures", "jobs"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "written_by_dvc").touch()
    (tmp_path / "dvc.lock").touch()
    assert provenance.origin()["git.dirty"] == "false"
    (tmp_path / "new").touch()
    assert provenance.origin()["git.dirty"] == "true"


def test_the_committed_parameters_are_read_from_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path, monkeypatch)
    assert provenance.committed_params() == {}
    provenance.git("init", "-q")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text("training: {learning_rate: 0.1}\nseeds: [1, 2]\n")
    provenance.git("add", "-A")
    provenance.git("commit", "-q", "-m", "start")
    (folder / "params.yaml").write_text("training: {learning_rate: 5.0}\n")
    monkeypatch.chdir(folder)  # a folder below the root of the git repository
    assert provenance.committed_params() == {"training.learning_rate": "0.1", "seeds": "[1, 2]"}


def test_the_experiment_is_dvcs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    assert provenance.experiment() == ""
    monkeypatch.setenv("DVC_EXP_NAME", "wilder")
    assert provenance.experiment() == "wilder"


# ---------------------------------------------------------------------------------------------------------------------
# Why git cannot be read


def repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder with a home of its own becomes the current one; no folder above it counts as a repository."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    monkeypatch.setenv("HOME", str(folder))
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")


def test_a_missing_repository_or_commit_is_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository(tmp_path, monkeypatch)
    assert provenance.git_problem().startswith("this folder is not a git repository; clone the repository, or run ")
    provenance.origin()
    written = capsys.readouterr().err
    assert written == f"The git commit is not recorded with this result: {provenance.git_problem()}\n"
    provenance.git("init", "-q")
    assert provenance.git_problem().startswith("the repository has no commit yet; ")
    provenance.git("commit", "-q", "--allow-empty", "-m", "start")
    assert provenance.git_problem() == ""
    provenance.origin()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("PATH", "")
    assert provenance.git_problem() == "git cannot be run (No such file or directory); install it."


def test_a_repository_of_another_user_is_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    repository(folder, monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    provenance.git("init", "-q")
    provenance.git("commit", "-q", "--allow-empty", "-m", "start")
    try:
        os.chown(folder, 12345, 12345)
    except PermissionError:
        pytest.skip("only root may give a folder away")
    problem = provenance.git_problem()
    command = f"git config --global --add safe.directory '{folder}'"
    assert problem == f"the repository belongs to another user; run `{command}`."
    with pytest.raises(UserError, match=r"^the experiments cannot be read: the repository belongs"):
        listing.read_models(listing.Experiment("one", "HEAD", "success", {}, {}))
    subprocess.run(["sh", "-c", command], check=True)
    assert provenance.git_problem() == ""
