"""The project's own functions against mpmath, in ulp of the exact result."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from pipeline import elementary

mpmath.mp.prec = 160


def ulp_error(computed: np.ndarray, exact: list) -> float:
    """The largest |computed - exact| in ulp of the exact value."""
    worst = 0.0
    for value, true in zip(computed.tolist(), exact, strict=True):
        exponent = -1074 if true == 0 else max(int(mpmath.floor(mpmath.log(abs(true), 2))) - 52, -1074)
        worst = max(worst, float(abs(mpmath.mpf(value) - true) / mpmath.mpf(2) ** exponent))
    return worst


rng = np.random.RandomState(0)
NEAR = np.concatenate(
    [rng.uniform(-3, 3, 4000), rng.randn(2000) * 1e-4, np.geomspace(5e-324, 1, 500), [-0.3465, 0.3466]]
)
WIDE = rng.uniform(-746, 709.7, 4000)

# name: function, exact, arguments, bound in ulp
TABLE: dict[str, tuple[Callable, Callable, np.ndarray, float]] = {
    "exp": (elementary.exp, mpmath.exp, np.concatenate([NEAR, WIDE, [709.782712893384, -745.1, -708.5]]), 1.5),
    "softplus": (elementary.softplus, lambda x: mpmath.log1p(mpmath.exp(x)), np.concatenate([NEAR, WIDE]), 2.5),
    "log1p_unit": (elementary.log1p_unit, mpmath.log1p, np.concatenate([abs(NEAR) / 3, [0.0, 1.0]]), 2.5),
    "sigmoid": (elementary.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), np.concatenate([NEAR, WIDE]), 2.5),
    "tanh": (elementary.tanh, mpmath.tanh, np.concatenate([NEAR, -NEAR, NEAR * 8, [22.0, 21.9]]), 2.5),
    "log": (
        elementary.log,
        mpmath.log,
        np.concatenate([rng.uniform(0, 2, 6000), np.geomspace(1e-307, 1e308, 999)]),
        1.0,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_error_in_ulp(name: str) -> None:
    function, exact, x, bound = TABLE[name]
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
    ],
)
def test_special_values(name: str, x: float, expected: float) -> None:
    value = float(TABLE[name][0](np.array([x]))[0])
    assert value == expected
    assert math.copysign(1.0, value) == math.copysign(1.0, expected)


@pytest.mark.parametrize("name", ["exp", "softplus", "sigmoid", "tanh"])
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
