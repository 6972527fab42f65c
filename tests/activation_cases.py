"""What each activation is, by definition, for the tests of all that is registered.

A new activation has its line in CASES: phi and its derivative in mpmath, how far the pipeline's own may be off, and two
digests, which `test_any_processor` prints when they are missing. Everything else that the tests expect follows.
"""

from collections.abc import Callable
from typing import NamedTuple

import mpmath
import pytest
from mpmath import mpf

from pipeline.networks.activations import ACTIVATIONS

mpmath.mp.prec = 160
HALF = mpf("0.5")
EPS = mpf(2) ** -53
FAR = mpf(10) ** 20  # where phi is within a double's rounding of its asymptotes

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


def normal_pdf(z: mpf) -> mpf:
    return mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)


def normal_cdf(z: mpf) -> mpf:
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def clip(z: mpf, low: int, high: int) -> mpf:
    return min(max(z, mpf(low)), mpf(high))


class Case(NamedTuple):
    """One activation.

    The errors are how far phi(z) may be from its exact value, given z and that value, and the slope likewise. The
    elementary functions are good to 2.5 ulp (test_elementary.py). A product carries its factors' errors, half an ulp of
    its own, and half an ulp of a constant. Slopes made from a have the error of a and of a few roundings, in absolute
    terms, since they come near 0: counted in EPS, half an ulp of numbers between 1 and 2.
    """

    phi: Callable[[mpf], mpf]
    slope: Callable[[mpf], mpf]  # at a kink, as PyTorch defines it
    phi_error: Callable[[mpf, mpf], mpf]
    slope_error: Callable[[mpf, mpf], mpf]
    digests: tuple[str, str]  # of networks trained from N(0, 10^2) and from N(0, 1)

    def limit(self, f: Callable[[mpf], mpf], sign: int) -> float:
        """Of phi or its slope at sign * infinity."""
        value = f(sign * FAR)
        if abs(value) > 1000:
            return float(mpmath.sign(value) * mpf("inf"))
        return float(value) if abs(value) > EPS else 0.0

    @property
    def bounded(self) -> bool:
        """Whether phi has two horizontal asymptotes."""
        return self.limit(self.slope, -1) == 0.0 == self.limit(self.slope, 1)


CASES: dict[str, Case] = {
    "relu": Case(
        lambda z: max(z, mpf(0)),
        lambda z: mpf(z > 0),
        lambda z, a: 0,
        lambda z, d: 0,
        ("c30f457f25a4319e", "0996d8b5a388cdc6"),
    ),
    "leaky_relu": Case(
        lambda z: max(z, z / 100),
        lambda z: mpf(1) if z > 0 else mpf(1) / 100,
        lambda z, a: 0 if z > 0 else ulp(a),
        lambda z, d: HALF * ulp(d),
        ("7e9ee8e4dd87de6b", "0ebcd0cd59410f99"),
    ),
    "tanh": Case(
        mpmath.tanh,
        lambda z: 1 - mpmath.tanh(z) ** 2,
        lambda z, a: 2.5 * ulp(a),
        lambda z, d: 6 * EPS,  # 2.5 of a times 2 |a|, 0.5 of a * a, 0.5 of the difference
        ("f952ef4eea9232d5", "317750958b5fb8d6"),
    ),
    "sigmoid": Case(
        sigmoid,
        lambda z: sigmoid(z) * sigmoid(-z),
        lambda z, a: 2.5 * ulp(a),
        lambda z, d: 3.25 * EPS,  # 2.5 of a times |1 - 2 a|, 0.5 of 1 - a, 0.25 of the product
        ("0e375a906ee0e408", "dead8453e82baaad"),
    ),
    "linear": Case(
        lambda z: z,
        lambda z: mpf(1),
        lambda z, a: 0,
        lambda z, d: 0,
        ("5aa8cfca3a459f8f", "15caf91692264556"),
    ),
    "elu": Case(
        lambda z: z if z > 0 else mpmath.expm1(z),
        lambda z: mpf(1) if z > 0 else mpmath.exp(z),
        lambda z, a: 0 if z > 0 else 2.5 * ulp(a),
        lambda z, d: 0 if z > 0 else 3 * EPS,  # 2.5 of a, 0.5 of the sum
        ("7b0c017c700d7cc0", "83565aadea18d2d6"),
    ),
    "selu": Case(
        lambda z: LAMBDA * (z if z > 0 else ALPHA * mpmath.expm1(z)),
        lambda z: LAMBDA * (1 if z > 0 else ALPHA * mpmath.exp(z)),
        lambda z, a: ulp(a) + (0 if z > 0 else LAMBDA * ALPHA * 2.5 * ulp(mpmath.expm1(z))),
        lambda z, d: HALF * ulp(d) if z > 0 else 8.4 * EPS,  # 6.4 of a, 1 of lambda alpha, 1 of the sum
        ("f5caceadcf3f9fd5", "ec3cd40be8a8fb20"),
    ),
    "gelu": Case(
        lambda z: z * normal_cdf(z),
        lambda z: normal_cdf(z) + z * normal_pdf(z),
        lambda z, a: HALF * ulp(a) + abs(z) * 2.5 * ulp(normal_cdf(z)),
        lambda z, d: (
            2.5 * ulp(normal_cdf(z)) + abs(z) * 1.5 * ulp(normal_pdf(z)) + HALF * ulp(z * normal_pdf(z)) + HALF * ulp(d)
        ),
        ("7250d7aec1d17409", "d63dd3bb039b75c9"),
    ),
    "silu": Case(
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) + z * sigmoid(z) * sigmoid(-z),
        lambda z, a: HALF * ulp(a) + abs(z) * 2.5 * ulp(sigmoid(z)),
        # of each term 3 EPS in e, three times, and 6 roundings; a subnormal e is off by a unit
        lambda z, d: 15 * EPS * (sigmoid(z) + abs(z) * sigmoid(z) * sigmoid(-z)) + (abs(z) + 2) * mpf(2) ** -1074,
        ("a4452850f589c028", "2a37a365c7d45c98"),
    ),
    "softplus": Case(
        lambda z: mpmath.log1p(mpmath.exp(z)),
        sigmoid,
        lambda z, a: 2.5 * ulp(a),
        lambda z, d: 2.5 * ulp(d),
        ("be247446f3d271ef", "bd06a6466f19d3f8"),
    ),
    "hardtanh": Case(
        lambda z: clip(z, -1, 1),
        lambda z: mpf(-1 < z < 1),
        lambda z, a: 0,
        lambda z, d: 0,
        ("480110a09c43c842", "5c9c993f9404e8f8"),
    ),
    "relu6": Case(
        lambda z: clip(z, 0, 6),
        lambda z: mpf(0 < z < 6),
        lambda z, a: 0,
        lambda z, d: 0,
        ("1d8f27200d15fc29", "4ccd44e4183496f5"),
    ),
    "hard_sigmoid": Case(
        lambda z: clip(z / 6 + HALF, 0, 1),
        lambda z: mpf(-3 < z < 3) / 6,
        lambda z, a: 1.5 * ulp(a),  # one of the sum, half of the quotient
        lambda z, d: HALF * ulp(d),
        ("12346a86f5c9bc80", "5fe637a585aee5cb"),
    ),
}


def case(name: str) -> Case:
    """The case of a registered activation; a test that needs one fails if there is none."""
    if name not in CASES:
        pytest.fail(f"tests/activation_cases.py lacks {name}: its phi, slope, errors and digests")
    return CASES[name]


def digests() -> dict[str, str]:
    """As `digests.cases` names them."""
    cases = {name: CASES[name] for name in ACTIVATIONS if name in CASES}
    return {
        f"{name} std {std}": digest
        for name, of in cases.items()
        for std, digest in zip((10.0, 1.0), of.digests, strict=True)
    }
