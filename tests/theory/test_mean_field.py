"""Theory against closed forms, SciPy's and mpmath's quadrature, published numbers, and networks that are drawn."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats

from pipeline.networks import edge_of_chaos
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.theory import correlation, finite_width, initial_loss, mean_field
from pipeline.theory.correlation import correlation_map, correlation_slope, fixed_correlation, pair_expectation, xi_c
from pipeline.theory.mean_field import chi_1, fixed_points, length_map, moments, xi_q
from tests.activation_cases import case
from tests.marks import slow

RELU, TANH, LINEAR, GELU = (ACTIVATIONS[name] for name in ("relu", "tanh", "linear", "gelu"))
COVERED = [name for name, activation in ACTIVATIONS.items() if not activation.without_theory]
ALPHA = 1.6732632423543772  # of SELU, with the scale 1.0507009873554805


def density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def quadrature(f: Callable[[float], float], q: float) -> float:
    """E[f(sqrt(q) z)] by SciPy, in pieces about the kink and on the scales of z and of f."""
    s = math.sqrt(q)
    edges = sorted(
        {-12.0, -4.0, -1.0, 0.0, 1.0, 4.0, 12.0} | {x / s for x in (-9.0, -2.0, 2.0, 9.0) if abs(x) < 12 * s}
    )
    return sum(integrate.quad(lambda z: f(s * z) * density(z), *piece, epsabs=1e-14)[0] for piece in pairwise(edges))


def panels(q: float, kinks: Sequence[float]) -> tuple[Any, Any]:
    """Nodes z and weights of E[f(sqrt(q) z)] by Gauss and Legendre: 30 of each in panels that grow geometrically from 0
    on the scales of z and of f, and end at the kinks."""
    s = math.sqrt(q)
    sizes = [2.0**k for k in range(-3, 4)]
    ends = [x for size in sizes for x in (size, size / s)] + [abs(kink) / s + d / s for kink in kinks for d in (0, 1)]
    edges = np.unique([0.0, -12.0, 12.0, *(sign * x for x in ends for sign in (-1, 1) if x < 12)])
    x, w = np.polynomial.legendre.leggauss(30)
    middle, half = (edges[1:] + edges[:-1])[:, None] / 2, (edges[1:] - edges[:-1])[:, None] / 2
    z = (middle + half * x).ravel()
    return z, (half * w).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def hermite(name: str, q: float, degree: int) -> Any:
    """The coefficients a_n of phi(sqrt(q) z) in the orthonormal Hermite polynomials, by `panels`.

    With them E[phi(u) phi(v)] is sum a_n^2 c^n, and q E[phi'(u) phi'(v)] its derivative by c (Price 1958).
    """
    z, weights = panels(q, ACTIVATIONS[name].kinks)
    terms = weights * ACTIVATIONS[name].phi(math.sqrt(q) * z)
    before, now, found = np.zeros_like(z), np.ones_like(z), []
    for n in range(degree):
        found.append(math.fsum(terms * now))
        before, now = now, (z * now - math.sqrt(n) * before) / math.sqrt(n + 1)
    return np.array(found)


def clipped(low: float, high: float, mean: float, std: float) -> tuple[float, float, float]:
    """E[y], E[y^2] and P(low < x < high), y being x ~ N(mean, sd^2) within [low, high]: in closed form."""
    a, b = (low - mean) / std, (high - mean) / std
    within = special.ndtr(b) - special.ndtr(a) if a < 0 else special.ndtr(-a) - special.ndtr(-b)
    below, above = special.ndtr(a), special.ndtr(-b)
    first = low * below + high * above + mean * within + std * (density(a) - density(b))
    square = low * low * below + high * high * above + (mean * mean + std * std) * within
    return first, square + std * ((mean + low) * density(a) - (mean + high) * density(b)), within


CLIPPED = {  # phi is offset + scale * (x within [low, high])
    "hardtanh": (-1.0, 1.0, 1.0, 0.0),
    "relu6": (0.0, 6.0, 1.0, 0.0),
    "hard_sigmoid": (-3.0, 3.0, 1 / 6, 0.5),
}
WIDE = [1e-4, 0.01, 0.3, 1.0, 7.0, 100.0, 1e4]


def pairs(f: Callable[[float], float], q: float, c: float) -> float:
    """E[f(u) f(v)] by SciPy: v given u is normal, of mean c u and variance 1 - c^2; pieces meet at the kinks."""
    s, rest = math.sqrt(q), math.sqrt(1 - c * c)

    def given(u: float) -> float:
        kink = -c * u / rest
        edges = [-9.0, *sorted({max(-9.0, min(9.0, kink)), 0.0}), 9.0]
        inner = lambda w: f(s * (c * u + rest * w)) * density(w)  # noqa: E731
        return sum(integrate.quad(inner, *piece, epsabs=1e-12, limit=200)[0] for piece in pairwise(edges))

    outer = lambda u: f(s * u) * density(u) * given(u)  # noqa: E731
    return sum(integrate.quad(outer, *piece, epsabs=1e-11)[0] for piece in [(-9, 0), (0, 9)])


@pytest.mark.parametrize("q", [0.01, 1.0, 100.0, *slow(1e-4, 1e4)])
@pytest.mark.parametrize("name", COVERED)
def test_moments(name: str, q: float) -> None:
    """Of the definitions, by another rule."""
    z, weights = panels(q, ACTIVATIONS[name].kinks)
    points = [mpmath.mpf(x) for x in (math.sqrt(q) * z).tolist()]
    phi, slope = (np.array([float(f(x)) for x in points]) for f in (case(name).phi, case(name).slope))
    found = moments(ACTIVATIONS[name], q)
    expected = [math.fsum(weights * values) for values in (phi, phi * phi, slope, slope * slope)]
    # rounding of either rule; slopes are good to 1e-15 of their largest
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("q", WIDE)
@pytest.mark.parametrize("name", CLIPPED)
def test_moments_of_clipped_lines(name: str, q: float) -> None:
    low, high, scale, offset = CLIPPED[name]
    first, square, within = clipped(low, high, 0.0, math.sqrt(q))
    expected = [
        offset + scale * first,
        offset * offset + 2 * offset * scale * first + scale * scale * square,
        scale * within,
        scale * scale * within,
    ]
    # the closed form of the square cancels to 1e-16 max(q, 1), which at q = 1e4 is 1e-12
    np.testing.assert_allclose(moments(ACTIVATIONS[name], q), expected, rtol=1e-13, atol=2e-16 * max(q, 1))
    grown = 1.7 * expected[1] + 0.1
    assert length_map(q, 1.7, 0.1, ACTIVATIONS[name]) == pytest.approx(grown, rel=1e-13, abs=4e-16 * max(q, 1))
    assert chi_1(q, 1.7, ACTIVATIONS[name]) == pytest.approx(1.7 * expected[3], rel=1e-13)


def test_a_kink_beyond_every_signal_changes_nothing() -> None:
    """At q = 1e-4 the kinks lie 100 standard deviations out; at 1e-300 their place overflows nothing."""
    for q in (1e-300, 1e-4):
        for name, like in (("hardtanh", "linear"), ("relu6", "relu")):
            found, expected = moments(ACTIVATIONS[name], q), moments(ACTIVATIONS[like], q)
            np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-14, atol=0)  # the mean may be rounding alone
    phi_squared, slope_squared = edge_of_chaos.mean_squares(ACTIVATIONS["hardtanh"], np.array([0.0, math.inf]))
    assert phi_squared.tolist() == pytest.approx([0.0, 1.0], abs=1e-14)  # rounding
    assert slope_squared.tolist() == pytest.approx([1.0, 0.0], abs=1e-14)


def test_moments_against_mpmath() -> None:
    with mpmath.workdps(30):
        for q in (0.3, 1e6):
            s = mpmath.sqrt(q)
            edges = [-14, -1, -30 / s, -3 / s, 0, 3 / s, 30 / s, 1, 14]
            square = mpmath.quad(lambda z, s=s: mpmath.tanh(s * z) ** 2 * mpmath.npdf(z), sorted(edges))
            slope = mpmath.quad(lambda z, s=s: mpmath.sech(s * z) ** 4 * mpmath.npdf(z), sorted(edges))
            found = moments(TANH, q)
            assert abs(found.square / square - 1) < 1e-13
            assert abs(found.slope_square / slope - 1) < 1e-10  # a peak of width 1e-3, by slopes good to 1e-15


def test_moments_at_rest_are_limits() -> None:
    assert moments(RELU, 0.0) == pytest.approx((0.0, 0.0, 0.5, 0.5), abs=1e-15)
    assert moments(ACTIVATIONS["sigmoid"], 0.0) == pytest.approx((0.5, 0.25, 0.25, 0.0625), abs=1e-15)


@pytest.mark.parametrize("q", [0.2, 1.0, 9.0])
def test_any_callable(q: float) -> None:
    """Closed forms: E[sin^2] = (1 - e^-2q) / 2; E[erf^2] = 2 / pi arcsin(2 q / (1 + 2 q)) (Williams 1997)."""
    found = moments(Activation(np.sin, lambda z, a: np.cos(z)), q)
    expected = (0.0, (1 - math.exp(-2 * q)) / 2, math.exp(-q / 2), (1 + math.exp(-2 * q)) / 2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)  # rounding
    found = moments(Activation(special.erf, lambda z, a: 2 / math.sqrt(math.pi) * np.exp(-z * z)), q)
    assert abs(found.square - 2 / math.pi * math.asin(2 * q / (1 + 2 * q))) < 1e-13
    assert abs(found.slope_square - 4 / math.pi / math.sqrt(1 + 4 * q)) < 1e-13
    kinked = moments(
        Activation(lambda z: np.where(z > 0, np.tanh(z), 0.3 * z), lambda z, a: np.where(z > 0, 1 - a * a, 0.3)), q
    )
    tanh = moments(TANH, q)
    np.testing.assert_allclose(kinked.square, tanh.square / 2 + 0.045 * q, rtol=1e-13)
    np.testing.assert_allclose(kinked.slope_square, tanh.slope_square / 2 + 0.045, rtol=1e-13)


def test_any_callable_with_kinks() -> None:
    """x within [-1, 2.5], and 0 in [-1, 1], beyond shrunk towards it (soft shrinkage), against closed forms."""
    lopsided = Activation(lambda z: np.clip(z, -1, 2.5), lambda z, a: 1.0 * ((-1 < z) & (z < 2.5)), (-1.0, 2.5))
    shrinking = Activation(lambda z: z - np.clip(z, -1, 1), lambda z, a: 1.0 * (abs(z) > 1), (1.0, -1.0))
    for q in (0.01, 0.6, 30.0):
        first, square, within = clipped(-1, 2.5, 0.0, math.sqrt(q))
        np.testing.assert_allclose(moments(lopsided, q), [first, square, within, within], rtol=1e-13, atol=1e-16)
        with mpmath.workdps(30):
            s = mpmath.sqrt(q)
            tail = mpmath.erfc(1 / s / mpmath.sqrt(2))
            square = float((q + 1) * tail - 2 * s * mpmath.npdf(1 / s))  # at q = 0.01, 2.9e-27
            tail = float(tail)
        np.testing.assert_allclose(moments(shrinking, q)[1:], [square, tail, tail], rtol=1e-12)
    for kinks, where in (((), "0"), ((-1.0,), "0 and -1")):
        with pytest.raises(ValueError, match=f"smooth except at {where}; declare its other kinks"):
            moments(lopsided._replace(kinks=kinks))


@pytest.mark.parametrize("bias_variance", [0.001, 0.05, 1.0])
@pytest.mark.parametrize("name", CLIPPED)
def test_critical_points_of_clipped_lines(name: str, bias_variance: float) -> None:
    low, high, scale, offset = CLIPPED[name]
    point = edge_of_chaos.critical_point(ACTIVATIONS[name], bias_variance)
    first, square, within = clipped(low, high, 0.0, math.sqrt(point.q))
    square = offset * offset + 2 * offset * scale * first + scale * scale * square
    # bisection ends at neighbouring doubles, where chi_1 - 1 is rounding, multiplied by at most 1e3 = 1 / 0.001
    assert point.weight_variance * scale * scale * within == pytest.approx(1.0, abs=1e-12)
    assert point.weight_variance * square + bias_variance == pytest.approx(point.q, rel=1e-12)


def test_critical_points_at_rest_with_kinks() -> None:
    """Where q = 0 attracts phi is linear, or ReLU, and a ReLU that ends far out is not mistaken for one that does not."""
    assert edge_of_chaos.critical_point(ACTIVATIONS["hardtanh"], 0.0) == (1.0, 0.0)
    assert edge_of_chaos.critical_point(ACTIVATIONS["relu6"], 0.0) == (2.0, 0.0)
    relu50 = Activation(lambda z: np.clip(z, 0, 50), lambda z, a: 1.0 * ((z > 0) & (z < 50)), (0.0, 50.0))
    point = edge_of_chaos.critical_point(relu50, 1.0)
    assert point.weight_variance > 2.0
    assert point.weight_variance * clipped(0, 50, 0.0, math.sqrt(point.q))[2] == pytest.approx(1.0, abs=1e-12)


def test_an_activation_without_theory() -> None:
    """What needs its integrals raises; it names the activation and the reason."""
    stairs = Activation(np.floor, lambda z, a: 0.0 * z, without_theory="it jumps at every whole number")
    for ask in (
        lambda: moments(stairs),
        lambda: length_map(1.0, 1.0, 0.0, stairs),
        lambda: mean_field.predicted_signal(1.0, [1.0, 1.0], [0.0, 0.0], [stairs]),
        lambda: edge_of_chaos.critical_point(stairs, 0.0),
        lambda: fixed_points(1.0, 0.0, stairs),
        lambda: correlation_map(0.5, 1.0, 1.0, 0.0, stairs),
        lambda: correlation_slope(0.5, 1.0, 1.0, stairs),
    ):
        with pytest.raises(ValueError, match="theory does not cover floor: it jumps at every whole number"):
            ask()


def test_fixed_points() -> None:
    (q,) = fixed_points(1.760954640, 0.05, TANH)
    assert abs(q - 0.570047882) < 2e-9  # sigma_w2 is given to 5e-10
    assert fixed_points(1.0, 0.0, TANH) == [0.0]
    assert fixed_points(0.5, 0.0, TANH) == [0.0]
    assert fixed_points(2.0, 0.0, RELU) == fixed_points(3.0, 0.0, RELU) == fixed_points(2.0, 0.1, RELU) == []
    assert fixed_points(1.9, 0.0, RELU) == [0.0]
    assert fixed_points(1.0, 0.5, RELU) == pytest.approx([1.0], rel=1e-14)
    (q,) = fixed_points(1.0, 1e-20, LINEAR._replace(phi=np.tanh))  # below the grid's first step
    assert 0 < q < 1e-9
    assert fixed_points(0.0, 0.25, GELU) == [0.25]
    cubic = Activation(lambda z: np.tanh(z) ** 3, lambda z, a: 3 * np.tanh(z) ** 2 * (1 - np.tanh(z) ** 2))
    at_rest, beyond = fixed_points(25.0, 0.0, cubic)  # with one that repels between them
    assert at_rest == 0.0
    for start in (0.01, 0.5, 5.0, 500.0):
        q = start
        for _ in range(200):
            q = length_map(q, 25.0, 0.0, cubic)
        assert min(abs(q - at_rest), abs(q - beyond)) < 1e-12
    assert abs(q - beyond) < 1e-12


def test_depth_scales_at_the_edge_of_chaos() -> None:
    assert abs(chi_1(0.570047882, 1.760954640, TANH) - 1) < 1e-9
    assert xi_c(0.570047882, 1.760954640, 0.05, TANH) == math.inf
    assert 0 < xi_q(0.570047882, 1.760954640, 0.05, TANH) < 10
    for q in (0.3, 1.0, 8.0):  # for ReLU at (2, 0) every q is as good
        assert chi_1(q, 2.0, RELU) == pytest.approx(1.0, abs=1e-15)
        assert xi_q(q, 2.0, 0.0, RELU) == xi_c(q, 2.0, 0.0, RELU) == math.inf
    assert xi_q(0.0, 1.0, 0.0, TANH) == xi_c(0.0, 1.0, 0.0, TANH) == math.inf
    assert xi_q(0.0, 0.5, 0.0, TANH) == pytest.approx(1 / math.log(2), rel=1e-14)


@pytest.mark.parametrize(
    ("name", "sigma_w2", "sigma_b2"),
    [
        *[("tanh", 0.8, 0.3), ("tanh", 4.0, 0.1), ("elu", 0.9, 0.4), ("sigmoid", 9.0, 0.5), ("gelu", 1.5, 0.3)],
        ("hard_sigmoid", 36.0, 0.1),
        *slow(("hardtanh", 2.25, 0.05), ("relu6", 2.3, 0.1)),
    ],
)
def test_depth_scales(name: str, sigma_w2: float, sigma_b2: float) -> None:
    """Near the fixed point a difference shrinks by e^(-1 / xi) a layer."""
    activation = ACTIVATIONS[name]
    (q,) = fixed_points(sigma_w2, sigma_b2, activation)
    assert length_map(q, sigma_w2, sigma_b2, activation) == pytest.approx(q, rel=1e-14)
    shrunk = (length_map(q * (1 + 1e-6), sigma_w2, sigma_b2, activation) - q) / (q * 1e-6)
    assert math.exp(-1 / xi_q(q, sigma_w2, sigma_b2, activation)) == pytest.approx(shrunk, abs=1e-5)
    c = fixed_correlation(q, sigma_w2, sigma_b2, activation)
    assert (c < 1) == (chi_1(q, sigma_w2, activation) > 1)
    assert correlation_map(c, q, sigma_w2, sigma_b2, activation) == pytest.approx(c, abs=1e-14)
    shrunk = (correlation_map(c - 1e-6, q, sigma_w2, sigma_b2, activation) - c) / -1e-6
    # where phi' jumps, the slope of the map at c = 1 is approached as sqrt(1 - c) = 1e-3
    error = 1e-3 if c == 1.0 and activation.kinks else 1e-5
    assert math.exp(-1 / xi_c(q, sigma_w2, sigma_b2, activation)) == pytest.approx(shrunk, abs=error)
    assert correlation_slope(1.0, q, sigma_w2, activation) == pytest.approx(chi_1(q, sigma_w2, activation), rel=1e-13)


def test_xi_q_is_schoenholz_formula() -> None:
    """chi_1 + sigma_w2 E[phi'' phi], where tanh'' = -2 tanh tanh'."""
    (q,) = fixed_points(3.0, 0.2, TANH)
    curved = 3.0 * quadrature(lambda z: -2 * math.tanh(z) ** 2 / math.cosh(z) ** 2, q)
    assert xi_q(q, 3.0, 0.2, TANH) == pytest.approx(-1 / math.log(chi_1(q, 3.0, TANH) + curved), rel=1e-10)


def test_edge_of_chaos() -> None:
    assert edge_of_chaos.critical_point(TANH, 0.0) == (1.0, 0.0)
    assert edge_of_chaos.critical_point(TANH, 0.05) == pytest.approx((1.760954640, 0.570047882), abs=1e-9)
    assert edge_of_chaos.critical_point(RELU, 0.0) == (2.0, 0.0)
    with pytest.raises(ValueError, match="bias_variance must be 0 for relu"):
        edge_of_chaos.critical_point(RELU, 0.05)


def test_gains() -> None:
    """The issue's numbers are cut at |z| = 6, which moves them by 4e-9."""
    assert mean_field.forward_gain(TANH) == pytest.approx(1.592537424, abs=5e-9)
    assert mean_field.forward_gain(GELU) == pytest.approx(1.533530438, abs=5e-9)
    with mpmath.workdps(20):
        square = mpmath.quad(lambda z: mpmath.tanh(z) ** 2 * mpmath.npdf(z), [-12, -1, 0, 1, 12])
    assert mean_field.forward_gain(TANH) == pytest.approx(float(1 / mpmath.sqrt(square)), rel=1e-14)
    assert mean_field.forward_gain(GELU) == pytest.approx((1 / 3 + 1 / (2 * math.pi * math.sqrt(3))) ** -0.5, rel=1e-14)
    for gain in (mean_field.forward_gain, mean_field.backward_gain):
        for q in (0.2, 1.0):
            assert gain(RELU, q) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert mean_field.forward_gain(ACTIVATIONS["selu"]) == pytest.approx(1, rel=1e-14)  # as it is made to
    for q in (0.3, 2.0):
        g = mean_field.forward_gain(TANH, q)
        assert length_map(q, g * g, 0.0, TANH) == pytest.approx(q, rel=1e-14)
        g = mean_field.backward_gain(TANH, q)
        assert chi_1(q, g * g, TANH) == pytest.approx(1, rel=1e-14)


def test_pytorch_gains() -> None:
    """Its tanh is chaotic: 5/3 keeps q at 1.178, where gradients grow by 1.21 a layer."""
    ((q, chi),) = mean_field.pytorch_phase("tanh")
    assert abs(chi - 1.209831) < 5e-7
    assert length_map(q, 25 / 9, 0.0, TANH) == pytest.approx(q, rel=1e-14)
    for name in ("relu", "leaky_relu", "linear"):
        assert mean_field.pytorch_phase(name) == [(1.0, pytest.approx(1.0, abs=1e-14))]
    assert set(mean_field.PYTORCH_GAINS) < set(ACTIVATIONS)
    with pytest.raises(ValueError, match=r"PyTorch has gains for linear, .* only, not for gelu"):
        mean_field.pytorch_phase("gelu")


def test_relu_correlation() -> None:
    c, found = 0.0, []
    for _ in range(3):
        c = correlation_map(c, 1.7, 2.0, 0.0, RELU)
        found.append(c)
    np.testing.assert_allclose(found, [0.318309886, 0.493731090, 0.604825720], rtol=0, atol=5e-10)
    for _ in range(2000 - 3):
        c = correlation.relu_correlation(c)
    assert (1 - c) * 2000**2 == pytest.approx(9 * math.pi**2 / 2, rel=0.02)  # Hayou et al. 2019; next order log l / l
    assert [correlation.relu_correlation(c) for c in (-1.0, 1.0)] == [0.0, 1.0]


CORRELATIONS = [-1.0, -1 + 1e-12, -0.9, -0.3, 0.0, 0.2, 0.7, 0.99, 1 - 1e-6, 1 - 1e-12, 1.0]


@pytest.mark.parametrize("c", CORRELATIONS)
@pytest.mark.parametrize("q", [0.04, 1.0, 12.0])
def test_pairs_against_closed_forms(c: float, q: float) -> None:
    alpha = math.acos(c)
    assert correlation.angle(c) == pytest.approx(alpha, rel=1e-15, abs=1e-15)
    sine = math.sqrt((1 - c) * (1 + c))
    order_1 = q / (2 * math.pi) * (sine + (math.pi - alpha) * c)  # Cho & Saul 2009
    assert pair_expectation(RELU.phi, q, c) == pytest.approx(order_1, abs=1e-14 * q)
    assert q / 2 * correlation.relu_correlation(c) == pytest.approx(order_1, abs=1e-15 * q)
    steps = lambda z: RELU.slope(z, z)  # noqa: E731
    assert pair_expectation(steps, q, c) == pytest.approx((math.pi - alpha) / (2 * math.pi), abs=1e-14)
    sizes = 2 * q / math.pi * (sine + c * math.asin(c))  # E[|u| |v|]
    leaky = 0.505**2 * q * c + 0.495**2 * sizes
    assert pair_expectation(ACTIVATIONS["leaky_relu"].phi, q, c) == pytest.approx(leaky, abs=1e-14 * q)
    erf = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))  # Williams 1997
    assert pair_expectation(special.erf, q, c) == pytest.approx(erf, abs=1e-13)
    assert pair_expectation(np.sin, q, c) == pytest.approx(math.exp(-q) * math.sinh(q * c), abs=1e-13)
    assert correlation_map(c, q, 1.3, 0.0, LINEAR) == pytest.approx(c, abs=1e-14)


@pytest.mark.parametrize(
    ("name", "q", "c", "phi", "slope"),
    [
        ("tanh", 1.0, 0.3, math.tanh, lambda z: 1 / math.cosh(z) ** 2),
        (
            "selu",
            2.0,
            -0.6,
            lambda z: 1.0507009873554805 * (z if z > 0 else ALPHA * math.expm1(z)),
            lambda z: 1.0507009873554805 * (1.0 if z > 0 else ALPHA * math.exp(z)),
        ),
        ("gelu", 0.7, 0.95, lambda z: z * special.ndtr(z), lambda z: special.ndtr(z) + z * density(z)),
        ("elu", 3.0, 0.9, lambda z: z if z > 0 else math.expm1(z), lambda z: 1.0 if z > 0 else math.exp(z)),
    ],
)
def test_pairs_against_quadrature(name: str, q: float, c: float, phi: Any, slope: Any) -> None:
    activation = ACTIVATIONS[name]
    mapped = (1.4 * pairs(phi, q, c) + 0.2) / (1.4 * quadrature(lambda z: phi(z) ** 2, q) + 0.2)
    assert correlation_map(c, q, 1.4, 0.2, activation) == pytest.approx(mapped, abs=1e-10)  # of quad in quad
    assert correlation_slope(c, q, 1.0, activation) == pytest.approx(pairs(slope, q, c), abs=1e-10)


@pytest.mark.parametrize("name", COVERED)
@pytest.mark.parametrize("q", [0.3, *slow(1e-4, 1e4)])
def test_pairs_against_hermite_series(name: str, q: float) -> None:
    """Of 100 terms, at |c| <= 0.6 where the rest is below 100 * 0.6^100 = 7e-21."""
    a, n = hermite(name, q, 100), np.arange(100)
    one = moments(ACTIVATIONS[name], q)
    for c in (-0.6, 0.05, 0.5):
        of_pairs, of_slopes = (a * a) @ c**n, (n[1:] * a[1:] * a[1:]) @ c ** n[:-1] / q
        mapped = (1.4 * of_pairs + 0.2) / (1.4 * one.square + 0.2)
        assert correlation_map(c, q, 1.4, 0.2, ACTIVATIONS[name]) == pytest.approx(mapped, abs=1e-12)
        # what `pair_expectation` promises, and rounding of 1e-15 of phi's size in each coefficient
        error = 1e-12 * max(one.slope_square, one.square / q)
        assert correlation_slope(c, q, 1.0, ACTIVATIONS[name]) == pytest.approx(of_slopes, abs=error)


@pytest.mark.parametrize("name", CLIPPED)
@pytest.mark.parametrize("q", [1.0, *slow(0.01, 1e4)])
@pytest.mark.parametrize("c", [0.3, *slow(-1 + 1e-6, 0.999)])
def test_pairs_of_clipped_lines(name: str, q: float, c: float) -> None:
    """Given u, E[phi(v)] has a closed form; u by SciPy, in pieces where that bends. Slopes: a rectangle's probability."""
    low, high, scale, offset = CLIPPED[name]
    s, r = math.sqrt(q), math.sqrt((1 - c) * (1 + c))
    bends = {sign * kink / s + k * r for kink in (low, high) for sign in (-1, 1) for k in (-6, -1, 0, 1, 6)}
    edges = sorted({-12.0, 0.0, 12.0} | {x for x in bends if abs(x) < 12})

    def given(u: float) -> float:
        return (offset + scale * min(max(s * u, low), high)) * (
            offset + scale * clipped(low, high, c * s * u, r * s)[0]
        )

    pieces = [integrate.quad(lambda u: given(u) * density(u), *piece, epsabs=1e-15)[0] for piece in pairwise(edges)]
    covariance = math.fsum(pieces)
    square = moments(ACTIVATIONS[name], q).square
    mapped = (1.4 * covariance + 0.2) / (1.4 * square + 0.2)
    assert correlation_map(c, q, 1.4, 0.2, ACTIVATIONS[name]) == pytest.approx(mapped, abs=1e-11)  # of quad
    assert pair_expectation(ACTIVATIONS[name].phi, q, c, ACTIVATIONS[name].kinks) == pytest.approx(
        covariance, abs=1e-11 * square
    )
    law = stats.multivariate_normal([0, 0], [[1, c], [c, 1]])
    rectangle = law.cdf([high / s, high / s], lower_limit=[low / s, low / s])
    slope = correlation_slope(c, q, 1.0, ACTIVATIONS[name])
    assert slope == pytest.approx(scale * scale * rectangle, abs=1e-12)  # of SciPy's bivariate function


def test_pairs_of_opposite_inputs_with_unequal_kinks() -> None:
    """x within [-1, 2.5], for c near -1: E[phi(v)] given u bends at -kink, where phi(u) has none."""
    c, s = -1 + 1e-8, 2.0
    r = math.sqrt((1 - c) * (1 + c))
    edges = sorted(
        {-12.0, 12.0} | {sign * k / s + d * r for k in (-1, 2.5) for sign in (-1, 1) for d in (-9, -1, 0, 1, 9)}
    )
    given = lambda u: min(max(s * u, -1.0), 2.5) * clipped(-1, 2.5, c * s * u, r * s)[0]  # noqa: E731
    expected = math.fsum(
        integrate.quad(lambda u: given(u) * density(u), *piece, epsabs=1e-16)[0] for piece in pairwise(edges)
    )
    found = pair_expectation(lambda z: np.clip(z, -1, 2.5), s * s, c, (-1.0, 2.5))
    assert found == pytest.approx(expected, abs=1e-13)  # of quad in nine pieces


@pytest.mark.parametrize("name", COVERED)
@pytest.mark.parametrize("q", [1e-6, 1.0, 400.0])
def test_pairs_at_the_ends(name: str, q: float) -> None:
    """c = 1 is one input, c = 0 two that are independent, and c = -1 one and its negative."""
    phi, kinks = ACTIVATIONS[name].phi, ACTIVATIONS[name].kinks
    one = moments(ACTIVATIONS[name], q)
    assert correlation_map(1.0, q, 1.5, 0.1, ACTIVATIONS[name]) == pytest.approx(1.0, abs=1e-13)
    assert pair_expectation(phi, q, 0.0, kinks) == pytest.approx(one.mean**2, abs=1e-13 * one.square)
    mirrored = mean_field.expectation(lambda z: phi(z) * phi(-z), q, [*kinks, *(-kink for kink in kinks)])
    assert pair_expectation(phi, q, -1.0, kinks) == pytest.approx(mirrored, abs=1e-13 * one.square)


GLOROT = [
    (1 / 3, [0.4603, 0.2495, 0.1412, 0.0810, 0.0467]),  # U(-1 / sqrt(n), 1 / sqrt(n)), Glorot & Bengio (2010), eq. 1
    (1.0, [0.6279, 0.4863, 0.4082, 0.3576, 0.3216]),  # U(-sqrt(3 / n), sqrt(3 / n)), their eq. 16
]


@pytest.mark.parametrize(("sigma_w2", "published"), GLOROT, ids=["standard", "normalized"])
def test_glorot_and_bengio(sigma_w2: float, published: list[float]) -> None:
    """Five tanh layers of 1000, on inputs of variance 1: in theory, and in six networks that are drawn."""
    n, n_inputs, n_networks = 1000, 60, 6
    q = mean_field.predicted_signal(1.0, [sigma_w2] * 5, [0.0] * 5, [TANH] * 4)
    predicted = [math.sqrt(moments(TANH, float(variance)).square) for variance in q]
    np.testing.assert_allclose(predicted, published, rtol=0, atol=5.1e-5)  # four digits
    rng = np.random.RandomState(0)
    squares = np.empty((n_networks, 5))
    for network in range(n_networks):
        A = rng.standard_normal((n, n_inputs))
        for l in range(5):
            A = np.tanh(rng.uniform(-1, 1, (n, n)) * math.sqrt(3 * sigma_w2 / n) @ A)
            squares[network, l] = (A**2).mean()
    error = squares.std(axis=0, ddof=1) / math.sqrt(n_networks)
    # 5 standard errors, and 2 / n a layer for what finite width adds to the mean
    bound = 5 * error + np.arange(1, 6) * (2 / n) * squares.mean(axis=0)
    assert (np.abs(squares.mean(axis=0) - np.square(predicted)) < bound).all()
    assert (bound < 0.03 * squares.mean(axis=0)).all()  # narrow enough to tell the layers apart


def test_thirty_relu_layers() -> None:
    """He keeps the second moment, Xavier halves it in each layer, PyTorch's default U(+-1 / sqrt(n)) makes it a sixth."""
    for sigma_w2, factor in [(2.0, 1.0), (1.0, 2.0**-30), (1 / 3, 6.0**-30)]:
        q = mean_field.predicted_signal(0.7, [sigma_w2] * 31, [0.0] * 31, [RELU] * 30)
        assert q[30] / q[0] == pytest.approx(factor, rel=1e-13)
        assert q[0] == pytest.approx(0.7 * sigma_w2, rel=1e-15)


def test_signal_of_many_inputs_and_layers_that_differ() -> None:
    q0 = np.array([0.0, 0.4, 3.0])
    q = mean_field.predicted_signal(q0, [2.0, 1.5, 0.7], [0.1, 0.0, 0.2], [RELU, TANH])
    assert q.shape == (3, 3)
    for m, start in enumerate(q0):
        first = 2.0 * start + 0.1
        second = 1.5 * first / 2
        third = 0.7 * quadrature(lambda z: math.tanh(z) ** 2, second) + 0.2
        np.testing.assert_allclose(q[:, m], [first, second, third], rtol=1e-13)
        alone = mean_field.predicted_signal(float(start), [2.0, 1.5, 0.7], [0.1, 0.0, 0.2], [RELU, TANH])
        np.testing.assert_array_equal(q[:, m], alone)  # no input's bits depend on the others


@pytest.mark.parametrize("names", [("tanh", "gelu", "relu"), ("hardtanh", "relu6", "hard_sigmoid")], ids="-".join)
def test_signals_and_gradients_of_drawn_networks(names: tuple[str, ...]) -> None:
    """Unequal widths, so that swapped fans are seen; within 5 standard errors and 1 % for finite width."""
    dims, activations = [50, 300, 400, 200, 10], [ACTIVATIONS[name] for name in names]
    sigma_w2, sigma_b2 = [1.5, 2.0, 1.2, 0.8], [0.1, 0.0, 0.3, 0.0]
    rng = np.random.RandomState(1)
    x = rng.standard_normal(50)
    signals, gradients = [], []
    for _ in range(150):
        a, zs, Ws = x, [], []
        for l, (n, m) in enumerate(pairwise(dims)):
            Ws.append(rng.standard_normal((m, n)) * math.sqrt(sigma_w2[l] / n))
            zs.append(Ws[l] @ a + rng.standard_normal(m) * math.sqrt(sigma_b2[l]))
            a = np.asarray(activations[l].phi(zs[l])) if l < 3 else zs[l]
        delta = rng.standard_normal(10)
        squares = [1.0]
        for l in (2, 1, 0):
            delta = (Ws[l + 1].T @ delta) * activations[l].slope(zs[l], activations[l].phi(zs[l]))
            squares.insert(0, (delta**2).mean())
        signals.append([(z**2).mean() for z in zs])
        gradients.append(squares)
    q = mean_field.predicted_signal(float((x**2).mean()), sigma_w2, sigma_b2, activations)
    ratio = mean_field.predicted_gradient(dims, sigma_w2, activations, q)
    assert ratio[3] == 1.0
    for predicted, measured in [(q, np.array(signals)), (ratio, np.array(gradients))]:
        error = measured.std(axis=0, ddof=1) / math.sqrt(len(measured))
        assert (np.abs(measured.mean(axis=0) - predicted) <= 5 * error + 0.01 * predicted).all()
        assert (error[:3] < 0.05 * predicted[:3]).all()


def test_gradients_without_signal_are_zero() -> None:
    q = mean_field.predicted_signal(0.8, [0.0] * 3, [0.0] * 3, [RELU] * 2)
    assert not q.any()
    assert mean_field.predicted_gradient([2, 10, 5, 1], [0.0] * 3, [RELU] * 2, q).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("variance", [1e-4, 1.0, 300.0, 1e6])
def test_expected_binary_loss(variance: float) -> None:
    with mpmath.workdps(25):
        s = mpmath.sqrt(variance)
        edges = sorted(
            {-12.0, -1.0, -40 / s, -5 / s, 0.0, 5 / s, 40 / s, 1.0, 12.0} if s > 50 else {-12.0, -1.0, 0.0, 1.0, 12.0}
        )
        expected = mpmath.quad(lambda z: mpmath.log1p(mpmath.exp(s * z)) * mpmath.npdf(z), edges)
    assert float(initial_loss.expected_binary_loss(variance)) == pytest.approx(float(expected), rel=1e-13)


def test_expected_losses_at_the_ends_and_in_between() -> None:
    np.testing.assert_allclose(
        initial_loss.expected_binary_loss([0.0, 1e-4]), [math.log(2), math.log(2) + 1e-4 / 8], atol=1e-10
    )
    assert float(initial_loss.expected_binary_loss(1e8)) == pytest.approx(1e4 / math.sqrt(2 * math.pi), rel=1e-6)
    for n_classes in (1, 2, 10, 1000):
        assert initial_loss.expected_softmax_loss(0.0, n_classes) == pytest.approx(math.log(n_classes), abs=1e-13)
        second_order = math.log(n_classes) + (1 - 1 / n_classes) * 1e-5 / 2
        assert initial_loss.expected_softmax_loss(1e-5, n_classes) == pytest.approx(second_order, abs=1e-9)
    for variance in (0.01, 0.99, 1.01, 30.0, 1e5):  # the difference of two logits has twice the variance
        binary = float(initial_loss.expected_binary_loss(2 * variance))
        assert initial_loss.expected_softmax_loss(variance, 2) == pytest.approx(binary, rel=1e-13)


@pytest.mark.parametrize("variance", [0.5, 9.0, 400.0])
def test_expected_softmax_loss(variance: float) -> None:
    z = math.sqrt(variance) * np.random.RandomState(2).standard_normal((10, 400_000))
    losses = special.logsumexp(z, axis=0) - z[3]
    error = losses.std() / math.sqrt(losses.size)
    assert abs(losses.mean() - initial_loss.expected_softmax_loss(variance, 10)) < 5 * error


def test_finite_width_of_drawn_networks() -> None:
    """He's ReLU networks at one input, 40,000 of them: growth of E[q^2], drift and spread of log q, and deaths."""
    dims, hidden, n_networks = [3, 6, 9, 5, 4], [6, 9, 5], 40_000
    rng = np.random.RandomState(3)
    A = np.ones((n_networks, 3, 1))
    for l, (n, m) in enumerate(pairwise(dims)):
        Z = rng.standard_normal((n_networks, m, n)) * math.sqrt(2 / n) @ A
        A = np.maximum(Z, 0) if l < 3 else Z
        if l == 2:
            below = (A[..., 0] ** 2).mean(axis=1)
    q = (A[..., 0] ** 2).mean(axis=1) / 2
    for values, mean, n_out in [(below, 0.5 * 2.0, None), (q, 0.5 * 2.0, 4)]:  # of q_1 = 2, half goes on
        growth = finite_width.second_moment_growth(hidden, n_out)
        for sample, expected in [(values / mean, 1.0), ((values / mean) ** 2, growth)]:
            assert abs(sample.mean() - expected) < 5 * sample.std() / math.sqrt(n_networks)
        live = np.log(values[values > 0] / mean)
        drift, variance = finite_width.log_signal(hidden, n_out)
        assert abs(live.mean() - drift) < 5 * live.std() / math.sqrt(live.size)
        squares = (live - drift) ** 2
        assert abs(squares.mean() - variance) < 5 * squares.std() / math.sqrt(live.size)
    dead = finite_width.born_dead(hidden)
    assert abs((q == 0).mean() - dead) < 5 * math.sqrt(dead / n_networks)


@pytest.mark.parametrize("n", [1, 2, 7, 100, 1000])
def test_logs_of_a_layer(n: int) -> None:
    k = np.arange(1, n + 1)
    with mpmath.workdps(25):
        weights = [mpmath.binomial(n, int(j)) / (mpmath.mpf(2) ** n - 1) for j in k]
        psi = [mpmath.digamma(mpmath.mpf(int(j)) / 2) for j in k]
        mean = mpmath.fdot(weights, psi)
        variance = mpmath.fdot(
            weights, [mpmath.psi(1, mpmath.mpf(int(j)) / 2) + (p - mean) ** 2 for j, p in zip(k, psi, strict=True)]
        )
        drift = float(mean + mpmath.log(2) - mpmath.log(mpmath.mpf(n) / 2))
    found = finite_width.relu_log(n)
    np.testing.assert_allclose(found, (drift, float(variance)), rtol=1e-11, atol=1e-14)  # 1000 sums of numbers near 6
    linear = (special.digamma(n / 2) - math.log(n / 2), special.polygamma(1, n / 2))
    np.testing.assert_allclose(finite_width.linear_log(n), linear, rtol=1e-11, atol=1e-13)
    if n >= 100:
        np.testing.assert_allclose(found, (-2.5 / n, 5 / n), rtol=6 / n)


def test_born_dead() -> None:
    assert finite_width.born_dead([2, 3]) == 1 - (3 / 4) * (7 / 8)
    assert finite_width.born_dead([]) == 0.0
    assert finite_width.born_dead([500, 500]) == 2.0**-499  # far below what 1 - (1 - x) can tell
    assert finite_width.born_dead([3000]) == 0.0
    assert finite_width.born_dead([1] * 2000) == 1.0


@pytest.mark.parametrize("width", [1, 2, 3])
def test_born_dead_on_the_line(width: int) -> None:
    """2 layers by enumeration of signs; 6 layers by simulation of 20,000 networks, 5 standard errors."""
    p = 0.5**width
    exact = 2 * p * p + (1 - 2 * p) * p * p if width > 1 else 0.5
    assert finite_width.born_dead_on_the_line(width, 2)[0] == pytest.approx(exact, rel=1e-15)
    assert finite_width.born_dead_on_the_line(width, 1) == (0.0, 0.0)
    rng, n, depth = np.random.RandomState(width), 20_000, 6
    a = np.broadcast_to([[1.0, -1.0]], (n, 1, 2))
    for _ in range(depth):
        a = np.maximum(rng.randn(n, width, a.shape[1]) @ a, 0.0)
    share = (a == 0.0).all(axis=(1, 2)).mean()
    low, high = finite_width.born_dead_on_the_line(width, depth)
    error = 5 * math.sqrt(share * (1 - share) / n)
    assert low - error <= share <= high + error


def test_second_moment_growth() -> None:
    assert finite_width.second_moment_growth([100] * 20) == pytest.approx(1.05**20, rel=1e-14)
    assert finite_width.second_moment_growth([10, 5], 4) == 1.5 * 2 * 1.5


SQUARE = Activation(lambda z: 0.0 * z, lambda z, a: 0.0 * z)


@pytest.mark.parametrize(
    ("call", "clause"),
    [
        (lambda: moments(TANH, -1.0), "q must be at least 0 and finite, not -1.0"),
        (lambda: length_map(math.nan, 1.0, 0.0, TANH), "q must be at least 0 and finite, not nan"),
        (lambda: length_map(1.0, -1.0, 0.0, TANH), "sigma_w2 must be at least 0 and finite, not -1.0"),
        (lambda: fixed_points(1.0, math.inf, TANH), "sigma_b2 must be at least 0 and finite, not inf"),
        (lambda: chi_1(1.0, -2.0, TANH), "sigma_w2 must be at least 0"),
        (lambda: xi_q(0.5, 1.0, 0.0, TANH), "q must be a fixed point, but 0.5 maps to 0.2"),
        (lambda: xi_c(0.5, 1.0, 0.0, TANH), "q must be a fixed point"),
        (lambda: xi_q(0.0, 4.0, 0.0, TANH), "a depth scale requires a stable fixed point, .* grow by 4"),
        (lambda: mean_field.forward_gain(TANH, 0.0), "q must be greater than 0, not 0"),
        (lambda: mean_field.backward_gain(SQUARE), r"there is no gain, because E\[phi'\^2\] is 0"),
        (
            lambda: mean_field.predicted_signal(1.0, [1.0], [0.0], [TANH]),
            "1 hidden layers require 2 values of sigma_w2",
        ),
        (lambda: mean_field.predicted_signal(-1.0, [1.0], [0.0], []), "q0 must be at least 0 and finite"),
        (lambda: mean_field.predicted_signal(1.0, [-1.0], [0.0], []), "sigma_w2 must be at least 0"),
        (
            lambda: mean_field.predicted_gradient([2, 1], [1.0], [TANH], np.ones(2)),
            "1 hidden layers require 3 widths and 2",
        ),
        (lambda: initial_loss.expected_binary_loss(-1.0), "variance must be at least 0 and finite"),
        (lambda: initial_loss.expected_softmax_loss(-1.0, 3), "variance must be at least 0"),
        (lambda: initial_loss.expected_softmax_loss(1.0, 0), "n_classes must be at least 1, not 0"),
        (lambda: correlation.angle(1.1), "c must be between -1 and 1, not 1.1"),
        (lambda: correlation_map(math.nan, 1.0, 1.0, 0.0, TANH), "c must be between -1 and 1"),
        (lambda: correlation_map(0.0, 0.0, 1.0, 0.0, TANH), "a correlation requires variances greater than 0"),
        (lambda: pair_expectation(np.tanh, -1.0, 0.0), "q must be at least 0 and finite"),
        (lambda: finite_width.born_dead([3, 0]), "a layer must have at least 1 unit, not 0"),
        (lambda: finite_width.second_moment_growth([3], 0), "a layer must have at least 1 unit, not 0"),
    ],
)
def test_what_is_refused(call: Callable[[], object], clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        call()


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.9, 1.0])
def test_the_correlation_of_gradients_is_a_product_of_slopes(c: float) -> None:
    """Of the derivatives of the correlation map, by the quadrature of pairs."""
    expected, at = 1.0, c
    for _ in range(4):
        expected *= correlation.correlation_slope(at, 1.0, 2.0, ACTIVATIONS["relu"])
        at = correlation.correlation_map(at, 1.0, 2.0, 0.0, ACTIVATIONS["relu"])
    assert correlation.relu_gradient_correlation(c, 4) == pytest.approx(expected, abs=1e-7)
    assert correlation.relu_gradient_correlation(c, 0) == 1.0
