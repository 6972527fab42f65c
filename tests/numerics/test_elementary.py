"""The project's own functions against mpmath, in ulp of the exact result."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from pipeline.numerics import elementary
from tests.activation_cases import normal_cdf, normal_pdf
from tests.marks import slow

mpmath.mp.prec = 160


def ulp_error(computed: np.ndarray, exact: list) -> float:
    """The largest |computed - exact| in ulp of the exact value."""
    worst = 0.0
    for value, true in zip(computed.tolist(), exact, strict=True):
        exponent = -1074 if true == 0 else max(mpmath.frexp(true)[1] - 53, -1074)
        worst = max(worst, float(abs(mpmath.mpf(value) - true) / mpmath.mpf(2) ** exponent))
    return worst


rng = np.random.RandomState(0)
NEAR = np.concatenate(
    [rng.uniform(-3, 3, 4000), rng.randn(2000) * 1e-4, np.geomspace(5e-324, 1, 500), [-0.3465, 0.3466]]
)
WIDE = rng.uniform(-746, 709.7, 4000)


LOG = np.concatenate([rng.uniform(0, 2, 6000), np.geomspace(1e-307, 1e308, 999)])
SUMS = np.concatenate([np.linspace(1, 70, 3000), rng.uniform(1, 65535, 3000), 2.0 ** np.arange(16)])
EXPM1 = np.concatenate([NEAR, -NEAR, WIDE, rng.uniform(-40, 2, 4000), [709.782712893384]])
SUBNORMAL = -rng.uniform(37.4, 38.7, 2000)  # where Phi is, and its density from 37.6
NORMAL = np.concatenate([NEAR, -NEAR, rng.uniform(-40, 40, 4000), rng.uniform(-9, 3, 4000), SUBNORMAL])

# name: function, exact, arguments, bound in ulp
TABLE: dict[str, tuple[Callable, Callable, np.ndarray, float]] = {
    "exp": (elementary.exp, mpmath.exp, np.concatenate([NEAR, WIDE, [709.782712893384, -745.1, -708.5]]), 1.5),
    "log_of_sum": (elementary.log_of_sum, mpmath.log, SUMS, 2.5),
    "softplus": (elementary.softplus, lambda x: mpmath.log1p(mpmath.exp(x)), np.concatenate([NEAR, WIDE]), 2.5),
    "log1p_unit": (elementary.log1p_unit, mpmath.log1p, np.concatenate([abs(NEAR) / 3, [0.0, 1.0]]), 2.5),
    "sigmoid": (elementary.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), np.concatenate([NEAR, WIDE]), 2.5),
    "tanh": (elementary.tanh, mpmath.tanh, np.concatenate([NEAR, -NEAR, NEAR * 8, [22.0, 21.9]]), 2.5),
    "log": (elementary.log, mpmath.log, LOG, 1.0),
    "expm1": (elementary.expm1, mpmath.expm1, EXPM1, 2.5),
    "normal_pdf": (elementary.normal_pdf, normal_pdf, NORMAL, 1.5),
    "normal_cdf": (elementary.normal_cdf, normal_cdf, NORMAL, 2.0),
}


@pytest.mark.parametrize("every", [7, *slow(1)])
@pytest.mark.parametrize("name", TABLE)
def test_error_in_ulp(name: str, every: int) -> None:
    function, exact, x, bound = TABLE[name]
    x = np.concatenate([x[::every], x[-20:]])  # the ends of the range are the last
    assert ulp_error(function(x), [exact(mpmath.mpf(value)) for value in x.tolist()]) < bound


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", math.inf, math.inf),
        ("exp", -math.inf, 0.0),
        ("exp", 709.7827128933841, math.inf),
        ("exp", -745.1332191019411, 5e-324),
        ("exp", -745.1332191019412, 0.0),
        ("exp", 0.0, 1.0),
        ("exp", -0.0, 1.0),
        ("softplus", math.inf, math.inf),
        ("softplus", -math.inf, 0.0),
        ("softplus", 1e308, 1e308),
        ("sigmoid", math.inf, 1.0),
        ("sigmoid", -math.inf, 0.0),
        ("sigmoid", 0.0, 0.5),
        ("tanh", math.inf, 1.0),
        ("tanh", -math.inf, -1.0),
        ("tanh", 1e308, 1.0),
        ("tanh", 0.0, 0.0),
        ("tanh", -0.0, -0.0),
        ("tanh", -5e-324, -5e-324),
        ("expm1", math.inf, math.inf),
        ("expm1", -math.inf, -1.0),
        ("expm1", 709.7827128933841, math.inf),
        ("expm1", 1e308, math.inf),
        ("expm1", -1e308, -1.0),
        ("expm1", -38.0, -1.0),
        ("expm1", 0.0, 0.0),
        ("expm1", -0.0, -0.0),
        ("expm1", 5e-324, 5e-324),
        ("expm1", -5e-324, -5e-324),
        ("normal_pdf", math.inf, 0.0),
        ("normal_pdf", -math.inf, 0.0),
        ("normal_pdf", 1e308, 0.0),
        ("normal_pdf", 38.6, 0.0),
        ("normal_pdf", -38.56, 5e-324),
        ("normal_pdf", 0.0, 0.3989422804014327),
        ("normal_pdf", -5e-324, 0.3989422804014327),
        ("normal_cdf", math.inf, 1.0),
        ("normal_cdf", -math.inf, 0.0),
        ("normal_cdf", 1e308, 1.0),
        ("normal_cdf", -1e308, 0.0),
        ("normal_cdf", 8.3, 1.0),
        ("normal_cdf", -38.48, 5e-324),
        ("normal_cdf", -38.5, 0.0),
        ("normal_cdf", 0.0, 0.5),
        ("normal_cdf", -0.0, 0.5),
        ("normal_cdf", -5e-324, 0.5),
    ],
)
def test_special_values(name: str, x: float, expected: float) -> None:
    value = float(TABLE[name][0](np.array([x]))[0])
    assert value == expected
    assert math.copysign(1.0, value) == math.copysign(1.0, expected)


@pytest.mark.parametrize("name", ["exp", "softplus", "sigmoid", "tanh", "expm1", "normal_pdf", "normal_cdf"])
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(TABLE[name][0](np.array([math.nan]))).all()


def test_circle() -> None:
    turns = np.concatenate([rng.uniform(0, 1, 2000), np.arange(8) / 8, np.arange(150) / 150])
    cosine, sine = elementary.circle(turns)
    for t, c, s in zip(turns.tolist(), cosine.tolist(), sine.tolist(), strict=True):
        angle = 2 * mpmath.pi * mpmath.mpf(t)
        # an angle below pi / 4 carries half an ulp, 5.6e-17, and each of cos and sin one more rounding
        assert abs(c - mpmath.cos(angle)) < 3e-16
        assert abs(s - mpmath.sin(angle)) < 3e-16


def test_coefficients_of_the_normal_tail() -> None:
    """TAIL made anew, and what it approximates."""
    with mpmath.workdps(60):
        centre, offset = mpmath.mpf(elementary.TAIL_CENTRE), mpmath.mpf(elementary.TAIL_OFFSET)
        end = (elementary.NORMAL_MAX - centre) / (elementary.NORMAL_MAX + centre)

        def tail(s: mpmath.mpf) -> mpmath.mpf:
            t = centre * (1 + s) / (1 - s)
            return (t + offset) * mpmath.exp(t * t / 2) * normal_cdf(-t)

        n = len(elementary.TAIL)
        points = [((end - 1) + (end + 1) * mpmath.cos(mpmath.pi * k / (n - 1))) / 2 for k in range(n)]
        powers = mpmath.matrix([[s**j for j in range(n)] for s in points])
        exact = list(mpmath.lu_solve(powers, [tail(s) for s in points]))
        assert elementary.TAIL == tuple(float(c) for c in exact)
        for s in mpmath.linspace(-1, end, 200):
            assert abs(sum(c * s**j for j, c in enumerate(exact)) / tail(s) - 1) < 1e-17


def test_exp_of_negative_has_the_bits_of_exp() -> None:
    """Also where the result is subnormal or 0: there the final product of both rounds once, elsewhere not at all."""
    x = -np.concatenate(
        [abs(NEAR), rng.uniform(0, 750, 20000), rng.uniform(700, 746, 20000), [0.0, 745.13, 746, np.inf]]
    )
    assert elementary.exp_of_negative(x).tobytes() == elementary.exp(x).tobytes()
    assert np.isnan(elementary.exp_of_negative(np.array([np.nan]))).all()
