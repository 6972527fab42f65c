"""What trained models do, against small networks whose outcome is known."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.analysis import comparison
from pipeline.datasets import DATASETS
from pipeline.diagnostics import labels as labels_module
from pipeline.diagnostics import measure
from pipeline.diagnostics.classes import class_counts
from pipeline.diagnostics.outcomes import metrics, outcomes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe, sample_parameters
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.sums import Array
from pipeline.training import gradient_descent

POSITIVE = np.random.RandomState(0).uniform(0.5, 1.5, (2, 12))
BALANCED = np.array([[0.0, 1.0] * 6])
ONE_THIRD = np.array([[0.0, 1.0, 1.0] * 4])
DEAD = Recipe("constant", {"value": 0.5}, layers={1: Layer("constant", {"value": -0.25})})  # of positive inputs


def ended(
    recipe: Recipe, X: Array, Y: Array, hidden: list[int], steps: int = 0, rate: float = 0.5, n_seeds: int = 2
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of outcomes, and runs.csv, of ReLU networks trained for so many steps."""
    n_classes = int(Y.max()) + 1
    sizes = [len(X), *hidden, 1 if n_classes == 2 else n_classes]
    known, seeds = NetworkSpec(sizes, [ACTIVATIONS["relu"]] * len(hidden), X), range(n_seeds)
    initial = stack([sample_parameters(recipe, seed, known) for seed in seeds])
    when = np.array([0, steps])
    end = gradient_descent.train(initial, X, Y, known.activations, learning_rate=rate, record_at=when, seeds=seeds)
    blocked = measure.measure(initial, X, Y, known.activations).models["blocked_inputs"].tolist()
    table = outcomes("x", seeds, initial, end.parameters, X, known.activations, blocked)
    measured = {"seed": np.array(seeds)}
    measured |= metrics(initial, end.parameters, end.costs, (X, Y), (X, Y), known.activations)
    curves = pd.DataFrame(
        {
            "initializer": "x",
            "seed": np.repeat(seeds, 2),
            "iteration": np.tile(when, n_seeds),
            "cost": end.costs.ravel(),
        }
    )
    return table, comparison.runs_table({"x": measured}, curves, table, 0.1)


def test_zeros_on_unbalanced_classes_predict_the_majority_class() -> None:
    """Only the output's bias has a gradient, sigmoid(b) - 2/3, so b goes to ln 2 and the cost to the entropy."""
    table, runs = ended(Recipe("zeros"), POSITIVE, ONE_THIRD, [20, 7, 5], steps=300)
    assert table["constant_output"].all()
    assert table["only_biases"].all()
    assert table["output_class"].tolist() == [1, 1]
    assert table["largest_weight"].tolist() == [0.0, 0.0]
    assert runs["behaviour"].tolist() == ["constant output"] * 2
    entropy = stats.entropy([1 / 3, 2 / 3])
    # (sigmoid(b) - 2/3) shrinks by 1 - 0.5 * 2/9 a step near the end: 300 steps leave 1e-15 of it
    assert runs["final_cost"].tolist() == pytest.approx([entropy] * 2, abs=1e-14)


def test_zeros_on_breast_cancer() -> None:
    """569 samples, the largest part of class 1; the published example ends at the entropy of the classes."""
    (X, Y), _ = DATASETS["breast_cancer"].split(400, 100, 0.0, 1, 2)
    table, runs = ended(Recipe("zeros"), X, Y, [20, 7, 5], steps=300)
    ones = Y.mean()
    assert runs["behaviour"].tolist() == ["constant output"] * 2
    assert table["output_class"].tolist() == [1, 1]
    assert runs["final_cost"].tolist() == pytest.approx([stats.entropy([ones, 1 - ones])] * 2, abs=1e-12)


def test_zeros_on_balanced_classes_are_frozen() -> None:
    table, runs = ended(Recipe("zeros"), POSITIVE, BALANCED, [4, 3], steps=20)
    assert runs["behaviour"].tolist() == ["frozen"] * 2
    assert table["constant_output"].all()
    assert not table["only_biases"].any()


@pytest.mark.parametrize(("Y", "behaviour"), [(BALANCED, "frozen"), (ONE_THIRD, "constant output")])
def test_dead_units_have_weights_that_are_not_0(Y: Array, behaviour: str) -> None:
    table, runs = ended(DEAD, POSITIVE, Y, [4, 3], steps=20)
    assert runs["behaviour"].tolist() == [behaviour] * 2
    assert table["largest_weight"].tolist() == [0.5, 0.5]
    assert table["blocked"].all()
    assert table["only_biases"].tolist() == [behaviour == "constant output"] * 2


def test_constants_learn_and_are_not_constant() -> None:
    table, runs = ended(Recipe("constant", {"value": 0.5}), POSITIVE, ONE_THIRD, [4, 3], steps=20)
    assert runs["behaviour"].tolist() == ["symmetric units"] * 2
    assert not table[["constant_output", "only_biases", "blocked"]].any(axis=None)


def test_a_constant_output_whose_weights_moved() -> None:
    """At a rate of 1000 the first step on positive inputs makes every unit negative everywhere: dead from then on."""
    table, runs = ended(Recipe("constant", {"value": 0.5}), POSITIVE, 1.0 - ONE_THIRD, [4, 3], steps=3, rate=1000.0)
    assert table["constant_output"].all()
    assert not table["only_biases"].any()
    assert "constant output" not in set(runs["behaviour"])


def test_ten_classes() -> None:
    (X, Y), _ = DATASETS["digits"].split(97, 20, 0.0, 1, 2)
    table, runs = ended(Recipe("zeros"), X, Y, [8], steps=5)
    counts = class_counts(Y, 10)
    assert runs["behaviour"].tolist() == ["constant output"] * 2
    assert table["output_class"].tolist() == [int(np.argmax(counts.counts))] * 2
    assert counts.counts == [int((Y == k).sum()) for k in range(10)]
    assert counts.entropy == pytest.approx(stats.entropy(counts.counts), rel=1e-14)


def test_a_diverged_model_has_no_constant_output() -> None:
    recipe = Recipe("constant", {"value": 1.0})
    known = NetworkSpec([2, 3, 1], [ACTIVATIONS["relu"]], POSITIVE)
    initial = stack([sample_parameters(recipe, 0, known)])
    broken: Parameters = [(W * math.nan, b) for W, b in initial]
    table = outcomes("x", [0], initial, broken, POSITIVE, known.activations, [0.0])
    assert not table[["constant_output", "only_biases"]].any(axis=None)


def test_metrics_of_two_models_by_hand() -> None:
    """One input, one ReLU unit: the logit is w max(x, 0) + b, and class 1 is predicted where it is above 0."""
    initial: Parameters = [
        (np.array([[[1.0]], [[1.0]]]), np.zeros((2, 1, 1))),
        (np.ones((2, 1, 1)), np.zeros((2, 1, 1))),
    ]
    final: Parameters = [
        (np.array([[[1.0]], [[1.25]]]), np.zeros((2, 1, 1))),
        (np.array([[[1.0]], [[-1.0]]]), np.array([[[0.0]], [[0.5]]])),
    ]
    costs = np.array([[0.9, 0.5, 0.25], [0.8, 0.7, 2.0]])
    train = np.array([[-1.0, 1.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 1.0, 0.0]])
    test = np.array([[-1.0, 1.0]]), np.array([[1.0, 0.0]])
    found = metrics(initial, final, costs, train, test, [ACTIVATIONS["relu"]])
    assert {name: values.tolist() for name, values in found.items()} == {
        "initial_cost": [0.9, 0.8],
        "final_cost": [0.25, 2.0],
        # the first model predicts 0, 1, 1, 1 of the training samples; the second 1, 0, 0, 0
        "train_accuracy": [0.75, 0.25],
        "test_accuracy": [0.0, 1.0],
        "weight_change": [0.0, 2.0],
        "unique_units": [0, 0],  # a hidden layer of a single unit does not count
    }


def test_classes() -> None:
    assert class_counts(BALANCED, 2).balanced
    assert not class_counts(ONE_THIRD, 2).balanced
    assert class_counts(BALANCED, 2).entropy == pytest.approx(math.log(2.0), rel=1e-15)
    assert class_counts(BALANCED, 3).counts == [6, 6, 0]  # a class without samples adds nothing
    assert class_counts(BALANCED, 3).entropy == pytest.approx(math.log(2.0), rel=1e-15)


def is_frozen(seed: int, X: Array, Y: Array) -> bool:
    """Whether every gradient of a weight is 0 in a He network with the layers [2, 4, 2, 1, 1]: plain NumPy."""
    draw = np.random.RandomState(seed)
    weights = [draw.randn(n, m) * np.sqrt(2.0 / m) for m, n in pairwise([len(X), 4, 2, 1, 1])]
    inputs, sums = [X], []
    for W in weights:
        sums.append(W @ inputs[-1])
        inputs.append(np.maximum(sums[-1], 0.0))
    delta = 1.0 / (1.0 + np.exp(-sums[-1])) - Y
    for l in reversed(range(len(weights))):
        if (delta @ inputs[l].T).any():
            return False
        delta = (weights[l].T @ delta) * (sums[l - 1] > 0.0) if l else delta
    return True


def test_every_label_of_a_narrow_network_is_counted() -> None:
    """The labels of 200 He networks with 4, 2 and 1 ReLU units: a third of them are frozen, and none may be hidden."""
    (X, Y), _ = DATASETS["circles"].split(300, 100, 0.05, 1, 2)
    known, n_seeds = NetworkSpec([2, 4, 2, 1, 1], [ACTIVATIONS["relu"]] * 3, X), 200
    B = measure.measure(
        stack([sample_parameters(Recipe("he_normal"), seed, known) for seed in range(n_seeds)]), X, Y, known.activations
    )
    columns = {"layer": np.tile(np.arange(1, 5), n_seeds)} | {name: values.ravel() for name, values in B.layers.items()}
    found = labels_module.label_models(columns, B.models, 4, labels_module.plan(0.01, 0.0, 20_000, Y))
    labels = [label.name for label in found]
    frozen = sum(is_frozen(seed, X, Y) for seed in range(n_seeds))
    shown = dict(part.rsplit(" ", 1) for part in comparison.label_counts(labels).split(", "))
    assert shown["frozen"] == str(frozen)
    assert sum(map(int, shown.values())) == n_seeds
    # 0.357 was found independently for such networks; the standard error of 200 is 0.034, and this is three of them
    assert frozen / n_seeds == pytest.approx(0.357, abs=0.1)
