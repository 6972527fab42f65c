"""Tables that a Markdown reader and a plain reader both see."""

import pytest

from pipeline.reporting.markdown import table


def test_a_table_written_by_hand() -> None:
    text = table(["name", "n", "word"], [["he", "12,000", "fine"], ["a_longer_name", "–", ""]], left=(0, 2))
    assert text == (
        "| name          |      n | word |\n"
        "|---------------|-------:|------|\n"
        "| he            | 12,000 | fine |\n"
        "| a_longer_name |      – |      |"
    )


def test_the_first_column_is_text_and_the_others_numbers() -> None:
    assert table(["a", "b"], [["xx", "1"], ["y", "22"]]).split("\n")[1:] == [
        "|----|---:|",
        "| xx |  1 |",
        "| y  | 22 |",
    ]


def test_a_table_without_rows_has_its_heads() -> None:
    assert table(["a", "b"], []) == "| a | b |\n|---|--:|"


def test_all_lines_are_as_long_and_the_cells_come_back() -> None:
    rows = [["−1.5e−6 ± 2", "", "50 %"], ["ξ", "x" * 40, "1"]]
    lines = table(["α", "b", "c"], rows, left=(1,)).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]] == rows


@pytest.mark.parametrize("row", [["1"], ["1", "2", "3"]])
def test_a_row_of_another_length_is_an_error(row: list[str]) -> None:
    with pytest.raises((IndexError, ValueError)):
        table(["a", "b"], [["1", "2"], row])
