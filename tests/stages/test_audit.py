"""Stage `audit`: which files it audits, what it writes and prints, and when it runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.audits import AuditSettings
from pipeline.errors import UserError
from pipeline.stages import run
from pipeline.stages.audit import audit, models
from tests.audited import he
from tests.conftest import AUDITED, MINIATURE, ROOT, Laboratory

OPENBLAS = {"OPENBLAS_CORETYPE": "Nehalem"}
NUMPY = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR X86_V3 X86_V4"}
REPORTS = ("audit.md", "audit.csv", "audit.json", "figures/audit.png")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and audits/, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audits").mkdir()
    (tmp_path / "params.yaml").write_text(MINIATURE)
    return tmp_path


def expect(folder: Path, section: str) -> None:
    (folder / "params.yaml").write_text(MINIATURE.replace("audits: {}", f"audits: {section}"))


def save(folder: Path, name: str, factor: float = 1.0) -> None:
    """A network of three layers whose second one is wrong by a factor."""
    rng = np.random.RandomState(0)
    path = folder / "audits" / name
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **{"0": he(rng, 40, 64), "1": factor * he(rng, 30, 40), "2": he(rng, 10, 30)})


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "reports" / name).read_bytes() for name in REPORTS}


def test_which_files_are_models(folder: Path) -> None:
    audits = folder / "audits"
    names = ("README.md", "write.py", ".gitignore", "b.pt.dvc", "b.pt", "sub/a.npz", "batch.npz", "sub/.hidden.pt")
    shards = ("c-00001-of-00002.safetensors", "c-00002-of-00002.safetensors", "c.safetensors.index.json")
    for name in (*names, *shards, "d-00001-of-00002.bin"):
        (audits / name).parent.mkdir(exist_ok=True)
        (audits / name).touch()
    found = models(Path("audits"), {"b.pt": AuditSettings(data="batch.npz")})
    assert found == ["b.pt", "c.safetensors.index.json", "d-00001-of-00002.bin", "sub/a.npz"]
    assert models(Path("nowhere"), {}) == []


def test_an_entry_without_its_file_is_a_message(folder: Path) -> None:
    save(folder, "good.npz")
    with pytest.raises(UserError) as raised:
        models(Path("audits"), {"god.npz": AuditSettings(), "good.npz": AuditSettings(data="X.npz")})
    assert str(raised.value).splitlines() == [
        "params.yaml: audits.god.npz names a file that audits/ does not have; did you mean good.npz? It has good.npz.",
        "params.yaml: audits.good.npz.data names a file that audits/ does not have; it has no such files.",
    ]


def test_an_alarm_is_reported_and_does_not_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder, "good.npz")
    save(folder, "bad.npz", factor=10.0)
    expect(folder, "{good.npz: {expect: he_normal, activation: relu}, bad.npz: {expect: he_normal}}")
    assert run(audit) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Auditing 2 models in audits/."
    assert lines[2] == "audits/bad.npz: alarm: wrong scale in 1; see reports/audit.md."
    text = (folder / "reports" / "audit.md").read_text(encoding="utf-8")
    assert text.splitlines()[2] == "**Alarm: bad.npz; as intended: good.npz.**"
    assert json.loads((folder / "reports" / "audit.json").read_text())["alarms"] == 1
    rows = (folder / "reports" / "audit.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["model", *["bad.npz"] * 3, *["good.npz"] * 3]
    first = files(folder)
    assert run(audit) == 0
    assert files(folder) == first


def test_a_file_that_cannot_be_read_is_reported_and_does_not_fail(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder, "good.npz")
    (folder / "audits" / "notes.pt").write_text("no model")
    (folder / "audits" / "cut.npz").write_bytes((folder / "audits" / "good.npz").read_bytes()[:100])
    assert run(audit) == 0
    printed = capsys.readouterr().err
    assert "audits/notes.pt: not checked: the file is in no format that is read; " in printed
    assert "audits/cut.npz: not checked: the file is damaged, or not a complete ZIP archive" in printed
    numbers = json.loads((folder / "reports" / "audit.json").read_text())
    assert (numbers["models"], numbers["not_checked"], numbers["alarms"]) == (3, 2, 0)


def test_a_trained_model_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    moved = rng.normal(size=(64, 64)) * 0.1 + np.outer(rng.normal(size=64), rng.normal(size=64)) * 0.08
    np.savez(folder / "audits" / "trained.npz", moved)
    assert run(audit) == 0
    assert "audits/trained.npz: not at initialization: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{good.npz: {expect: he_norml}}", "params.yaml: audits.good.npz: "),
        ("{good.npz: {expect: {layer9: he_normal}}}", "params.yaml: audits.good.npz: "),
        ("{good.npz: {data: text.npz}}", "params.yaml: audits.good.npz: audits/text.npz "),
    ],
)
def test_settings_that_do_not_fit_fail_with_one_message(
    section: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder, "good.npz")
    (folder / "audits" / "text.npz").write_text("no data")
    expect(folder, section)
    assert run(audit) == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2
    assert printed[1].startswith(message)
    assert not (folder / "reports").exists()


def test_an_empty_folder_gives_a_short_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(audit) == 0
    assert capsys.readouterr().err.startswith("Auditing 0 models in audits/.\nFinished in ")
    assert len((folder / "reports" / "audit.md").read_text().splitlines()) == 3
    assert set(files(folder)) == set(REPORTS)


@pytest.mark.slow
def test_the_reports_are_the_same_bytes_on_other_processors(folder: Path) -> None:
    save(folder, "good.npz")
    save(folder, "bad.npz", factor=1.3)
    expect(folder, "{good.npz: {expect: he_normal, activation: tanh}, bad.npz: {expect: he_uniform}}")
    found = []
    for variables in ({}, OPENBLAS, NUMPY):
        command = [sys.executable, "-m", "pipeline.stages.audit"]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)} | variables)
        found.append(files(folder))
    assert found[0] == found[1] == found[2]


def test_a_changed_model_or_expectation_runs_the_audit_and_track_alone(laboratory: Laboratory) -> None:
    shutil.copy2(laboratory.root / "audits" / AUDITED, laboratory.root / "audits" / "new.npz")
    assert laboratory.repro() == ["audit", "track"]
    laboratory.change("params.yaml", "audits: {}", "audits: {new.npz: {expect: xavier_normal}}")
    assert laboratory.repro() == ["audit", "track"]
    assert laboratory.repro() == []
    metrics = laboratory.run("dvc", "metrics", "show", "--json", "reports/audit.json").stdout
    assert '"alarms"' in metrics
