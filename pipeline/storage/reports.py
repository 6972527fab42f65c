"""The files of reports/."""

from pathlib import Path
from typing import Any

from pipeline.storage.atomic_files import write_text

REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
PUBLISHED = Path(__file__).parents[1] / "published"


def write_table(name: str, table: Any) -> None:
    """Write the pandas table as reports/<name>.csv: floats as `repr`, missing values as empty fields."""
    write_text(REPORTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
