"""Measure the stages of the pipeline: `python -m benchmarks.stages [REPOSITORY ...]` prints seconds of each stage.

In a clone of each repository, with an empty MLflow store, `dvc repro --force` runs the small experiment (4 seeds, 500
iterations) and that of params.yaml. A stage's time has three parts:

- start: from DVC's line "Running stage" to the first line of the stage, which is Python's start and the imports;
- work: to the line "Finished", which earlier versions do not print: their work is part of the start;
- DVC: to the next stage: end of the process, digests of the outputs, dvc.lock.

The first run, which is not measured, compiles the kernel and the modules. To compare two versions, name a clone of
each; they are measured in turn. What is committed is measured.
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

SMALL = {r"(?m)^(  iterations: )\d+": r"\g<1>500", r"(?m)^(seeds: ).*": r"\g<1>{first: 0, last: 3}"}
PARTS = ("start", "work", "DVC")


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text of params.yaml with each pattern, which must occur once, replaced."""
    for pattern, new in changes.items():
        text, n = re.subn(pattern, new, text)
        assert n == 1, f"params.yaml has {pattern} {n} times"
    return text


def run(folder: Path, *arguments: str) -> list[tuple[float, str]]:
    """The lines that `dvc repro` prints, each with the seconds after which it came; the last is the end."""
    drop = ("DVC_ROOT", "MLFLOW_TRACKING_URI")
    environment = {key: value for key, value in os.environ.items() if key not in drop} | {"DVC_NO_ANALYTICS": "1"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    begin, lines = time.monotonic(), []
    with subprocess.Popen(
        ["dvc", "repro", *arguments],
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each repository and experiment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("repositories", nargs="*", type=Path, default=[Path(".")], metavar="REPOSITORY")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="measure the small experiment alone")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        clones = {path: Path(name) / str(place) for place, path in enumerate(chosen.repositories)}
        default = {}
        for path, folder in clones.items():
            subprocess.run(["git", "clone", "--quiet", path.resolve(), folder], check=True)
            params = folder / "params.yaml"
            default[path] = params.read_text(encoding="utf-8")
            params.write_text(replaced(default[path], SMALL), encoding="utf-8")
            run(folder)
        for experiment in ("small",) if chosen.small else ("small", "default"):
            for number in range(1, chosen.rounds + 1):
                for path, folder in clones.items():
                    text = replaced(default[path], SMALL) if experiment == "small" else default[path]
                    (folder / "params.yaml").write_text(text, encoding="utf-8")
                    for left in (*folder.glob("mlflow.db*"), folder / "tracked.json"):
                        left.unlink(missing_ok=True)
                    shutil.rmtree(folder / "mlartifacts", ignore_errors=True)
                    print(f"\n{path}: {experiment}, round {number}, load average {os.getloadavg()[0]:.1f}")
                    print(table(parts_of(run(folder, "--force"))), flush=True)


if __name__ == "__main__":
    main()
