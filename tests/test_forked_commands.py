"""Commands in forks against the same commands in processes of their own."""

import subprocess
from pathlib import Path

import pytest

from tests import forked_commands
from tests.conftest import environment

pytestmark = [
    pytest.mark.dvc,
    pytest.mark.skipif(not forked_commands.CAN_FORK, reason="this system has no forkserver"),
]
SHOWN = """
import os, sys
import pandas, mlflow  # which the process that is forked has imported
import pipeline.other

print(__name__, __spec__.name, sys.argv, sys.path[0], os.getcwd(), os.environ["GIVEN"], pipeline.other.__file__)
print(pipeline.SEEN, sorted(name for name in sys.modules if name.partition(".")[0] == "pipeline"))
"""
ENDS = {
    "returns": "",
    "exits": "sys.exit(3)",
    "exits with a sentence": "sys.exit('a sentence')",
    "is killed": "sys.stdout.flush()\nos.kill(os.getpid(), 9)",
}
STAGES = "stages: {one: {cmd: python -m pipeline.shown --option value}, two: {cmd: echo two}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a package that has the name of this project's."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("import sys\nSEEN = sys.argv[:]\n")
    (tmp_path / "pipeline" / "other.py").touch()
    return tmp_path


def in_both(folder: Path, *command: str) -> list[tuple[int, list[str]]]:
    """Exit code and lines of a command in a fork, and of the same command in a process of its own; in what order
    stdout and stderr are written to one file, depends on their buffers."""
    variables = environment(folder) | {"GIVEN": "a value"}
    assert forked_commands.can_run(command)
    code = forked_commands.run(command, folder, variables, folder / "said.txt")
    (folder / "dvc.lock").unlink(missing_ok=True)
    done = subprocess.run(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = (folder / "said.txt").read_text()
    return [(code, sorted(said.splitlines())), (done.returncode, sorted(done.stdout.splitlines()))]


@pytest.mark.parametrize("end", ENDS)
def test_a_module_runs_as_by_python(folder: Path, end: str) -> None:
    (folder / "pipeline" / "shown.py").write_text(SHOWN + ENDS[end])
    forked, own = in_both(folder, "python", "-m", "pipeline.shown", "--option", "value")
    assert forked == own
    assert str(folder / "pipeline" / "other.py") in "".join(own[1])


def test_an_error_ends_with_its_traceback(folder: Path) -> None:
    (folder / "pipeline" / "shown.py").write_text("def fail():\n    return 1 / 0\n\nfail()\n")
    (code, forked), (expected, own) = in_both(folder, "python", "-m", "pipeline.shown")
    assert code == expected == 1
    assert set(own) > {"ZeroDivisionError: division by zero", "Traceback (most recent call last):", "    return 1 / 0"}
    assert {line for line in own if "runpy" not in line} <= {*forked, "    return _run_code(code, main_globals, None,"}


@pytest.mark.parametrize("end", ["returns", "exits"])
def test_dvc_runs_stages_as_by_its_command(folder: Path, end: str) -> None:
    (folder / "pipeline" / "shown.py").write_text(SHOWN + ENDS[end])
    (folder / "dvc.yaml").write_text(STAGES)
    assert forked_commands.run(["dvc", "init", "-q", "--no-scm"], folder, environment(folder), folder / "said.txt") == 0
    forked, own = in_both(folder, "dvc", "repro", "--force")
    assert forked == own
    assert "'--option', 'value'" in "".join(own[1])
    assert ("two" in own[1]) == (own[0] == 0) == (end == "returns")
