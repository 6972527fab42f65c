"""The table of reports/initialization.csv: statistics of measurements at initialization, and predictions.

Sums are correctly rounded, so that the table has the same bits on every computer.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.analysis.comparison import Columns, Table
from pipeline.analysis.estimators import QUANTILES, mean, quantile, sample_std, three_sigma_bound
from pipeline.diagnostics.measure import LAYER_QUANTITIES, MODEL_QUANTITIES, Quantity
from pipeline.theory.predictions import Predictions

LAYERS_SHOWN = 8  # at most, of a deep network
ROUNDING = 1e-12  # relative difference up to which a mean and its prediction count as equal


class InitialMeasurements(NamedTuple):
    """The measurements of the models of an initializer at initialization, and the predictions of theory."""

    layers: Columns  # the columns of layers.csv, one row per model and layer
    models: Columns  # the columns of models.csv, one row per model
    dead: Sequence[Any]  # (models, n_l) of each hidden layer: whether a unit is dead
    predicted: Predictions | None  # None where theory makes no prediction


def initialization_table(measurements: Mapping[str, InitialMeasurements]) -> Table:
    """One row per initializer, quantity and layer; the layer is missing for quantities of the whole model.

    Models with an undefined (nan) quantity are left out, and rows without models.
    """
    rows: list[dict[str, Any]] = []
    for name, one in measurements.items():
        for quantity in reported(LAYER_QUANTITIES):
            for l, values in enumerate(of_layers(one, quantity)):
                expected = one.predicted.layers.get(quantity) if one.predicted else None
                rows.append(row(name, quantity, l + 1, values, expected[l] if expected else math.nan))
        for quantity in reported(MODEL_QUANTITIES):
            expected_value = one.predicted.models.get(quantity, math.nan) if one.predicted else math.nan
            rows.append(row(name, quantity, None, one.models[quantity].tolist(), expected_value))
    made = pd.DataFrame([row for row in rows if row["seeds"]])
    made["layer"] = made["layer"].astype("Int64")
    return made


def reported(quantities: Mapping[str, Quantity]) -> list[str]:
    """The names of the quantities that have rows."""
    return [name for name, quantity in quantities.items() if quantity.reported]


def of_layers(one: InitialMeasurements, quantity: str) -> list[list[float]]:
    """The values of a quantity: for each layer, one per model."""
    if quantity == "dead_for_all":
        return [[float(np.count_nonzero(units.all(axis=0)))] for units in one.dead]
    n_layers = int(one.layers["layer"].max())
    source = "preactivation_gradient_rms" if quantity == "gradient_ratio" else quantity
    column = one.layers[source].reshape(-1, n_layers)
    if quantity == "gradient_ratio":
        with np.errstate(all="ignore"):
            ratio = column / column[:, -1:]
            column = ratio * ratio
    return [column[:, l].tolist() for l in range(n_layers)]


def row(name: str, quantity: str, layer: int | None, values: Sequence[float], predicted: float) -> dict[str, Any]:
    """A row of the table: statistics of the values that are not nan, the prediction, and the z-score of the mean."""
    kept = [float(value) for value in values if not math.isnan(value)]
    made: dict[str, Any] = {"initializer": name, "quantity": quantity, "layer": layer, "seeds": len(kept)}
    if kept:
        made |= {"mean": mean(kept), "std": sample_std(kept)}
        made |= {key: quantile(kept, share) for key, share in QUANTILES}
        made |= {"predicted": predicted, "z_score": standard_errors(made["mean"], made["std"], len(kept), predicted)}
    return made


def standard_errors(measured: float, std: float, n: int, predicted: float) -> float:
    """The z-score (measured - predicted) / (std / sqrt(n)): 0 if equal up to rounding, nan if undefined."""
    if not math.isfinite(measured - predicted):
        return math.nan
    if abs(measured - predicted) <= ROUNDING * abs(predicted):
        return 0.0
    return (measured - predicted) / (std / math.sqrt(n)) if 0.0 < std < math.inf else math.nan


def compared_with_theory(measured: Table) -> tuple[Table, Table]:
    """The rows whose z-score is defined, and those of them whose mean differs from the prediction.

    It differs if the z-score is beyond `three_sigma_bound` of the number of models for which the quantity is defined.
    """
    compared = measured[measured["predicted"].notna() & measured["z_score"].notna()]
    bounds = compared["seeds"].map(three_sigma_bound)
    return compared, compared[compared["z_score"].abs() > bounds]


def agreement_bound(n_seeds: int) -> str:
    """The bound of `compared_with_theory` in words, for quantities that are defined for all of `n_seeds` models."""
    return "rounding" if n_seeds == 1 else f"{three_sigma_bound(n_seeds):.3g} standard errors"


def layers_to_show(n_layers: int) -> list[int]:
    """The numbers of the layers that are shown: all, or of a deep network the first, the last and some between."""
    if n_layers <= LAYERS_SHOWN:
        return list(range(1, n_layers + 1))
    return [1 + round(place * (n_layers - 1) / (LAYERS_SHOWN - 1)) for place in range(LAYERS_SHOWN)]
