"""The comparison that `make repro` prints."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.reporting import summary
from tests.conftest import MINIATURE

ROOT = Path(__file__).parents[2]


def compared(**columns: object) -> pd.DataFrame:
    """A table of comparison.csv with one row, and of its columns those that are printed."""
    row = {"initializer": "he", "seeds": 4, "train_accuracy_mean": 0.875, "test_accuracy_mean": 0.75}
    row |= {"share_at_target": 0.25, "final_cost_median": 0.12345, "behaviour": "target reached 3, unstable 1"}
    return pd.DataFrame([row | columns])


def test_one_row_per_initializer() -> None:
    assert summary.summary(compared(), 0.9).splitlines() == [
        "| initializer | seeds | train accuracy | test accuracy | seeds ≥ 90 % | median cost | most models in training |",
        "|-------------|------:|---------------:|--------------:|-------------:|------------:|-------------------------|",
        "| he          |     4 |         87.5 % |        75.0 % |       25.0 % |      0.1235 | target reached          |",
    ]


def test_undefined_numbers_are_dashes() -> None:
    text = summary.summary(compared(train_accuracy_mean=math.nan, final_cost_median=math.nan), 0.9)
    assert re.findall(r"\| +– ", text) == ["|              – ", "|           – "]


def test_it_fits_a_terminal_and_leads_to_files_that_exist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the committed results."""
    monkeypatch.chdir(ROOT)
    summary.main()
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    for path in re.findall(r"[\w/]+\.md", text):
        assert (ROOT / path).is_file()


def test_a_missing_table_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(MINIATURE)
    with pytest.raises(UserError, match=r"^reports/comparison\.csv does not exist; run `dvc repro` to create it\.$"):
        summary.main()
