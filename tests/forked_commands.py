"""`dvc` and `python -m` in forks of a process that has imported the packages which they need: most of their time is imports.

That process has none of the project's modules: each repository imports its own. `Laboratory.start` runs commands without it.
"""

import gc
import multiprocessing
import os
import runpy
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

# Not pygit2, which keeps what HOME is when it is imported: each laboratory has a home of its own
PACKAGES = (
    *("dvc.cli.parser", "dvc.repo.reproduce", "dvc.repo.experiments.run", "dvc.repo.experiments.executor.local"),
    *("matplotlib.backends.backend_agg", "matplotlib.figure", "pandas", "pydantic", "llvmlite.binding"),
    *("mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"),
)
# Read when these packages are imported, besides the variables of a laboratory
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
STARTING = Lock()
CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()


def can_run(command: Sequence[str]) -> bool:
    """Whether `run` runs this command."""
    return CAN_FORK and (command[0] == "dvc" or list(command[:2]) == ["python", "-m"])


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> int:
    """The exit code of a command in a folder; stdout and stderr together are written to `output`."""
    with STARTING:
        _start(environment)
    arguments = (list(command), folder, dict(environment), output)
    process = multiprocessing.get_context("forkserver").Process(target=_run, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _start(environment: Mapping[str, str]) -> None:
    """Start the process from which all others are forked, unless it runs, with the variables of a laboratory."""
    forkserver.set_forkserver_preload([__name__, *PACKAGES])
    ours = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(ENVIRONMENT | dict(environment))
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(ours)


def _run(command: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    """In the new process: what `subprocess` would set, then the command."""
    gc.freeze()  # objects of the packages, which would be copied when garbage is searched among them
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(opened, descriptor)
    os.close(opened)
    if command[0] != "dvc":
        _run_module(command[2:], folder, environment)
    _enter(folder, environment)
    import dvc.stage.run
    from dvc.cli import main

    dvc.stage.run._run = _run_stage(dvc.stage.run._run)
    sys.argv = command
    sys.exit(main(command[1:]))


def _run_stage(in_a_shell: Callable[..., None]) -> Callable[..., None]:
    """A replacement of DVC's function that runs the command of a stage: `python -m` in a fork, others `in_a_shell`."""
    from dvc.stage.exceptions import StageCmdFailedError

    def run_stage(executable: str, command: str, *, cwd: str, env: dict[str, str], **other: Any) -> None:
        words = shlex.split(command)
        if words[:2] != ["python", "-m"]:
            in_a_shell(executable, command, cwd=cwd, env=env, **other)
            return
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if not child:
            _run_module(words[2:], Path(cwd), env)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            raise StageCmdFailedError(command, code)

    return run_stage


def _enter(folder: Path, environment: Mapping[str, str]) -> None:
    """Change this process to a folder and to other environment variables."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


def _run_module(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> NoReturn:
    """Run a module of a folder by its name, with arguments, as `python -m` does there; ends this process."""
    code: object = 1
    try:
        assert "pipeline" not in sys.modules
        _enter(folder, environment)
        root = str(Path(__file__).parents[1])
        sys.path[:] = [os.getcwd(), *(path for path in sys.path if path not in ("", root))]
        sys.argv = ["-m", *arguments[1:]]  # what packages find there while Python looks for the module
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
