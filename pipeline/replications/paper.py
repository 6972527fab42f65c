"""One replication: its folder, and the table of its results."""

import csv
import importlib
import io
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pipeline.config import replications
from pipeline.config.messages import corrected, cut, nearest, printable, shown
from pipeline.config.schema import NAMED, is_file_name
from pipeline.config.validation import Section
from pipeline.errors import UserError
from pipeline.replications.measurement import Measurement, Replication
from pipeline.storage import atomic_files

FOLDER = Path("replications")
FILES = ("params.yaml", "published.csv", "replication.py")
REQUIRED = ("TITLE", "Settings", "measure", "draw")  # by replication.py
PUBLISHED = ("figure", "quantity", "published", "least", "most", "source")  # columns of published.csv
NUMBERS = ("published", "least", "most")
COLUMNS = (
    *("paper", "figure", "quantity", "theory", "published", "measured"),
    *("interval_low", "interval_high", "least", "most", "passed"),
)


class Paper(NamedTuple):
    """A replication's folder."""

    name: str
    module: ModuleType  # replication.py
    settings: Any  # of params.yaml
    published: Any  # the pandas table published.csv


def names() -> list[str]:
    """The names of all replications, in alphabetical order: the folders in replications/ with one of FILES."""
    return sorted({path.parent.name for file in FILES for path in FOLDER.glob(f"*/{file}")})


def check_name(name: str) -> None:
    """Raise UserError with the names of all replications unless there is a replication NAME."""
    if name not in names():
        there = f"there are {', '.join(names()) or 'none'}"
        raise UserError(corrected(f"There is no replication {name}", nearest(name, names()), there))


def load(name: str) -> Paper:
    """The replication in the folder replications/NAME. Raises UserError."""
    check_name(name)
    if not is_file_name(name):
        raise UserError(f"replications/{name}: the folder's name is not valid; it must be {NAMED}.")
    folder = FOLDER / name
    for file in FILES:
        if not (folder / file).is_file():
            raise UserError(f"{(folder / file).as_posix()} is missing; a replication has {', '.join(FILES)}.")
    module = load_module(name)
    published = read_published(folder / "published.csv")
    return Paper(name, module, replications.load(folder / "params.yaml", module.Settings), published)


def load_module(name: str) -> ModuleType:
    """replications/NAME/replication.py. Raises UserError."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module: ModuleType = call(name, "import", importlib.import_module, f"replications.{name}.replication")
    if missing := [each for each in REQUIRED if not hasattr(module, each)]:
        raise UserError(f"replications/{name}/replication.py does not define {', '.join(missing)}.")
    for what, holds, allowed in (
        ("TITLE", isinstance(module.TITLE, str), "a text"),
        ("Settings", is_settings(module.Settings), "a class of Section with a field `replication`"),
        ("measure", callable(module.measure), "a function"),
        ("draw", callable(module.draw), "a function"),
    ):
        if not holds:
            given = shown(getattr(module, what))
            raise UserError(f"replications/{name}/replication.py: {what} is {given}; it must be {allowed}.")
    return module


def is_settings(value: Any) -> bool:
    """Whether a value is a class for the whole params.yaml of a replication."""
    return isinstance(value, type) and issubclass(value, Section) and "replication" in value.model_fields


def read_published(path: Path) -> Any:
    """The pandas table in published.csv, in UTF-8 with or without a byte order mark.

    Raises UserError for lines, columns, quantities or bands that are not valid.
    """
    file = path.as_posix()
    try:
        text = atomic_files.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text.") from error
    fields = published_fields(file, text)
    table = atomic_files.parse_table(text)
    for column in ("figure", "quantity", "source"):
        if table[column].isna().any():
            raise UserError(f"{file}: a field of the column {column} is empty; it must hold text.")
    for row in fields:
        for column in NUMBERS:
            if not is_number(value := row[column]):
                raise UserError(
                    f"{file}: {row['quantity']}: {column} is {value}; it must be a finite number, or empty."
                )
    for one in table.itertuples():
        if one.least > one.most:
            raise UserError(f"{file}: {one.quantity}: least is {one.least}, which is above most, {one.most}.")
    if len(twice := table["quantity"][table["quantity"].duplicated()]):
        raise UserError(f"{file}: {twice.iloc[0]}: the quantity occurs more than once; each must have one row.")
    return table


def published_fields(file: str, text: str) -> list[dict[str, str]]:
    """The fields of each row of published.csv as text. Raises UserError for columns or lines that are not valid."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]  # without advice to programmers
        raise UserError(f"{file}: line {reader.line_num} is not valid CSV: {reason}.") from error
    columns = lines[0][1] if lines else []
    if tuple(columns) != PUBLISHED:
        given = ", ".join(cut(printable(column)) for column in columns) or "none"
        raise UserError(f"{file} has the columns {given}; it must have {', '.join(PUBLISHED)}.")
    if len(lines) == 1:
        raise UserError(f"{file} has no rows; it must have one for each quantity that replication.py measures.")
    for line, row in lines:
        if len(row) != len(PUBLISHED):
            raise UserError(
                f"{file}: line {line} has {len(row)} fields; it must have {len(PUBLISHED)}, and a field that contains "
                "a comma must be in double quotes."
            )
    return [dict(zip(PUBLISHED, row, strict=True)) for _, row in lines[1:]]


def is_number(field: str) -> bool:
    """Whether a field is empty or a finite number."""
    try:
        return not field or math.isfinite(float(field))
    except ValueError:
        return False


def total(paper: Paper) -> int:
    """The number with which `measure` calls `advance` in all, for a progress bar; 0 if there is no `total`."""
    function = getattr(paper.module, "total", None)
    return int(call(paper.name, "total", lambda settings: int(function(settings)), paper.settings)) if function else 0


def check_quantities(paper: Paper) -> None:
    """Raise UserError if published.csv does not fit the settings, as far as replication.py says it beforehand."""
    if function := getattr(paper.module, "quantities", None):
        require_published(paper, call(paper.name, "quantities", function, paper.settings))


def measure(paper: Paper, advance: Callable[[int], object]) -> Replication:
    """The results of a replication; `advance(n)` is called with the number of finished models or networks.

    Raises UserError.
    """
    result = call(paper.name, "measure", paper.module.measure, paper.settings, advance)
    if not isinstance(result, Replication):
        kind = type(result).__name__
        raise UserError(
            f"replications/{paper.name}/replication.py: measure returned a {kind}; it must return a Replication."
        )
    for one in result.measurements:
        if not isinstance(one, Measurement) or not all(isinstance(value, int | float) for value in one[1:]):
            raise UserError(
                f"replications/{paper.name}/replication.py: measure returned {shown(one)} among the measurements; "
                "each must be a Measurement of a quantity and numbers."
            )
    return result


def draw(paper: Paper, tables: Mapping[str, Any]) -> bytes:
    """The figure of a replication as PNG. Raises UserError."""
    from matplotlib.figure import Figure

    from pipeline.figures import style  # imports Matplotlib

    figure = call(paper.name, "draw", paper.module.draw, tables)
    if not isinstance(figure, Figure):
        kind = type(figure).__name__
        raise UserError(f"replications/{paper.name}/replication.py: draw returned a {kind}; it must return a Figure.")
    drawn: bytes = call(paper.name, "draw", style.png, figure)
    return drawn


def call(name: str, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a replication returns.

    Raises UserError with its exception and the line that raised it, or with params.yaml if the memory is too small.
    """
    try:
        return function(*arguments)
    except UserError:
        raise
    except MemoryError as error:
        advice, reason = "choose smaller networks, or fewer samples or seeds", str(error) or "no details are known"
        raise UserError(f"replications/{name}/params.yaml: the memory is too small ({reason}); {advice}.") from error
    except (Exception, SystemExit) as error:
        folder = (Path.cwd() / FOLDER).resolve()
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(folder)]
        line = f", line {frames[-1].lineno}" if frames else ""
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"replications/{name}/replication.py{line}: {what} failed: {reason}") from error


def rows(paper: Paper, measurements: list[Measurement]) -> Any:
    """The pandas table of results, in the order of published.csv, with the columns COLUMNS.

    `passed` is None in a row without a band; a missing end of a band is not checked, and NaN is in no band. Raises
    UserError if the quantities measured are not those of published.csv.
    """
    import pandas as pd

    require_published(paper, [one.quantity for one in measurements])
    measured = {one.quantity: one for one in measurements}
    table = []
    for one in paper.published.itertuples():
        found = measured[one.quantity]
        here = paper.name, one.figure, one.quantity, found.theory, one.published, found.measured
        passed = is_within(found.measured, one.least, one.most)
        table.append((*here, found.low, found.high, one.least, one.most, passed))
    return pd.DataFrame(table, columns=list(COLUMNS)).astype({"passed": object})


def require_published(paper: Paper, quantities: Sequence[str]) -> None:
    """Raise UserError if the quantities are not those of published.csv."""
    expected = list(paper.published["quantity"])
    if sorted(quantities) != sorted(expected):
        parts = [
            ("only in published.csv", [each for each in expected if each not in set(quantities)]),
            ("not in published.csv", [each for each in quantities if each not in set(expected)]),
        ]
        text = "; ".join(f"{where}: {first_few(which)}" for where, which in parts if which)
        raise UserError(
            f"replications/{paper.name}: published.csv and the quantities that measure returns differ: "
            f"{text or 'a quantity is measured twice'}. Quantities contain settings: after a "
            "change of params.yaml rename them in published.csv, and check their bands."
        )


def first_few(quantities: Sequence[str]) -> str:
    """Quantities for a message: all of three or fewer, else two and the number of the others."""
    n = 3 if len(quantities) <= 3 else 2
    others = f" and {len(quantities) - n} others" if len(quantities) > n else ""
    return "; ".join(quantities[:n]) + others


def is_within(measured: float, least: float, most: float) -> bool | None:
    """Whether a number is in a band, either end of which may be NaN; None if both are."""
    if math.isnan(least) and math.isnan(most):
        return None
    return not (measured < least or measured > most or math.isnan(measured))
