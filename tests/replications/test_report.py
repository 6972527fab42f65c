"""The table of all replications, its report and the page of results."""

import re
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.replications import report, results, run
from tests.replications import folders

ROOT = Path(__file__).parents[2]
NAN = float("nan")
LATER = "later has no results: `make replications NAME=later`."
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
        first = text.partition("\n## Doubling\n")[0]
        assert f"**3 of 4 measured numbers lie within their bands; in 1 of 3 replications all do; {LATER}**" in text
        assert "\n- `left`, **twice, the first**: measured 2.75, band 1.5 to 2.5. The factor is 2.75.\n" in first
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
    assert capsys.readouterr().err.endswith(f"in 1 of 3 replications all do; {LATER}\n")


def test_the_page_has_its_parts_in_the_order_of_a_reader(root: Path) -> None:
    """Symbols and columns are explained before they are used; a figure is shown once; the commands come last."""
    run.replicate(folders.make(root, "he_2015"))
    run.replicate(folders.make(root, "diagram"))
    _, _, page = written(root)
    parts = [
        *("`make replications` recomputes", "**4 of 4", "Of 6 rows", "\n## Notation", "\n## Claims", "| [`diagram`]"),
        *("\n## Read the tables", "\n## Doubling", "diagram.png)", "\n## Run them", "\n$ make rep", "\n## Add one"),
    ]
    places = [page.index(text) for text in parts]
    assert places == sorted(places)
    assert page.count("diagram.png)") == 1


def test_several_replications_have_no_results(root: Path) -> None:
    run.replicate(folders.make(root, "right"))
    for name in ("poole_2016", "lu_2019"):
        folders.make(root, name)
    said = "in 1 of 3 replications all do; poole_2016, lu_2019 have no results: `make replications NAME=poole_2016,lu_2019`."
    assert results.conclusion(*results.sections()).endswith(said)


def test_rows_that_differ_from_the_paper_are_listed_with_their_numbers(root: Path) -> None:
    code = folders.CODE.replace(
        "class Settings", "NOT_REPRODUCED = {'shown': 'The paper has other data.'}\n\n\nclass Settings"
    )
    run.replicate(folders.make(root, "right", code=code))
    line = "\n\nWhat does not reproduce at this scale:\n\n- `right`, **shown**: measured 7, published 7.5. The paper has other data.\n\n"
    for text in written(root)[1:]:
        assert line in text
        assert text.index("all do.**") < text.index(line)


def test_how_many_rows_have_a_published_number_or_theory(root: Path) -> None:
    """Two bands of three rows: one row with theory and, here, a published number, and one with neither."""
    run.replicate(folders.make(root, published=folders.PUBLISHED.replace('first",,1.5', 'first",2,1.5')))
    said = "Of 3 rows 2 have a band. Of these, 1 have a published number, 1 have theory, 1 have both and 1 neither:"
    assert said in " ".join(written(root)[2].split())


@pytest.mark.parametrize(
    ("theory", "said"),
    [
        ("2.0", ""),
        ("2.5", ""),  # the end of the interval
        ("2.6", "In 1 of the 1 rows with theory and an interval, theory is outside the interval and the row passes"),
    ],
)
def test_theory_outside_the_interval_is_counted(root: Path, theory: str, said: str) -> None:
    run.replicate(folders.make(root, "right", code=folders.CODE.replace("x + 0.5, 2.0)", f"x + 0.5, {theory})")))
    sentence = results.outside_theory(results.sections()[0])
    assert sentence == (f"{said} (`right` 1)." if said else "")
    assert sentence in " ".join(written(root)[2].split())


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
    assert results.number(value) == shown


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
    assert [one.name for one in results.sections()[0]] == ["tutorial", "he_2015", "poole_2016", "lu_2019"]


def test_nothing_fails(root: Path) -> None:
    run.replicate(folders.make(root, "right"))
    _, markdown, page = written(root)
    assert "What fails" not in markdown + page
    assert "does not reproduce" not in markdown + page
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
    assert results.limits(low, high) == shown


def test_the_committed_pages_are_those_of_the_committed_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of docs/replications.md is stale, and every row that fails has its analysis."""
    monkeypatch.chdir(ROOT)
    found, missing = results.sections()
    assert missing == []
    assert report.PAGE.read_text(encoding="utf-8") == report.page(found, missing)
    assert Path("reports/replications.md").read_text(encoding="utf-8") == report.markdown(found, missing)
    whole = "".join(Path(f"reports/replications/{one.name}.csv").read_text().partition("\n")[2] for one in found)
    assert Path("reports/replications.csv").read_text().partition("\n")[2] == whole
    for one in found:
        assert results.year(one.name) in one.title
        assert {*one.analysis, *one.not_reproduced} <= set(one.rows["quantity"]), one.name
        assert "no analysis yet" not in "".join(results.failures(one)), one.name
        assert one.claim.endswith("."), one.name
        assert one.setting.startswith("Setting: "), f"{one.name}: the docstring has no claim and setting"
        assert one.figure, f"{one.name}: FIGURE does not say what the paper's figure shows"
        assert "Here " in one.figure, f"{one.name}: FIGURE says no difference"
