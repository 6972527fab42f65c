"""The predicted tangent kernel against wide networks, closed forms and the recursions of mean-field theory."""

import math
from itertools import pairwise

import numpy as np
import pytest

from pipeline.diagnostics.measure import Stack
from pipeline.networks.activations import ACTIVATIONS
from pipeline.theory import mean_field
from pipeline.theory.correlation import pair_expectation, relu_correlation
from pipeline.theory.tangent_kernel import N_SAMPLES, WITHIN, descent, pair_moments, tangent_kernel
from tests.marks import slow


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu"])
@pytest.mark.parametrize("q", [0.01, 1.0, 9.0])
def test_pair_moments(name: str, q: float) -> None:
    """Against the accurate quadrature of `correlation`: 1 %, but 3 % at the kink of ReLU, 6 % for a saturated tanh."""
    phi = ACTIVATIONS[name]
    apart, slopes = pair_moments(phi, q, np.array([0.0, 0.3 * q, q]))
    same = mean_field.moments(phi, q)
    for k, c in ((1, 0.7), (2, 0.0)):
        tolerance = 0.06 if name == "tanh" and q > 1.0 else 0.03 if name == "relu" else 0.01
        product = pair_expectation(phi.phi, q, c, phi.kinks)
        assert apart[k] == pytest.approx(same.square - product, rel=tolerance)
        slope = pair_expectation(lambda z: np.asarray(phi.slope(z, phi.phi(z))), q, c, phi.kinks)
        assert slopes[k] == pytest.approx(slope, rel=tolerance)
    assert apart[0] == 0.0
    assert slopes[0] == pytest.approx(same.slope_square, rel=1e-12)


def test_distances_keep_their_digits() -> None:
    """Two inputs of correlation 1 - 1e-12: E[(phi(u) - phi(v))^2] / 2 = E[phi'^2] (1 - c) q for smooth phi."""
    phi = ACTIVATIONS["tanh"]
    apart, slopes = pair_moments(phi, 1.0, np.array([0.0, 1e-12]))
    assert apart[1] == pytest.approx(slopes[0] * 1e-12, rel=1e-3)


def test_the_signal_is_that_of_mean_field() -> None:
    """To rounding that of `predicted_signal`; the correlations are those of ReLU's closed form to 3 %."""
    sigma_w2, phi = [1.5, 2.0, 1.8, 1.0], [ACTIVATIONS["relu"]] * 3
    kernel = tangent_kernel(sigma_w2, [0.0, 0.1, 0.0, 0.0], phi)
    np.testing.assert_allclose(
        kernel.signal[:, 0], mean_field.predicted_signal(1.0, sigma_w2, [0.0, 0.1, 0.0, 0.0], phi), rtol=1e-12
    )
    kernel = tangent_kernel([2.0] * 4, [0.0] * 4, phi)
    c = 0.0
    for l in range(1, 4):
        c = relu_correlation(c)
        assert kernel.signal[l, 2] / kernel.signal[l, 0] == pytest.approx(c, rel=0.03)


def test_the_gradient_of_relu_is_kept_by_he() -> None:
    """With sigma_w2 = 2 the sum of squares of the derivatives of a logit is 1 in each layer (He et al. 2015, eq. 14)."""
    kernel = tangent_kernel([2.0] * 5, [0.0] * 5, [ACTIVATIONS["relu"]] * 4)
    np.testing.assert_allclose(kernel.gradient[:, 0], 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "scale", "n_out"), [("relu", 2.0, 1), *slow(("tanh", 1.0, 4), ("gelu", 2.2, 1), ("relu", 2.0, 4))]
)
def test_descent_of_a_wide_network(name: str, scale: float, n_out: int) -> None:
    """Against the measured sharpness and centered gradient of networks of width 400 on inputs as theory assumes.

    Mean over three seeds. With one logit, fluctuations of 1 / sqrt(400) per layer and of the coarse grid allow 15 %;
    the sharpness, a power iteration of 12 steps, is a lower bound.
    """
    rng, n, depth = np.random.RandomState(0), 400, 4
    classes = max(2, n_out)
    Y = np.arange(N_SAMPLES) % classes
    centres = rng.standard_normal((n, classes))
    X = math.sqrt(WITHIN) * centres[:, Y] + math.sqrt(1.0 - WITHIN) * rng.standard_normal((n, N_SAMPLES))
    sizes = [n] * depth + [n_out]
    phi = [ACTIVATIONS[name]] * (depth - 1)
    models = [
        [rng.standard_normal((3, after, before)) * math.sqrt(scale / before), np.zeros((3, after, 1))]
        for before, after in pairwise(sizes)
    ]
    models[-1][0] *= 0.01  # logits near 0
    sigma_w2 = [scale] * (depth - 1) + [scale * 1e-4]
    found = descent(tangent_kernel(sigma_w2, [0.0] * depth, phi), sizes[:-1], n_out)
    stack = Stack([(W, b) for W, b in models], X, Y[None].astype(float), phi)
    sharpness, gradient = stack.descent
    assert found.sharpness == pytest.approx(sharpness.mean(), rel=0.15)
    assert found.centered_gradient == pytest.approx(gradient.mean(), rel=0.15)
    norms = stack.signals.dW * np.sqrt([n * n] * (depth - 1) + [n * n_out])  # from a root mean square
    np.testing.assert_allclose(found.layer_gradients, norms.mean(axis=0), rtol=0.25)


def test_a_layer_of_zeros_stops_the_gradient() -> None:
    """Everywhere with ReLU. With sigmoid the last layer has one, by activations of 1/2 and residuals of 1/2 / sqrt(m)."""
    relu, sigmoid = (
        descent(tangent_kernel([2.0, 0.0, 2.0], [0.0] * 3, [ACTIVATIONS[name]] * 2), [10, 10, 10], 1)
        for name in ("relu", "sigmoid")
    )
    assert relu.layer_gradients == [0.0, 0.0, 0.0]
    assert relu.centered_gradient == 0.0
    assert sigmoid.layer_gradients[0] == 0.0
    assert sigmoid.layer_gradients[2] == pytest.approx(0.5 * math.sqrt(10 * 0.25 / N_SAMPLES), rel=1e-12)


def test_beyond_the_range_of_doubles() -> None:
    kernel = tangent_kernel([1e200] * 4, [0.0] * 4, [ACTIVATIONS["relu"]] * 3)
    assert not math.isfinite(descent(kernel, [10] * 4, 1).sharpness)
