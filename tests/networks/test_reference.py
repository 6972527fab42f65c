"""The reference arithmetic against finite differences, plain loops, and the tutorial's own formulas."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest

from pipeline.initializers import fan_scaling
from pipeline.networks import parameters as network_parameters
from pipeline.networks import reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.numerics.sums import pad
from tests.sampling import initialize_parameters

SHAPES = [[2, 10, 5, 1], [2, 1], [3, 4, 1], [1, 1, 1], [2, 7, 6, 5, 4, 1], [3, 5, 4], [2, 3], [4, 6, 5, 10]]


def problem(layers_dims: list[int], n_models: int = 2, m: int = 13, seed: int = 0):
    rng = np.random.RandomState(seed)
    parameters = [
        (rng.randn(n_models, n, k) / math.sqrt(k), rng.randn(n_models, n, 1) / 2) for k, n in pairwise(layers_dims)
    ]
    n_classes = max(2, layers_dims[-1])
    return parameters, rng.randn(layers_dims[0], m), rng.randint(0, n_classes, (1, m)).astype(float)


def cost_of(parameters, S, activations):
    Z, _ = reference.forward_propagation(parameters, S.X, activations)
    return reference.compute_cost(Z[-1], S.Y, S.weight)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers_dims", SHAPES)
def test_gradients_against_central_differences(layers_dims: list[int], activation: str) -> None:
    """Along random directions in one layer at a time, W and b moving together."""
    parameters, X, Y = problem(layers_dims)
    activations = [ACTIVATIONS[activation]] * (len(layers_dims) - 2)
    S = reference.samples(X, Y)
    Z, A = reference.forward_propagation(parameters, S.X, activations)
    gradients = reference.backward_propagation(parameters, Z, A, S.Y, S.weight, activations)
    rng, step = np.random.RandomState(1), 1e-6
    for l, (W, b) in enumerate(parameters):
        U, v = rng.randn(*W.shape), rng.randn(*b.shape)
        ahead, behind = list(parameters), list(parameters)
        ahead[l], behind[l] = (W + step * U, b + step * v), (W - step * U, b - step * v)
        slope = (cost_of(ahead, S, activations) - cost_of(behind, S, activations)) / (2 * step)
        dW, db = gradients[l]
        exact = (dW * U).sum(axis=(1, 2)) + (db * v).sum(axis=(1, 2))
        # rounding of the cost, 2e-16 / 1e-6, and the third derivative times 1e-12
        np.testing.assert_allclose(exact, slope, rtol=1e-6, atol=2e-9)


def slow_training(parameters, X, Y, learning_rate: float, steps: int):
    """The same network with relu in 60-digit arithmetic and plain loops, written from the formulas."""
    mpf = mpmath.mpf
    layers = [
        ([[mpf(w) for w in row] for row in W[0].tolist()], [mpf(v) for v in b[0, :, 0].tolist()]) for W, b in parameters
    ]
    m = X.shape[1]
    for _ in range(steps):
        new = [([row[:] for row in W], b[:]) for W, b in layers]
        for i in range(m):
            a = [mpf(x) for x in X[:, i].tolist()]
            inputs, logits = [], []
            for number, (W, b) in enumerate(layers):
                inputs.append(a)
                z = [sum((w * x for w, x in zip(row, a, strict=True)), mpf(0)) + v for row, v in zip(W, b, strict=True)]
                logits.append(z)
                a = [max(value, mpf(0)) for value in z] if number < len(layers) - 1 else z
            delta = [(1 / (1 + mpmath.exp(-logits[-1][0])) - mpf(Y[0, i])) / m]
            for number in range(len(layers) - 1, -1, -1):
                W, b = layers[number]
                new_W, new_b = new[number]
                for r, d in enumerate(delta):
                    new_b[r] -= mpf(learning_rate) * d
                    for c, x in enumerate(inputs[number]):
                        new_W[r][c] -= mpf(learning_rate) * d * x
                if number > 0:
                    delta = [
                        sum((W[r][c] * delta[r] for r in range(len(delta))), mpf(0)) * (logits[number - 1][c] > 0)
                        for c in range(len(W[0]))
                    ]
        layers = new
    return layers


def test_training_against_a_slow_independent_one() -> None:
    mpmath.mp.dps = 60
    parameters, X, Y = problem([2, 4, 3, 1], n_models=1, m=11)
    activations = [ACTIVATIONS["relu"]] * 2
    exact = slow_training(parameters, X, Y, 0.1, 5)
    S = reference.samples(X, Y)
    for _ in range(5):
        Z, A = reference.forward_propagation(parameters, S.X, activations)
        gradients = reference.backward_propagation(parameters, Z, A, S.Y, S.weight, activations)
        parameters = reference.update_parameters(parameters, gradients, 0.1)
    for (W, b), (exact_W, exact_b) in zip(parameters, exact, strict=True):
        # a few ulp of numbers of size 1 in each of five steps
        np.testing.assert_allclose(W[0], np.array(exact_W, dtype=float), rtol=0, atol=2e-15)
        np.testing.assert_allclose(b[0, :, 0], np.array(exact_b, dtype=float), rtol=0, atol=2e-15)


def test_product_adds_the_inputs_one_after_another() -> None:
    rng = np.random.RandomState(2)
    W, A = rng.randn(1, 2, 50), rng.randn(50, 4)
    Z = reference.product(W, A)
    for i in range(2):
        for j in range(4):
            total = W[0, i, 0] * A[0, j]
            for k in range(1, 50):
                total = total + W[0, i, k] * A[k, j]
            assert Z[0, i, j] == total


def test_cost_is_exact_for_small_and_finite_for_huge_logits() -> None:
    Z = np.array([[[0.0, 2.0, -3.0, 1e6, -1e6, 40.0, 800.0]]])
    Y = np.array([[1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]])
    S = reference.samples(np.zeros((1, 7)), Y)
    exact = sum(mpmath.log1p(mpmath.exp(z)) - y * mpmath.mpf(z) for z, y in zip(Z[0, 0], Y[0], strict=True)) / 7
    assert reference.compute_cost(pad(Z), S.Y, S.weight)[0] == pytest.approx(float(exact), rel=1e-15)


def test_softmax_cost_and_probabilities_against_mpmath() -> None:
    """Also for logits far apart, where exp alone would overflow."""
    Z = np.array([[0.3, 1000.0, -4.0], [-0.2, 990.0, -700.0], [2.0, -3.0, 800.0], [0.3, 1000.0, 799.0]])[None]
    Y = np.array([[2.0, 1.0, 0.0]])
    S = reference.samples(np.zeros((1, 3)), Y)
    with mpmath.workdps(60):
        logits = [[mpmath.mpf(z) for z in column] for column in Z[0].T.tolist()]
        sums = [mpmath.fsum(map(mpmath.exp, column)) for column in logits]
        exact = sum(mpmath.log(s) - column[int(y)] for s, column, y in zip(sums, logits, Y[0], strict=True)) / 3
        shares = [[float(mpmath.exp(z) / s) for z in column] for s, column in zip(sums, logits, strict=True)]
    assert reference.compute_cost(pad(Z), S.Y, S.weight)[0] == pytest.approx(float(exact), rel=1e-15)
    _, terms, total = reference.softmax(Z)
    np.testing.assert_allclose((terms / total)[0].T, shares, rtol=2e-15)  # three roundings and exp's ulp


def test_softmax_over_two_classes_is_the_sigmoid() -> None:
    """Logits (0, z) cost what the single logit z costs, and the slope by z is the same."""
    z, Y = np.random.RandomState(0).randn(1, 1, 8) * 9, np.array([[0.0, 1, 1, 0, 1, 0, 0, 1]])
    two, weight = np.concatenate([np.zeros_like(z), z], axis=1), np.full(8, 1 / 8)
    assert reference.compute_cost(two, Y, weight) == pytest.approx(reference.compute_cost(z, Y, weight), rel=1e-14)
    np.testing.assert_allclose(reference.cost_slope(two, Y)[0, 1], reference.cost_slope(z, Y)[0, 0], rtol=0, atol=1e-15)
    slopes = reference.cost_slope(two, Y)
    np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=3e-16)  # probabilities add up to 1 within their rounding


def test_momentum_is_the_heavy_ball() -> None:
    """Against steps written out: v1 = g1, v2 = 0.9 v1 + g2, ...; and none is plain gradient descent."""
    parameters, X, Y = problem([2, 3, 1], n_models=1)
    S, activations, rate = reference.samples(X, Y), [ACTIVATIONS["relu"]], 0.2
    W, v = parameters, None
    for _ in range(3):
        Z, A = reference.forward_propagation(W, S.X, activations)
        g = reference.backward_propagation(W, Z, A, S.Y, S.weight, activations)
        v = g if v is None else [(0.9 * a + c, 0.9 * b + d) for (a, b), (c, d) in zip(v, g, strict=True)]
        W = [(a - rate * c, b - rate * d) for (a, b), (c, d) in zip(W, v, strict=True)]
    moved, _ = reference.descend(reference.at_rest(parameters), [S], activations, reference.UpdateRule(rate, 0.9), 3)
    for (a, b), (c, d) in zip(moved, W, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-15)
        np.testing.assert_allclose(b, d, rtol=1e-15)


def test_batches_are_taken_in_turn() -> None:
    parameters, X, Y = problem([2, 3, 1])
    activations, rule = [ACTIVATIONS["relu"]], reference.UpdateRule(0.1)
    first, second = reference.samples(X[:, :7], Y[:, :7]), reference.samples(X[:, 7:], Y[:, 7:])
    models = reference.at_rest(parameters)
    for batch in (first, second, first):
        models = reference.descend(models, [batch], activations, rule, 1)
    together = reference.descend(reference.at_rest(parameters), [first, second], activations, rule, 3)
    assert all(
        (a == b).all()
        for x, y in zip(models.parameters, together.parameters, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_accuracy() -> None:
    Y = np.array([[0.0, 1.0, 2.0, 1.0]])
    probability = np.array([[[0.6, 0.1, 0.3, 0.4], [0.3, 0.8, 0.3, 0.3], [0.1, 0.1, 0.4, 0.3]]])
    assert reference.accuracy(probability, Y).tolist() == [0.75]
    assert reference.accuracy(np.array([[[0.6, 0.5, 0.4]]]), np.array([[1.0, 1.0, 0.0]])).tolist() == [2 / 3]


def test_samples_are_padded_with_weight_zero() -> None:
    S = reference.samples(np.ones((2, 9)), np.ones((1, 9)))
    assert S.X.shape == (2, 16)
    assert Fraction(S.weight[0]) == Fraction(1 / 9)
    assert S.weight[9:].tolist() == [0.0] * 7


def test_a_model_does_not_depend_on_its_company() -> None:
    he = fan_scaling.he_normal()
    models = [initialize_parameters(he, seed, [2, 6, 1]) for seed in range(3)]
    _, X, Y = problem([2, 6, 1])
    S = reference.samples(X, Y)
    activations = [ACTIVATIONS["relu"]]

    def step(stacked):
        Z, A = reference.forward_propagation(stacked, S.X, activations)
        gradients = reference.backward_propagation(stacked, Z, A, S.Y, S.weight, activations)
        return reference.update_parameters(stacked, gradients, 0.5)

    together, alone = step(network_parameters.stack(models)), step(network_parameters.stack(models[1:2]))
    for (W, b), (W_alone, b_alone) in zip(together, alone, strict=True):
        assert W[1].tobytes() == W_alone[0].tobytes()
        assert b[1].tobytes() == b_alone[0].tobytes()
