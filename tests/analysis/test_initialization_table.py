"""initialization.csv against rows worked by hand, SciPy, and measurements of drawn models."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.analysis.initialization_table import (
    InitialMeasurements,
    compared_with_theory,
    initialization_table,
    reported,
    row,
    standard_errors,
)
from pipeline.datasets import circles
from pipeline.diagnostics import measure
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import stack
from pipeline.theory import predictions, variances
from pipeline.theory.predictions import Predictions

# A relative tolerance of 1e-15 is for the roundings of a few operations; 1e-12 for those of a difference of near numbers.
LAYER_QUANTITIES, MODEL_QUANTITIES = reported(measure.LAYER_QUANTITIES), reported(measure.MODEL_QUANTITIES)
DERIVED = {"gradient_ratio", "dead_for_all"}
COLUMNS = ["initializer", "quantity", "layer", "seeds", "mean", "std"]
COLUMNS += ["min", "median", "max", "predicted", "z_score"]
HE = Recipe("he_normal", {})


def measured(
    n_layers: int = 2,
    layers: dict[str, list[float]] | None = None,
    models: dict[str, list[float]] | None = None,
    dead: list[Any] | None = None,
    predicted: Predictions | None = None,
) -> InitialMeasurements:
    """Three models in which everything is 1, but for the columns given; those of layers go model by model."""
    columns = {"layer": np.tile(np.arange(1, n_layers + 1), 3)}
    columns |= {name: np.ones(3 * n_layers) for name in LAYER_QUANTITIES if name not in DERIVED}
    columns |= {name: np.array(values) for name, values in (layers or {}).items()}
    of_models = {name: np.ones(3) for name in MODEL_QUANTITIES}
    of_models |= {name: np.array(values) for name, values in (models or {}).items()}
    return InitialMeasurements(columns, of_models, dead or [np.zeros((3, 4), dtype=bool)] * (n_layers - 1), predicted)


def rows_of(made: pd.DataFrame, quantity: str) -> list[dict[str, Any]]:
    return made[made["quantity"] == quantity].to_dict("records")


def test_rows_worked_by_hand() -> None:
    theory = Predictions({"preactivation_mean_square": [2.0, math.nan]}, {"initial_cost": 0.5})
    one = measured(
        layers={"preactivation_mean_square": [1.0, 10.0, 2.0, 20.0, 6.0, 30.0]},
        models={"initial_cost": [0.1, 0.2, 0.9]},
        predicted=theory,
    )
    made = initialization_table({"x": one})
    first, last = rows_of(made, "preactivation_mean_square")
    assert (first["initializer"], first["layer"], first["seeds"], first["mean"]) == ("x", 1, 3, 3.0)
    assert (first["min"], first["median"], first["max"], first["predicted"]) == (1.0, 2.0, 6.0, 2.0)
    assert first["std"] == pytest.approx(math.sqrt(7.0), rel=1e-15)  # (4 + 1 + 9) / 2
    assert first["z_score"] == pytest.approx(math.sqrt(3.0 / 7.0), rel=1e-15)  # (3 - 2) / sqrt(7 / 3)
    assert (last["layer"], last["mean"], last["std"], last["median"]) == (2, 20.0, 10.0, 20.0)
    assert math.isnan(last["predicted"])
    assert math.isnan(last["z_score"])
    (cost,) = rows_of(made, "initial_cost")
    assert pd.isna(cost["layer"])
    assert cost["mean"] == pytest.approx(0.4, rel=1e-15)
    assert cost["z_score"] == pytest.approx(-0.1 / math.sqrt(0.19 / 3), rel=1e-12)  # of -0.3, -0.2, 0.5; 0.4 - 0.5


def test_a_deviation_is_students_t() -> None:
    values = np.random.RandomState(0).randn(30)
    made = row("x", "initial_cost", None, values.tolist(), 0.25)
    assert made["z_score"] == pytest.approx(stats.ttest_1samp(values, 0.25).statistic, rel=1e-12)


def test_rows_stand_in_the_order_of_initializers_quantities_and_layers() -> None:
    made = initialization_table({"z": measured(), "a": measured()})
    per_layer = [(quantity, l) for quantity in LAYER_QUANTITIES for l in (1, 2)]
    per_layer.remove(("dead_for_all", 2))  # of hidden layers alone
    expected = [*per_layer, *((quantity, 0) for quantity in MODEL_QUANTITIES)]
    found = list(zip(made["initializer"], made["quantity"], made["layer"].fillna(0), strict=True))
    assert found == [(name, *key) for name in ("z", "a") for key in expected]
    assert list(made) == COLUMNS
    assert made["layer"].dtype == "Int64"  # whole numbers in initialization.csv, though some are missing


def test_models_without_a_value_are_left_out_and_rows_without_a_model() -> None:
    nan = math.nan
    one = measured(
        layers={"correlation": [1.0, nan, nan, nan, 4.0, nan]},
        models={"log_growth": [nan] * 3, "blocked_inputs": [nan, nan, 7.0]},
    )
    made = initialization_table({"x": one})
    (correlation,) = rows_of(made, "correlation")  # none in layer 2
    assert (correlation["layer"], correlation["seeds"], correlation["mean"]) == (1, 2, 2.5)
    assert not rows_of(made, "log_growth")
    (blocked,) = rows_of(made, "blocked_inputs")
    assert (blocked["seeds"], blocked["mean"], blocked["min"], blocked["max"]) == (
        1,
        7.0,
        7.0,
        7.0,
    )
    assert math.isnan(blocked["std"])


def test_dead_for_all_seeds_are_those_dead_in_every_one() -> None:
    first = np.array([[1, 0, 1, 1], [1, 1, 0, 1], [1, 0, 0, 1]], dtype=bool)
    second = np.array([[1, 1], [1, 1], [1, 0]], dtype=bool)
    one, other = rows_of(initialization_table({"x": measured(3, dead=[first, second])}), "dead_for_all")
    assert (one["layer"], one["mean"], one["seeds"]) == (1, 2.0, 1)
    assert (other["layer"], other["mean"]) == (2, 1.0)


def test_gradient_ratio_is_the_square_over_the_last_layers_model_by_model() -> None:
    made = initialization_table({"x": measured(layers={"preactivation_gradient_rms": [2.0, 4.0, 3.0, 1.0, 0.0, 5.0]})})
    first, last = rows_of(made, "gradient_ratio")
    assert (first["min"], first["median"], first["max"]) == (0.0, 0.25, 9.0)
    assert first["mean"] == pytest.approx(9.25 / 3, rel=1e-15)
    assert (last["mean"], last["std"]) == (1.0, 0.0)
    assert [r["mean"] for r in rows_of(made, "preactivation_gradient_rms")] == [
        pytest.approx(5 / 3),
        pytest.approx(10 / 3),
    ]  # as it was


def test_a_gradient_of_0_in_the_last_layer_has_no_ratio() -> None:
    made = initialization_table({"x": measured(layers={"preactivation_gradient_rms": [0.0, 0.0, 1.0, 2.0, 0.0, 0.0]})})
    assert [(r["seeds"], r["mean"]) for r in rows_of(made, "gradient_ratio")] == [(1, 0.25), (1, 1.0)]


def test_a_network_without_hidden_layers() -> None:
    made = initialization_table({"x": measured(1)})
    assert set(made["quantity"]) == {*LAYER_QUANTITIES, *MODEL_QUANTITIES} - {"dead_for_all"}
    assert set(made["layer"].dropna()) == {1}


NEARLY, NOT_QUITE = 1.0 + 1e-13, 1.0 + 1e-11


@pytest.mark.parametrize(
    ("measured", "std", "predicted", "errors"),
    [
        (3.0, 2.0, 2.0, 1.5),  # standard error 2 / sqrt(9)
        (1.0, 2.0, 2.0, -1.5),
        (2.0, 0.0, 2.0, 0.0),
        (2.0 * NEARLY, 0.0, 2.0, 0.0),  # the same but for rounding
        (-2.0 * NEARLY, 1e-20, -2.0, 0.0),
        (2.0 * NOT_QUITE, 0.0, 2.0, math.nan),  # no spread to compare with
        (2.0, math.nan, 2.0, 0.0),  # a single model
        (3.0, math.nan, 2.0, math.nan),
        (3.0, math.inf, 2.0, math.nan),
        (0.0, 0.0, 0.0, 0.0),
        (1e-20, 0.0, 0.0, math.nan),  # nothing is near 0 but 0
        (math.nan, math.nan, 2.0, math.nan),
        (3.0, 2.0, math.nan, math.nan),
        (3.0, 2.0, math.inf, math.nan),
        (1.7e308, 2.0, -1.7e308, math.nan),
    ],
)
def test_standard_errors(measured: float, std: float, predicted: float, errors: float) -> None:
    assert standard_errors(measured, std, 9, predicted) == pytest.approx(errors, rel=1e-14, nan_ok=True)


def test_numbers_beyond_the_largest() -> None:
    made = row("x", "preactivation_mean_square", 1, [1.0, math.inf, 2.0], 1.5)
    assert (made["seeds"], made["min"], made["median"], made["max"]) == (3, 1.0, 2.0, math.inf)
    assert all(math.isnan(made[key]) for key in ("mean", "std", "z_score"))
    made = row("x", "preactivation_mean_square", 1, [1e200, 3e200], 1e200)  # whose squares are not finite
    assert (made["mean"], made["std"]) == (2e200, math.inf)
    made = row("x", "preactivation_mean_square", 1, [1e154, -1e154], 1e200)  # whose squares are, but not their sum
    assert (made["mean"], made["std"]) == (0.0, math.inf)
    assert math.isnan(made["z_score"])


def test_the_order_of_the_models_does_not_matter_to_the_last_bit() -> None:
    values = (np.random.RandomState(0).randn(100) * 10.0 ** np.arange(-50, 50)).tolist()
    assert row("x", "initial_cost", None, values, 0.1) == row("x", "initial_cost", None, values[::-1], 0.1)


def test_every_quantity_that_is_measured_stored_or_predicted_has_its_row() -> None:
    X, Y = circles(20, 0.05, 1)
    layers_dims, activations = [2, 4, 3, 1], [ACTIVATIONS["relu"]] * 2
    spec = NetworkSpec(layers_dims, activations, X)
    B = measure.measure(stack([sample_parameters(HE, seed, spec) for seed in range(5)]), X, Y, activations)
    theory = predictions.predict(variances.laws(HE, spec), layers_dims, X, activations)
    assert {*B.layers} - {"full_rank"} == {*LAYER_QUANTITIES} - DERIVED
    assert {*B.models} == {*MODEL_QUANTITIES}
    for columns, types in zip((B.layers, B.models), measure.COLUMNS, strict=True):
        assert {name: values.dtype.type for name, values in columns.items()} == {
            name: {int: np.int64, float: np.float64}[kind] for name, kind in types.items()
        }
    assert {*theory.layers} <= {*LAYER_QUANTITIES}  # a slip in a name would lose the prediction
    assert {*theory.models} <= {*MODEL_QUANTITIES}

    columns = {"layer": np.tile([1, 2, 3], 5)} | {name: values.ravel() for name, values in B.layers.items()}
    made = initialization_table({"he": InitialMeasurements(columns, B.models, B.dead, theory)})
    assert {*made["quantity"]} == {*LAYER_QUANTITIES, *MODEL_QUANTITIES}
    for quantity in ("preactivation_mean_square", "weight_gradient_rms", "effective_rank"):
        found = [r["mean"] for r in rows_of(made, quantity)]
        assert found == pytest.approx(B.layers[quantity].mean(axis=0), rel=1e-14)
    spoken_of = made[made["predicted"].notna()]
    assert {*spoken_of["quantity"]} == {*theory.layers, *theory.models}


def test_the_bound_of_agreement_is_that_of_the_models_for_which_a_quantity_is_defined() -> None:
    """4.09 standard errors for 10 models, 3.08 for 100 (SciPy); a single model can only be equal to its prediction."""
    rows = [(10, 4.0), (10, -4.2), (100, 3.0), (100, 4.0), (1, 0.0), (100, math.nan)]
    table = pd.DataFrame(rows, columns=["seeds", "z_score"]).assign(predicted=1.0)
    compared, far = compared_with_theory(table)
    assert compared.index.tolist() == [0, 1, 2, 3, 4]
    assert far.index.tolist() == [1, 3]
