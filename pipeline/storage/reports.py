"""The files of reports/."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.storage.atomic_files import _damaged, read_bytes, write_json, write_text

REPORTS = Path("reports")
METRICS = REPORTS / "metrics"  # of each initializer; one file each, which `dvc metrics show` prints as a row
FIGURES = REPORTS / "figures"
PUBLISHED = Path(__file__).parents[2] / "replications" / "tutorial"  # absent in an installed wheel


def write_table(name: str, table: Any) -> None:
    """Write the pandas table as reports/<name>.csv: floats as `repr`, missing values as empty fields."""
    write_text(REPORTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def write_metrics(metrics: Mapping[str, Mapping[str, float | None]]) -> None:
    """Write reports/metrics/<initializer>.json from {initializer: {metric: value}}, and delete those of others."""
    for name, values in metrics.items():
        write_json(METRICS / f"{name}.json", values)
    for path in METRICS.glob("*.json"):
        if path.stem not in metrics:
            path.unlink()


def read_metrics(names: Iterable[str]) -> dict[str, dict[str, float | None]]:
    """{initializer: {metric: value}} from reports/metrics/; None where a value is undefined. Raises FileError."""
    return {name: _read_object(METRICS / f"{name}.json") for name in names}


def read_audit() -> dict[str, int]:
    """The numbers of models and findings in reports/audit.json. Raises FileError."""
    return _read_object(REPORTS / "audit.json")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(read_bytes(path)))
    except (ValueError, TypeError) as error:
        raise _damaged(path, "it is not a JSON object") from error
