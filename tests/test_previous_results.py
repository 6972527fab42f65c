"""benchmarks/previous.py: results of a benchmark beside those of the previous run."""

from pathlib import Path

import pytest

from benchmarks.previous import Measured, beside, read, write


def test_results_beside_the_previous_ones(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.csv"
    path.write_text(
        'quantity,unit,value\nkernel,µs,2.4\n"tanh, sigmoid",ns,2\ndropped,s,7\nrate,1,5\npart,s,-0.1\n',
        encoding="utf-8",
    )
    new = {
        "kernel": Measured(1.2, "µs"),
        "tanh, sigmoid": Measured(3.0, "ns"),
        "added": Measured(12345.6, "s"),
        "rate": Measured(5.0, "flop/s"),
        "part": Measured(0.0, "s"),
    }
    header, rule, *rows = beside(path, new).split("\n")
    assert header.count("|") == rule.count("|") == 6
    assert rows == [
        "| kernel | µs | 2.4 | 1.2 | 0.50 |",
        "| tanh, sigmoid | ns | 2 | 3 | 1.50 |",
        "| added | s | – | 12,346 | – |",
        "| rate | flop/s | – | 5 | – |",
        "| part | s | – | 0 | – |",
    ]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.csv"
    results = {"a, b": Measured(0.5, "µs"), "c": Measured(3.0, "")}
    assert read(path) == {}
    write(path, results)
    assert read(path) == results
    assert [file.name for file in tmp_path.iterdir()] == ["benchmark.csv"]


@pytest.mark.parametrize(
    "text", ["", "name,value\na,1\n", "quantity,unit,value\na,s\n", "quantity,unit,value\na,s,fast\n"]
)
def test_another_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"other\.csv: expected the columns quantity, unit, value"):
        beside(path, {"a": Measured(1.0, "s")})
