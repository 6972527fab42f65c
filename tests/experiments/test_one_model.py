"""One model of params.yaml, trained beside the pipeline."""

import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline.experiments import one_model
from tests.conftest import MINIATURE, Laboratory


@pytest.mark.parametrize(("name", "place"), [("zeros", 0), ("he", 1)])
def test_it_prints_the_numbers_of_the_pipeline_and_writes_nothing(
    finished: Laboratory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, place: int
) -> None:
    monkeypatch.chdir(finished.root)
    before = finished.results()
    seed = (3, 5)[place]
    assert one_model.main([name, "--seed", str(seed)]) == 0
    printed = capsys.readouterr().out
    runs = pd.read_csv(finished.root / "reports" / "runs.csv").set_index(["initializer", "seed"])
    for metric in ("initial_cost", "final_cost", "train_accuracy", "test_accuracy", "weight_change", "unique_units"):
        value, meaning = re.search(rf"(?m)^{metric}: (\S+) \((.+)\)$", printed).groups()  # type: ignore[union-attr]
        assert value == str(runs.loc[(name, seed), metric])
        assert ("in nats" in meaning) == metric.endswith("cost")
        assert ("distinct units" in meaning) == (metric == "unique_units")
    costs = pd.read_csv(finished.root / "runs" / name / "costs.csv")
    expected = [f"{cost:.12f}" for cost in costs.loc[costs["seed"] == seed, "cost"]]
    assert re.findall(r"cost before iteration +\d+: (.*)", printed) == expected
    assert finished.results() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["xavier", "--seed", "3"], "params.yaml: initializers.xavier does not exist; there are zeros, small, he.\n"),
        (["he", "--seed", "-1"], "--seed is -1; it must be a whole number from 0 to 4294967295.\n"),
        (
            ["he", "--seed=4294967296"],
            "--seed is 4294967296; it must be a whole number from 0 to 4294967295.\n",
        ),
        (["he", "--seed", "3"], "data/train.csv does not exist; run `dvc repro` to create it.\n"),
    ],
)
def test_what_cannot_be_trained_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(MINIATURE)
    assert one_model.main(arguments) == 1
    assert capsys.readouterr().err == message
