"""Files that are written whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.storage import atomic_files, trained
from pipeline.storage.atomic_files import FileError


def test_a_file_is_replaced_and_not_written_over(tmp_path: Path) -> None:
    """Another name of the old file keeps the old content: a process that reads it meanwhile sees it whole."""
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_bytes(b"old")
    os.link(path, other)
    atomic_files.write_bytes(path, b"new")
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")


def test_costs_of_other_iterations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "RUNS", tmp_path)
    at = np.array([0, 10])
    columns = {"seed": [3, 3], "iteration": [0, 20], "cost": [0.7, 0.6]}
    atomic_files.write_csv(tmp_path / "he" / "costs.csv", columns)
    with pytest.raises(FileError, match=r"costs\.csv"):
        trained.read_costs("he", [3], at)
    assert trained.read_costs("he", [3], np.array([0, 20]))["cost"].tolist() == [0.7, 0.6]
