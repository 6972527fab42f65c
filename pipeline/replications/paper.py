"""One replication: its folder, and the table of its results."""

import importlib
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pipeline.errors import UserError
from pipeline.replications import settings
from pipeline.replications.measurement import Measurement, Replication
from pipeline.storage import atomic_files

FOLDER = Path("replications")
PUBLISHED = ("figure", "quantity", "published", "least", "most", "source")  # columns of published.csv
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
    """The names of all replications, in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/replication.py"))


def load(name: str) -> Paper:
    """The replication in the folder replications/NAME. Raises UserError."""
    if name not in names():
        raise UserError(f"There is no replication {name}; there are {', '.join(names())}.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module = importlib.import_module(f"replications.{name}.replication")
    folder = FOLDER / name
    published = atomic_files.read_table(folder / "published.csv")
    if tuple(published.columns) != PUBLISHED:
        raise UserError(f"{folder / 'published.csv'} must have the columns {', '.join(PUBLISHED)}.")
    return Paper(name, module, settings.load(folder / "params.yaml", module.Settings), published)


def measure(paper: Paper, advance: Any) -> Replication:
    """The results of a replication; `advance(n)` is called with the number of finished models or networks."""
    result: Replication = paper.module.measure(paper.settings, advance)
    return result


def rows(paper: Paper, measurements: list[Measurement]) -> Any:
    """The pandas table of results, in the order of published.csv; an end of the band that is missing is not checked.

    Raises UserError if the quantities measured are not those of published.csv.
    """
    import pandas as pd

    measured = {one.quantity: one for one in measurements}
    expected = list(paper.published["quantity"])
    if sorted(measured) != sorted(expected) or len(expected) != len(measurements):
        different = sorted(set(measured).symmetric_difference(expected)) or ["a quantity occurs twice"]
        raise UserError(f"replications/{paper.name}: published.csv and measure() differ: {', '.join(different)}.")
    table = []
    for one in paper.published.itertuples():
        found = measured[one.quantity]
        passed = not (found.measured < one.least or found.measured > one.most or math.isnan(found.measured))
        here = paper.name, one.figure, one.quantity, found.theory, one.published, found.measured
        table.append((*here, found.low, found.high, one.least, one.most, passed))
    return pd.DataFrame(table, columns=list(COLUMNS))
