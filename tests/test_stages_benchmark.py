"""The benchmark of the stages: what it reads from the output of `dvc repro`."""

import math
import os
from pathlib import Path

import pytest

from benchmarks import stages

LINES = [
    (0.5, "Running stage 'dataset':"),
    (0.5, "> python -m pipeline.stages.dataset"),
    (1.0, "Drawing the data set circles."),
    (1.25, "Finished in 0.3 s."),
    (1.25, "Updating lock file 'dvc.lock'"),
    (1.5, ""),
    (1.5, "Running stage 'train@he':"),
    (1.5, "> python -m pipeline.stages.train --initializer he"),
    (2.0, "Training 2 models of he for 40 iterations."),
    (4.0, "Finished in 2.0 s."),
    (4.5, "Running stage 'train@zeros':"),
    (5.5, "Training 2 models of zeros for 40 iterations."),  # an earlier version, which prints no end
    (6.5, ""),
]


def test_the_parts_of_each_stage_and_their_sums() -> None:
    measured = stages.parts_of(stages.Ran(LINES, 3.25))
    assert measured.parts == {"before": [0.0, 0.0, 0.5], "dataset": [0.5, 0.25, 0.25], "train": [1.5, 2.0, 1.5]}
    found = {quantity: each.value for quantity, each in stages.results("small", measured).items()}
    assert found == {
        "small: before": 0.5,
        "small: dataset": 1.0,
        "small: train": 5.0,
        "small: all": 6.5,
        "small: all, processor": 3.25,
    }
    assert stages.table(measured).splitlines()[-2].split() == ["all", "2.00", "2.25", "2.25", "6.50"]


def test_what_is_not_known_is_left_out() -> None:
    measured = stages.Measurement({"experiments": [0.0, 2.0, 1.0]}, math.nan)
    assert {name: value for name, (value, _) in stages.results("queue", measured).items()} == {
        "queue: experiments": 3.0,
        "queue: all": 3.0,
    }


def test_a_command_ends_before_the_processes_that_it_leaves_behind(tmp_path: Path) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    stages.duration(tmp_path, "sh", "-c", "(timeout 20 cat gate; touch ended) & echo queued")
    assert not (tmp_path / "ended").exists()
    gate.write_text("end")
    with pytest.raises(SystemExit, match="no such queue"):
        stages.duration(tmp_path, "sh", "-c", "echo no such queue; exit 3")


def test_the_changes_match_params_yaml() -> None:
    text = (Path(__file__).parents[1] / "params.yaml").read_text()
    assert "std: 0.02" in stages.replaced(text, stages.CHANGED)
    assert "seeds: {first: 0, last: 3}" in stages.replaced(text, stages.SMALL)
    with pytest.raises(AssertionError, match="0 times"):
        stages.replaced("", stages.SMALL)
