"""The tutorial's code blocks run against `pipeline.tutorial` and print the published numbers."""

import hashlib
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_circles

from pipeline import tutorial
from pipeline.storage import reports

HERE = Path(__file__).parent
BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```$", (HERE / "tutorial_blocks.txt").read_text(encoding="utf-8"))
DIGEST = "2515ca3982525cf77edae2226d5f8e76e130258076656764367c3fe4bf9af244"
PUBLISHED = {"zeros": "zeros", "random": "random_x10", "he": "he"}  # the names in replications/tutorial
DIMS = [2, 10, 5, 1]
X10_COST = 1773.585954937  # from the logits, in double precision; the publications print inf
PRINTED = 1e-12  # the published costs have 12 decimals; He's agree to 2e-16


@pytest.fixture(scope="module")
def blocks() -> dict[str, Any]:
    """The names that the code blocks define, run in order."""
    namespace: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block.replace("init_utils", "pipeline.tutorial"), namespace)
    return namespace


def published(name: str) -> pd.DataFrame:
    """Published costs by iteration: columns cost_min and cost_max, empty where inf is printed."""
    table = pd.read_csv(reports.PUBLISHED / "cost_curves.csv")
    return table[table["initializer"] == PUBLISHED[name]].set_index("iteration")


def outputs(capsys: pytest.CaptureFixture[str], data: Any, initialization: Any) -> tuple[dict[int, float], list[float]]:
    """The costs that `model` prints, by iteration, and the training and test accuracy that `predict` prints."""
    train_X, train_Y, test_X, test_Y = data
    parameters = tutorial.model(train_X, train_Y, initialization=initialization)
    for X, Y in ((train_X, train_Y), (test_X, test_Y)):
        predicted = tutorial.predict(X, Y, parameters)
        assert predicted.shape == Y.shape
    printed = capsys.readouterr().out
    costs = {int(k): float(cost) for k, cost in re.findall(r"(?m)^Cost after iteration (\d+): (\S+)$", printed)}
    return costs, [float(value) for value in re.findall(r"(?m)^Accuracy: (\S+)$", printed)]


def test_the_blocks_are_those_of_the_tutorial() -> None:
    assert len(BLOCKS) == 4
    assert hashlib.sha256("".join(BLOCKS).encode()).hexdigest() == DIGEST


def test_the_first_block_loads_the_data(blocks: dict[str, Any]) -> None:
    """make_circles after np.random.seed(1) and (2), as in the publications."""
    for split, n, seed in (("train", 300, 1), ("test", 100, 2)):
        np.random.seed(seed)
        X, Y = make_circles(n_samples=n, noise=0.05)
        np.testing.assert_allclose(
            blocks[f"{split}_X"], X.T, rtol=0, atol=2e-15
        )  # angles near 2 pi have an ulp of 9e-16
        assert blocks[f"{split}_Y"].tolist() == [Y.tolist()]


@pytest.mark.parametrize("is_own", [False, True], ids=["by name", "the tutorial's function"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_costs_and_accuracies(
    blocks: dict[str, Any], capsys: pytest.CaptureFixture[str], name: str, is_own: bool
) -> None:
    data = [blocks[key] for key in ("train_X", "train_Y", "test_X", "test_Y")]
    costs, accuracies = outputs(capsys, data, blocks[f"initialize_parameters_{name}"] if is_own else name)
    table = published(name)
    assert list(costs) == table.index.tolist() == list(range(0, 15000, 1000))
    if name == "random":
        assert costs[0] == pytest.approx(X10_COST, abs=1e-9)
    low, high, cost = table["cost_min"], table["cost_max"], pd.Series(costs)
    # The tutorial draws x10 with the logarithm of the C library: training amplifies its rounding, so this curve may be
    # outside the range of the 36 published ones, but not by more than their width.
    margin = PRINTED + (high - low if is_own and name == "random" else 0.0)
    is_printed = low.notna()
    assert ((low - margin <= cost) & (cost <= high + margin))[is_printed].all()
    printed = pd.read_csv(reports.PUBLISHED / "accuracies.csv").set_index("initializer").loc[PUBLISHED[name]]
    assert [round(value, 4) for value in accuracies] == printed[["train_accuracy", "test_accuracy"]].tolist()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_tutorials_functions_draw_the_same_parameters(blocks: dict[str, Any], name: str) -> None:
    own, ours = blocks[f"initialize_parameters_{name}"](DIMS), tutorial.INITIALIZATIONS[name](DIMS)
    assert list(own) == list(ours) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    for key, value in own.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-15, atol=0)  # randn within 4 ulp


def test_published_unit_values() -> None:
    """The values that the exercise prints for small networks."""
    random, he = tutorial.initialize_parameters_random([3, 2, 1]), tutorial.initialize_parameters_he([2, 4, 1])
    x10 = [[17.88628473, 4.36509851, 0.96497468], [-18.63492703, -2.77388203, -3.54758979]]
    np.testing.assert_allclose(random["W1"], x10, rtol=0, atol=5e-9)
    np.testing.assert_allclose(random["W2"], [[-0.82741481, -6.27000677]], rtol=0, atol=5e-9)
    W1 = [[1.78862847, 0.43650985], [0.09649747, -1.8634927], [-0.2773882, -0.35475898], [-0.08274148, -0.62700068]]
    np.testing.assert_allclose(he["W1"], W1, rtol=0, atol=5e-9)
    np.testing.assert_allclose(he["W2"], [[-0.03098412, -0.33744411, -0.92904268, 0.62552248]], rtol=0, atol=5e-9)
    assert [random["b1"].tolist(), he["b2"].tolist()] == [[[0.0], [0.0]], [[0.0]]]


def test_signatures() -> None:
    """Names, order and defaults of the arguments, as the exercise has them."""
    expected = {
        "load_dataset": "",
        "sigmoid": "x",
        "relu": "x",
        "compute_loss": "a3 Y",
        "forward_propagation": "X parameters",
        "backward_propagation": "X Y cache",
        "update_parameters": "parameters grads learning_rate",
        "predict": "X y parameters",
        "initialize_parameters_zeros": "layers_dims",
        "initialize_parameters_random": "layers_dims",
        "initialize_parameters_he": "layers_dims",
        "model": "X Y learning_rate num_iterations print_cost initialization",
    }
    for name, arguments in expected.items():
        assert list(inspect.signature(getattr(tutorial, name)).parameters) == arguments.split()
    defaults = [p.default for p in inspect.signature(tutorial.model).parameters.values()][2:]
    assert defaults == [0.01, 15000, True, "he"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_loop_over_the_functions_has_the_bits_of_model(name: str) -> None:
    X, Y, _, _ = tutorial.load_dataset()
    X, Y = X[:, :299], Y[:, :299]  # not a multiple of eight samples
    parameters = tutorial.INITIALIZATIONS[name](DIMS)
    for _ in range(30):
        _, cache = tutorial.forward_propagation(X, parameters)
        gradients = tutorial.backward_propagation(X, Y, cache)
        parameters = tutorial.update_parameters(parameters, gradients, 0.03)
    expected = tutorial.model(X, Y, 0.03, 30, False, name)
    assert {k: v.tobytes() for k, v in parameters.items()} == {k: v.tobytes() for k, v in expected.items()}
    if name != "zeros":
        assert not np.array_equal(parameters["W1"], tutorial.INITIALIZATIONS[name](DIMS)["W1"])


def test_the_functions_against_the_formulas_of_the_exercise() -> None:
    """Forward and backward propagation and the loss, written with NumPy for other layer sizes."""
    rng = np.random.RandomState(0)
    X, Y = rng.randn(4, 11), rng.randint(0, 2, (1, 11))
    dims = [4, 6, 3, 1]
    p = {f"{k}{l}": rng.randn(dims[l], dims[l - 1] if k == "W" else 1) for l in (1, 2, 3) for k in "Wb"}
    z1 = p["W1"] @ X + p["b1"]
    z2 = p["W2"] @ np.maximum(0, z1) + p["b2"]
    z3 = p["W3"] @ np.maximum(0, z2) + p["b3"]
    a3 = 1 / (1 + np.exp(-z3))
    dz3 = (a3 - Y) / 11
    dz2 = p["W3"].T @ dz3 * (z2 > 0)
    dz1 = p["W2"].T @ dz2 * (z1 > 0)
    inputs = (X, np.maximum(0, z1), np.maximum(0, z2))
    exact = {f"dW{l}": dz @ a.T for l, (dz, a) in enumerate(zip((dz1, dz2, dz3), inputs, strict=True), 1)}
    exact |= {f"db{l}": dz.sum(axis=1, keepdims=True) for l, dz in enumerate((dz1, dz2, dz3), 1)}
    output, cache = tutorial.forward_propagation(X, p)
    np.testing.assert_allclose(output, a3, rtol=1e-14)
    z1_, a1_, W1_, _, z2_, _, _, b2_, z3_, a3_, _, _ = cache
    for got, value in ((z1_, z1), (a1_, inputs[1]), (W1_, p["W1"]), (z2_, z2), (b2_, p["b2"]), (z3_, z3), (a3_, a3)):
        np.testing.assert_allclose(got, value, rtol=0, atol=1e-14)  # sums of a few products of size 10
    gradients = tutorial.backward_propagation(X, Y, cache)
    assert set(gradients) == set(exact)
    for name, value in exact.items():
        np.testing.assert_allclose(gradients[name], value, rtol=0, atol=1e-14)
    loss = np.mean(-np.log(a3) * Y - np.log(1 - a3) * (1 - Y))
    assert tutorial.compute_loss(output, Y) == pytest.approx(loss, rel=1e-14)
    moved = tutorial.update_parameters(p, gradients, 0.5)
    np.testing.assert_allclose(moved["W2"], p["W2"] - 0.5 * exact["dW2"], rtol=0, atol=1e-14)
    assert moved is not p


def test_loss_of_certain_outputs() -> None:
    """0 for certainty of the label, inf for certainty of the other class, and no NaN from 0 log 0."""
    assert tutorial.compute_loss(np.array([[0.0, 1.0]]), np.array([[0, 1]])) == 0.0
    assert tutorial.compute_loss(np.array([[0.0, 1.0]]), np.array([[1, 1]])) == np.inf
    X, Y, _, _ = tutorial.load_dataset()
    output, _ = tutorial.forward_propagation(X, tutorial.initialize_parameters_random(DIMS))
    assert tutorial.compute_loss(output, Y) == np.inf  # as in the publications


def test_sigmoid_and_relu_of_numbers_and_arrays() -> None:
    assert (sigmoid := tutorial.sigmoid([[-800, 0, 800]])).tolist() == [[0.0, 0.5, 1.0]]
    assert sigmoid.shape == (1, 3)
    assert tutorial.sigmoid(10) == pytest.approx(1 / (1 + np.exp(-10)), rel=1e-15)
    assert tutorial.relu(np.array([-2, 0, 3])).tolist() == [0.0, 0.0, 3.0]
    assert tutorial.relu(-1) == 0.0


def test_a_prediction_of_one_half_is_class_0(capsys: pytest.CaptureFixture[str]) -> None:
    X, _, _, _ = tutorial.load_dataset()
    zeros = tutorial.initialize_parameters_zeros(DIMS)
    assert not tutorial.predict(X[:, :3], [[0, 1, 0]], zeros).any()
    assert capsys.readouterr().out == f"Accuracy: {2 / 3}\n"


def test_costs_are_recorded_before_the_step_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    X, Y, _, _ = tutorial.load_dataset()
    parameters, costs = tutorial.train(X, Y, num_iterations=25, record_every=10)
    assert list(costs) == [0, 10, 20, 25]
    assert costs[25] == pytest.approx(
        tutorial.compute_loss(tutorial.forward_propagation(X, parameters)[0], Y), rel=1e-13
    )
    unmoved, costs = tutorial.train(X, Y, num_iterations=0)
    assert list(costs) == [0]
    assert np.array_equal(unmoved["W1"], tutorial.initialize_parameters_he(DIMS)["W1"])
    tutorial.model(X, Y, num_iterations=1000, print_cost=True)
    assert capsys.readouterr().out.count("\n") == 1
    tutorial.model(X, Y, num_iterations=5, print_cost=False)
    assert capsys.readouterr().out == ""


def test_final_costs_are_those_of_the_pipeline() -> None:
    """And of an independent implementation in JavaScript, bit for bit."""
    X, Y, _, _ = tutorial.load_dataset()
    for name, final in (("he", 0.06481018741251149), ("random", 0.3810696327785147)):
        assert tutorial.train(X, Y, initialization=name)[1][15000] == final


def without(parameters: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initialization": "xavier"}, "initialization is 'xavier'; expected one of zeros, random, he, or a function"),
        ({"X": np.zeros((8, 2))}, r"X has shape \(8, 2\) and Y \(1, 8\); expected .* one sample per column"),
        ({"Y": np.zeros(8)}, r"Y \(8,\); expected"),
        ({"Y": np.full((1, 8), -1)}, "Y has labels other than 0 and 1"),
        ({"num_iterations": -1}, "num_iterations is -1; expected a whole number of at least 0"),
        ({"num_iterations": 2.5}, "num_iterations is 2.5; expected"),
        ({"record_every": 0}, "record_every is 0; expected a whole number of at least 1"),
        (
            {"initialization": lambda dims: without(tutorial.initialize_parameters_he(dims), "b2")},
            "keys W1, b1, W2, W3, b3; expected W1, b1, ..., WL, bL",
        ),
        (
            {"initialization": lambda dims: tutorial.initialize_parameters_he([2, 10, 5])},
            r"W2 has shape \(5, 10\); expected \(1, 10\)",
        ),
        (
            {"initialization": lambda dims: {**tutorial.initialize_parameters_he(dims), "W2": np.zeros((5, 9))}},
            r"W2 has shape \(5, 9\); expected \(5, 10\)",
        ),
        (
            {"initialization": lambda dims: {**tutorial.initialize_parameters_he(dims), "b1": np.zeros(10)}},
            r"b1 has shape \(10,\); expected \(10, 1\)",
        ),
    ],
)
def test_invalid_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"X": np.zeros((2, 8)), "Y": np.zeros((1, 8)), "num_iterations": 1}
    with pytest.raises(ValueError, match=message):
        tutorial.train(**{**arguments, **change})
