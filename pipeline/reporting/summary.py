"""Print the comparison of the initializers, as `make repro` does at its end: `python -m pipeline.reporting.summary`."""

import sys

from pipeline.analysis.comparison import Table
from pipeline.config import params
from pipeline.errors import exit_code
from pipeline.reporting import markdown
from pipeline.reporting.formatting import format_cost, format_percent, format_share
from pipeline.storage import atomic_files, reports

WHERE = """\
reports/comparison.md      all tables, tests and figures; reports/initialization.md: before training
make ui                    the runs in MLflow
docs/experiments.md        change the experiment, queue and compare others"""


def summary(compared: Table, target_accuracy: float) -> str:
    """The table that is printed: one row per initializer, from the table of comparison.csv."""
    rows = [
        [
            row["initializer"],
            f"{row['seeds']}",
            format_percent(row["train_accuracy_mean"]),
            format_percent(row["test_accuracy_mean"]),
            format_percent(row["share_at_target"]),
            format_cost(row["final_cost_median"]),
            row["behaviour"].partition(",")[0].rpartition(" ")[0],
        ]
        for _, row in compared.iterrows()
    ]
    heads = ["initializer", "seeds", "train accuracy", "test accuracy", f"seeds ≥ {format_share(target_accuracy)}"]
    return markdown.table([*heads, "median cost", "most models in training"], rows, left=(0, 6))


def main() -> None:
    """Print the table and where to look next. Raises UserError."""
    target = params.load().comparison.target_accuracy
    compared = atomic_files.read_table(reports.REPORTS / "comparison.csv")
    print(f"\n{summary(compared, target)}\n\n{WHERE}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
