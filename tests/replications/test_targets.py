"""Which stages `make replications` runs, and its messages for names that do not exist."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.replications import targets
from tests.replications import folders

ROOT = Path(__file__).parents[2]
STAGES = """\
stages:
  replicate:
    foreach: [he_2015, lu_2019]
    do: {cmd: "true"}
  phase_diagram: {cmd: "true"}
"""
HE, LU, DIAGRAM = (
    f"replications/dvc.yaml:{stage}" for stage in ("replicate@he_2015", "replicate@lu_2019", "phase_diagram")
)


@pytest.fixture
def three(root: Path) -> Path:
    for name in ("he_2015", "lu_2019", "phase_diagram"):
        folders.make(root, name)
    (root / "replications" / "dvc.yaml").write_text(STAGES)
    return root


@pytest.mark.parametrize(
    ("chosen", "skipped", "expected"),
    [
        ([], [], [HE, LU, DIAGRAM]),
        ([], ["phase_diagram"], [HE, LU]),
        (["lu_2019"], [], [LU]),
        (["phase_diagram", "he_2015"], [], [DIAGRAM, HE]),
        (["phase_diagram", "he_2015"], ["phase_diagram"], [HE]),
    ],
)
def test_stages(three: Path, chosen: list[str], skipped: list[str], expected: list[str]) -> None:
    assert targets.targets(chosen, skipped) == expected


LISTED = "there are he_2015, lu_2019, phase_diagram"


@pytest.mark.parametrize(
    ("chosen", "skipped", "said"),
    [
        (["he_2014"], [], f"There is no replication he_2014; did you mean he_2015? {LISTED.capitalize()}."),
        ([], ["diagram"], f"There is no replication diagram; did you mean phase_diagram? {LISTED.capitalize()}."),
        (["he_2015"], ["he_2015"], "SKIP=he_2015 leaves no replication to run; name fewer."),
    ],
)
def test_names_that_cannot_be_meant(three: Path, chosen: list[str], skipped: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        targets.targets(chosen, skipped)
    assert str(caught.value).startswith(said)


def test_commas_without_a_name(three: Path) -> None:
    with pytest.raises(
        UserError, match=r"^',' has no name of a replication; there are he_2015, lu_2019, phase_diagram"
    ):
        targets.separated(",")
    assert targets.separated(" lu_2019, he_2015,") == ["lu_2019", "he_2015"]
    assert targets.separated(" ") == []


def test_a_folder_without_a_stage(three: Path) -> None:
    folders.make(three, "own_2026")
    with pytest.raises(
        UserError, match="has no stage for replications/own_2026; add own_2026 to `foreach` of the stage"
    ):
        targets.targets([], [])
    assert targets.targets(["he_2015"], []) == [HE]


@pytest.fixture
def make(three: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Makefile, with a `dvc` and a `python -m pipeline.replications.publish` that only print their arguments."""
    shutil.copy(ROOT / "Makefile", three)
    (three / "pipeline").symlink_to(ROOT / "pipeline")
    tools = three / ".venv" / "bin"
    tools.mkdir(parents=True)
    (tools / "dvc").write_text('#!/bin/sh\necho dvc "$@"\n')
    (tools / "python").write_text(
        f'#!/bin/sh\ncase "$*" in *publish*) echo publish;; *) {shlex.quote(sys.executable)} "$@";; esac\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return three


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["SKIP=phase_diagram"], 0, [f"dvc repro {HE} {LU}"], ""),
        (["NAME=he_2015 lu_2019"], 0, [f"dvc repro {HE} {LU}"], ""),
        (["NAME=he_2015,lu_2019"], 0, [f"dvc repro {HE} {LU}"], ""),
        (["SKIP=phase_diagram, lu_2019"], 0, [f"dvc repro {HE}"], ""),
        (["NAME=he_2015", "FORCE=1"], 0, [f"dvc repro --force {HE}"], ""),
        (["NAME=he_2014"], 2, [], "There is no replication he_2014; did you mean he_2015? There are"),
        (["NAME=he_2015,lu_2018"], 2, [], "There is no replication lu_2018; did you mean lu_2019? There are"),
        (["SKIP=phase_diagrm"], 2, [], "There is no replication phase_diagrm; did you mean phase_diagram? There are"),
    ],
)
def test_make_replications(make: Path, arguments: list[str], code: int, out: list[str], err: str) -> None:
    """A wrong name runs no stage; FORCE=1 runs unchanged ones. NAME in the environment, which WSL sets, is not taken."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-o", "install", "-o", "scm", "replications", *arguments],
        cwd=make,
        env={**os.environ, "NAME": "DESKTOP-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout.splitlines()[: len(out)] == out
    assert ("publish" in done.stdout) == (code == 0)
    assert done.stderr.startswith(err)
