"""The committed reports and dvc.lock against a run of the whole pipeline, from nothing, with the committed parameters."""

import platform
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, Laboratory

pytestmark = pytest.mark.dvc

MEASURED_APART = sorted(  # by the scripts in benchmarks/ and the stages of replications/dvc.yaml
    path.relative_to(ROOT).as_posix()
    for name in (
        "audit_benchmark.*",
        "audit_suitability.*",
        "benchmark.*",
        "benchmark_stages.*",
        "labels.*",
        "replications.*",
        "replications/*",
    )
    for path in (ROOT / "reports").glob(name)
)


def committed() -> dict[str, bytes]:
    files = [ROOT / "dvc.lock", *(ROOT / "reports").rglob("*")]
    made = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files if path.is_file()}
    return {name: content for name, content in made.items() if name not in MEASURED_APART}


def test_the_committed_results_come_back_byte_for_byte(tmp_path: Path) -> None:
    laboratory = Laboratory(tmp_path, params=None)
    shutil.rmtree(laboratory.root / "reports")
    ran = laboratory.repro()
    assert ran[0] == "dataset"  # jobs/ is committed, so `resolve` has nothing to do
    assert ran[-2:] == ["page", "track"]
    assert {"aggregate", "audit"} <= set(ran)
    made, expected = laboratory.results(), committed()
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        # where the pictures were drawn; elsewhere a compiler may round a coordinate or compress them differently
        expected = {
            name: content for name, content in expected.items() if name.startswith("reports/") and ".png" not in name
        }
    assert len(expected) > 8
    assert sorted(name for name, content in expected.items() if made.get(name) != content) == []
    if "dvc.lock" in expected:
        changed = laboratory.run("git", "status", "--porcelain").stdout.splitlines()
        assert changed == [f" D {name}" for name in MEASURED_APART]
        assert "up to date" in laboratory.run("dvc", "status").stdout
