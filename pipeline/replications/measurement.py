"""What a replication returns: measured numbers with their intervals over seeds, beside theory.

A replication is a folder replications/NAME with
- `params.yaml`: the sections of the laboratory's params.yaml that it reads, and a section `replication` of its own;
- `published.csv`: a row for each quantity, with the published value, the band within which the measured value must lie,
  and their source;
- `replication.py`: `TITLE`, the paper and its figures; `Settings`, a `Section` whose fields are the sections of
  params.yaml, with what they must hold and relations between keys (pipeline/config/replications.py);
  `measure(settings, advance)`, which returns a `Replication`; and `draw(tables)`, which returns the figure. Optional:
  `FIGURE`, what the figure in the paper shows and in what the one here differs; `ANALYSIS`, a dictionary from
  quantities whose rows fail to the reason; `NOT_REPRODUCED`, one from quantities that differ from what the paper
  says, though no band excludes them, to the reason; `quantities(settings)`, the quantities that `measure` returns,
  which are then compared with published.csv before anything is measured; `TABLES`, names of tables of the
  `Replication` that are written as CSV; `total(settings)`, the number of models with which `advance` is called in
  all, for a progress bar. Further functions that draw have names that begin with `draw`: others may use no arithmetic
  whose bits depend on the processor. The first paragraph of the docstring is the claim, the second the setting.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.analysis.estimators import mean, quantile, student_interval

CONFIDENCE = 0.95  # of every interval


class Measurement(NamedTuple):
    """A measured number. NaN where there is no interval or no theory."""

    quantity: str  # as in published.csv
    measured: float
    low: float = math.nan  # interval over seeds
    high: float = math.nan
    theory: float = math.nan


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def written(value: float, n_digits: int = 6) -> str:
    """A number with up to `n_digits` digits as in names of quantities, figures and tables: 0.05, 2.01·10⁻⁵, 10⁻¹²."""
    digits, _, power = f"{value:.{n_digits}g}".partition("e")
    if not power:
        return digits
    return f"{digits}·10{str(int(power)).translate(SUPERSCRIPTS)}".removeprefix("1·")


class Replication(NamedTuple):
    """The results of a replication: its measurements, and the pandas tables from which its figure is drawn."""

    measurements: list[Measurement]
    tables: dict[str, Any]


def mean_over_seeds(quantity: str, values: Sequence[float], theory: float = math.nan) -> Measurement:
    """The mean of one value per seed, with Student's interval at 95 %; no interval for one seed."""
    low, high = student_interval(values, CONFIDENCE) if len(values) > 1 else (math.nan, math.nan)
    return Measurement(quantity, mean(values), low, high, theory)


def median_over_seeds(quantity: str, values: Sequence[float], theory: float = math.nan) -> Measurement:
    """The median of one value per seed, with the smallest and the largest value."""
    return Measurement(quantity, quantile(values, 0.5), min(values), max(values), theory)


def of_seeds(quantity: str, n: int) -> str:
    """The quantity of `count_over_seeds` for n seeds."""
    return f"{quantity}, of {n}"


def count_over_seeds(quantity: str, holds: Sequence[bool], theory: float = math.nan) -> Measurement:
    """The number of seeds for which a statement holds; their number is appended to the quantity: "..., of 8"."""
    return Measurement(of_seeds(quantity, len(holds)), float(len([one for one in holds if one])), theory=theory)
