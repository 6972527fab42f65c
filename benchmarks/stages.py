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

The queue's work ends when git has the last result; DVC's part is queueing, and what the command then does until it
ends. DVC's workers, which it detaches, wait for further experiments for ten seconds more.

The processor's time is that of all processes on all cores; other work on the computer changes it less than the
duration. Those of the queue are not known: DVC detaches them.

To compare two versions, name a clone of each; they are measured in turn. What is committed is measured. For one
repository the results are printed beside those of reports/benchmark_stages.csv, which they replace if all cases were
measured.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import previous

SMALL = {r"(?m)^(  iterations: )\d+": r"\g<1>500", r"(?m)^(seeds: ).*": r"\g<1>{first: 0, last: 3}"}
CHANGED = {r"(?m)^(  small: .*(?:std|sd): )0\.01": r"\g<1>0.02"}
RATES = "0.001,0.003,0.01,0.03,0.1,0.3,1.0,3.0"
NAME = "rate"  # the experiments are rate-1, rate-2, ...
QUEUE = ("--name", NAME, "-S", f"training.learning_rate={RATES}", "-S", "seeds.last=19")
STORE = ("mlflow.db*", "mlartifacts", "tracked.json")
PARTS = ("start", "work", "DVC")
PREVIOUS = Path("reports/benchmark_stages.csv")


class Measurement(NamedTuple):
    """What was measured of a case."""

    parts: dict[str, list[float]]  # seconds of each of PARTS, by stage
    processor: float  # seconds of all processes; NaN if they are not known


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


class Ran(NamedTuple):
    """A command that has ended."""

    lines: list[tuple[float, str]]  # the seconds after which each line was printed; the last one is the end
    processor: float  # seconds of all its processes


def environment() -> dict[str, str]:
    """The environment variables of the commands."""
    drop = ("DVC_ROOT", "MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {key: value for key, value in os.environ.items() if key not in drop}
    return kept | {"DVC_NO_ANALYTICS": "1", "PATH": path}


def run(folder: Path, *command: str) -> Ran:
    """Run a command in a folder; ends this program if the command fails."""
    begin, before, lines = time.monotonic(), os.times(), []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
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
    end, after = time.monotonic() - begin, os.times()
    work = after.children_user + after.children_system - before.children_user - before.children_system
    return Ran([*lines, (end, "")], work)


def duration(folder: Path, *command: str) -> float:
    """The seconds of a command that leaves processes behind, which keep its standard output open."""
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        seconds = time.monotonic() - begin
        output.seek(0)
        if ended.returncode != 0:
            sys.exit(output.read())
    return seconds


def delete(folder: Path, *patterns: str) -> None:
    """Delete the files and folders that match."""
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def small(folder: Path) -> Measurement:
    """Measure the small experiment."""
    run(folder, "git", "checkout", "--quiet", ".")
    change(folder, SMALL)
    delete(folder, *STORE)
    return parts_of(run(folder, "dvc", "repro", "--force"))


def cold(folder: Path) -> Measurement:
    """Measure the experiment of params.yaml from the files that git has."""
    run(folder, "git", "checkout", "--quiet", ".")
    run(folder, "git", "clean", "-ffdxq", "--exclude", "__pycache__")
    return parts_of(run(folder, "dvc", "repro", "--force"))


def changed(folder: Path) -> Measurement:
    """Measure a change of one initializer."""
    finish(folder)
    change(folder, CHANGED)
    return parts_of(run(folder, "dvc", "repro"))


def queue(folder: Path) -> Measurement:
    """Measure a queue of experiments, of which none is in DVC's cache."""
    finish(folder)
    run(folder, "dvc", "exp", "remove", "--all-commits")
    delete(folder, ".dvc/cache/runs", *STORE)
    queued = run(folder, "dvc", "exp", "run", "--queue", *QUEUE).lines[-1][0]
    begin = time.time()
    seconds = duration(folder, "dvc", "exp", "run", "--run-all", "--jobs", "2")
    run(folder, "dvc", "queue", "stop")  # its processes would wait for further experiments
    names = [line for _, line in run(folder, "dvc", "exp", "list", "--name-only").lines if line]
    assert len(names) == len(RATES.split(",")), f"{len(names)} experiments have a result"
    work = max(path.stat().st_mtime for path in (folder / ".git/refs/exps").rglob(f"{NAME}-*")) - begin
    return Measurement({"experiments": [0.0, work, queued + seconds - work]}, math.nan)


def finish(folder: Path) -> None:
    """Run what is missing of the committed experiment."""
    run(folder, "git", "checkout", "--quiet", ".")
    run(folder, "dvc", "repro")


def parts_of(ran: Ran) -> Measurement:
    """The seconds of each part of every stage of a `dvc repro`, and under "before" DVC's until the first stage."""
    lines = ran.lines
    starts = [place for place, (_, line) in enumerate(lines) if line.startswith("Running stage '")]
    parts = {"before": [0.0, 0.0, lines[starts[0]][0]]}
    for place, following in zip(starts, [*starts[1:], len(lines) - 1], strict=True):
        begin, name = lines[place][0], lines[place][1].split("'")[1]
        inside = [(when, line) for when, line in lines[place + 1 : following] if not line.startswith("> ")]
        first = inside[0][0]
        finished = next((when for when, line in inside if line.startswith("Finished in ")), first)
        one = [first - begin, finished - first, lines[following][0] - finished]
        stage = name.partition("@")[0]  # those of one `foreach` are added up
        parts[stage] = [x + y for x, y in zip(parts.get(stage, [0.0] * 3), one, strict=True)]
    return Measurement(parts, ran.processor)


def table(measured: Measurement) -> str:
    """A table of the parts and their sums."""
    rows = {**measured.parts, "all": [math.fsum(column) for column in zip(*measured.parts.values(), strict=True)]}
    lines = [
        f"{name:20}" + "".join(f"{value:8.2f}" for value in (*each, math.fsum(each))) for name, each in rows.items()
    ]
    heading = f"{'stage':20}" + "".join(f"{each:>8}" for each in (*PARTS, "all"))
    return "\n".join([heading, *lines, f"{'processor':20}{measured.processor:32.2f}"])


def results(case: str, measured: Measurement) -> dict[str, previous.Measured]:
    """The seconds of each stage and of all by quantity."""
    seconds = {name: math.fsum(each) for name, each in measured.parts.items()}
    seconds |= {"all": math.fsum(seconds.values()), "all, processor": measured.processor}
    named = {f"{case}: {name}": previous.Measured(value, "s") for name, value in seconds.items()}
    return {quantity: each for quantity, each in named.items() if math.isfinite(each.value)}


CASES: dict[str, Callable[[Path], Measurement]] = {"small": small, "cold": cold, "changed": changed, "queue": queue}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each repository and case, then a comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("repositories", nargs="*", type=Path, default=[Path(".")], metavar="REPOSITORY")
    parser.add_argument("--rounds", type=int, default=1, help="the shortest of several rounds is compared")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    chosen = parser.parse_args(arguments)
    found: dict[Path, dict[str, previous.Measured]] = {path: {} for path in chosen.repositories}
    with tempfile.TemporaryDirectory() as name:
        clones = {path: Path(name) / str(place) for place, path in enumerate(chosen.repositories)}
        for path, folder in clones.items():
            subprocess.run(["git", "clone", "--quiet", "--no-local", path.resolve(), folder], check=True)  # one pack
            change(folder, SMALL)
            run(folder, "dvc", "repro")
        for case in chosen.cases:
            for number in range(1, chosen.rounds + 1):
                for path, folder in clones.items():
                    measured = CASES[case](folder)
                    print(f"\n{path}: {case}, round {number}, load average {os.getloadavg()[0]:.1f}")
                    print(table(measured), flush=True)
                    new = results(case, measured)
                    if found[path].get(f"{case}: all", new[f"{case}: all"]) >= new[f"{case}: all"]:
                        found[path] |= new
        first, *others = found.values()
        before = Path(name) / "first.csv" if others else PREVIOUS
        if others:
            previous.write(before, first)
        for new in others or [first]:
            print(f"\n{previous.beside(before, new)}")
        if not others and chosen.cases == list(CASES):
            previous.write(PREVIOUS, first)


if __name__ == "__main__":
    main()
