"""Lengths, angles and gradients against NumPy's linear algebra and finite differences."""

import math
from itertools import pairwise

import numpy as np
import pytest

from pipeline.diagnostics.geometry import cosines, curve_length, input_gradients, weight_gradient_square
from pipeline.diagnostics.signals import CACHED, elementwise, forward, propagate_back
from pipeline.diagnostics.spectra import layer_jacobians, squared_spread
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters

SIZES = (5, 7, 6, 3)
TANH = [ACTIVATIONS["tanh"]] * 2


def stack_of_two() -> Parameters:
    rng = np.random.RandomState(0)
    return [(rng.randn(2, n, k), rng.randn(2, n, 1)) for k, n in pairwise(SIZES)]


def test_the_length_of_a_regular_polygon() -> None:
    t = 2 * np.pi * np.arange(100) / 100
    Z = np.stack([3 * np.cos(t), 3 * np.sin(t), np.ones(100)])
    assert curve_length(np.stack([Z, 2 * Z])) == pytest.approx(
        [600 * math.sin(math.pi / 100), 1200 * math.sin(math.pi / 100)], rel=1e-13
    )


def test_cosines() -> None:
    Z = np.random.RandomState(1).randn(2, 6, 9)
    Z[1, :, 4] = 0.0
    found = cosines(Z)
    size = np.linalg.norm(Z[0], axis=0)
    np.testing.assert_allclose(found[0], Z[0].T @ Z[0] / np.outer(size, size), atol=1e-14)
    assert np.isnan(found[1, 4]).all()
    assert np.isfinite(np.delete(found[1, 0], 4)).all()


def test_input_gradients_are_those_of_finite_differences() -> None:
    parameters, rng = stack_of_two(), np.random.RandomState(2)
    X, d = rng.randn(5, 4), rng.randn(2, 3, 4)
    Z, A = forward(parameters, X, TANH)
    found = input_gradients(parameters, Z, A, d, TANH)
    for i in range(5):
        step = np.zeros((5, 1))
        step[i] = 1e-6
        up, down = (forward(parameters, X + sign * step, TANH)[0][-1] for sign in (1, -1))
        # central differences: error h^2 / 6 of the third derivative, and 1e-16 / h of rounding
        np.testing.assert_allclose(found[:, i], ((up - down) * d).sum(axis=1) / 2e-6, rtol=1e-6, atol=1e-7)


def test_the_square_of_weight_gradients_is_that_of_backward_propagation() -> None:
    parameters, rng = stack_of_two(), np.random.RandomState(3)
    X, d = rng.randn(5, 4), rng.randn(2, 3, 4)
    Z, A = forward(parameters, X, TANH)
    dZ, dW = propagate_back(parameters, Z, A, d, TANH)
    inputs = [np.broadcast_to(X, (2, 5, 4)), *A[1:]]
    for slopes, values, gradient in zip(dZ, inputs, dW, strict=True):
        np.testing.assert_allclose(weight_gradient_square(slopes, values), (gradient**2).mean(axis=(1, 2)), rtol=1e-12)


def test_elementwise_has_the_bits_of_the_function() -> None:
    z = np.random.RandomState(4).randn(3, 5, CACHED // 8 + 3)
    tanh = ACTIVATIONS["tanh"]
    a = elementwise(tanh.phi, z)
    assert a.tobytes() == np.asarray(tanh.phi(z)).tobytes()
    transposed = z.swapaxes(0, 2)
    assert (
        elementwise(tanh.slope, transposed, a.swapaxes(0, 2)).tobytes()
        == np.ascontiguousarray(tanh.slope(transposed, a.swapaxes(0, 2))).tobytes()
    )


def test_the_spread_of_singular_values_is_that_of_lapack() -> None:
    parameters, X = stack_of_two(), np.random.RandomState(5).randn(5, 1)
    identity, *layers = layer_jacobians(parameters, X, TANH)
    np.testing.assert_array_equal(identity, np.broadcast_to(np.eye(5), (2, 5, 5)))
    for l, J in enumerate(layers, 1):
        assert J.shape == (2, SIZES[l], 5)
        s2 = np.linalg.svd(J, compute_uv=False) ** 2
        np.testing.assert_allclose(squared_spread(J), s2.var(axis=1) / s2.mean(axis=1) ** 2, rtol=1e-11)
    np.testing.assert_allclose(squared_spread(identity), 0.0, atol=1e-15)
