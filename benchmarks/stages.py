"""Measure the pipeline: `python -m benchmarks.stages [REPOSITORY ...]` prints the seconds of each case and stage.

Each case is measured in a clone of each repository:

- small: a forced run of the small experiment, with 4 seeds and 500 iterations;
- cold: a forced run of the experiment of params.yaml without outputs, DVC's cache and the MLflow store;
- changed: after it, another standard deviation of the initializer `small`;
- queue: eight learning rates with 20 seeds in DVC's queue, two experiments at a time.

Compiled code is not deleted: a run that is not measured comes first and compiles the kernel and the modules. A stage's
time has three parts:

- start: from DVC's line "Running stage" to the first line of the stage, which is Python's start and the imports;
- work: to the line "Finished", which earlier versions do not print: their work is part of the start;
- DVC: to the next stage: end of the process, digests of the outputs, dvc.lock.

To compare two versions, name a clone of each; they are measured in turn. What is committed is measured.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SMALL = {r"(?m)^(  iterations: )\d+": r"\g<1>500", r"(?m)^(seeds: ).*": r"\g<1>{first: 0, last: 3}"}
CHANGED = {r"(?m)^(  small: .*(?:std|sd): )0\.01": r"\g<1>0.02"}
RATES = "0.001,0.003,0.01,0.03,0.1,0.3,1.0,3.0"
QUEUE = ("--name", "rate", "-S", f"training.learning_rate={RATES}", "-S", "seeds.last=19")
STORE = ("mlflow.db*", "mlartifacts", "tracked.json")
PARTS = ("start", "work", "DVC")


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text of params.yaml with each pattern, which must occur once, replaced."""
    for pattern, new in changes.items():
        text, n = re.subn(pattern, new, text)
        assert n == 1, f"params.yaml has {pattern} {n} times"
    return text


def change(folder: Path, changes: dict[str, str]) -> None:
    """Replace patterns in the params.yaml of a folder."""
    params = folder / "params.yaml"
    params.write_text(replaced(params.read_text(encoding="utf-8"), changes), encoding="utf-8")


def run(folder: Path, *command: str) -> list[tuple[float, str]]:
    """The lines that a command prints, each with the seconds after which it came; the last is the end."""
    drop = ("DVC_ROOT", "MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in drop} | {"DVC_NO_ANALYTICS": "1"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    begin, lines = time.monotonic(), []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append((time.monotonic() - begin, line.rstrip()))
    if process.returncode != 0:
        sys.exit("\n".join(line for _, line in lines))
    return [*lines, (time.monotonic() - begin, "")]


def delete(folder: Path, *patterns: str) -> None:
    """Delete the files and folders that match."""
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def small(folder: Path) -> str:
    """Measure the small experiment."""
    run(folder, "git", "checkout", "--quiet", ".")
    change(folder, SMALL)
    delete(folder, *STORE)
    return table(parts_of(run(folder, "dvc", "repro", "--force")))


def cold(folder: Path) -> str:
    """Measure the experiment of params.yaml from the files that git has."""
    run(folder, "git", "checkout", "--quiet", ".")
    run(folder, "git", "clean", "-ffdxq", "--exclude", "__pycache__")
    return table(parts_of(run(folder, "dvc", "repro", "--force")))


def changed(folder: Path) -> str:
    """Measure a change of one initializer."""
    finish(folder)
    change(folder, CHANGED)
    return table(parts_of(run(folder, "dvc", "repro")))


def queue(folder: Path) -> str:
    """Measure a queue of experiments, of which none is in DVC's cache."""
    finish(folder)
    run(folder, "dvc", "exp", "remove", "--all-commits")
    delete(folder, ".dvc/cache/runs", *STORE)
    queued = run(folder, "dvc", "exp", "run", "--queue", *QUEUE)[-1][0]
    seconds = run(folder, "dvc", "exp", "run", "--run-all", "--jobs", "2")[-1][0]
    names = [line for _, line in run(folder, "dvc", "exp", "list", "--name-only") if line]
    assert len(names) == len(RATES.split(",")), f"{len(names)} experiments have a result"
    return f"{'queued':44}{queued:8.2f}\n{'run':44}{seconds:8.2f}\n{'all':44}{queued + seconds:8.2f}"


def finish(folder: Path) -> None:
    """Run what is missing of the committed experiment."""
    run(folder, "git", "checkout", "--quiet", ".")
    run(folder, "dvc", "repro")


def parts_of(lines: Sequence[tuple[float, str]]) -> dict[str, list[float]]:
    """The seconds of each part of every stage, and under "before" DVC's until the first stage."""
    starts = [place for place, (_, line) in enumerate(lines) if line.startswith("Running stage '")]
    parts = {"before": [0.0, 0.0, lines[starts[0]][0]]}
    for place, following in zip(starts, [*starts[1:], len(lines) - 1], strict=True):
        begin, name = lines[place][0], lines[place][1].split("'")[1]
        inside = [(when, line) for when, line in lines[place + 1 : following] if not line.startswith("> ")]
        first = inside[0][0]
        finished = next((when for when, line in inside if line.startswith("Finished in ")), first)
        parts[name] = [first - begin, finished - first, lines[following][0] - finished]
    return parts


def table(parts: dict[str, list[float]]) -> str:
    """A table of the parts; the stages of one `foreach` are added up."""
    groups: dict[str, list[list[float]]] = {}
    for name, values in parts.items():
        groups.setdefault(name.partition("@")[0], []).append(values)
    rows = [f"{'stage':20}{''.join(f'{each:>8}' for each in (*PARTS, 'all'))}"]
    total = [0.0] * len(PARTS)
    for name, each in groups.items():
        sums = [sum(column) for column in zip(*each, strict=True)]
        total = [x + y for x, y in zip(total, sums, strict=True)]
        title = f"{name}, {len(each)} processes" if len(each) > 1 else name
        rows.append(f"{title:20}{''.join(f'{value:8.2f}' for value in (*sums, sum(sums)))}")
    return "\n".join([*rows, f"{'all':20}{''.join(f'{value:8.2f}' for value in (*total, sum(total)))}"])


CASES: dict[str, Callable[[Path], str]] = {"small": small, "cold": cold, "changed": changed, "queue": queue}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each repository and case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("repositories", nargs="*", type=Path, default=[Path(".")], metavar="REPOSITORY")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        clones = {path: Path(name) / str(place) for place, path in enumerate(chosen.repositories)}
        for path, folder in clones.items():
            subprocess.run(["git", "clone", "--quiet", path.resolve(), folder], check=True)
            change(folder, SMALL)
            run(folder, "dvc", "repro")
        for case in chosen.cases:
            for number in range(1, chosen.rounds + 1):
                for path, folder in clones.items():
                    measured = CASES[case](folder)
                    print(
                        f"\n{path}: {case}, round {number}, load average {os.getloadavg()[0]:.1f}\n{measured}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
