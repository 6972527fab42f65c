"""DVC experiments with their parameters and results.

`python -m pipeline.experiments` lists them with the parameters and results that differ. Results are shown only if
dvc.lock confirms that they were made from the parameters, code and data of the same commit.
"""

import argparse
import functools
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from ruamel.yaml.error import YAMLError

from pipeline.analysis.comparison import SUMMARY
from pipeline.config.messages import corrected, nearest, shown
from pipeline.errors import UserError, exit_code
from pipeline.reporting import markdown
from pipeline.storage import atomic_files
from pipeline.tracking import provenance

METRICS = {name: meaning for name, (_, meaning) in SUMMARY.items()}  # in reports/metrics/<initializer>.json
# Stages on which reports/runs.csv depends, and whether there is one per initializer
MADE_BY = dict.fromkeys(("dataset", "resolve", "trajectories", "diagnose", "aggregate"), False) | {"train": True}
USED = ("reports/metrics", "reports/runs.csv")  # outputs of `aggregate` that are read here


class Experiment(NamedTuple):
    """A commit, an experiment, or the workspace."""

    name: str
    rev: str  # the revision in git, or "workspace"
    state: str  # success, queued, running, failed, or not reproduced: the results are of other parameters or code
    params: Mapping[str, Any]  # as {"training.learning_rate": 0.01}
    metrics: Mapping[str, Any]  # as {"he.final_cost": 0.08}
    reason: str = ""  # why it is not reproduced


def read_experiments(rev: str = "HEAD") -> list[Experiment]:
    """The workspace, the commit `rev`, and the experiments based on it, sorted by name. Raises UserError."""
    shown = _run(sys.executable, "-m", "dvc", "exp", "show", "--json", "--rev", rev)
    rows = json.loads(shown[shown.index("[") :])
    found = [_experiment(row, row["name"] or row["rev"][:7], row["error"], None) for row in rows]
    started = [
        _experiment(each["revs"][0], each["name"] or each["revs"][0]["rev"][:7], each["revs"][0]["error"], each)
        for row in rows
        for each in row["experiments"] or ()
    ]
    return found + sorted(started, key=lambda each: _in_order(each.name))


def read_models(experiment: Experiment) -> pd.DataFrame:
    """reports/runs.csv of a finished experiment: one row per model. Raises UserError."""
    text = _run("git", "show", f"{experiment.rev}:reports/runs.csv")
    table: pd.DataFrame = atomic_files.parse_table(text)
    return table


class Tree(NamedTuple):
    """The files of a commit, or those of the workspace that git does not ignore."""

    paths: Sequence[str]
    read: Callable[[str], bytes]

    def digest(self, path: str) -> str | None:
        """The MD5 of a file, or of the list of digests of a folder, as in dvc.lock; None if it is not in git."""
        if path in self.paths:
            return _md5(self.read(path))
        below = sorted((each for each in self.paths if each.startswith(f"{path}/")), key=lambda each: each.split("/"))
        if not below:
            return None
        rows = [{"md5": _md5(self.read(each)), "relpath": each.removeprefix(f"{path}/")} for each in below]
        return _md5(json.dumps(rows, sort_keys=True).encode()) + ".dir"


def mismatch(params: Mapping[str, Any], tree: Tree) -> str:
    """The first difference between dvc.lock and the parameters, code and data of the same commit; empty if none.

    `params` holds the values of params.yaml by dotted key. Only the stages on which reports/runs.csv and metrics
    depend are compared. Data and models are not in git: for these, the digest in the stage that wrote them is compared
    with that in the stages that read them.
    """
    try:
        stages = provenance.parse(tree.read("dvc.lock"))["stages"]
        return next(_differences(params, stages, tree), "")
    except (YAMLError, LookupError, TypeError, AttributeError, OSError):
        return "dvc.lock is missing or damaged"


def _differences(params: Mapping[str, Any], stages: Mapping[str, Any], tree: Tree) -> Iterator[str]:
    initializers = initializers_of(params)
    needed = [
        name
        for stage, each in MADE_BY.items()
        for name in ([f"{stage}@{initializer}" for initializer in initializers] if each else [stage])
    ]
    yield from (f"dvc.lock has no stage {name}" for name in needed if name not in stages)
    for name in needed:
        locked = stages[name].get("params", {}).get("params.yaml", {})
        before, sections = provenance.flat(locked), tuple(f"{section}." for section in locked)
        now = {key: value for key, value in params.items() if f"{key}.".startswith(sections)}
        for key in _keys((now, before)):
            if now.get(key) != before.get(key):
                yield f"{key}: {_value(now, key)} in params.yaml, {_value(before, key)} in dvc.lock"
    written = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    read = {(dep["path"], dep["md5"]) for name in needed for dep in stages[name]["deps"]}
    for path, md5 in sorted(read | {(path, written[path]) for path in USED}):
        if (tree.digest(path) or written.get(path, md5)) != md5:
            yield f"{path} is not the one in dvc.lock"


def initializers_of(params: Mapping[str, Any]) -> list[str]:
    """The names of the initializers, in the order of params.yaml."""
    return list(dict.fromkeys(name for key in params if (name := _initializer(key))))


def _value(section: Mapping[str, Any], key: str) -> str:
    return shown(section[key]) if key in section else "none"


def _tree(rev: str) -> Tree:
    """The files of a commit, or of "workspace"."""
    if rev == "workspace":
        listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name")
        return Tree([path for path in listed.split("\0") if Path(path).is_file()], lambda path: Path(path).read_bytes())
    lines = _run("git", "ls-tree", "-r", "-z", "--full-tree", rev).split("\0")
    blobs = {path: entry.split()[2] for entry, _, path in (line.partition("\t") for line in lines) if path}
    return Tree(list(blobs), lambda path: _blob(blobs[path]))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@functools.lru_cache(1024)
def _blob(digest: str) -> bytes:
    """The content of a blob of git: most are the same in all experiments."""
    return subprocess.run(["git", "cat-file", "blob", digest], capture_output=True, check=True).stdout


def experiments_table(experiments: Sequence[Experiment], metric: str) -> str:
    """The experiments as a Markdown table: one row per experiment, with the parameters and results that differ.

    Initializers of the commit that an experiment removed are in the column `initializers`; their parameters and results
    have a column only if they differ among the experiments that have them.
    """
    _, *others = experiments
    workspace = [each for each in experiments[:1] if not any(_same(each, other) for other in others)]
    listed = [*workspace, *others]
    removed = {id(each): _removed(each, others[0]) for each in listed}
    params = [
        key
        for key in _keys(each.params for each in listed)
        if _differs(each.params.get(key) for each in listed if _initializer(key) not in removed[id(each)])
    ]
    finished = [each for each in listed if each.state == "success"]
    results = [key for key in _keys(each.metrics for each in finished) if key.endswith(f".{metric}")]
    name_of = {key: key.rpartition(".")[0] for key in results}
    changed = [
        key
        for key in results
        if _differs(each.metrics.get(key) for each in finished if name_of[key] not in removed[id(each)])
    ]
    names = [name_of[key] for key in changed]
    if not changed and len(finished) < len(listed):
        names = ["state"]  # otherwise it is shown in the cells of the results
    column = ["initializers"] if any(removed.values()) else []
    rows = []
    for each in listed:
        gone = removed[id(each)]
        without = [f"without {', '.join(gone)}" if gone else "–"] * len(column)
        cells = [_shown(each.metrics.get(key)) for key in changed] if changed and each.state == "success" else []
        results_or_state = cells or [each.state] * len(names)
        rows.append([each.name, *without, *(_shown(each.params.get(key)) for key in params), *results_or_state])
    text = markdown.table(["experiment", *column, *params, *names], rows) + "\n"
    having = {key: len([each for each in finished if key in each.metrics]) for key in results}
    same = [key for key in results if key not in changed and having[key] > 1]
    shared = ", ".join(name_of[key] for key in same)
    if shared and all(having[key] == len(finished) for key in same):
        text += f"\nIdentical in all: {shared}.\n"
    elif shared:
        text += f"\nIdentical in all that have them: {shared}.\n"
    stale = [f"- {each.name}: {each.reason}\n" for each in listed if each.reason]
    text += "\nNot reproduced: these results were made with other parameters or code.\n\n" if stale else ""
    return text + "".join(stale)


def _initializer(key: str) -> str:
    """The initializer that a parameter is of; empty if it is of none."""
    return key.split(".")[1] if key.startswith("initializers.") else ""


def _removed(experiment: Experiment, commit: Experiment) -> list[str]:
    """The initializers of the commit that an experiment, whose parameters can be read, does not have."""
    kept = initializers_of(experiment.params)
    return [name for name in initializers_of(commit.params) if kept and name not in kept]


def _experiment(row: Mapping[str, Any], name: str, error: Any, queued: Mapping[str, Any] | None) -> Experiment:
    state = ((queued or {}).get("executor") or {}).get("state") or "success"
    data = row["data"] or {}
    params = provenance.flat(
        {key: value for file in (data.get("params") or {}).values() for key, value in _content(file)}
    )
    paths = {Path(path): file for path, file in (data.get("metrics") or {}).items()}
    files = {path.stem: dict(_content(file)) for path, file in paths.items() if path.parent.name == "metrics"}
    metrics = provenance.flat({name: files[name] for name in (*initializers_of(params), *files) if name in files})
    if error or (state == "success" and not metrics):
        state = "failed"
    reason = mismatch(params, _tree(row["rev"])) if state == "success" else ""
    return Experiment(name, row["rev"], "not reproduced" if reason else state, params, metrics, reason)


def _content(file: Mapping[str, Any]) -> Any:
    return (file.get("data") or {}).items()


def _in_order(name: str) -> list[Any]:
    """A sort key for names with numbers: rate-9 before rate-10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)]


def _same(one: Experiment, other: Experiment) -> bool:
    return (one.params, one.metrics, one.state) == (other.params, other.metrics, other.state)


def _keys(sections: Any) -> list[str]:
    return list(dict.fromkeys(key for section in sections for key in section))


def _differs(values: Any) -> bool:
    return len({repr(value) for value in values}) > 1


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _run(*command: str) -> str:
    """The output of a command of DVC or git. Raises UserError if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode:
        if problem := provenance.git_problem():
            raise UserError(f"the experiments cannot be read: {problem}")
        why = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
        tool = "git" if command[0] == "git" else "dvc"
        raise UserError(f"{tool} cannot read the experiments: {re.sub(r'^(ERROR|fatal): ', '', why)}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.experiments",
        description="List the experiments of a commit with the parameters and results that differ.",
    )
    meanings = "; ".join(f"{name}, {meaning}" for name, meaning in METRICS.items())
    parser.add_argument("--metric", default="final_cost", help=meanings)
    parser.add_argument("--rev", default="HEAD", help="the commit on which they are based")
    given = parser.parse_args(arguments)
    return exit_code(lambda: _print_table(given.rev, given.metric))


def _print_table(rev: str, metric: str) -> None:
    """Print the table. Raises UserError."""
    if metric not in METRICS:
        there = f"there are {', '.join(METRICS)}"
        raise UserError(corrected(f"There is no metric {metric!r}", nearest(metric, METRICS), there))
    experiments = read_experiments(rev)
    if provenance.is_shallow():
        print(provenance.SHALLOW, file=sys.stderr)
    if len(experiments) < 3:
        print(f"There are no experiments based on {rev}; `dvc exp run` makes one.")
        return
    print(f"{metric}: {METRICS[metric]}\n\n{experiments_table(experiments, metric)}", end="")


if __name__ == "__main__":
    sys.exit(main())
