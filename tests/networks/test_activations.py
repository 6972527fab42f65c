"""Each phi and its slope against their definitions in mpmath, which `activation_cases` holds."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from scipy import integrate

from pipeline.networks import activations
from pipeline.networks.activations import ACTIVATIONS
from tests.activation_cases import ALPHA, CASES, LAMBDA, case

rng = np.random.RandomState(0)
SMALL = np.geomspace(5e-324, 1, 100)
Z = np.concatenate(
    [
        rng.uniform(-3, 3, 600),
        rng.uniform(-45, 45, 400),
        rng.uniform(-760, 760, 200),
        -rng.uniform(37, 39, 100),
        *(SMALL, -SMALL, np.geomspace(1, 1e100, 50), -np.geomspace(1, 1e100, 50)),
    ]
)
EDGES = np.array([-math.inf, -1e308, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e308, math.inf])


def assert_near(computed: np.ndarray, exact: Callable, allowed: Callable) -> None:
    for z, value in zip(Z.tolist(), computed.tolist(), strict=True):
        true = exact(mpf(z))
        assert abs(mpf(value) - true) <= allowed(mpf(z), true), z


def test_nothing_is_missing() -> None:
    """Where an activation is registered, and what a new one needs besides its line in `ACTIVATIONS`."""
    missing, unknown = set(ACTIVATIONS) - set(CASES), set(CASES) - set(ACTIVATIONS)
    assert not missing, f"CASES of tests/activation_cases.py lacks {', '.join(sorted(missing))}"
    assert not unknown, f"pipeline/networks/activations.py lacks {', '.join(sorted(unknown))} of CASES"
    for name, activation in ACTIVATIONS.items():
        assert activation.name == name, f"the function of {name} is called {activation.name}; messages name it so"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_phi(name: str) -> None:
    assert_near(ACTIVATIONS[name].phi(Z), case(name).phi, case(name).phi_error)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope(name: str) -> None:
    activation = ACTIVATIONS[name]
    assert_near(activation.slope(Z, activation.phi(Z)), case(name).slope, case(name).slope_error)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_exact_slope_is_the_derivative(name: str) -> None:
    for z in (-30, -3.1, -1.2, -0.1, 0.1, 0.7, 2, 5.9, 6.1, 40):
        if all(abs(z - kink) > 0.05 for kink in ACTIVATIONS[name].kinks):
            # mpmath differentiates in 160 bits, 1e-48, with what its step leaves of the second derivative
            assert abs(mpmath.diff(case(name).phi, mpf(z)) - case(name).slope(mpf(z))) < 1e-40


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_are_declared(name: str) -> None:
    """Elsewhere no derivative jumps: the third difference is small, where a jump of the slope by j leaves j h and a
    jump of the second derivative j h^2. A declared kink is one. Steps of h = 1 / 64 within [-20, 20]."""
    activation, h = ACTIVATIONS[name], mpf(1) / 64
    places = [h * k + h / 2 for k in range(-1280, 1280)]
    phi = [case(name).phi(z) for z in places]
    third = [phi[k + 3] - 3 * phi[k + 2] + 3 * phi[k + 1] - phi[k] for k in range(len(phi) - 3)]
    found = sorted({round((places[k] + 1.5 * h) * 64) / 64 for k, d in enumerate(third) if abs(d) > h**2 / 8})
    for kink in activation.kinks:
        assert any(abs(kink - z) <= 2 * h for z in found), f"{name} has no kink at {kink}"
    for z in found:
        assert any(abs(kink - z) <= 2 * h for kink in activation.kinks), f"{name} lacks a kink near {float(z)}"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_at_zero_and_at_kinks(name: str) -> None:
    """The slope at a kink is PyTorch's; so is that of ReLU at -0 and 0."""
    activation, exact = ACTIVATIONS[name], case(name)
    z = np.array([-0.0, 0.0, *activation.kinks])
    a, slope = activation.phi(z), activation.slope(z, activation.phi(z))
    assert a.tolist() == pytest.approx([float(exact.phi(mpf(x))) for x in z], rel=2**-51, abs=0)  # softplus: 2.5 ulp
    assert slope.tolist() == pytest.approx([float(exact.slope(mpf(x))) for x in z], rel=2**-51, abs=0)
    if a[0] == 0.0 and slope[0] != 0.0:  # max(0, -0) may be either
        assert math.copysign(1.0, a[0]) == -1.0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_limits(name: str) -> None:
    activation, exact = ACTIVATIONS[name], case(name)
    phi, slope = ([exact.limit(f, sign) for sign in (-1, 1)] for f in (exact.phi, exact.slope))
    assert activation.phi(np.array([-math.inf, math.inf])).tolist() == phi
    for end in (math.inf, 1e308):
        z = np.array([-end, end])
        assert activation.slope(z, activation.phi(z)).tolist() == slope


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


@pytest.mark.parametrize("name", [name for name, each in ACTIVATIONS.items() if not each.slope_needs_z])
def test_the_slope_depends_on_phi_alone(name: str) -> None:
    """The kernel, which then does not keep z, gives a in its place."""
    activation = ACTIVATIONS[name]
    z = np.concatenate([Z, [0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, 3.0, 6.0, np.nextafter(6.0, 0.0)]])
    a = np.asarray(activation.phi(z))
    expected = activation.slope(z, a).tobytes()
    assert activation.slope(a, a).tobytes() == expected
    assert activation.slope(np.full_like(z, np.nan), a).tobytes() == expected
