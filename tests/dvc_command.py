"""DVC's command line in forks of a process that has imported it: to import it takes half of most commands."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Not pygit2, which reads HOME when it is imported: each laboratory has a home of its own
IMPORTED = ("dvc.cli.parser", "dvc.repo.reproduce", "dvc.repo.experiments.run", "dvc.repo.experiments.executor.local")
CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()


def run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> int:
    """The exit code of `dvc` with these arguments in a folder; stdout and stderr together are written to `output`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *IMPORTED])
    process = context.Process(target=_run, args=(list(arguments), folder, dict(environment), output))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    """In the new process: all that `subprocess` would set, then the function that the command `dvc` calls."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(opened, descriptor)
    os.close(opened)
    sys.argv = ["dvc", *arguments]
    from dvc.cli import main

    sys.exit(main(arguments))
