"""The table of all replications, its report and the page of results."""

import re
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.replications import report, run
from tests.replications import folders

ROOT = Path(__file__).parents[2]
NAN = float("nan")
FAILING = folders.PARAMS.replace("2.0", "2.75")


def written(root: Path) -> tuple[str, str, str]:
    """replications.csv, replications.md and the page."""
    report.report()
    names = ("reports/replications.csv", "reports/replications.md", "docs/replications.md")
    table, markdown, page = ((root / name).read_text(encoding="utf-8") for name in names)
    return table, markdown, page


def test_the_report_begins_with_what_fails_and_why(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = folders.CODE.replace(
        "class Settings", 'ANALYSIS = {"twice, the first": "The factor is 2.75."}\n\n\nclass Settings'
    )
    run.replicate(folders.make(root, "left", params=FAILING, code=code))
    run.replicate(folders.make(root, "right"))
    folders.make(root, "later")
    table, markdown, page = written(root)
    rows = [(root / "reports" / "replications" / f"{name}.csv").read_text() for name in ("left", "right")]
    assert table == rows[0] + rows[1].partition("\n")[2]
    for text in (markdown, page):
        first = text.partition("\n## ")[0]
        assert "**3 of 4 measured numbers lie within their bands; in 1 of 2 replications all do.**" in first
        assert "\n- `left`, **twice, the first**: measured 2.75, band 1.5 to 2.5. The factor is 2.75.\n" in first
        assert "\nNot run: later.\n" in first
        assert re.search(r"\| \[`left`\]\(#doubling\) +\| Numbers are doubled\. \| +\*\*1 of 2\*\* \|", first)
        assert re.search(r"\| \[`right`\]\(#doubling\) +\| Numbers are doubled\. \| +2 of 2 \|", first)
        assert re.search(
            r"\| 1 +\| twice, the first +\| +2 \| +– \| +2\.75 \| 2\.25 to 3\.25 \| 1\.5 to 2\.5 \| \*\*failed", text
        )
        assert re.search(r"\| 1 +\| shown +\| +– \| +7\.5 \| +7 \| +– \| +– \| no band", text)
        assert re.search(r"\| 2 +\| upper bound +\| +– \| +– \| +2 \| +– \| +≤ 3 \| passed", text)
    left = page.split("\n## Doubling\n")[1]
    assert left.startswith(
        "\nNumbers are doubled.\n\n![Doubling](../reports/replications/left.png)\n\nThe paper has none.\n\n"
        "Setting: no network.\n\n<details><summary><b>1 of 2 rows passed</b>; 1 without a band: all numbers</summary>\n\n|"
    )
    assert "\n\n</details>\n\n- **twice, the first**: measured 2.75" in left
    assert "](replications/right.png)" in markdown
    assert capsys.readouterr().err.endswith("in 1 of 2 replications all do.\n")


def test_the_page_begins_with_a_figure_and_the_commands(root: Path) -> None:
    run.replicate(folders.make(root, "he_2015"))
    run.replicate(folders.make(root, "diagram"))
    _, _, page = written(root)
    places = [
        page.index(text) for text in ("**4 of 4", "diagram.png)", "| [`diagram`]", "\n$ make rep", "\n## Doubling")
    ]
    assert places == sorted(places)


def test_a_paper_without_a_figure_of_its_own(root: Path) -> None:
    run.replicate(folders.make(root, code=folders.CODE.replace('FIGURE = "The paper has none."\n', "")))
    assert ".png)\n\nSetting: no network.\n" in written(root)[2]


@pytest.mark.parametrize(
    ("title", "expected"),
    [  # as on github.com
        ("Read the tables", "read-the-tables"),
        ("He et al. 2015, Delving deep: figures 2 and 3", "he-et-al-2015-delving-deep-figures-2-and-3"),
        ("Hanin & Rolnick 2018, How", "hanin--rolnick-2018-how"),
        ("Self-normalizing", "self-normalizing"),
    ],
)
def test_the_anchor_of_a_heading(title: str, expected: str) -> None:
    assert report.anchor(title) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One.\nTwo three. Four.", "One."),
        ("A rate\nof 0.1. Then more.", "A rate of 0.1."),
        ("c is 0.4, 0.6, ... in layers. More.", "c is 0.4, 0.6, ... in layers."),
        ("No end", "No end"),
    ],
)
def test_the_first_sentence(text: str, expected: str) -> None:
    assert report.first_sentence(text) == expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (NAN, "–"),
        (0.0, "0"),
        (12345678.0, "12,345,678"),
        (-0.25, "−0.25"),
        (2.01e-5, "2.01·10⁻⁵"),
        (-9.46749e-7, "−9.4675·10⁻⁷"),
        (1e-12, "10⁻¹²"),
        (1.5e12, "1.5·10¹²"),
    ],
)
def test_a_number(value: float, shown: str) -> None:
    assert report.number(value) == shown


def test_theory_that_is_zero_to_rounding_is_shown_as_zero(root: Path) -> None:
    """-2^-54 is the rounding error of numbers up to 1; the table in CSV keeps it."""
    code = folders.CODE.replace("x + 0.5, 2.0)", "x + 0.5, -(2.0**-54))").replace("x)", "x, theory=1e-9)")
    run.replicate(folders.make(root, "right", code=code))
    table, _, page = written(root)
    assert "-5.551115123125783e-17" in table
    assert re.search(r"\| twice, the first \| +0 \|", page)
    assert re.search(r"\| upper bound +\| +10⁻⁹ \|", page)


def test_the_papers_are_ordered_by_year(root: Path) -> None:
    for name in ("poole_2016", "tutorial", "he_2015", "lu_2019"):
        run.replicate(folders.make(root, name))
    assert [one.name for one in report.sections()[0]] == ["tutorial", "he_2015", "poole_2016", "lu_2019"]


def test_nothing_fails(root: Path) -> None:
    run.replicate(folders.make(root, "right"))
    _, markdown, page = written(root)
    assert "What fails" not in markdown + page
    assert "Not run" not in markdown + page
    assert "2 of 2 measured numbers lie within their bands; in 1 of 1 replications all do" in page


def test_a_row_that_fails_without_a_reason_says_so(root: Path) -> None:
    run.replicate(folders.make(root, "wrong", params=FAILING))
    assert "measured 2.75, band 1.5 to 2.5. There is no analysis yet.\n" in written(root)[1]


def test_no_results(root: Path) -> None:
    folders.make(root)
    with pytest.raises(UserError, match="holds no results; run `make replications`"):
        report.report()
    assert not (root / "docs").exists()


def test_damaged_results(root: Path) -> None:
    run.replicate(folders.make(root, "right"))
    path = root / "reports" / "replications" / "right.csv"
    path.write_text(path.read_text().replace("quantity", "name"))
    with pytest.raises(UserError, match="is damaged; delete it and run `make replications NAME=right`"):
        report.report()


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (NAN, NAN, "–"),
        (1.0, NAN, "≥ 1"),
        (NAN, 1e-12, "≤ 10⁻¹²"),
        (-0.25, 0.5, "−0.25 to 0.5"),
        (14.0, 14.0, "14"),
        (0.073578959626, 0.073578959628, "0.073579 ± 10⁻¹²"),
        (1.0382929, 1.0382929 + 2.0**-52, "1.0383"),  # one unit in the last place
        (12345.0, 1234567.0, "12,345 to 1,234,567"),
    ],
)
def test_limits(low: float, high: float, shown: str) -> None:
    assert report.limits(low, high) == shown


def test_the_committed_pages_are_those_of_the_committed_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of docs/replications.md is stale, and every row that fails has its analysis."""
    monkeypatch.chdir(ROOT)
    found, missing = report.sections()
    assert missing == []
    assert report.PAGE.read_text(encoding="utf-8") == report.page(found, missing)
    assert Path("reports/replications.md").read_text(encoding="utf-8") == report.markdown(found, missing)
    whole = "".join(Path(f"reports/replications/{one.name}.csv").read_text().partition("\n")[2] for one in found)
    assert Path("reports/replications.csv").read_text().partition("\n")[2] == whole
    for one in found:
        assert report.year(one.name) in one.title
        assert set(one.analysis) <= set(one.rows["quantity"]), one.name
        assert "no analysis yet" not in "".join(report.failures(one)), one.name
        assert one.claim.endswith("."), one.name
        assert one.setting.startswith("Setting: "), f"{one.name}: the docstring has no claim and setting"
        assert one.figure, f"{one.name}: FIGURE does not say what the paper's figure shows"
        assert "Here " in one.figure, f"{one.name}: FIGURE says no difference"
