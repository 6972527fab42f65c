"""dvc.lock against the parameters, code and data of the same commit: a lock made by hand, no repository."""

import hashlib
import json
from typing import Any

import pytest

from pipeline.experiments.listing import Tree, mismatch

FILES = {
    "reports/metrics/he.json": b"{}",
    "reports/runs.csv": b"initializer,seed\n",
    "pipeline/a.py": b"1\n",
    "pipeline/b.py": b"2\n",
}
PARAMS = {"seeds.first": 3, "seeds.last": 5, "initializers.he.recipe": "he_normal"}
STAGES = ("dataset", "resolve", "trajectories", "aggregate", "train@he", "diagnose")


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def folder(path: str, *names: str) -> str:
    """DVC's digest of a folder: of the list of its files as JSON (https://dvc.org/doc/user-guide/project-structure)."""
    rows = [{"md5": md5(FILES[f"{path}/{name}"]), "relpath": name} for name in names]
    return md5(json.dumps(rows).encode()) + ".dir"


def lock() -> dict[str, Any]:
    """What DVC writes after a run of PARAMS and FILES; the data are in no commit."""
    stages: dict[str, Any] = {name: {"deps": [], "outs": []} for name in STAGES}
    stages["dataset"]["outs"] = [{"path": "data", "md5": "d" * 32}]
    stages["train@he"]["deps"] = [
        {"path": "data", "md5": "d" * 32},
        {"path": "pipeline", "md5": folder("pipeline", "a.py", "b.py")},
    ]
    stages["resolve"]["params"] = {"params.yaml": {"seeds": {"first": 3, "last": 5}}}
    stages["aggregate"]["outs"] = [
        {"path": "reports/runs.csv", "md5": md5(FILES["reports/runs.csv"])},
        {"path": "reports/metrics", "md5": folder("reports/metrics", "he.json")},
    ]
    return {"schema": "2.0", "stages": stages}


def found(params: dict[str, Any], locked: dict[str, Any], files: dict[str, bytes] | None = None) -> str:
    tree = FILES | (files or {}) | {"dvc.lock": json.dumps(locked).encode()}
    return mismatch(params, Tree(list(tree), tree.__getitem__))


def test_a_lock_of_the_same_parameters_and_files_is_accepted() -> None:
    assert found(PARAMS, lock()) == ""


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (PARAMS | {"seeds.first": 4}, "seeds.first: 4 in params.yaml, 3 in dvc.lock"),
        (PARAMS | {"seeds.step": 2}, "seeds.step: 2 in params.yaml, none in dvc.lock"),
        (
            {key: value for key, value in PARAMS.items() if key != "seeds.last"},
            "seeds.last: none in params.yaml, 5 in dvc.lock",
        ),
        (PARAMS | {"seedsx.first": 4}, ""),  # of a section on which no stage depends
        (PARAMS | {"initializers.zeros.recipe": "zeros"}, "dvc.lock has no stage train@zeros"),
    ],
    ids=["another value", "a new key", "a dropped key", "another section", "a new initializer"],
)
def test_parameters_that_differ_from_the_lock_are_named(params: dict[str, Any], reason: str) -> None:
    assert found(params, lock()) == reason


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("reports/runs.csv", "reports/runs.csv"),
        ("reports/metrics/he.json", "reports/metrics"),
        ("pipeline/b.py", "pipeline"),
        ("pipeline/c.py", "pipeline"),
    ],
)
def test_files_that_differ_from_the_lock_are_named(path: str, named: str) -> None:
    assert found(PARAMS, lock(), {path: b"3\n"}) == f"{named} is not the one in dvc.lock"


def test_data_are_compared_between_the_stage_that_wrote_and_the_one_that_read_them() -> None:
    locked = lock()
    locked["stages"]["dataset"]["outs"][0]["md5"] = "e" * 32
    assert found(PARAMS, locked) == "data is not the one in dvc.lock"


@pytest.mark.parametrize("damage", ["stages", "outs", "deps"])
def test_a_damaged_lock_is_reported(damage: str) -> None:
    locked = lock()
    if damage == "stages":
        del locked["stages"]
    else:
        del locked["stages"]["train@he"][damage]
    assert found(PARAMS, locked) == "dvc.lock is missing or damaged"
    assert mismatch(PARAMS, Tree([], FILES.__getitem__)) == "dvc.lock is missing or damaged"
