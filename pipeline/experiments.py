"""The experiments that DVC keeps beside the commits of git: what was asked in each, and what came out.

`python -m pipeline.experiments` lists them with the parameters and results in which they differ.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from pipeline import markdown, provenance, storage
from pipeline.wording import UserError

METRICS = {  # of reports/metrics.json, for every initializer
    "final_cost": "median cost after training",
    "train_accuracy": "mean accuracy on the training samples",
    "test_accuracy": "mean accuracy on the test samples",
    "share_at_target": "share of the seeds at comparison.target_accuracy",
}


class ExperimentsError(UserError):
    """The experiments cannot be read or compared; the message is one sentence for the user."""


class Experiment(NamedTuple):
    """A commit, an experiment, or the workspace."""

    name: str
    rev: str  # what git calls it; of the workspace, "workspace"
    state: str  # success, queued, running or failed
    params: Mapping[str, Any]  # as {"training.learning_rate": 0.01}
    metrics: Mapping[str, Any]  # as {"he.final_cost": 0.08}


def read(rev: str = "HEAD") -> list[Experiment]:
    """The workspace, the commit `rev`, and the experiments that started from it, in the order of their names."""
    shown = _run(sys.executable, "-m", "dvc", "exp", "show", "--json", "--rev", rev)
    rows = json.loads(shown[shown.index("[") :])
    found = [_experiment(row, row["name"] or row["rev"][:7], row["error"], None) for row in rows]
    started = [
        _experiment(each["revs"][0], each["name"] or each["revs"][0]["rev"][:7], each["revs"][0]["error"], each)
        for row in rows
        for each in row["experiments"] or ()
    ]
    return found + sorted(started, key=lambda each: _in_order(each.name))


def models(experiment: Experiment) -> pd.DataFrame:
    """reports/runs.csv of a finished experiment: a row a model."""
    text = _run("git", "show", f"{experiment.rev}:reports/runs.csv")
    table: pd.DataFrame = storage.parse_table(text)
    return table


def table(experiments: Sequence[Experiment], metric: str) -> str:
    """A row an experiment: the parameters and the results in which they differ."""
    _, *others = experiments
    workspace = [each for each in experiments[:1] if not any(_same(each, other) for other in others)]
    shown = [*workspace, *others]
    params = [key for key in _keys(each.params for each in shown) if _differs(each.params.get(key) for each in shown)]
    finished = [each for each in shown if each.state == "success"]
    results = [key for key in _keys(each.metrics for each in finished) if key.endswith(f".{metric}")]
    changed = [key for key in results if _differs(each.metrics.get(key) for each in finished)]
    rows = []
    for each in shown:
        told = [_shown(each.metrics.get(key)) if each.state == "success" else each.state for key in changed]
        rows.append([each.name, *(_shown(each.params.get(key)) for key in params), *told])
    names = [key.rpartition(".")[0] for key in changed]
    text = markdown.table(["experiment", *params, *names], rows) + "\n"
    same = [key.rpartition(".")[0] for key in results if key not in changed]
    return text + (f"\nThe same in all: {', '.join(same)}.\n" if same else "")


def _experiment(row: Mapping[str, Any], name: str, error: Any, queued: Mapping[str, Any] | None) -> Experiment:
    state = ((queued or {}).get("executor") or {}).get("state") or "success"
    data = row["data"] or {}
    params = _flat({key: value for file in (data.get("params") or {}).values() for key, value in _content(file)})
    metrics = _flat({key: value for file in (data.get("metrics") or {}).values() for key, value in _content(file)})
    if error or (state == "success" and not metrics):
        state = "failed"
    return Experiment(name, row["rev"], state, params, metrics)


def _content(file: Mapping[str, Any]) -> Any:
    return (file.get("data") or {}).items()


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{a: {b: 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _in_order(name: str) -> list[Any]:
    """rate-9 before rate-10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)]


def _same(one: Experiment, other: Experiment) -> bool:
    return (one.params, one.metrics) == (other.params, other.metrics)


def _keys(sections: Any) -> list[str]:
    return list(dict.fromkeys(key for section in sections for key in section))


def _differs(values: Any) -> bool:
    return len({repr(value) for value in values}) > 1


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _run(*command: str) -> str:
    """What a command of DVC or git says, or a sentence why it does not."""
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode:
        if problem := provenance.git_problem():
            raise ExperimentsError(f"the experiments cannot be read: {problem}")
        why = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it says nothing")
        tool = "git" if command[0] == "git" else "dvc"
        raise ExperimentsError(f"{tool} cannot read the experiments: {re.sub(r'^(ERROR|fatal): ', '', why)}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.experiments", description="List the experiments of a commit, and how they differ."
    )
    told = "; ".join(f"{name}, {meaning}" for name, meaning in METRICS.items())
    parser.add_argument("--metric", choices=METRICS, default="final_cost", help=told)
    parser.add_argument("--rev", default="HEAD", help="the commit that they started from")
    given = parser.parse_args(arguments)
    try:
        experiments = read(given.rev)
    except ExperimentsError as error:
        print(error, file=sys.stderr)
        return 1
    if len(experiments) < 3:
        print(f"No experiment started from {given.rev} yet; `dvc exp run` makes one.")
        return 0
    print(f"{given.metric}: {METRICS[given.metric]}\n\n{table(experiments, given.metric)}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
