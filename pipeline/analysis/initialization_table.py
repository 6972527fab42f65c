"""The table of reports/initialization.csv: statistics of measurements at initialization, and predictions.

Sums are correctly rounded, so that the table has the same bits on every computer.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.analysis.comparison import Columns, Table
from pipeline.analysis.estimators import QUANTILES, mean, quantile, sample_std
from pipeline.theory.predictions import Predictions

LAYERS_SHOWN = 8  # at most, of a deep network
FAR = 3.0  # standard errors from which a measured mean counts as different from its prediction
ROUNDING = 1e-12  # relative difference up to which a mean and its prediction count as equal

LAYER_QUANTITIES = {
    "units": "number of units",
    "weight_mean": "mean of the weights",
    "weight_mean_square": "mean square of the weights",
    "bias_mean": "mean of the biases",
    "bias_mean_square": "mean square of the biases",
    "preactivation_mean_square": "mean square of the pre-activations",
    "preactivation_mean": "mean of the pre-activations",
    "preactivation_std": "standard deviation of the pre-activations",
    "activation_mean_square": "mean square of the activations",
    "activation_mean": "mean of the activations",
    "activation_std": "standard deviation of the activations",
    "preactivation_gradient_rms": "root mean square of the derivative of the cost with respect to the pre-activations",
    "gradient_ratio": "square of gradient over that of the last layer",
    "weight_gradient_rms": "root mean square of the gradient of the weights",
    "saturated": "share of saturated units, over units and samples; of saturated outputs in the last layer",
    "dead": "number of units whose slope is 0 at every sample",
    "dead_for_all": "number of units that are dead for every seed",
    "unique_incoming": "number of distinct units by their incoming weights and biases",
    "unique_incoming_outgoing": "number of distinct units by their incoming weights, biases and outgoing weights",
    "unique_activations": "number of distinct units by their activations at all samples",
    "largest_cosine": "largest |cosine| between the incoming weights of two units",
    "effective_rank": "effective rank of the weights",
    "correlation": "correlation of the pre-activations of two orthogonal inputs",
}
MODEL_QUANTITIES = {
    "initial_cost": "initial cost, in nats",
    "sharpness": "largest eigenvalue of the Gauss-Newton matrix of the cost, all classes taken as equally probable",
    "centered_gradient": "norm of the gradient of all weights by the residuals minus their mean over the samples",
    "weight_norm": "norm of all weights",
    "jacobian_mean_square": "sum of squares of the Jacobian of the last hidden layer, over the number of inputs",
    "jacobian_largest": "largest singular value of that Jacobian, on average over samples",
    "jacobian_smallest": "smallest singular value of that Jacobian, on average over samples",
    "blocked_inputs": "share of blocked inputs: samples at which all slopes of some hidden layer are 0",
    "log_growth": "log of the mean square of the last activations over that of the input",
}


class InitialMeasurements(NamedTuple):
    """The measurements of the models of an initializer at initialization, and the predictions of theory."""

    layers: Columns  # the columns of layers.csv, one row per model and layer
    models: Columns  # the columns of models.csv, one row per model
    dead: Sequence[Any]  # (models, n_l) of each hidden layer: whether a unit is dead
    predicted: Predictions | None  # None where theory makes no prediction


def table(measurements: Mapping[str, InitialMeasurements]) -> Table:
    """One row per initializer, quantity and layer; the layer is missing for quantities of the whole model.

    Models with an undefined (nan) quantity are left out, and rows without models.
    """
    rows: list[dict[str, Any]] = []
    for name, one in measurements.items():
        for quantity in LAYER_QUANTITIES:
            for l, values in enumerate(of_layers(one, quantity)):
                expected = one.predicted.layers.get(quantity) if one.predicted else None
                rows.append(row(name, quantity, l + 1, values, expected[l] if expected else math.nan))
        for quantity in MODEL_QUANTITIES:
            expected_value = one.predicted.models.get(quantity, math.nan) if one.predicted else math.nan
            rows.append(
                row(
                    name,
                    quantity,
                    None,
                    one.models[quantity].tolist(),
                    expected_value,
                )
            )
    made = pd.DataFrame([row for row in rows if row["seeds"]])
    made["layer"] = made["layer"].astype("Int64")
    return made


def of_layers(one: InitialMeasurements, quantity: str) -> list[list[float]]:
    """The values of a quantity: for each layer, one per model."""
    if quantity == "dead_for_all":
        return [[float(np.count_nonzero(units.all(axis=0)))] for units in one.dead]
    n_layers = int(one.layers["layer"].max())
    column = one.layers["preactivation_gradient_rms" if quantity == "gradient_ratio" else quantity].reshape(
        -1, n_layers
    )
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
    """The rows of `table` whose z-score is defined, and of those the ones in which it is beyond FAR."""
    compared = measured[measured["predicted"].notna() & measured["z_score"].notna()]
    return compared, compared[compared["z_score"].abs() > FAR]


def layers_to_show(n_layers: int) -> list[int]:
    """The numbers of the layers that are shown: all, or of a deep network the first, the last and some between."""
    if n_layers <= LAYERS_SHOWN:
        return list(range(1, n_layers + 1))
    return [1 + round(place * (n_layers - 1) / (LAYERS_SHOWN - 1)) for place in range(LAYERS_SHOWN)]
