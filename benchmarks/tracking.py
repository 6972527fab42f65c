"""Measure publishing to MLflow: `python -m benchmarks.tracking [REPOSITORY ...]`, after `dvc repro` in each repository.

The stage `track` publishes the result in a copy of the repository, with an empty store; then the same result again;
then one in which an initializer has another setting. Times include the start of Python and the imports. To compare two
versions, name a clone of each: they are measured in turn. Seconds of the processor depend less on what else runs.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

FILES = ("params.yaml", "dvc.lock", "pipeline", "data", "jobs", "runs", "trajectories", "diagnostics", "reports")
SETTING = re.compile(r"(?m)^(  random_x10: .*std: )[\d.]+")  # of params.yaml


def size(root: Path) -> float:
    """MB of the database and the artifacts of a store."""
    files = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0].startswith("ml")]
    return sum(path.stat().st_size for path in files) / 1e6


def publish(folder: Path) -> tuple[float, float]:
    """Seconds that the stage `track` takes in a folder, and how many of them the processor works."""
    environment = {key: value for key, value in os.environ.items() if key not in ("DVC_ROOT", "MLFLOW_TRACKING_URI")}
    begin, before = time.monotonic(), os.times()
    command = [sys.executable, "-m", "pipeline.stages.track"]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    work = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begin, work


def measure(repository: Path) -> list[tuple[str, tuple[float, float], float]]:
    """What is published, its seconds, and MB of the store afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in FILES:
            source = repository / each
            if source.is_dir():
                shutil.copytree(source, folder / each)
            elif source.exists():
                shutil.copyfile(source, folder / each)
        rows = [("a new result", publish(folder), size(folder))]
        rows.append(("the same result", publish(folder), size(folder)))
        params = folder / "params.yaml"
        text, n = SETTING.subn(r"\g<1>20.0", params.read_text(encoding="utf-8"))
        assert n == 1, f"{params} has no initializer random_x10 with a setting std"
        params.write_text(text, encoding="utf-8")
        rows.append(("one changed initializer", publish(folder), size(folder)))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of times and sizes for each repository."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("repositories", nargs="*", type=Path, default=[Path(".")], metavar="REPOSITORY")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args(arguments)
    print(f"load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")
    for number in range(1, chosen.rounds + 1):
        for repository in chosen.repositories:
            for what, (seconds, work), megabytes in measure(repository):
                times = f"{seconds:6.1f} s  {work:6.1f} s of the processor"
                print(f"round {number}  {repository!s:20}  {what:24} {times}  {megabytes:6.1f} MB", flush=True)


if __name__ == "__main__":
    main()
