"""Each phi and its slope against their definitions in mpmath."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from scipy import integrate
from test_elementary import normal_cdf, normal_pdf

from pipeline import activations
from pipeline.activations import ACTIVATIONS

mpmath.mp.prec = 160
HALF = mpf("0.5")
EPS = mpf(2) ** -53

ALPHA = -mpmath.sqrt(2 / mpmath.pi) / (mpmath.erfc(1 / mpmath.sqrt(2)) * mpmath.exp(HALF) - 1)
LAMBDA = (
    (1 - mpmath.erfc(1 / mpmath.sqrt(2)) * mpmath.sqrt(mpmath.e))
    * mpmath.sqrt(2 * mpmath.pi)
    / mpmath.sqrt(
        2 * mpmath.erfc(mpmath.sqrt(2)) * mpmath.e**2
        + mpmath.pi * mpmath.erfc(1 / mpmath.sqrt(2)) ** 2 * mpmath.e
        - 2 * (2 + mpmath.pi) * mpmath.erfc(1 / mpmath.sqrt(2)) * mpmath.sqrt(mpmath.e)
        + mpmath.pi
        + 2
    )
)


def ulp(x: mpf) -> mpf:
    """The distance of doubles at x."""
    return mpf(2) ** (-1074 if x == 0 else max(int(mpmath.floor(mpmath.log(abs(x), 2))) - 52, -1074))


def sigmoid(z: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-z))


def silu_slope(z: mpf) -> mpf:
    return sigmoid(z) + z * sigmoid(z) * sigmoid(-z)


# phi and its derivative
EXACT: dict[str, tuple[Callable, Callable]] = {
    "relu": (lambda z: max(z, mpf(0)), lambda z: mpf(z > 0)),
    "leaky_relu": (lambda z: max(z, z / 100), lambda z: mpf(1) if z > 0 else mpf(1) / 100),
    "tanh": (mpmath.tanh, lambda z: 1 - mpmath.tanh(z) ** 2),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "linear": (lambda z: z, lambda z: mpf(1)),
    "elu": (lambda z: z if z > 0 else mpmath.expm1(z), lambda z: mpf(1) if z > 0 else mpmath.exp(z)),
    "selu": (
        lambda z: LAMBDA * (z if z > 0 else ALPHA * mpmath.expm1(z)),
        lambda z: LAMBDA * (1 if z > 0 else ALPHA * mpmath.exp(z)),
    ),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z)),
    "silu": (lambda z: z * sigmoid(z), silu_slope),
    "softplus": (lambda z: mpmath.log1p(mpmath.exp(z)), sigmoid),
}

# How far phi(z) may be from its exact value, given z and that value. The elementary functions are good to 2.5 ulp
# (test_elementary.py). A product carries its factors' errors, half an ulp of its own, and half an ulp of a constant.
PHI_ERROR: dict[str, Callable] = {
    "relu": lambda z, a: 0,
    "leaky_relu": lambda z, a: 0 if z > 0 else ulp(a),
    "linear": lambda z, a: 0,
    "elu": lambda z, a: 0 if z > 0 else 2.5 * ulp(a),
    "selu": lambda z, a: ulp(a) + (0 if z > 0 else LAMBDA * ALPHA * 2.5 * ulp(mpmath.expm1(z))),
    "gelu": lambda z, a: HALF * ulp(a) + abs(z) * 2.5 * ulp(normal_cdf(z)),
    "silu": lambda z, a: HALF * ulp(a) + abs(z) * 2.5 * ulp(sigmoid(z)),
    **dict.fromkeys(("tanh", "sigmoid", "softplus"), lambda z, a: 2.5 * ulp(a)),
}

# The same of slopes. Those made from a have the error of a and of a few roundings, in absolute terms, since they come
# near 0: counted in EPS, half an ulp of numbers between 1 and 2.
SLOPE_ERROR: dict[str, Callable] = {
    "relu": lambda z, d: 0,
    "leaky_relu": lambda z, d: HALF * ulp(d),
    "tanh": lambda z, d: 6 * EPS,  # 2.5 of a times 2 |a|, 0.5 of a * a, 0.5 of the difference
    "sigmoid": lambda z, d: 3.25 * EPS,  # 2.5 of a times |1 - 2 a|, 0.5 of 1 - a, 0.25 of the product
    "linear": lambda z, d: 0,
    "elu": lambda z, d: 0 if z > 0 else 3 * EPS,  # 2.5 of a, 0.5 of the sum
    "selu": lambda z, d: HALF * ulp(d) if z > 0 else 8.4 * EPS,  # 6.4 of a, 1 of lambda alpha, 1 of the sum
    "gelu": lambda z, d: (
        2.5 * ulp(normal_cdf(z)) + abs(z) * 1.5 * ulp(normal_pdf(z)) + HALF * ulp(z * normal_pdf(z)) + HALF * ulp(d)
    ),
    # of each term 3 EPS in e, three times, and 6 roundings; a subnormal e is off by a unit
    "silu": lambda z, d: 15 * EPS * (sigmoid(z) + abs(z) * sigmoid(z) * sigmoid(-z)) + (abs(z) + 2) * mpf(2) ** -1074,
    "softplus": lambda z, d: 2.5 * ulp(d),
}

rng = np.random.RandomState(0)
SMALL = np.geomspace(5e-324, 1, 200)
Z = np.concatenate(
    [
        rng.uniform(-3, 3, 1500),
        rng.uniform(-45, 45, 1000),
        rng.uniform(-760, 760, 500),
        -rng.uniform(37, 39, 200),
        *(SMALL, -SMALL, np.geomspace(1, 1e100, 50), -np.geomspace(1, 1e100, 50)),
    ]
)
EDGES = np.array([-math.inf, -1e308, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e308, math.inf])


def assert_near(computed: np.ndarray, exact: Callable, allowed: Callable) -> None:
    for z, value in zip(Z.tolist(), computed.tolist(), strict=True):
        true = exact(mpf(z))
        assert abs(mpf(value) - true) <= allowed(mpf(z), true), z


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_phi(name: str) -> None:
    assert_near(ACTIVATIONS[name].phi(Z), EXACT[name][0], PHI_ERROR[name])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope(name: str) -> None:
    phi, slope = ACTIVATIONS[name]
    assert_near(slope(Z, phi(Z)), EXACT[name][1], SLOPE_ERROR[name])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_exact_slope_is_the_derivative(name: str) -> None:
    phi, slope = EXACT[name]
    for z in (-30, -3, -1.2, -0.1, 0.1, 0.7, 2, 40):  # away from kinks
        # mpmath differentiates in 160 bits, 1e-48, with what its step leaves of the second derivative
        assert abs(mpmath.diff(phi, mpf(z)) - slope(mpf(z))) < 1e-40


@pytest.mark.parametrize(
    ("name", "at_minus_zero", "slope"),
    [
        ("relu", 0.0, 0.0),
        ("leaky_relu", -0.0, 0.01),  # the left one, as in PyTorch
        ("tanh", -0.0, 1.0),
        ("sigmoid", 0.5, 0.25),
        ("linear", -0.0, 1.0),
        ("elu", -0.0, 1.0),
        ("selu", -0.0, float(LAMBDA * ALPHA)),  # the left one, as in PyTorch and JAX
        ("gelu", -0.0, 0.5),
        ("silu", -0.0, 0.5),
        ("softplus", math.log(2), 0.5),
    ],
)
def test_at_zero(name: str, at_minus_zero: float, slope: float) -> None:
    zeros = np.array([-0.0, 0.0])
    a = ACTIVATIONS[name].phi(zeros)
    assert a.tolist() == [at_minus_zero] * 2
    if name != "relu":  # max(0, -0) may be either
        assert math.copysign(1.0, a[0]) == math.copysign(1.0, at_minus_zero)
    assert ACTIVATIONS[name].slope(zeros, a).tolist() == [slope] * 2


@pytest.mark.parametrize(
    ("name", "below", "above", "slope_below", "slope_above"),
    [
        ("relu", 0.0, math.inf, 0.0, 1.0),
        ("leaky_relu", -math.inf, math.inf, 0.01, 1.0),
        ("tanh", -1.0, 1.0, 0.0, 0.0),
        ("sigmoid", 0.0, 1.0, 0.0, 0.0),
        ("linear", -math.inf, math.inf, 1.0, 1.0),
        ("elu", -1.0, math.inf, 0.0, 1.0),
        ("selu", -float(LAMBDA * ALPHA), math.inf, 0.0, float(LAMBDA)),
        ("gelu", 0.0, math.inf, 0.0, 1.0),
        ("silu", 0.0, math.inf, 0.0, 1.0),
        ("softplus", 0.0, math.inf, 0.0, 1.0),
    ],
)
def test_limits(name: str, below: float, above: float, slope_below: float, slope_above: float) -> None:
    z = np.array([-math.inf, math.inf])
    a = ACTIVATIONS[name].phi(z)
    assert a.tolist() == [below, above]
    assert ACTIVATIONS[name].slope(z, a).tolist() == [slope_below, slope_above]
    z = np.array([-1e308, 1e308])
    assert ACTIVATIONS[name].slope(z, ACTIVATIONS[name].phi(z)).tolist() == [slope_below, slope_above]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_warning_and_the_shape_stays(name: str) -> None:
    z = np.array([EDGES, EDGES[::-1]])
    with np.errstate(all="raise", under="ignore"):
        a = ACTIVATIONS[name].phi(z)
        slope = ACTIVATIONS[name].slope(z, a)
    assert a.shape == slope.shape == z.shape
    assert not np.isnan([a, slope]).any()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(ACTIVATIONS[name].phi(np.array([math.nan]))).all()


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """Of N(0, 1), to 1e-9: SciPy's quadrature promises 1e-12, and the normal tail beyond 12 is 1e-33."""
    assert (float(LAMBDA), float(LAMBDA * ALPHA)) == (activations.SELU_SCALE, activations.SELU_NEGATIVE)
    for power, moment in ((1, 0.0), (2, 1.0)):
        sides = [
            integrate.quad(
                lambda z, n=power: float(ACTIVATIONS["selu"].phi(z)) ** n * math.exp(-z * z / 2),
                *ends,
                epsabs=1e-12,
                epsrel=0,
            )
            for ends in ((-12, 0), (0, 12))
        ]
        assert abs(sum(value for value, _ in sides) / math.sqrt(2 * math.pi) - moment) < 1e-9


def test_gelu_is_the_exact_one() -> None:
    """PyTorch's gelu(1) and not JAX's default 0.8411919906, the approximation by tanh."""
    assert abs(float(ACTIVATIONS["gelu"].phi(1.0)) - 0.8413447460685429) < 1e-15
