"""Stage `resolve`: what it deletes of initializers that are no longer in params.yaml, and what it leaves alone."""

import re
from pathlib import Path

import pytest

from pipeline.config import schema
from pipeline.stages import dataset, resolve
from pipeline.stages.resolve import delete_dropped
from tests.conftest import MINIATURE


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def files() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*") if path.is_file()}


def results(name: str) -> list[str]:
    """Every file that the pipeline writes of one initializer."""
    names = [f"jobs/initializers/{name}.json", f"trajectories/{name}.npz", f"runs/{name}/weights.npz"]
    return [*names, f"runs/{name}/costs.csv", *(f"diagnostics/{name}/{file}" for file in MEASURED)]


MEASURED = ("layers.csv", "models.csv", "units.npz")


def test_results_of_dropped_initializers_are_deleted_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    others = [
        "jobs/training.json",
        "jobs/code/train.sha256",
        "jobs/trajectories.json",
        "runs/.gitignore",
        "runs/mine/notes.txt",
    ]
    others += ["diagnostics/annotated/layers.csv", "diagnostics/annotated/notes.txt", "trajectories/notes.txt"]
    others += ["runs/kept/weights.npz", "runs/kept/costs.csv", "runs/kept/notes.txt"]
    touch(*results("he"), *results("gone"), "runs/partial/costs.csv", *others)
    delete_dropped(["he"])
    assert files() == {*results("he"), *others}
    assert not Path("runs/gone").exists()
    assert not Path("diagnostics/gone").exists()


def test_nothing_is_made_where_nothing_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    delete_dropped(["he"])
    assert not list(tmp_path.iterdir())


def test_the_section_tracking_changes_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its change trains nothing."""
    monkeypatch.chdir(tmp_path)
    found = []
    for tracking in (
        "tracking: {curve_points: 0, detailed_seeds: []}",
        "tracking: {curve_points: 9, detailed_seeds: [5]}",
    ):
        text, n = re.subn(r"(?m)^tracking: .*$", tracking, MINIATURE)
        assert n == 1
        Path("params.yaml").write_text(text)
        dataset.dataset()
        resolve.resolve()
        found.append({path.as_posix(): path.read_bytes() for path in Path("jobs").rglob("*.json")})
    assert len(found[0]) == 6
    assert found[0] == found[1]


CHANGES = {  # a change of each section
    "data": ("noise: 0.05", "noise: 0.06"),
    "network": ("relu", "tanh"),
    "training": ("momentum: 0.0", "momentum: 0.5"),
    "seeds": ("[3, 5]", "{first: 3, last: 5}"),
    "initializers": ("std: 0.01", "std: 0.02"),
    "comparison": ("confidence: 0.95", "confidence: 0.9"),
    "tracking": ("curve_points: 0", "curve_points: 9"),
    "audits": ("audits: {}", "audits: {a.pt: {expect: zeros}}"),
}


def test_a_change_of_every_section_but_two_changes_the_file_of_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(CHANGES) == list(schema.Params.model_fields)
    changed = []
    for section, change in {"": ("", ""), **CHANGES}.items():
        text = MINIATURE.replace(*change)
        assert (text != MINIATURE) == bool(section)
        Path("params.yaml").write_text(text)
        dataset.dataset()
        resolve.resolve()
        content = Path("jobs/experiment.json").read_bytes()
        if not section:
            before = content
        elif content != before:
            changed.append(section)
    assert changed == [section for section in CHANGES if section not in ("tracking", "audits")]
