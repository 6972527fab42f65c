"""Each word at and beside its threshold, the order of the rules, and what real initializers are called."""

import math
import re
from typing import Any

import numpy as np
import pytest

from pipeline import births, recipes, training, verdicts
from pipeline.activations import ACTIVATIONS
from pipeline.datasets import circles
from pipeline.initializers import Parameters, stack
from pipeline.network_initializers import Birth
from pipeline.recipes import Layer, Recipe
from pipeline.sums import Array
from pipeline.verdicts import Verdict, verdict

X, Y = circles(300, 0.05, 1)
INF, NAN = math.inf, math.nan
above, below = (lambda value: math.nextafter(value, INF)), (lambda value: math.nextafter(value, -INF))


def model(**columns: list[float]) -> dict[str, Any]:
    """A healthy one, but for what is given."""
    healthy: dict[str, list[float]] = {
        "units": [4, 3, 1],
        "told_apart": [4, 3, 1],
        "saturated": [0.0, 0.0, 0.0],
        "z_square": [1.0, 1.0, 1.0],
        "gradient": [1.0, 1.0, 1.0],
        "weight_gradient": [1.0, 1.0, 1.0],
        "input_square": [1.0],
    }
    assert set(columns) <= set(healthy)
    return healthy | columns


def as_text(columns: dict[str, Any]) -> str:
    return str(verdict(columns))


def test_healthy() -> None:
    assert verdict(model()) == Verdict("healthy", "")
    assert as_text(model()) == "healthy"


@pytest.mark.parametrize(
    ("weight_gradient", "text"),
    [
        ([0.0, 0.0, 0.0], "frozen: all gradients 0"),
        ([0.0, -0.0, 0.0], "frozen: all gradients 0"),
        ([0.0, 0.0, 5e-324], "healthy"),
        ([5e-324, 0.0, 0.0], "healthy"),
        ([0.0, 0.0, NAN], "healthy"),  # frozen it is not; nan elsewhere tells
    ],
)
def test_frozen(weight_gradient: list[float], text: str) -> None:
    assert as_text(model(weight_gradient=weight_gradient)) == text


@pytest.mark.parametrize(
    ("told_apart", "text"),
    [
        ([4, 3, 1], "healthy"),
        ([3, 3, 1], "symmetric: 3 of 4 units distinct"),
        ([4, 1, 1], "symmetric: 1 of 3 units distinct"),
        ([3, 2, 1], "symmetric: 2 of 3 units distinct"),  # 2 / 3 < 3 / 4
        ([2, 2, 1], "symmetric: 2 of 4 units distinct"),
    ],
)
def test_symmetric(told_apart: list[float], text: str) -> None:
    assert as_text(model(told_apart=told_apart)) == text


def test_the_smallest_share_of_distinct_units_is_told() -> None:
    assert as_text(model(units=[10, 2, 1], told_apart=[3, 1, 1])) == "symmetric: 3 of 10 units distinct"
    assert as_text(model(units=[2, 10, 1], told_apart=[1, 6, 1])) == "symmetric: 1 of 2 units distinct"


def test_equal_logits_are_not_symmetric() -> None:
    """Their labels part them at the first step: the rule is of hidden layers."""
    assert as_text(model(units=[4, 3, 5], told_apart=[4, 3, 1])) == "healthy"


@pytest.mark.parametrize(
    ("saturated", "text"),
    [
        ([0.5, 0.5, 0.5], "healthy"),
        ([0.0, 0.0, above(0.5)], "saturated: 50 % of outputs"),
        ([0.0, 0.0, 1.0], "saturated: 100 % of outputs"),
        ([above(0.5), 0.0, 0.5], "saturated: 50 % of layer 1"),
        ([0.6, 0.804, 0.2], "saturated: 80 % of layer 2"),
        ([0.9, 0.9, 0.0], "saturated: 90 % of layer 1"),
        ([0.9, 0.9, 0.51], "saturated: 51 % of outputs"),
    ],
)
def test_saturated(saturated: list[float], text: str) -> None:
    assert as_text(model(saturated=saturated)) == text


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        # the factor is of root mean squares, and 1e-4 = 0.01^2
        ({"z_square": [1.0, 1.0001e-4, 1.0]}, "healthy"),
        ({"z_square": [1.0, 0.9999e-4, 1.0]}, "vanishing: signal × 0.01 in layer 2"),
        ({"z_square": [1.0, 1.0, 1e-12]}, "vanishing: signal × 1e-6 in layer 3"),
        ({"z_square": [0.0, 1.0, 1.0]}, "vanishing: signal × 0 in layer 1"),
        ({"gradient": [0.01, 1.0, 1.0]}, "healthy"),
        ({"gradient": [below(0.01), 1.0, 1.0]}, "vanishing: gradient × 0.01 in layer 1"),
        ({"gradient": [1.0, 0.0, 1.0]}, "vanishing: gradient × 0 in layer 2"),
        ({"gradient": [2.4e-3, 2.6e-3, 1.0]}, "vanishing: gradient × 0.002 in layer 1"),
        ({"gradient": [2e-12, 1e-4, 1.0], "z_square": [1.0, 1.0, 1e-12]}, "vanishing: gradient × 2e-12 in layer 1"),
        ({"z_square": [1.0001e4, 1.0, 1.0]}, "exploding: signal × 100 in layer 1"),
        ({"z_square": [0.9999e4, 1.0, 1.0]}, "healthy"),
        ({"z_square": [1.0, 9e6, 4e6]}, "exploding: signal × 3,000 in layer 2"),
        ({"z_square": [1.0, 1.0, 4e20]}, "exploding: signal × 2e10 in layer 3"),
        ({"gradient": [100.0, 1.0, 1.0]}, "healthy"),
        ({"gradient": [above(100.0), 1.0, 1.0]}, "exploding: gradient × 100 in layer 1"),
        ({"gradient": [101.0, 7e4, 1.0]}, "exploding: gradient × 70,000 in layer 2"),
        # over the inputs, and over the last layer
        ({"z_square": [1e-6] * 3, "input_square": [1e-6]}, "healthy"),
        ({"input_square": [1e6]}, "vanishing: signal × 0.001 in layer 1"),
        ({"input_square": [1e-6]}, "exploding: signal × 1,000 in layer 1"),
        ({"gradient": [1e-9, 3e-9, 1e-9]}, "healthy"),
        ({"gradient": [1.0, 1.0, 1e-5]}, "exploding: gradient × 100,000 in layer 1"),
        # 0 / 0 tells nothing
        ({"z_square": [0.0] * 3, "input_square": [0.0]}, "healthy"),
        ({"gradient": [0.0] * 3}, "healthy"),
        (
            {"z_square": [0.0] * 3, "input_square": [0.0], "gradient": [1e-4, 1.0, 1.0]},
            "vanishing: gradient × 1e-4 in layer 1",
        ),
        # beyond the largest number
        ({"z_square": [1.0, INF, INF]}, "exploding: beyond the largest number"),
        ({"z_square": [1.0, 1.0, NAN]}, "exploding: beyond the largest number"),
        ({"z_square": [1.0, INF, NAN], "gradient": [NAN] * 3}, "exploding: beyond the largest number"),
        ({"gradient": [INF, 1.0, 1.0]}, "exploding: beyond the largest number"),
        ({"gradient": [NAN, 1.0, 1.0]}, "exploding: beyond the largest number"),
    ],
)
def test_vanishing_and_exploding(columns: dict[str, list[float]], text: str) -> None:
    assert as_text(model(**columns)) == text


def test_the_first_rule_that_holds_gives_the_word() -> None:
    everything = {
        "weight_gradient": [0.0] * 3,
        "told_apart": [1, 1, 1],
        "saturated": [0.0, 0.0, 1.0],
        "z_square": [1e-12, 1.0, 1.0],
        "gradient": [1e6, 1.0, 1.0],
    }
    words = []
    while everything:
        words.append(verdict(model(**everything)).word)
        everything.pop(next(iter(everything)))
    words.append(verdict(model()).word)
    assert words == [kind.word for kind in verdicts.KINDS]
    assert words == ["frozen", "symmetric", "saturated", "vanishing", "exploding", "healthy"]


def test_without_hidden_layers() -> None:
    alone = {name: column[-1:] for name, column in model().items()}
    assert as_text(alone) == "healthy"
    assert as_text(alone | {"units": [3], "told_apart": [1]}) == "healthy"
    assert as_text(alone | {"saturated": [0.7]}) == "saturated: 70 % of outputs"
    assert as_text(alone | {"z_square": [1e-8]}) == "vanishing: signal × 1e-4 in layer 1"
    assert as_text(alone | {"weight_gradient": [0.0]}) == "frozen: all gradients 0"


def test_models_are_cut_from_columns() -> None:
    """Rows of the models one after another, as in layers.csv, with columns that are of no use here."""
    models = [model(), model(z_square=[1.0, 1.0, 1e-12]), model(told_apart=[4, 2, 1])]
    rows = {name: np.concatenate([one[name] for one in models]) for name in models[0] if name != "input_square"}
    rows |= {"seed": np.repeat([7, 8, 9], 3), "layer": np.tile([1, 2, 3], 3)}
    words = ["healthy", "vanishing: signal × 1e-6 in layer 3", "symmetric: 2 of 3 units distinct"]
    assert list(map(str, verdicts.verdicts(rows, 3, 1.0))) == words
    words[0] = "exploding: signal × 1,000 in layer 1"
    assert list(map(str, verdicts.verdicts(rows, 3, 1e-6)))[::2] == words[::2]
    assert verdicts.verdicts(rows, 9, 1.0) == [
        verdict({name: column.tolist() for name, column in rows.items()} | {"input_square": [1.0]})
    ]


def born(recipe: Recipe, hidden: list[int], activation: str, n_models: int) -> Parameters:
    known = Birth([2, *hidden, 1], [ACTIVATIONS[activation]] * len(hidden), X)
    return stack([recipes.born(recipe, seed, known) for seed in range(n_models)])


def words_of(parameters: Parameters, activation: str, inputs: Array = X) -> list[str]:
    """The verdicts on a stack, through what is measured of it."""
    n_layers = len(parameters)
    B = births.measure(parameters, inputs, Y[:, : inputs.shape[1]], [ACTIVATIONS[activation]] * (n_layers - 1))
    columns = {name: values.ravel() for name, values in B.layers.items()}
    columns["layer"] = np.tile(np.arange(1, n_layers + 1), len(B.models["cost"]))
    return list(map(str, verdicts.verdicts(columns, n_layers, births.mean_square(inputs))))


TUTORIAL = [10, 5]
CHAOTIC = Recipe("xavier_normal", gain=5.0 / 3.0)  # PyTorch's gain for tanh: gradients grow by 1.1 a layer
EQUAL = {2: Layer("zeros", bias=0.1), 3: Layer("ones")}


@pytest.mark.parametrize(
    ("recipe", "hidden", "activation", "text"),
    [
        (Recipe("zeros"), TUTORIAL, "relu", "frozen: all gradients 0"),
        (Recipe("zeros"), TUTORIAL, "tanh", "frozen: all gradients 0"),
        (Recipe("zeros", bias=0.1), [10], "relu", "symmetric: 1 of 10 units distinct"),  # activations are not 0
        (Recipe("constant", {"value": 0.5}), TUTORIAL, "relu", "symmetric: 1 of 10 units distinct"),
        (Recipe("he_normal", layers=EQUAL), TUTORIAL, "relu", "symmetric: 1 of 5 units distinct"),
        (Recipe("normal", {"sd": 10.0}), TUTORIAL, "relu", "saturated: # % of outputs"),
        (Recipe("normal", {"sd": 3.0}), [20] * 20, "tanh", "saturated: # % of outputs"),
        (
            Recipe("normal", {"sd": 3.0}, layers={21: Layer("xavier_normal")}),
            [10] * 20,
            "tanh",
            "saturated: # % of layer #",
        ),
        (Recipe("normal", {"sd": 0.01}), TUTORIAL, "relu", "vanishing: signal × #e-6 in layer 3"),
        (Recipe("xavier_normal"), [30] * 30, "relu", "vanishing: signal × #e-# in layer #"),
        (CHAOTIC, [40] * 80, "tanh", "exploding: gradient × # in layer #"),
        (CHAOTIC, TUTORIAL, "tanh", "healthy"),
        (Recipe("xavier_normal"), TUTORIAL, "tanh", "healthy"),
        (Recipe("he_normal"), TUTORIAL, "relu", "healthy"),
        (Recipe("he_normal"), [60] * 20, "relu", "healthy"),
        (Recipe("lecun_normal"), [], "relu", "healthy"),
    ],
    ids=lambda value: value.recipe if isinstance(value, Recipe) else None,
)
def test_real_initializers(recipe: Recipe, hidden: list[int], activation: str, text: str) -> None:
    pattern = re.escape(text).replace(r"\#", "[0-9,]+")
    for found in words_of(born(recipe, hidden, activation, 3), activation):
        assert re.fullmatch(pattern, found)


def test_zeros_of_sigmoid_are_frozen_by_balanced_labels_alone() -> None:
    """Their activations are 1/2, so the gradient of the last weights is the sum of 1/2 - y: 0 where half are 1."""
    zeros = born(Recipe("zeros"), TUTORIAL, "sigmoid", 1)
    assert words_of(zeros, "sigmoid") == ["frozen: all gradients 0"]
    assert words_of(zeros, "sigmoid", X[:, :299]) == ["symmetric: 1 of 10 units distinct"]
    descended = training.train(zeros, X, Y, [ACTIVATIONS["sigmoid"]] * 2, learning_rate=1.0, record_at=[50])
    assert not any(array.any() for layer in descended.parameters for array in layer)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_symmetric_units_stay_one_and_others_do_not(activation: str) -> None:
    """Two units of the second of three hidden layers, equal in and out, or in alone; mini-batches and momentum."""
    (_, b1), (W2, b2), (W3, b3), _ = both = born(Recipe("he_normal"), [6, 4, 5], activation, 2)
    for b in (b1, b2, b3):
        b += np.random.RandomState(1).randn(*b.shape) / 10.0
    W2[:, 3], b2[:, 3] = W2[:, 1], b2[:, 1]
    W3[0, :, 3] = W3[0, :, 1]
    trained = training.train(
        both,
        *(X, Y, [ACTIVATIONS[activation]] * 3),
        learning_rate=0.1,
        momentum=0.9,
        batch_size=32,
        seeds=[0, 1],
        record_at=[0, 1, 100],
        keep=True,
    )
    assert (trained.costs[:, 2] < trained.costs[:, 0] - 0.02).all()  # that is, they learn
    for step, snapshot in enumerate(trained.snapshots):
        _, (W2, b2), (W3, _), _ = snapshot
        incoming = np.concatenate([W2, b2], axis=2)
        assert incoming[0, 1].tobytes() == incoming[0, 3].tobytes()
        assert W3[0, :, 1].tobytes() == W3[0, :, 3].tobytes()
        assert (incoming[1, 1] == incoming[1, 3]).all() == (step == 0)
        assert words_of(snapshot, activation)[0] == "symmetric: 3 of 4 units distinct"
        assert "symmetric" not in words_of(snapshot, activation)[1]


def test_factors_at_the_ends_are_told() -> None:
    assert verdicts._short(960_000.0) == "1e6"
    assert verdicts._short(0.0) == "0"
