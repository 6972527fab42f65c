"""The files of reports/metrics/: read back equal, those of dropped initializers deleted, damage reported in one line."""

from pathlib import Path

import pytest

from pipeline.storage import reports
from pipeline.storage.atomic_files import FileError

METRICS: dict[str, dict[str, float | None]] = {"he": {"final_cost": 0.1, "share": 1 / 3}, "inf": {"final_cost": None}}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_metrics_read_back_equal_and_those_of_others_are_deleted() -> None:
    reports.write_metrics(METRICS | {"gone": {"final_cost": 1.0}})
    reports.write_metrics(METRICS)
    assert reports.read_metrics(METRICS) == METRICS
    assert sorted(path.name for path in Path("reports/metrics").iterdir()) == ["he.json", "inf.json"]


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"final_cost": 0.'])
def test_damage_is_named(content: str) -> None:
    reports.write_metrics(METRICS)
    Path("reports/metrics/he.json").write_text(content)
    with pytest.raises(FileError, match=r"^reports/metrics/he\.json is damaged: it is not a JSON object; .*\.$"):
        reports.read_metrics(METRICS)
