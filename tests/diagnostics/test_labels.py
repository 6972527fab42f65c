"""Each label at and beside its threshold, the order of the rules, and the labels of real networks against training."""

import math
import re
from typing import Any

import numpy as np
import pytest

from pipeline.datasets import DATASETS, circles, spirals
from pipeline.diagnostics import labels as labels_module
from pipeline.diagnostics import measure
from pipeline.diagnostics.labels import Label, Plan, label_model
from pipeline.initializers import recipes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.sums import Array
from pipeline.training import gradient_descent
from tests.marks import slow

X, Y = circles(300, 0.05, 1)
INF, NAN = math.inf, math.nan
above, below = (lambda value: math.nextafter(value, INF)), (lambda value: math.nextafter(value, -INF))
PLAN = Plan(0.1, 1000, 0.5)


def model(**columns: Any) -> dict[str, Any]:
    """A healthy one, but for what is given. At rate 2 / 20 it needs 2 / (0.1 · 0.5) = 40 steps, or 0.5 / 0.025 = 20."""
    healthy: dict[str, Any] = {
        "units": [8, 6, 1],
        "unique_incoming_outgoing": [8, 6, 1],
        "dead": [0, 0, 0],
        "saturated": [0.0, 0.0, 0.0],
        "preactivation_mean_square": [1.0, 1.0, 1.0],
        "weight_mean_square": [1.0, 1.0, 1.0],
        "weight_gradient_rms": [0.1, 0.1, 0.1],
        "correlation": [0.0, 0.5, 0.9],
        "initial_cost": 0.7,
        "blocked_inputs": 0.0,
        "sharpness": 20.0,
        "centered_gradient": 0.5,
        "weight_norm": 2.0,
    }
    assert set(columns) <= set(healthy)
    return healthy | columns


def as_text(columns: dict[str, Any], plan: Plan = PLAN) -> str:
    return str(label_model(columns, plan))


SLOW = {"centered_gradient": 1e-3, "weight_norm": 1.0}  # at rate 0.1: 1 / 1e-4 = 10,000 steps; 0.5 / 1e-7 by the cost


def test_healthy() -> None:
    assert label_model(model(), PLAN) == Label("healthy", "")
    assert as_text(model()) == "healthy"


def test_steps_needed_worked_by_hand() -> None:
    """|W| / (r g) = 2 / (0.1 · 0.5) = 40 and H / (r g²) = 0.5 / (0.1 · 0.25) = 20."""
    assert labels_module.steps_needed(model(), PLAN, 0.1) == pytest.approx(20.0, rel=1e-15)
    assert labels_module.steps_needed(model(weight_norm=0.25), PLAN, 0.1) == pytest.approx(5.0, rel=1e-15)
    assert labels_module.steps_needed(model(weight_norm=0.0), PLAN, 0.1) == pytest.approx(20.0, rel=1e-15)
    assert labels_module.steps_needed(model(centered_gradient=0.0), PLAN, 0.1) == INF
    assert labels_module.best_rate(model()) == 0.1
    assert labels_module.best_rate(model(sharpness=0.25)) == 1.0  # 2 / 0.25 = 8 is above what is tried
    assert labels_module.best_rate(model(sharpness=0.0)) == 1.0


@pytest.mark.parametrize(("n_layers", "factor"), [(2, 0.5 * math.log(0.5 / (0.01 * 0.02))), (3, 1.0), (6, 0.25)])
def test_steps_needed_depends_on_the_depth(n_layers: int, factor: float) -> None:
    """|W| / (r g) = 0.02 / (0.1 · 0.01) = 20 steps, times a factor."""
    deep = model(units=[8] * n_layers, weight_norm=0.02, centered_gradient=0.01)
    assert labels_module.steps_needed(deep, PLAN, 0.1) == pytest.approx(20.0 * factor, rel=1e-14)
    near = model(units=[8, 1], weight_norm=0.02, centered_gradient=20.0)  # 1/2 ln(2.5) is below 1
    assert labels_module.steps_needed(near, PLAN._replace(entropy=1.0), 0.1) == pytest.approx(0.01, rel=1e-14)
    alone = model(units=[8], weight_norm=0.02, centered_gradient=0.01)  # one layer has no saddle
    assert labels_module.steps_needed(alone, PLAN, 0.1) == pytest.approx(50_000.0, rel=1e-14)


@pytest.mark.parametrize("n_layers", [2, 3, 6])
def test_saddles_are_left_after_the_steps_needed(n_layers: int) -> None:
    """One unit per layer, weights a, cost falling at the rate s a^L: dw/dt = s w^(L-1), integrated by small steps."""
    s, a, time, rate = 0.2, 0.01, 0.0, 1.0
    g, norm = math.sqrt(n_layers) * s * a ** (n_layers - 1), math.sqrt(n_layers) * a
    plan = Plan(rate, 1000, 0.7)
    needed = labels_module.steps_needed(
        model(units=[1] * n_layers, weight_norm=norm, centered_gradient=g, weight_gradient_rms=[]), plan, rate
    )
    w = a
    while w < 1.0:  # steps that change the weight by a hundredth, exact to 1 %
        dt = 0.01 * w / (s * w ** (n_layers - 1))
        w, time = w * 1.01, time + dt
    assert needed == pytest.approx(time, rel=0.25)  # for two layers the end at w = 1 is a convention


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"weight_gradient_rms": [0.0, -0.0, 0.0]}, "frozen: all gradients of weights 0"),
        ({"weight_gradient_rms": [0.0, 0.0, 5e-324]}, "healthy"),
        ({"blocked_inputs": 1.0} | SLOW, "frozen: every input blocked"),
        ({"blocked_inputs": 1.0}, "healthy"),  # a layer of tanh may block what its outputs still tell apart
        ({"blocked_inputs": 0.99} | SLOW, "vanishing: 10,000 steps needed"),
    ],
)
def test_frozen(columns: dict[str, Any], text: str) -> None:
    assert as_text(model(**columns)) == text


@pytest.mark.parametrize(
    ("units", "unique_incoming_outgoing", "text"),
    [
        ([8, 6, 1], [3, 6, 1], "healthy"),
        ([8, 6, 1], [2, 6, 1], "symmetric: 2 of 8 units distinct"),
        ([8, 6, 1], [8, 1, 1], "symmetric: 1 of 6 units distinct"),
        ([8, 6, 1], [2, 1, 1], "symmetric: 1 of 6 units distinct"),  # 1 / 6 < 2 / 8
        ([2, 3, 1], [1, 3, 1], "symmetric: 1 of 2 units distinct"),
        ([1, 6, 1], [1, 6, 1], "healthy"),  # one unit has no other
        ([8, 6, 8], [8, 6, 1], "healthy"),  # equal logits: their classes part them at the first step
    ],
)
def test_symmetric(units: list[float], unique_incoming_outgoing: list[float], text: str) -> None:
    assert as_text(model(units=units, unique_incoming_outgoing=unique_incoming_outgoing)) == text


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        # at rate 0.003 the sharpness must be above 50 · 2 / 0.003 = 33,333, and a gradient above 0.4 / 0.003 = 133.3
        (
            {"sharpness": 33_400.0, "weight_gradient_rms": [0.1, 134.0, 0.1]},
            "exploding: stable below learning rate 6e-5",
        ),
        (
            {"sharpness": 33_300.0, "weight_gradient_rms": [0.1, 134.0, 0.1]},
            "learning rate too large: stable below 6e-5",
        ),
        (
            {"sharpness": 33_400.0, "weight_gradient_rms": [0.1, 133.0, 0.1]},
            "learning rate too large: stable below 6e-5",
        ),
        ({"sharpness": 33_400.0, "weight_gradient_rms": [0.1, 1.0, 0.1]}, "healthy"),  # 10 % in a step of 0.1
        # relative to the weights of the layer, if it has any
        (
            {"sharpness": 33_400.0, "weight_gradient_rms": [1e-4, 1.34, 1.0], "weight_mean_square": [1e-12, 1e-4, 1.0]},
            "exploding: stable below learning rate 6e-5",  # 1e-4 / 1e-6 = 100 and 1.34 / 0.01 = 134
        ),
        (
            {"sharpness": 33_400.0, "weight_gradient_rms": [0.1, 134.0, 0.1], "weight_mean_square": [1.0, 0.0, 1.0]},
            "healthy",
        ),
        # chaos: sharp though the cost is small
        ({"sharpness": 1.001e6}, "exploding: stable below learning rate 2e-6"),
        ({"sharpness": 0.999e6}, "healthy"),
        ({"sharpness": 1.001e6, "initial_cost": 31.7}, "healthy"),  # sqrt(1.001e6 / 1e3) = 31.64
        # beyond the largest number
        *(
            ({key: value}, "exploding: beyond the largest number")
            for value in (INF, NAN)
            for key in ("sharpness", "initial_cost", "centered_gradient")
        ),
        ({"preactivation_mean_square": [1.0, INF, NAN]}, "exploding: beyond the largest number"),
        ({"weight_gradient_rms": [NAN, 1.0, 1.0]}, "exploding: beyond the largest number"),
    ],
)
def test_exploding(columns: dict[str, Any], text: str) -> None:
    assert as_text(model(**({"centered_gradient": 1e6} | columns))) == text  # of which no step needs many


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"saturated": [0.3, 0.51, 0.9]} | SLOW, "saturated: 51 % of layer 2"),
        ({"saturated": [0.5, 0.5, 0.9]} | SLOW, "vanishing: 10,000 steps needed"),  # the last layer is the output
        ({"saturated": [1.0, 1.0, 1.0]}, "healthy"),  # saturated alone is no fault
        (
            {"initial_cost": 2.1, "blocked_inputs": 0.05},
            "saturated: cost 2, 5 % of inputs blocked",
        ),  # above 4 times 0.5
        ({"initial_cost": 2.0, "blocked_inputs": 0.05}, "healthy"),
        ({"initial_cost": 2.1, "blocked_inputs": 0.049}, "healthy"),
        (
            {"initial_cost": 51.0, "dead": [1, 0, 0]},
            "saturated: cost 50, 6 units active in layer 2",
        ),  # above 100 times 0.5
        ({"initial_cost": 50.0}, "healthy"),
        ({"initial_cost": 51.0, "units": [8, 8, 1], "unique_incoming_outgoing": [8, 8, 1]}, "healthy"),
        ({"initial_cost": 51.0, "units": [8, 8, 1], "unique_incoming_outgoing": [8, 8, 1], "dead": [1, 0, 0]}, None),
    ],
)
def test_saturated(columns: dict[str, Any], text: str | None) -> None:
    assert as_text(model(**columns)) == (text or "saturated: cost 50, 7 units active in layer 1")


@pytest.mark.parametrize(
    ("correlation", "text"),
    [
        ([0.5, 0.991, 0.0], "collapsed: correlation 0.991"),
        ([0.5, 0.99, 1.0], "vanishing: 10,000 steps needed"),
        ([1.0, 0.5, 1.0], "vanishing: 10,000 steps needed"),
        ([0.5, 1.0 - 3e-8, 0.0], "collapsed: correlation 1 - 3e-8"),
        ([0.5, 1.0, 0.0], "collapsed: correlation 1"),
        ([0.5, NAN, NAN], "vanishing: 10,000 steps needed"),
    ],
)
def test_collapsed(correlation: list[float], text: str) -> None:
    assert as_text(model(correlation=correlation, **SLOW)) == text
    assert as_text(model(correlation=correlation)) == "healthy"  # no fault in a network that does not stall


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"centered_gradient": 1e-3, "weight_norm": 0.101}, "vanishing: 1,000 steps needed"),  # 1,010
        ({"centered_gradient": 1e-3, "weight_norm": 0.099}, "healthy"),  # a saddle that is left in 990
        ({"centered_gradient": 7.05e-2, "weight_norm": 1e9}, "vanishing: 1,000 steps needed"),  # 0.5 / (0.1 g²) = 1,006
        ({"centered_gradient": 7.09e-2, "weight_norm": 1e9}, "healthy"),  # 995
        ({"centered_gradient": 1e-30}, "vanishing: 2e31 steps needed"),
        ({"centered_gradient": 1e-300}, "vanishing: 2e301 steps needed"),  # 1 / g² is beyond the largest number
        ({"centered_gradient": 0.0}, "vanishing: inf steps needed"),
        ({"weight_gradient_rms": [0.99e-8, 0.1, 0.1]}, "vanishing: gradient × 1e-7 in layer 1"),
        ({"weight_gradient_rms": [1.01e-8, 0.1, 0.1]}, "healthy"),
        ({"weight_gradient_rms": [0.1, 1e-20, 1e-12]}, "vanishing: gradient × 1e-19 in layer 2"),
        ({"weight_gradient_rms": [0.0, 0.0, 0.1]}, "healthy"),  # weights of 0 above: gone after a step
        ({"weight_gradient_rms": [1e-3, 0.1, 0.1]}, "healthy"),  # a factor of 100 between layers is no failure
    ],
)
def test_vanishing(columns: dict[str, Any], text: str) -> None:
    assert as_text(model(**columns)) == text


@pytest.mark.parametrize(
    ("off", "text"),
    [
        ([6, 0, 0], "healthy"),  # 2 of 8 is a quarter
        ([7, 0, 0], "dead: 1 of 8 units active in layer 1"),
        ([7, 6, 0], "dead: 0 of 6 units active in layer 2"),
        ([0, 0, 1], "healthy"),
    ],
)
def test_dead(off: list[int], text: str) -> None:
    assert as_text(model(dead=off)) == text


def test_learning_rates() -> None:
    """The healthy network needs 20 steps at 0.1, so 2 / rate; it is sharp from 50 · 2 / 20 = 5 on."""
    small = "learning rate too small: 1,000 steps needed"
    assert as_text(model(), PLAN._replace(learning_rate=0.00198)) == small  # 1,010
    assert as_text(model(), PLAN._replace(learning_rate=0.00202)) == "healthy"  # 990
    large = model(weight_gradient_rms=[0.1, 0.1, 0.2])
    assert as_text(large, PLAN._replace(learning_rate=5.1)) == "learning rate too large: stable below 0.1"
    assert as_text(large, PLAN._replace(learning_rate=4.9)) == "healthy"
    assert (
        as_text(model(weight_gradient_rms=[0.07] * 3), PLAN._replace(learning_rate=5.1)) == "healthy"
    )  # 36 % of a layer


def test_the_first_rule_that_holds_gives_the_label() -> None:
    everything: dict[str, Any] = {
        "weight_gradient_rms": [0.0] * 3,
        "unique_incoming_outgoing": [1, 1, 1],
        "sharpness": 1e7,
        "saturated": [0.0, 0.9, 1.0],
        "correlation": [0.0, 0.999, 0.0],
        "centered_gradient": 1e-6,
        "dead": [7, 0, 0],
    }
    words = []
    while everything:
        words.append(label_model(model(**everything), PLAN).name)
        everything.pop(next(iter(everything)))
    words += [label_model(model(), PLAN._replace(learning_rate=rate)).name for rate in (1e-9, 1e9, 0.1)]
    assert words == [kind.name for kind in labels_module.LABEL_RULES]
    assert set(labels_module.RATES) == set(words[-3:])


def test_without_hidden_layers() -> None:
    alone = {name: column[-1:] if isinstance(column, list) else column for name, column in model().items()}
    assert as_text(alone) == "healthy"
    assert as_text(alone | {"units": [3], "unique_incoming_outgoing": [1]}) == "healthy"
    assert as_text(alone | {"weight_norm": 0.0, "weight_mean_square": [0.0]}) == "healthy"
    assert as_text(alone | {"initial_cost": 1e6, "blocked_inputs": 0.0}) == "healthy"
    assert as_text(alone | SLOW) == "vanishing: 5e6 steps needed"  # by the cost alone
    assert as_text(alone | {"weight_gradient_rms": [0.0]}) == "frozen: all gradients of weights 0"


def test_models_are_cut_from_columns() -> None:
    """Rows of the models one after another, as in layers.csv and models.csv, with columns that are of no use here."""
    three = [model(), model(**SLOW), model(unique_incoming_outgoing=[8, 1, 1])]
    per_layer = [name for name, column in model().items() if isinstance(column, list)]
    layers = {name: np.concatenate([one[name] for one in three]) for name in per_layer}
    layers |= {"seed": np.repeat([7, 8, 9], 3), "layer": np.tile([1, 2, 3], 3)}
    models = {name: np.array([one[name] for one in three]) for name in model() if name not in per_layer}
    words = ["healthy", "vanishing: 10,000 steps needed", "symmetric: 1 of 6 units distinct"]
    assert list(map(str, labels_module.label_models(layers, models | {"seed": np.array([7, 8, 9])}, 3, PLAN))) == words


def test_plan() -> None:
    """Momentum m makes steps longer by 1 / (1 - m) in the long run; ln 2 is the entropy of balanced classes."""
    made = labels_module.plan(0.1, 0.9, 500, Y)
    assert (made.learning_rate, made.steps) == (pytest.approx(1.0, rel=1e-15), 500)
    assert made.entropy == pytest.approx(math.log(2.0), rel=1e-15)
    shares = np.array([5, 2, 3]) / 10.0
    of_three = labels_module.plan(0.1, 0.0, 1, np.array([[0.0] * 5 + [1.0] * 2 + [2.0] * 3]))
    assert of_three.entropy == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-15)


def test_numbers_are_short() -> None:
    assert [labels_module.short(number) for number in (960_000.0, 0.0, 0.004, 3210.0, 2e-12, INF)] == [
        *("1e6", "0", "0.004", "3,000", "2e-12", "inf")
    ]


# Real networks


def sample(recipe: Recipe, layers_dims: list[int], activation: str, inputs: Array, n_models: int = 1) -> Parameters:
    known = NetworkSpec(layers_dims, [ACTIVATIONS[activation]] * (len(layers_dims) - 2), inputs)
    return stack([recipes.sample_parameters(recipe, seed, known) for seed in range(n_models)])


def labels(
    parameters: Parameters, activation: str, inputs: Array, classes: Array, rate: float, steps: int
) -> list[str]:
    """The labels of a stack, through what is measured of it."""
    n_layers = len(parameters)
    B = measure.measure(parameters, inputs, classes, [ACTIVATIONS[activation]] * (n_layers - 1))
    columns = {name: values.ravel() for name, values in B.layers.items()}
    columns["layer"] = np.tile(np.arange(1, n_layers + 1), len(B.models["initial_cost"]))
    return list(
        map(str, labels_module.label_models(columns, B.models, n_layers, labels_module.plan(rate, 0.0, steps, classes)))
    )


def final_cost(
    parameters: Parameters, activation: str, inputs: Array, classes: Array, rate: float, steps: int
) -> list[float]:
    activations = [ACTIVATIONS[activation]] * (len(parameters) - 1)
    trained = gradient_descent.train(parameters, inputs, classes, activations, learning_rate=rate, record_at=[steps])
    return trained.costs[:, 0].tolist()


@pytest.mark.parametrize("depth", [20, *slow(100)])
@pytest.mark.parametrize(
    ("activation", "recipe"),
    [
        ("linear", Recipe("normal", {"std": 1.0})),
        ("relu", Recipe("normal", {"std": 1.0})),
        ("linear", Recipe("xavier_normal", gain=5.0 / 3.0)),
    ],
    ids=["linear", "relu", "xavier"],
)
def test_exploded_logits_are_exploding_and_not_saturated(depth: int, activation: str, recipe: Recipe) -> None:
    """Signals grow by sqrt(64) = 8, sqrt(32) or 5/3 a layer: up to 1e90; Xavier's needs the depth."""
    parameters = sample(recipe, [2, *[64] * depth, 1], activation, X)
    (found,) = labels(parameters, activation, X, Y, 0.01, 15_000)
    assert found.startswith("exploding: ")


def test_numbers_beyond_the_largest_are_exploding() -> None:
    parameters = sample(Recipe("normal", {"std": 1e160}), [2, 4, 4, 1], "relu", X)
    assert labels(parameters, "relu", X, Y, 0.01, 100) == ["exploding: beyond the largest number"]


def test_softmax_regression_from_zeros_is_healthy() -> None:
    """Its gradient is (p - y) x' / m, not 0: it reaches a cost that depends on the seed of no initializer."""
    (inputs, classes), _ = DATASETS["digits"].split(200, 10, 0.0, 1, 2)
    zeros, lecun = (sample(Recipe(name), [64, 10], "relu", inputs) for name in ("zeros", "lecun_normal"))
    assert labels(zeros, "relu", inputs, classes, 0.5, 300) == ["healthy"]
    costs = [final_cost(one, "relu", inputs, classes, 0.5, 300)[0] for one in (zeros, lecun)]
    assert costs[0] < 1.1 * costs[1] < 0.4  # from ln 10 = 2.3


def test_small_weights_of_one_hidden_layer_are_healthy_and_train() -> None:
    """The saddle at 0 is left by a factor 1 + rate · |gradient| / |W| a step: within 100 steps, not 1 / 0.01^2."""
    inputs, classes = spirals(300, 0.0, 1)
    small = sample(Recipe("normal", {"std": 0.01}), [2, 100, 1], "relu", inputs, 3)
    assert labels(small, "relu", inputs, classes, 1.0, 15_000) == ["healthy"] * 3
    assert max(final_cost(small, "relu", inputs, classes, 1.0, 4000)) < 0.4  # the first third of the way
    deep = sample(Recipe("normal", {"std": 0.01}), [2, *[100] * 5, 1], "relu", inputs, 1)
    assert labels(deep, "relu", inputs, classes, 1.0, 15_000)[0].startswith("vanishing: ")
    assert final_cost(deep, "relu", inputs, classes, 1.0, 200)[0] == pytest.approx(math.log(2.0), abs=1e-6)


def test_only_the_output_bias_of_zeros_moves() -> None:
    """It predicts the most frequent class for every input: the cost falls to the entropy of the classes."""
    (inputs, classes), _ = DATASETS["breast_cancer"].split(400, 100, 0.0, 1, 2)
    zeros = sample(Recipe("zeros"), [30, 20, 7, 5, 1], "relu", inputs)
    assert labels(zeros, "relu", inputs, classes, 0.1, 2000) == ["frozen: all gradients of weights 0"]
    trained = gradient_descent.train(
        zeros, inputs, classes, [ACTIVATIONS["relu"]] * 3, learning_rate=1.0, record_at=[500]
    )
    assert not any(W.any() for W, _ in trained.parameters)
    assert [bool(b.any()) for _, b in trained.parameters] == [False, False, False, True]
    share = float(classes.mean())
    entropy = -share * math.log(share) - (1.0 - share) * math.log(1.0 - share)
    assert trained.costs[0, 0] == pytest.approx(entropy, rel=1e-12)
    why = next(kind.why for kind in labels_module.LABEL_RULES if kind.name == "frozen")
    assert "predicts the most frequent class for every input" in why


def test_dead_units_of_narrow_networks() -> None:
    """A layer of n units that sees an input with probability 2^-n each is dead with all (Lu et al. 2019)."""
    found = labels(sample(Recipe("he_normal"), [2, 4, 2, 1, 1], "relu", X, 200), "relu", X, Y, 0.01, 15_000)
    frozen = sum(word == "frozen: all gradients of weights 0" for word in found)
    parameters = sample(Recipe("he_normal"), [2, 4, 2, 1, 1], "relu", X, 200)
    blocked = 0
    for i in range(200):
        A = X
        for W, b in parameters[:-1]:
            A = np.maximum(W[i] @ A + b[i], 0.0)
        blocked += not A.any()
    assert frozen == blocked > 40


REAL = [  # recipe, sizes of the hidden layers, activation, label, whether some learning rate trains it
    (Recipe("zeros"), [16, 16], "tanh", "frozen: all gradients of weights 0", False),
    (Recipe("constant", {"value": 0.5}), [16, 16], "relu", "symmetric: 1 of 16 units distinct", False),
    (Recipe("normal", {"std": 3.0}), [16] * 12, "relu", "exploding: stable below learning rate #", False),
    (Recipe("normal", {"std": 3.0}), [20] * 12, "tanh", "exploding: stable below learning rate #", False),
    (Recipe("normal", {"std": 10.0}), [10, 5], "relu", "saturated: cost #, # % of inputs blocked", False),
    (Recipe("xavier_normal", bias=3.0), [16] * 4, "tanh", "saturated: 100 % of layer #", False),
    (Recipe("pytorch_linear"), [20] * 12, "relu", "collapsed: correlation #", False),
    (Recipe("normal", {"std": 0.01}), [10, 10, 10], "relu", "vanishing: # steps needed", False),
    (Recipe("he_normal", gain=0.3), [16] * 12, "relu", "vanishing: # steps needed", False),
    (Recipe("identity"), [16] * 4, "relu", "dead: 2 of 16 units active in layer #", False),
    (Recipe("he_normal"), [32, 32], "relu", "healthy", True),
    (Recipe("he_normal", layers={3: Layer("zeros")}), [32, 32], "relu", "healthy", True),
    (Recipe("normal", {"std": 10.0}), [32, 32], "relu", "learning rate too large: stable below #", True),  # wide enough
    (Recipe("normal", {"std": 0.01}), [64], "relu", "healthy", True),
    (Recipe("xavier_normal", gain=5.0 / 3.0), [32, 32], "tanh", "healthy", True),
    (Recipe("lecun_normal"), [20] * 4, "tanh", "healthy", True),
]


@pytest.mark.parametrize(
    ("recipe", "hidden", "activation", "text", "learns"), REAL, ids=[f"{row[3]} {row[2]}" for row in REAL]
)
def test_labels_against_training(recipe: Recipe, hidden: list[int], activation: str, text: str, learns: bool) -> None:
    """Circles, 2,000 steps at the best of four learning rates: at least half of ln 2 is gained, or less."""
    inputs, classes = circles(100, 0.05, 1)
    parameters = sample(recipe, [2, *hidden, 1], activation, inputs)
    (found,) = labels(parameters, activation, inputs, classes, 0.3, 2000)
    assert re.fullmatch(re.escape(text).replace(r"\#", "[-0-9,.e ]+"), found)
    costs = [final_cost(parameters, activation, inputs, classes, rate, 2000)[0] for rate in (0.003, 0.03, 0.3, 3.0)]
    best = min((cost for cost in costs if math.isfinite(cost)), default=math.inf)
    assert (best < math.log(2.0) / 2.0) == learns


def test_learning_rates_against_training() -> None:
    inputs, classes = circles(100, 0.05, 1)
    parameters = sample(Recipe("he_normal"), [2, 32, 32, 1], "relu", inputs)
    for rate, word in ((1e-5, "learning rate too small"), (0.1, "healthy"), (300.0, "learning rate too large")):
        assert labels(parameters, "relu", inputs, classes, rate, 2000)[0].partition(":")[0] == word
        (cost,) = final_cost(parameters, "relu", inputs, classes, rate, 2000)
        assert (cost < math.log(2.0) / 2.0) == (word == "healthy")


def test_zeros_of_sigmoid_are_frozen_by_balanced_labels_alone() -> None:
    """Their activations are 1/2, so the gradient of the last weights is the sum of 1/2 - y: 0 where half are 1."""
    zeros = sample(Recipe("zeros"), [2, 10, 5, 1], "sigmoid", X)
    assert labels(zeros, "sigmoid", X, Y, 0.1, 1000) == ["frozen: all gradients of weights 0"]
    some = X[:, :299], Y[:, :299]
    assert labels(zeros, "sigmoid", *some, 0.1, 1000) == ["symmetric: 1 of 10 units distinct"]
    descended = gradient_descent.train(zeros, X, Y, [ACTIVATIONS["sigmoid"]] * 2, learning_rate=1.0, record_at=[50])
    assert not any(array.any() for layer in descended.parameters for array in layer)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_symmetric_units_stay_one_and_others_do_not(activation: str) -> None:
    """Four units of the second of three hidden layers, equal in and out, or in alone; mini-batches and momentum."""
    (_, b1), (W2, b2), (W3, b3), _ = both = sample(Recipe("he_normal"), [2, 6, 4, 5, 1], activation, X, 2)
    for b in (b1, b2, b3):
        b += np.random.RandomState(1).randn(*b.shape) / 10.0
    W2[:, 1:], b2[:, 1:] = W2[:, :1], b2[:, :1]
    W3[0, :, 1:] = W3[0, :, :1]
    trained = gradient_descent.train(
        both,
        *(X, Y, [ACTIVATIONS[activation]] * 3),
        learning_rate=0.1,
        momentum=0.9,
        batch_size=32,
        seeds=[0, 1],
        record_at=[0, 1, 100],
        keep=True,
    )
    assert (trained.costs[:, 2] < trained.costs[:, 0]).all()  # that is, something changes
    for step, snapshot in enumerate(trained.snapshots):
        _, (W2, b2), (W3, _), _ = snapshot
        incoming = np.concatenate([W2, b2], axis=2)
        assert all(incoming[0, i].tobytes() == incoming[0, 0].tobytes() for i in range(4))
        assert all(W3[0, :, i].tobytes() == W3[0, :, 0].tobytes() for i in range(4))
        assert (incoming[1, 1] == incoming[1, 3]).all() == (step == 0)
        found = labels(snapshot, activation, X, Y, 0.1, 1000)
        assert found[0] == "symmetric: 1 of 4 units distinct"
        assert "symmetric" not in found[1]
