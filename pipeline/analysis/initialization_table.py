"""Measurements at initialization beside the predictions of theory, as a tidy table: reports/initialization.csv.

As in `statistics`, sums are correctly rounded, so the table has the same bits on every computer.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.analysis.comparison import Columns, Table
from pipeline.analysis.estimators import QUANTILES, deviation, mean, quantile
from pipeline.theory.predictions import Predicted

LAYERS_SHOWN = 8  # of a deep network
ROUNDING = 1e-12  # relative: what lies closer is equal

LAYER_QUANTITIES = {
    "units": "units of the layer",
    "weight_mean": "mean of the weights",
    "weight_square": "mean square of the weights",
    "bias_mean": "mean of the biases",
    "bias_square": "mean square of the biases",
    "z_square": "mean square of the pre-activations",
    "z_mean": "mean of the pre-activations",
    "z_sd": "standard deviation of the pre-activations",
    "a_square": "mean square of the activations",
    "a_mean": "mean of the activations",
    "a_sd": "standard deviation of the activations",
    "gradient": "root mean square of the derivative of the cost by the pre-activations",
    "gradient_ratio": "its square over that of the last layer",
    "weight_gradient": "root mean square of the gradient of the weights",
    "saturated": "share of saturated units, over units and samples; in the last layer of saturated outputs",
    "dead": "units whose slope is 0 on every sample",
    "dead_for_all": "units that are so for every seed",
    "distinct": "different units by their incoming weights and biases",
    "told_apart": "different units by their outgoing weights too",
    "distinct_activations": "different units by their activations on the data",
    "largest_cosine": "largest |cosine| between the incoming weights of two units",
    "effective_rank": "effective rank of the weights",
    "correlation": "correlation of the pre-activations of two inputs at a right angle",
}
MODEL_QUANTITIES = {
    "cost": "cost before the first step",
    "sharpness": "largest eigenvalue of the Gauss-Newton matrix of the cost, all classes taken as equally probable",
    "centered_gradient": "norm of the gradient of all weights by the residuals less their mean over the samples",
    "weight_norm": "norm of all weights",
    "jacobian_square": "sum of squares of the Jacobian of the last hidden layer, over the number of inputs",
    "jacobian_largest": "its largest singular value",
    "jacobian_smallest": "its smallest singular value",
    "silent": "share of samples at which some hidden layer lets nothing pass",
    "log_growth": "log of the mean square of the last activations over that of the input",
}


class Newborn(NamedTuple):
    """All that is known of the newborn models of an initializer."""

    layers: Columns  # columns of layers.csv: a row a model and layer
    models: Columns  # columns of models.csv
    dead: Sequence[Any]  # of each hidden layer (models, n_l)
    predicted: Predicted | None  # None where theory is silent


def table(newborn: Mapping[str, Newborn]) -> Table:
    """A row for each initializer, quantity and layer; the layer is missing where the quantity is the whole model's.

    Models of which the quantity is not defined are left out, and a row of which none is left.
    """
    rows: list[dict[str, Any]] = []
    for name, one in newborn.items():
        for quantity in LAYER_QUANTITIES:
            for l, values in enumerate(of_layers(one, quantity)):
                expected = one.predicted.layers.get(quantity) if one.predicted else None
                rows.append(row(name, quantity, l + 1, values, expected[l] if expected else math.nan))
        for quantity in MODEL_QUANTITIES:
            expected_value = one.predicted.models.get(quantity, math.nan) if one.predicted else math.nan
            rows.append(row(name, quantity, None, one.models[quantity].tolist(), expected_value))
    made = pd.DataFrame([row for row in rows if row["seeds"]])
    made["layer"] = made["layer"].astype("Int64")
    return made


def of_layers(one: Newborn, quantity: str) -> list[list[float]]:
    """The values of every model, layer by layer."""
    if quantity == "dead_for_all":
        return [[float(np.count_nonzero(units.all(axis=0)))] for units in one.dead]
    n_layers = int(one.layers["layer"].max())
    column = one.layers["gradient" if quantity == "gradient_ratio" else quantity].reshape(-1, n_layers)
    if quantity == "gradient_ratio":
        with np.errstate(all="ignore"):
            ratio = column / column[:, -1:]
            column = ratio * ratio
    return [column[:, l].tolist() for l in range(n_layers)]


def row(name: str, quantity: str, layer: int | None, values: Sequence[float], predicted: float) -> dict[str, Any]:
    """Mean and spread of the values that are not nan, and how far the mean lies from what is predicted."""
    kept = [float(value) for value in values if not math.isnan(value)]
    made: dict[str, Any] = {"initializer": name, "quantity": quantity, "layer": layer, "seeds": len(kept)}
    if kept:
        made |= {"mean": mean(kept), "sd": deviation(kept)}
        made |= {key: quantile(kept, share) for key, share in QUANTILES}
        made |= {"predicted": predicted, "deviation": standard_errors(made["mean"], made["sd"], len(kept), predicted)}
    return made


def standard_errors(measured: float, sd: float, n: int, predicted: float) -> float:
    """(measured - predicted) / (sd / sqrt(n)); 0 where they are equal up to rounding, nan where that says nothing."""
    if not math.isfinite(measured - predicted):
        return math.nan
    if abs(measured - predicted) <= ROUNDING * abs(predicted):
        return 0.0
    return (measured - predicted) / (sd / math.sqrt(n)) if 0.0 < sd < math.inf else math.nan


def chosen(n_layers: int) -> list[int]:
    """All layers, or of a deep network the first, the last and some evenly between."""
    if n_layers <= LAYERS_SHOWN:
        return list(range(1, n_layers + 1))
    return [1 + round(place * (n_layers - 1) / (LAYERS_SHOWN - 1)) for place in range(LAYERS_SHOWN)]
