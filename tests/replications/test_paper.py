"""A replication's folder: what is read from it, its table, and one message for whatever is wrong."""

import math
import shutil
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.replications import paper, run
from pipeline.replications.measurement import Measurement, count_over_seeds, mean_over_seeds, median_over_seeds
from tests.replications import folders


def message(name: str) -> str:
    """What the user is told, on one line; no file is written."""
    with pytest.raises(UserError) as caught:
        run.replicate(name)
    assert "\n" not in str(caught.value)
    assert not Path("reports").exists()
    return str(caught.value)


def test_the_table_has_the_order_of_published_csv_and_a_result_for_each_band(root: Path) -> None:
    loaded = paper.load(folders.make(root))
    table = paper.rows(loaded, paper.measure(loaded, lambda n: None).measurements)
    assert tuple(table.columns) == paper.COLUMNS
    assert table["quantity"].tolist() == ["twice, the first", "shown", "upper bound"]
    assert table["passed"].tolist() == [True, None, True]
    first = table.iloc[0]
    assert [first[key] for key in ("theory", "measured", "interval_low", "interval_high")] == [2.0, 2.0, 1.5, 2.5]


@pytest.mark.parametrize(
    ("measured", "band", "passed"),
    [
        (1.0, (1.0, 2.0), True),
        (2.0, (1.0, 2.0), True),
        (math.nextafter(1.0, 0.0), (1.0, 2.0), False),
        (math.nextafter(2.0, 3.0), (1.0, 2.0), False),
        (5.0, (1.0, math.nan), True),
        (0.5, (1.0, math.nan), False),
        (-5.0, (math.nan, 2.0), True),
        (2.5, (math.nan, 2.0), False),
        (math.nan, (1.0, 2.0), False),
        (math.nan, (math.nan, 2.0), False),
        (3.0, (math.nan, math.nan), None),
    ],
)
def test_a_band(measured: float, band: tuple[float, float], passed: bool | None) -> None:
    assert paper.is_within(measured, *band) is passed


def test_measurements_over_seeds() -> None:
    """Student's interval of 1, 2, 3: 2 ± t / sqrt(3); with 2 degrees of freedom P(|T| < t) = t / sqrt(2 + t²) = 0.95."""
    one = mean_over_seeds("x", [1.0, 2.0, 3.0], 2.5)
    assert (one.measured, one.theory) == (2.0, 2.5)
    half = 0.95 * math.sqrt(2.0 / (1.0 - 0.95**2)) / math.sqrt(3.0)
    assert (one.low, one.high) == pytest.approx((2.0 - half, 2.0 + half), rel=1e-12)
    assert math.isnan(mean_over_seeds("x", [1.0]).low)
    assert median_over_seeds("x", [5.0, 1.0, 2.0])[:4] == ("x", 2.0, 1.0, 5.0)
    assert count_over_seeds("x", [True, False, True])[:2] == ("x, of 3", 2.0)


def test_an_unknown_name_lists_the_replications(root: Path) -> None:
    folders.make(root, "he_2015")
    (root / "replications" / "__pycache__").mkdir()
    (root / "replications" / "empty").mkdir()
    assert message("he_2014") == "There is no replication he_2014; did you mean he_2015? There are he_2015."
    assert paper.names() == ["he_2015"]


@pytest.mark.parametrize("file", paper.FILES)
def test_a_missing_file(root: Path, file: str) -> None:
    name = folders.make(root)
    (root / "replications" / name / file).unlink()
    assert message(name).startswith(f"replications/{name}/{file} is missing; a replication has")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "figure,quantity",
            "figure,name",
            "has the columns figure, name, published, least, most, source; it must have",
        ),
        (",1.5,2.5,", ",2.5,1.5,", ": twice, the first: least is 2.5, which is above most, 1.5."),
        ("shown", "upper bound", ": upper bound: the quantity occurs more than once; each must have one row."),
        (",7.5,", ",about 7,", ": shown: published is about 7; it must be a finite number, or empty."),
        (",1.5,", ",-inf,", ": twice, the first: least is -inf; it must be a finite number, or empty."),
        (",1.5,", ",low,", ": twice, the first: least is low; it must be a finite number, or empty."),
        (",1.5,", ",nan,", ": twice, the first: least is nan; it must be a finite number, or empty."),
        (
            '"twice, the first"',
            "twice, the first",
            ": line 2 has 7 fields; it must have 6, and a field that contains a comma must be in double quotes.",
        ),
        (",plotted", "", ": line 3 has 5 fields; it must have 6"),
        (",source", "", " has the columns figure, quantity, published, least, most; it must have figure, quantity"),
        ("2,upper bound,,,3,theory\n", "2,upper", ": line 4 has 2 fields; it must have 6"),  # the end is missing
        ("2,upper bound,,,3,theory\n", '2,"upper', ": line 4 is not valid CSV: unexpected end of data."),
        (",source", ",source\r1", ": line 1 is not valid CSV: new-line character seen in unquoted field."),
        ("figure,quantity", "\0figure,\a", " has the columns \\x00figure, \\x07, published,"),
        (
            folders.PUBLISHED,
            "",
            " has the columns none; it must have figure, quantity, published, least, most, source.",
        ),
        (folders.PUBLISHED.partition("\n")[2], "", " has no rows; it must have one for each quantity"),
        (",plotted", ",", ": a field of the column source is empty; it must hold text."),
    ],
)
def test_published_csv(root: Path, old: str, new: str, said: str) -> None:
    assert old in folders.PUBLISHED
    name = folders.make(root, published=folders.PUBLISHED.replace(old, new))
    assert said in message(name)
    assert message(name).startswith(f"replications/{name}/published.csv")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{factor: 2.0}", "{factor: -2}", "replication.factor holds -2; it must be a number greater than 0."),
        ("{factor: 2.0}", "{}", "replication.factor is missing; it must be a number greater than 0."),
        (
            "{factor: 2.0}",
            "{factr: 2.0}",
            "replication.factr is unknown; did you mean factor? It must be one of factor.",
        ),
        ("seeds: [3, 5]", "seeds: [3, 3]", "seeds holds 3 more than once; seeds must be unique."),
        ("seeds: [3, 5]", "seeds: 3", "seeds holds 3; it must be a list"),
        ("n_train: 30, ", "", "data.n_train is missing; it must be a whole number of at least 1."),
        ("{name: circles, n_train", "{name: square, n_train", "data.name holds the text 'square'; it must be one of"),
        (
            "he_normal",
            "he_norml",
            "initializers.he.recipe holds the text 'he_norml'; did you mean he_normal? It must be a recipe",
        ),
        ("seeds:", "audits: {}\nseeds:", "audits is unknown; the file has "),
        ("replication: {factor: 2.0}\n", "", "replication is missing; it must be a section with the keys factor."),
    ],
)
def test_params_yaml(root: Path, old: str, new: str, said: str) -> None:
    assert old in folders.PARAMS
    name = folders.make(root, params=folders.PARAMS.replace(old, new))
    found = message(name)
    assert found.startswith(f"replications/{name}/params.yaml: ")
    assert said in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", " holds nothing; it must hold the sections data, network, training, seeds, initializers, replication."),
        ("- 1\n", " holds [1]; it must hold the sections data"),
        ("seeds: [1\n", ": line 2 is not valid YAML: expected ',' or ']'"),
        (f"{folders.PARAMS}seeds: [1]\n", ": seeds is a duplicate key, on lines 4 and 7; remove one."),
        ("a: &x {b: 1}\nc: *x\n", ": c is an alias; write the value in its place."),
        ("a: \1\n", ": line 1 is not valid YAML: it contains a character that is not allowed."),
        ("[" * 100_000, ": the file is nested too deeply."),
        ("a: 1_0_e\nb: 2020-13-40\n", ": b holds 2020-13-40, which is not a valid timestamp."),
    ],
)
def test_every_message_about_params_yaml_names_its_folder(root: Path, text: str, said: str) -> None:
    name = folders.make(root, params=text)
    assert message(name).startswith(f"replications/{name}/params.yaml{said}")


def test_files_that_are_not_utf_8(root: Path) -> None:
    name = folders.make(root)
    (root / "replications" / name / "params.yaml").write_bytes(b"\xff")
    assert message(name) == f"replications/{name}/params.yaml is not UTF-8 text."
    (root / "replications" / name / "published.csv").write_bytes(b"\xff")
    assert message(name) == f"replications/{name}/published.csv is not UTF-8 text."


def test_a_byte_order_mark_as_spreadsheets_write_it(root: Path) -> None:
    plain = paper.load(folders.make(root)).published
    assert paper.load(folders.make(root, published=f"\ufeff{folders.PUBLISHED}")).published.equals(plain)


def test_a_folder_whose_name_is_not_valid(root: Path) -> None:
    folders.make(root, "paper.v2")
    assert message("paper.v2").startswith("replications/paper.v2: the folder's name is not valid; it must be a letter")


def test_a_copy_under_another_name_is_a_replication_of_its_own(root: Path) -> None:
    folders.make(root, "first")
    shutil.copytree(root / "replications" / "first", root / "replications" / "second")
    run.replicate("first")
    run.replicate("second")
    tables = [(root / "reports" / "replications" / f"{name}.csv").read_text() for name in ("first", "second")]
    assert tables[1] == tables[0].replace("first,", "second,").replace("the second,", "the first,")


def test_a_section_that_replication_py_needs_and_one_that_it_does_not_read(root: Path) -> None:
    code = folders.CODE.replace("class Settings(Experiment)", "class Settings(Section)")
    code = code.replace("    replication: Own\n", "    seeds: Seeds\n    replication: Own\n")
    code = code.replace("import Positive", "import Positive, Seeds")
    name = folders.make(root, params="replication: {factor: 2.0}\n", code=code)
    needed = "seeds is missing; it must be a list, each entry a whole number from 0 to"
    assert message(name).startswith(f"replications/{name}/params.yaml: {needed}")
    params = "replication: {factor: 2.0}\nseeds: [1]\nnetwork: {hidden_sizes: [4], activation: relu}\n"
    name = folders.make(root, params=params, code=code)
    unknown = "network is unknown; the file has seeds, replication."
    assert message(name) == f"replications/{name}/params.yaml: {unknown}"


def test_the_sizes_of_the_layers(root: Path) -> None:
    assert paper.load(folders.make(root)).settings.layers_dims == [2, 4, 1]


def test_an_entry_of_a_list_of_sections(root: Path) -> None:
    """The message names the key in the entry, or what the list holds."""
    code = folders.CODE.replace("class Own", "class Size(Section):\n    width: int\n\n\nclass Own")
    code = code.replace(
        "    factor: Positive\n", "    factor: Positive\n    sizes: tuple[Size, ...] = Field(description='a list')\n"
    )
    code = code.replace("import Figure\n", "import Figure\nfrom pydantic import Field\n")
    for given, said in (
        ("[{width: 1}, {}]", "replication.sizes[1].width is missing; it must be "),
        ("[{width: 1, w: 1}]", "replication.sizes[0].w is unknown; replication.sizes[0] has width."),
        ("[2]", "replication.sizes[0] holds 2; it must be a section with the keys width."),
        ("2", "replication.sizes holds 2; it must be a list."),
    ):
        params = folders.PARAMS.replace("{factor: 2.0}", f"{{factor: 2.0, sizes: {given}}}")
        name = folders.make(root, params=params, code=code)
        assert message(name).startswith(f"replications/{name}/params.yaml: {said}")


@pytest.mark.parametrize("entries", ["[]", "[2, 2]", "[3, 2]", "[0]", "[1000001]", "2"])
def test_a_list_of_counts(root: Path, entries: str) -> None:
    code = folders.CODE.replace("import Positive", "import Positive\nfrom pipeline.config.replications import Counts")
    code = code.replace("    factor: Positive\n", "    factor: Positive\n    widths: Counts\n")
    params = folders.PARAMS.replace("{factor: 2.0}", f"{{factor: 2.0, widths: {entries}}}")
    name = folders.make(root, params=params, code=code)
    assert message(name).startswith(f"replications/{name}/params.yaml: replication.widths")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('TITLE = "Doubling"', "", " does not define TITLE."),
        ("import Figure\n", "import Figur\n", ", line 6: import failed: ImportError: cannot import name 'Figur'"),
        ("    advance(1)\n", "    1 / 0\n", ": measure failed: ZeroDivisionError: division by zero"),
        ("class Settings", "TABLES = ('cells',)\n\n\nclass Settings", ": TABLES failed: KeyError: 'cells'"),
        ("    return Figure()", "    return tables['none']", ": draw failed: KeyError: 'none'"),
        ("    return Figure()", "    return None", ": draw returned a NoneType; it must return a Figure."),
        ("    return Figure()", "    raise SystemExit(3)", ": draw failed: SystemExit: 3"),
        ("import Figure\n", "import Figure\nraise SystemExit(3)\n", ": import failed: SystemExit: 3"),
        ('"Doubling"', "3", ": TITLE is 3; it must be a text."),
        ("class Settings(Experiment)", "class Settings", ": Settings is <class '"),
        ("    replication: Own\n", "", ": measure failed: AttributeError"),
        ("def draw", "measure = 1\n\n\ndef draw", ": measure is 1; it must be a function."),
        ("[Measurement(", "[1.0, Measurement(", ": measure returned 1.0 among the measurements; each must be a"),
        ('"shown", 7.0', '"shown", "7"', ": measure returned Measurement(quantity='shown', measured='7'"),
        ("def draw", "def total(settings):\n    return None\n\n\ndef draw", ": total failed: TypeError: int()"),
    ],
)
def test_replication_py(root: Path, old: str, new: str, said: str) -> None:
    """A figure that fails too leaves no file: the rows are written after it is drawn."""
    assert old in folders.CODE
    name = folders.make(root, code=folders.CODE.replace(old, new))
    found = message(name)
    assert found.startswith(f"replications/{name}/replication.py")
    assert said in found


@pytest.mark.parametrize(
    ("measurements", "said"),
    [
        (
            [Measurement("shown", 1.0), Measurement("upper bound", 1.0)],
            r"differ: only in published.csv: twice, the first\.",
        ),
        (
            [Measurement(name, 1.0) for name in ("shown", "upper bound", "twice, the first", "other")],
            r"differ: not in published.csv: other\.",
        ),
        (
            [Measurement(name, 1.0) for name in "abcd"],
            r"published.csv: twice, the first; shown; upper bound; not in published.csv: a; b and 2 others\.",
        ),
        (
            [Measurement(name, 1.0) for name in ("shown", "shown", "upper bound", "twice, the first")],
            "differ: a quantity is measured twice.",
        ),
    ],
)
def test_quantities_that_differ(root: Path, measurements: list[Measurement], said: str) -> None:
    with pytest.raises(UserError, match=said):
        paper.rows(paper.load(folders.make(root)), measurements)


# ---------------------------------------------------------------------------------------------------------------------
# The command


def test_the_command_writes_three_files(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = folders.make(root)
    run.replicate(name)
    files = {path.name: path.read_bytes() for path in (root / "reports" / "replications").iterdir()}
    assert set(files) == {f"{name}.csv", f"{name}.png", f"{name}.json"}
    lines = files[f"{name}.csv"].decode().splitlines()
    assert lines[0] == ",".join(paper.COLUMNS)
    assert lines[1:] == [
        f'{name},1,"twice, the first",2.0,,2.0,1.5,2.5,1.5,2.5,True',
        f"{name},1,shown,,7.5,7.0,,,,,",
        f"{name},2,upper bound,,,2.0,,,,3.0,True",
    ]
    assert files[f"{name}.json"].decode() == '{\n  "rows": 2,\n  "passed": 2,\n  "failed": 0\n}\n'
    assert files[f"{name}.png"].startswith(b"\x89PNG")
    assert capsys.readouterr().err.endswith(f"{name}: 2 of 2 rows are within their bands.\n")


def test_tables_are_written_if_the_module_names_them(root: Path) -> None:
    code = folders.CODE.replace("class Settings", "TABLES = ('cells',)\n\n\nclass Settings")
    table = "{'cells': pd.DataFrame({'x': [0.1]}), 'other': None}"
    code = code.replace("], {})", f"], {table})").replace("from matplotlib", "import pandas as pd\nfrom matplotlib")
    name = folders.make(root, code=code)
    run.replicate(name)
    assert (root / "reports" / "replications" / f"{name}_cells.csv").read_text() == "x\n0.1\n"
    assert len(list((root / "reports" / "replications").iterdir())) == 4


def test_a_row_outside_its_band_is_marked_and_fails_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = folders.make(root, params=folders.PARAMS.replace("2.0", "2.75"))
    run.replicate(name)
    folder = root / "reports" / "replications"
    assert (folder / f"{name}.csv").read_text().splitlines()[1].endswith(",False")
    assert '"failed": 1' in (folder / f"{name}.json").read_text()
    said = capsys.readouterr().err
    assert f"{name}: 1 of 2 rows are within their bands.\n" in said
    assert said.endswith(f"{name}: failed: twice, the first: 2.75 is outside its band, 1.5 to 2.5.\n")


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (math.nan, 500.0, "at most 500"),
        (1.5, math.nan, "at least 1.5"),
        (8.0, 8.0, "exactly 8"),
        (1.5, 2.5, "1.5 to 2.5"),
    ],
)
def test_bands_in_words(least: float, most: float, text: str) -> None:
    assert run.band_text(least, most) == text
