"""Tail probabilities against mpmath, as relative errors, and against SciPy."""

import math
from fractions import Fraction

import mpmath
import pytest
from scipy import special

from pipeline.numerics import tails
from tests.marks import slow

DIGITS = 50
SMALLEST = 1e-300
DEVIATIONS = (-38, -20, -8, -3, -1, -0.1, -1e-3, 0, 1e-3, 0.5, 1, 2, 5, 10, 20, 38)


@pytest.fixture(autouse=True)
def fifty_digits() -> object:
    with mpmath.workdps(DIGITS):
        yield


def series(a: mpmath.mpf, b: mpmath.mpf, c: mpmath.mpf, d: mpmath.mpf) -> mpmath.mpf:
    """1 + r_1 + r_1 r_2 + ... with r_n = (a + b n) / (c + d n), positive until the terms are negligible.

    In integers, which is ten times faster than mpmath: terms and sum are multiples of 2^-bits. Each of up to 10^6 terms
    is less than one such unit too small, and carries the errors of those before it: 2^-64 leaves 20 digits less than
    the working precision.
    """
    bits = mpmath.mp.prec
    scale = max(-mpmath.frexp(x)[1] + bits for x in (a, b, c, d) if x)
    top, top_step, bottom, bottom_step = (int(mpmath.floor(mpmath.ldexp(x, scale))) for x in (a, b, c, d))
    term = total = 1 << bits
    while term << (bits - 64) > total:
        top, bottom = top + top_step, bottom + bottom_step
        term = term * top // bottom
        total += term
    return mpmath.ldexp(total, -bits)


def gamma_exactly(shape: float, x: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Both tails; below the mean by the power series, above it by successive partial integrations."""
    a, y = mpmath.mpf(shape), mpmath.mpf(x)
    density = mpmath.exp(a * mpmath.log(y) - y - mpmath.loggamma(a))
    if y < a:
        lower = density / a * series(y, 0, a, 1)
        return lower, 1 - lower
    large = shape > 200  # the terms fall by 30 digits before they rise
    upper = density / y * series(a, -1, y, 0) if large else mpmath.gammainc(a, y, regularized=True)
    return 1 - upper, upper


def beta_exactly(x: float, a: float, b: float) -> mpmath.mpf:
    """P(B > x) by the hypergeometric series with positive terms (DLMF 8.17.8).

    On the side of the mean where x is, or that of a much smaller parameter, where it takes fewer terms; what is
    subtracted from 1 then has digits enough.
    """
    with mpmath.workdps(400):
        p, q, y = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(x)
        density = mpmath.exp(
            p * mpmath.log(y) + q * mpmath.log(1 - y) + mpmath.loggamma(p + q) - mpmath.loggamma(p) - mpmath.loggamma(q)
        )
        if density < 1e-310:
            return mpmath.mpf(int(y < p / (p + q)))
        if (y < p / (p + q) or 100 * p < q) and p < 100 * q:
            return 1 - density / p * series((p + q - 1) * y, y, p, 1)
        return density / q * series((p + q - 1) * (1 - y), 1 - y, q, 1)


def relative(computed: float, exact: mpmath.mpf) -> float:
    """The relative error; of values below SMALLEST, where doubles lose digits, that of the larger of the two."""
    if exact < SMALLEST:
        return 0.0 if computed < 2 * SMALLEST else math.inf
    return float(abs(computed / exact - 1))


@pytest.mark.parametrize("z", [0.0, 5e-324, 1e-8, 0.3, -1.0, 2.0, 5.0, -8.3, 20.0, 36.9])
def test_normal_two_sided(z: float) -> None:
    assert relative(tails.normal_two_sided(z), mpmath.erfc(abs(mpmath.mpf(z)) / mpmath.sqrt(2))) < 4.5e-16  # 2 ulp


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.5, 7.3, 30.0, 100.5, 1e3, 9_999.0, 1e4, 3e4, *slow(1e5, 1e6, 1e8)])
def test_gamma_tails(shape: float) -> None:
    """The exponent of a tail of 1e-300 is 690, and half an ulp of its relative error 8e-14 of the tail."""
    steps = math.sqrt(shape)
    for z in DEVIATIONS[:: 1 if shape < 1e8 else 4]:
        x = shape + z * steps
        if x <= 0.0:
            x = shape * 10.0 ** max(z, -9)
        (lower, upper), exact = tails.gamma_tails(shape, x), gamma_exactly(shape, x)
        assert relative(lower, exact[0]) < 1e-12
        assert relative(upper, exact[1]) < 1e-12
        assert lower + upper == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("shape", [0.5, 3.0, 500.0, 2e4, 1e8])
def test_gamma_tails_far_out(shape: float) -> None:
    assert tails.gamma_tails(shape, 0.0) == tails.gamma_tails(shape, -1.0) == (0.0, 1.0)
    for x in (shape * 40 + 3000, 1e200, 1.7e308, math.inf):
        assert tails.gamma_tails(shape, x) == (1.0, 0.0)
    lower, upper = tails.gamma_tails(shape, 1e-300)
    assert lower == (pytest.approx(2e-150 / math.sqrt(math.pi), rel=1e-12) if shape == 0.5 else 0.0)
    assert upper == 1.0
    assert tails.gamma_tails(shape, 5e-324) == (lower, upper)
    assert all(map(math.isnan, tails.gamma_tails(shape, math.nan)))


def test_gamma_tails_of_both_methods_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """At shapes where both hold: the expansion and the series differ by rounding only."""
    points = [(12_000.0, 12_000.0 + z * 110.0) for z in (-30, -3, -0.2, 0, 0.4, 5, 30)]
    expanded = [tails.gamma_tails(*point) for point in points]
    monkeypatch.setattr(tails, "ASYMPTOTIC", math.inf)
    for (lower, upper), point in zip(expanded, points, strict=True):
        assert tails.gamma_tails(*point) == (pytest.approx(lower, rel=1e-12), pytest.approx(upper, rel=1e-12))


SHAPES = [(0.5, 0.5), (0.5, 1.0), (0.5, 8.0), (0.5, 63.5), (3.0, 7.0), (7.0, 0.5), (100.0, 200.5), (0.5, 1e4)]


@pytest.mark.parametrize(("a", "b"), [*SHAPES, *slow((0.5, 5e6), (5e6, 0.5), (1e3, 1e4), (2e7, 30.0), (1e5, 3e5))])
def test_beta_tail(a: float, b: float) -> None:
    """The error grows with min(a, b), through the rounding of n (x - mean), and is stated for 0.5 and for all shapes."""
    bound = 2e-14 if min(a, b) == 0.5 else 5e-12
    mean = a / (a + b)
    std = math.sqrt(mean * (1 - mean) / (a + b + 1))
    points = [mean + z * std for z in (-20, -5, -1, -0.3, 0, 0.2, 1, 3, 10, 30)]
    points += [0.3 * mean, mean * 1e-3, 1 - (1 - mean) * 0.2, 1 - 2.0**-40]
    for x in points[1:9:3] if min(a, b) > 1e4 else points:
        if 0.0 < x < 1.0:
            assert relative(tails.beta_tail(x, a, b), beta_exactly(x, a, b)) < bound


def test_beta_tail_at_its_ends() -> None:
    assert tails.beta_tail(0.0, 0.5, 3.0) == tails.beta_tail(-1.0, 0.5, 3.0) == 1.0
    assert tails.beta_tail(1.0, 0.5, 3.0) == tails.beta_tail(math.inf, 0.5, 3.0) == 0.0
    assert math.isnan(tails.beta_tail(math.nan, 0.5, 3.0))
    assert tails.beta_tail(1e-300, 0.5, 8.0) == 1.0


@pytest.mark.parametrize("n", [2, 3, 4, 100])
def test_beta_tail_is_the_angle_between_random_directions(n: int) -> None:
    """cos**2 of two independent directions in n dimensions is Beta(1/2, (n - 1) / 2): of n = 2 and 3 in closed form."""
    for cosine in (0.01, 0.4, 0.99):
        tail = tails.beta_tail(cosine * cosine, 0.5, (n - 1) / 2)
        sine = mpmath.quad(lambda angle: mpmath.sin(angle) ** (n - 2), [0, mpmath.acos(cosine)])
        half = mpmath.quad(lambda angle: mpmath.sin(angle) ** (n - 2), [0, mpmath.pi / 2])
        assert tail == pytest.approx(float(sine / half), rel=1e-13)  # of x = cosine**2, rounded, and of quad


@pytest.mark.parametrize("t", [0.05, 0.1, 0.3, 0.5, 0.82757, 0.999, 1.0, 1.3581, 1.6276, 5.0, 12.0, 18.5])
def test_kolmogorov_tail(t: float) -> None:
    x = mpmath.mpf(t)
    with mpmath.workdps(400):  # the terms alternate
        exact = 2 * mpmath.nsum(lambda k: (-1) ** (int(k) - 1) * mpmath.exp(-2 * k * k * x * x), [1, 800])
    assert relative(tails.kolmogorov_tail(t), exact) < 1e-15


def test_kolmogorov_tail_at_its_ends() -> None:
    assert [tails.kolmogorov_tail(t) for t in (-1.0, 0.0, 1e-9)] == [1.0] * 3
    assert [tails.kolmogorov_tail(t) for t in (30.0, math.inf)] == [0.0] * 2


def test_kolmogorov_quantiles() -> None:
    """The levels .10, .05 and .01 of Smirnov's table (1948)."""
    assert tails.kolmogorov_tail(1.2238) == pytest.approx(0.10, abs=5e-5)
    assert tails.kolmogorov_tail(1.3581) == pytest.approx(0.05, abs=5e-5)
    assert tails.kolmogorov_tail(1.6276) == pytest.approx(0.01, abs=5e-5)


@pytest.mark.parametrize("x", [1e-3, 0.1, 0.5, 0.7, 1.0, 1.4616, 2.0, 3.0, 9.99, 10.0, 11.5, 171.0, 1e4, 1e8, 1e15])
def test_log_gamma(x: float) -> None:
    """4 ulp of the largest term of the sum."""
    assert abs(tails.log_gamma(x) - mpmath.loggamma(mpmath.mpf(x))) < 9e-16 * max(abs(x * math.log(x)), x, 1.0)


@pytest.mark.parametrize("x", [0.5, 1.0, 2.25, 9.99, 10.0, 10.01, 50.0, 1e6, 1e8])
def test_stirling_remainder(x: float) -> None:
    y = mpmath.mpf(x)
    exact = mpmath.loggamma(y) - ((y - 0.5) * mpmath.log(y) - y + mpmath.log(2 * mpmath.pi) / 2)
    assert relative(tails.stirling_remainder(x), exact) < 2e-15  # up to ten positive terms


def test_scipy_agrees() -> None:
    """Where SciPy holds its own ten digits: not for large shapes, whose exponents it computes with cancellation."""
    for shape in (0.5, 4.0, 50.0, 400.0):
        for z in (-4, -1, 0.1, 3, 10):
            x = max(shape + z * math.sqrt(shape), 0.01 * shape)
            expected = (special.gammainc(shape, x), special.gammaincc(shape, x))
            assert tails.gamma_tails(shape, x) == pytest.approx(expected, rel=1e-10, abs=0)
    for a, b in ((0.5, 15.5), (0.5, 255.5), (20.0, 30.0)):
        for x in (0.001, 0.1, 0.5, 0.9):
            assert tails.beta_tail(x, a, b) == pytest.approx(special.betaincc(a, b, x), rel=1e-10, abs=0)
    for t in (0.3, 0.9, 1.1, 4.0):
        assert tails.kolmogorov_tail(t) == pytest.approx(special.kolmogorov(t), rel=1e-12)


def test_coefficients_of_stirling() -> None:
    bernoulli = [Fraction(*mpmath.bernfrac(2 * k)) / (2 * k * (2 * k - 1)) for k in range(1, 9)]
    assert tails.STIRLING == tuple(float(value) for value in bernoulli)


def test_coefficients_of_the_uniform_expansion() -> None:
    """From mu - ln(1 + mu) = eta**2 / 2 and DLMF 8.12.11, in exact rational arithmetic."""
    mu = [Fraction(0), Fraction(1)]  # d(mu**2) = 2 eta (1 + mu) d eta
    for n in range(2, 24):
        others = sum((mu[i] * mu[n + 1 - i] for i in range(2, n)), Fraction(0))
        mu.append((2 * mu[n - 1] / (n + 1) - others) / 2)
    inverse = [Fraction(1)]  # eta / mu
    for n in range(1, len(mu) - 1):
        inverse.append(-sum(mu[i + 1] * inverse[n - i] for i in range(1, n + 1)))
    stirling = [Fraction(1), Fraction(1, 12), Fraction(1, 288), Fraction(-139, 51840)]  # of Gamma, DLMF 5.11.4
    c = inverse[1:]
    for k, coefficients in enumerate(tails.UNIFORM):
        if k:
            slope = [(n + 1) * c[n + 1] for n in range(len(c) - 1)]
            c = [slope[n] + (-1) ** k * stirling[k] * inverse[n] for n in range(len(slope))]
            assert c[0] == 0
            c = c[1:]
        assert coefficients == tuple(float(value) for value in c[: len(coefficients)])
