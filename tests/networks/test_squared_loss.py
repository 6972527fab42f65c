"""The squared loss against exact fractions, a closed-form solution, and the reference, bit for bit."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.networks import kernel, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.losses import Loss
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import Array
from pipeline.training import gradient_descent
from tests.sampling import bits

BOTH = pytest.mark.parametrize("arithmetic", [reference, kernel], ids=["reference", "kernel"])


def problem(widths: list[int], m: int, n_models: int, seed: int) -> tuple[Parameters, Array, Array]:
    """Models, inputs and targets from N(0, 1)."""
    rng = np.random.RandomState(seed)
    models = [(rng.randn(n_models, n, k) / math.sqrt(k), rng.randn(n_models, n, 1)) for k, n in pairwise(widths)]
    return models, rng.randn(widths[0], m), rng.randn(widths[-1], m)


@BOTH
def test_one_step_in_exact_fractions(arithmetic) -> None:
    """A linear network with small integers: all numbers of the step are multiples of 1/32 and exact in doubles."""
    rng = np.random.RandomState(0)
    W1, b1, W2, b2 = (rng.randint(-3, 4, shape) for shape in ((3, 2), (3, 1), (2, 3), (2, 1)))
    X, Y, m, rate = rng.randint(-3, 4, (2, 4)), rng.randint(-3, 4, (2, 4)), 4, Fraction(1, 8)
    A = W1 @ X + b1
    D = W2 @ A + b2 - Y
    cost = Fraction(int((D * D).sum()), 2 * m)
    ones = np.ones((m, 1), dtype=int)
    slopes = [(W2.T @ D @ X.T, W2.T @ D @ ones), (D @ A.T, D @ ones)]
    exact = [
        tuple(p - rate / m * g for p, g in zip(layer, slope, strict=True))
        for layer, slope in zip([(W1, b1), (W2, b2)], slopes, strict=True)
    ]

    models = [(W[None].astype(float), b[None].astype(float)) for W, b in ((W1, b1), (W2, b2))]
    S, linear = reference.samples(X.astype(float), Y.astype(float)), [ACTIVATIONS["linear"]]
    assert arithmetic.cost(models, S, linear, Loss.SQUARED).tolist() == [cost]
    assert arithmetic.predict(models, X.astype(float), linear, Loss.SQUARED).tolist() == [(D + Y).tolist()]
    moved = arithmetic.descend(
        reference.at_rest(models), [S], linear, reference.UpdateRule(float(rate)), 1, Loss.SQUARED
    ).parameters
    for found, expected in zip(moved, exact, strict=True):
        assert [each[0].tolist() for each in found] == [each.tolist() for each in expected]


@pytest.mark.parametrize("activation", ["linear", "tanh", "gelu"])
def test_gradients_against_central_differences(activation: str) -> None:
    """Along random directions in one layer at a time, W and b moving together."""
    parameters, X, Y = problem([3, 5, 4, 2], 13, 2, 0)
    activations, S = [ACTIVATIONS[activation]] * 2, reference.samples(X, Y)
    Z, A = reference.forward_propagation(parameters, S.X, activations)
    gradients = reference.backward_propagation(parameters, Z, A, S.Y, S.weight, activations, Loss.SQUARED)
    rng, step = np.random.RandomState(1), 1e-6
    for l, (W, b) in enumerate(parameters):
        U, v = rng.randn(*W.shape), rng.randn(*b.shape)
        ahead, behind = list(parameters), list(parameters)
        ahead[l], behind[l] = (W + step * U, b + step * v), (W - step * U, b - step * v)
        costs = [reference.cost(each, S, activations, Loss.SQUARED) for each in (ahead, behind)]
        dW, db = gradients[l]
        along = (dW * U).sum(axis=(1, 2)) + (db * v).sum(axis=(1, 2))
        # rounding of costs of size 10, 2e-15 / 1e-6, and the third derivative times 1e-12
        np.testing.assert_allclose(along, (costs[0] - costs[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_modes_of_a_two_layer_linear_network() -> None:
    """Each mode of strength s follows u(t) = s / (1 - (1 - s / u_0) e^(-2 s t)) (Saxe et al. 2013, eq. 12).

    The inputs have mean 0 and covariance 1, so the gradients of the biases are 0. The modes are the columns of Hadamard
    matrices divided by 2, which are exactly orthogonal.
    """
    pair = np.array([[1.0, 1.0], [1.0, -1.0]])
    left, right = np.kron(pair, pair) / 2, np.kron(pair, pair)[[2, 0, 3, 1]] / 2
    strengths, first, rate = np.array([4.0, 3.0, 2.0, 1.0]), 0.001, 0.001
    X = 2.0 * np.concatenate([np.eye(4), -np.eye(4)], axis=1)
    rest, root = np.zeros((1, 4, 1)), math.sqrt(first)
    trained = gradient_descent.train(
        [(root * right.T[None], rest), (root * left[None], rest)],
        X,
        (left * strengths) @ right.T @ X,
        [ACTIVATIONS["linear"]],
        learning_rate=rate,
        record_at=range(3500),
        keep=True,
        loss=Loss.SQUARED,
    )
    u = np.array([np.diag(left.T @ W2[0] @ W1[0] @ right) for (W1, _), (W2, _) in trained.snapshots])
    half_rise = rate * np.argmax(u > strengths / 2, axis=0)
    # Euler's method grows as e^(t ln(1 + rate s) / rate) instead of e^(s t): late by t rate s / 2 < 0.0021; and one step
    np.testing.assert_allclose(half_rise, np.log(strengths / first - 1.0) / (2.0 * strengths), rtol=0, atol=0.0031)
    assert not any(b.any() for _, b in trained.parameters)
    exact = strengths / (1.0 - (1.0 - strengths / first) * np.exp(-2.0 * strengths * (3499 * rate)))
    np.testing.assert_allclose(u[-1], exact, rtol=0, atol=0.0021 / 2)  # the same delay at the largest slope, s^2 / 2


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    m=st.integers(1, 90),
    batch_size=st.none() | st.integers(1, 100),
    momentum=st.sampled_from([0.0, 0.9]),
    name=st.sampled_from(["linear", "relu", "tanh"]),
    seed=st.integers(0, 2**31),
)
def test_same_bits_as_the_reference(
    widths: list[int], m: int, batch_size: int | None, momentum: float, name: str, seed: int
) -> None:
    parameters, X, Y = problem(widths, m, 2, seed)
    activations = [ACTIVATIONS[name]] * (len(widths) - 2)
    slow, fast = (
        gradient_descent.train(
            parameters,
            X,
            Y,
            activations,
            learning_rate=0.001,
            momentum=momentum,
            batch_size=batch_size,
            seeds=range(2),
            record_at=[0, 3, 25],
            loss=Loss.SQUARED,
            arithmetic=arithmetic,
            executor=ThreadPoolExecutor(1),
        )
        for arithmetic in (gradient_descent.REFERENCE, gradient_descent.COMPILED)
    )
    assert bits(fast.parameters) == bits(slow.parameters)
    assert fast.costs.tobytes() == slow.costs.tobytes()
    with np.errstate(all="ignore"):  # some of the linear networks diverge, and whose nan it is depends on the processor
        slow_outputs, fast_outputs = (
            gradient_descent.canonical_nan(a.predict(slow.parameters, X, activations, Loss.SQUARED))
            for a in (reference, kernel)
        )
    assert fast_outputs.tobytes() == slow_outputs.tobytes()


def test_same_bits_in_many_chunks() -> None:
    parameters, X, Y = problem([3, 20, 6], 6000, 1, 0)
    S, activations, rule = reference.samples(X, Y), [ACTIVATIONS["tanh"]], reference.UpdateRule(0.1)
    slow, fast = (
        a.descend(reference.at_rest(parameters), [S], activations, rule, 3, Loss.SQUARED).parameters
        for a in (reference, kernel)
    )
    assert bits(fast) == bits(slow)
    costs = [a.cost(slow, S, activations, Loss.SQUARED).tobytes() for a in (reference, kernel)]
    assert costs[0] == costs[1]


@BOTH
@pytest.mark.parametrize(("loss", "rows", "needed"), [(Loss.SQUARED, 1, 3), (Loss.CROSS_ENTROPY, 3, 1)])
def test_wrong_number_of_rows_of_targets(arithmetic, loss: Loss, rows: int, needed: int) -> None:
    parameters, X, _ = problem([2, 3], 9, 1, 0)
    S, message = reference.samples(X, np.zeros((rows, 9))), f"Y has {rows} rows; .* needs {needed}"
    with pytest.raises(ValueError, match=message):
        arithmetic.cost(parameters, S, [], loss)
    with pytest.raises(ValueError, match=message):
        arithmetic.descend(reference.at_rest(parameters), [S], [], reference.UpdateRule(0.1), 1, loss)
