"""Sharpness and centered gradient in closed form, and what the stability of gradient descent says of the former."""

import math

import numpy as np
import pytest

from pipeline.diagnostics import sharpness, signals
from pipeline.diagnostics.classes import class_counts
from pipeline.initializers.fan_scaling import he_normal
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array
from pipeline.training import gradient_descent
from tests.sampling import sample_models

RELU, LINEAR = ACTIVATIONS["relu"], ACTIVATIONS["linear"]


def measured(parameters: Parameters, X: Array, Y: Array, activations: list[Activation]) -> tuple[float, float]:
    """Sharpness and norm of the centered gradient of the first model."""
    with np.errstate(all="ignore"):
        Z, A = signals.forward(parameters, X, activations)
        sharp = sharpness.sharpness(parameters, Z, A, activations)
        return float(sharp[0]), float(sharpness.centered_gradient(parameters, Z, A, Y, activations)[0])


def test_logistic_regression() -> None:
    """Its matrix is sum_i (x_i, 1) (x_i, 1)' / (4 m): with inputs 1 and -1 it is the identity / 4."""
    X, Y = np.array([[1.0, -1.0]]), np.array([[1.0, 0.0]])
    zeros = [(np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))]
    assert measured(zeros, X, Y, []) == pytest.approx(
        (0.25, 0.5), rel=1e-15
    )  # the gradient is (-1/2 · 1 + 1/2 · -1) / 2
    X = np.array([[3.0, 3.0]])  # (3, 1) (3, 1)' / 4: 10 / 4; and nothing tells the samples apart
    sharp, centered = measured(zeros, X, Y, [])
    assert sharp == pytest.approx(2.5, rel=1e-14)
    assert centered == 0.0


def test_softmax_regression_has_the_eigenvalue_of_the_inputs_over_the_classes() -> None:
    """S has the eigenvalue 1 / C on changes that differ between classes, and 0 on a common one."""
    rng = np.random.RandomState(0)
    X, Y = rng.randn(3, 50), rng.randint(0, 4, (1, 50)).astype(float)
    X[0] += 3.0  # so that one eigenvalue is far above the rest
    parameters = [(rng.randn(1, 4, 3), rng.randn(1, 4, 1))]
    inputs = np.concatenate([X, np.ones((1, 50))])
    largest = np.linalg.eigvalsh(inputs @ inputs.T / 50).max() / 4
    assert measured(parameters, X, Y, [])[0] == pytest.approx(largest, rel=1e-10)  # 12 steps at a ratio of 10


def test_balanced_residuals_are_centered_already() -> None:
    X, Y = np.random.RandomState(0).randn(2, 40), np.arange(40.0)[None] % 2
    parameters = sample_models(he_normal(), [3], [2, 5, 1])
    parameters[1][0][:] = 0.0  # the residuals are 1/2 and -1/2
    Z, A = signals.forward(parameters, X, [RELU])
    _, dW = signals.backward(parameters, Z, A, Y, [RELU])
    assert measured(parameters, X, Y, [RELU])[1] == pytest.approx(math.sqrt((dW[1] ** 2).sum()), rel=1e-14)


def test_what_inputs_have_in_common_is_no_centered_gradient() -> None:
    """Unequal classes move the weights of a constant input, which tells no inputs apart."""
    X, Y = np.ones((2, 30)), (np.arange(30.0)[None] < 20.0) * 1.0
    parameters = sample_models(he_normal(), [3], [2, 8, 1])
    Z, A = signals.forward(parameters, X, [RELU])
    _, dW = signals.backward(parameters, Z, A, Y, [RELU])
    assert np.abs(dW[1]).max() > 0.01
    assert measured(parameters, X, Y, [RELU])[1] < 1e-15  # rounding


def test_gradient_descent_is_stable_below_two_over_the_sharpness() -> None:
    """On near-linear ground: logistic regression near equal probabilities, whose residuals a step flips above that."""
    rng = np.random.RandomState(0)
    X = rng.randn(3, 64) * np.array([[3.0], [1.0], [0.3]])
    Y = rng.randint(0, 2, (1, 64)).astype(float)
    start = [(rng.randn(1, 1, 3) * 1e-6, np.zeros((1, 1, 1)))]
    sharp, _ = measured(start, X, Y, [])
    stable, unstable = (
        gradient_descent.train(start, X, Y, [], learning_rate=factor * 2.0 / sharp, record_at=[0, 20, 21, 22]).costs[0]
        for factor in (0.9, 1.5)
    )
    assert stable[0] > stable[1] > stable[2] > stable[3]
    assert max(unstable[1:]) > unstable[0]


@pytest.mark.parametrize("size", [1e-170, 1e-100, 1e90])
def test_squares_beyond_the_range_of_doubles(size: float) -> None:
    """Two linear layers: the eigenvalue grows with the square of the weights once it outgrows the bias's 1/4."""
    X, Y = np.array([[1.0, -1.0]]), np.array([[1.0, 0.0]])
    parameters = [(np.full((1, 1, 1), size), np.zeros((1, 1, 1))), (np.full((1, 1, 1), size), np.zeros((1, 1, 1)))]
    sharp, _ = measured(parameters, X, Y, [LINEAR])
    assert sharp == pytest.approx(
        max(0.25, size * size / 2.0), rel=1e-4
    )  # 12 steps at a ratio of 2: 4^-12, times a hundred
    assert sharpness.weight_norm(parameters)[0] == pytest.approx(math.sqrt(2.0) * size, rel=1e-15)


def test_beyond_the_largest_number_it_is_not_finite() -> None:
    X, Y = np.array([[1.0, -1.0]]), np.array([[1.0, 0.0]])
    parameters = [(np.full((1, 1, 1), 1e120), np.zeros((1, 1, 1)))] * 3
    sharp, _ = measured(parameters, X, Y, [LINEAR] * 2)  # 1e480
    assert not math.isfinite(sharp)


def test_entropy_of_classes() -> None:
    Y = np.array([[2.0] * 5 + [0.0] * 3])
    expected = -5 / 8 * math.log(5 / 8) - 3 / 8 * math.log(3 / 8)
    assert class_counts(Y).entropy == pytest.approx(expected, rel=1e-15)
    assert class_counts(np.zeros((1, 9))).entropy == 0.0
