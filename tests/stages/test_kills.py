"""SIGKILL at random moments, to `dvc repro` and all that it started: run again, it ends in the same bytes and the same runs.

The ordinary suite kills twice: in the middle of the pipeline, and while a store that is in use is published to. `make kills` does so fifty times, or as often as KILLS says, and prints each.
"""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking.store import LEVELS
from tests.conftest import Laboratory
from tests.stores import Published, logged_models, published, runs

KILLS = int(os.environ.get("KILLS", "2"))
# What DVC, killed while it writes a file, names afterwards; docs/trouble.md says to delete it and to run again.
CUT_SHORT = {"dvc.lock": "dvc.lock", "rwlock": ".dvc/tmp/rwlock"}


@pytest.fixture(scope="module")
def expected(finished: Laboratory) -> Published:
    return published(finished.store)


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_and_run_again_it_ends_in_the_same_bytes_and_runs(
    number: int, laboratory: Laboratory, finished: Laboratory, expected: Published
) -> None:
    chance = random.Random(number)
    if number % 2:
        laboratory.unpublish()
        if number % 4 == 1:  # a store that is in use
            laboratory.repro()
            empty(laboratory)
        where = killed_in(laboratory, lambda _: is_publishing(laboratory), chance.uniform(0, 3))
    else:
        laboratory.unmake()  # so everything is made in another folder, without a cache
        stages = laboratory.run("dvc", "stage", "list", "--name-only").stdout.split()
        stage = (number // 2 * 3 + 4) % len(stages)  # all of them in turn
        where = killed_in(laboratory, lambda said: said.count("Running stage") > stage, chance.uniform(0, 2))
    mended = again(laboratory)
    assert laboratory.results() == finished.results()
    assert published(laboratory.store) == expected
    assert laboratory.repro() == []
    assert laboratory.run("git", "status", "--porcelain").stdout == ""
    made = ("data", "jobs", "trajectories", "diagnostics", "runs", "reports")
    assert not [path for folder in made for path in (laboratory.root / folder).rglob("*.part")]
    print(f"kill {number + 1} of {KILLS}: {where}{mended}; the same bytes, the same {len(expected)} runs")


def is_publishing(laboratory: Laboratory) -> bool:
    """Whether MLflow's tables are being made, or a run is there."""
    if not (laboratory.root / "mlflow.db").exists():
        return any(laboratory.root.glob("mlflow.db*"))
    return bool(count(laboratory.root / "mlflow.db"))


def count(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()[0])


def empty(laboratory: Laboratory) -> None:
    """Delete every run, as a person does in the browser; the database stays."""
    client = MlflowClient(laboratory.store)
    for level in LEVELS:
        for run in runs(client, level):
            client.delete_run(run.info.run_id)
    for model in logged_models(client):
        client.delete_logged_model(model.model_id)
    (laboratory.root / "tracked.json").unlink()


def killed_in(laboratory: Laboratory, has_begun: Callable[[str], bool], seconds: float) -> str:
    """Start `dvc repro` and kill it and its children so long after `has_begun` says so; gives where that was."""
    log = laboratory.root.parent / "said.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=laboratory.root,
            env=laboratory.environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    while process.poll() is None and not has_begun(log.read_text()):
        time.sleep(0.01)
    time.sleep(seconds)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stages = [line.split("'")[1] for line in log.read_text().splitlines() if line.startswith("Running stage")]
    return f"{'after' if ended else 'in'} {stages[-1] if stages else 'the beginning'}"


def again(laboratory: Laboratory) -> str:
    """`dvc repro`, and what had to be deleted for it."""
    done = laboratory.run("dvc", "repro", check=False)
    if done.returncode == 0:
        return ""
    assert "Traceback" not in done.stdout
    (name,) = (name for name in CUT_SHORT if name in done.stdout)
    (laboratory.root / CUT_SHORT[name]).unlink()
    laboratory.repro()
    return f", {name} cut short and deleted"
