"""Tail probabilities with the same bits on every computer.

Scalars only. A tail is computed as such, never as 1 minus the rest where it is the smaller one, so that its relative
error stays small down to 1e-300; tests/numerics/test_tails.py measures it against mpmath. The distance of an argument
from the mean enters the exponents as u - ln(1 + u), which loses no digits for small u (Loader 2000, Fast and accurate
computation of binomial probabilities).
"""

import math

from pipeline.numerics.elementary import NORMAL_PEAK, exp, log, normal_cdf, normal_pdf

HALF_LOG_TWO_PI = 0.9189385332046728
CONVERGED = 4e-16  # the last change relative to the sum or the fraction: two roundings
ASYMPTOTIC = 1e4  # shapes of the gamma distribution from which `gamma_tails` uses the expansion UNIFORM
SMALLEST, LARGEST = 1e-300, 1e300  # of the arguments of `gamma_tails`; others are replaced by the nearer one
STEPS = 100_000  # of a series or a continued fraction, at most; 1,000 are needed
# Coefficients of ln Gamma(x) - (x - 1/2) ln x + x - ln(2 pi) / 2 in x**-1, x**-3, ...: B_2k / (2 k (2 k - 1)).
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
# Taylor coefficients in eta of c_0, ..., c_3 in the uniform expansion of the incomplete gamma function (Temme 1979,
# SIAM J. Math. Anal. 10:757; DLMF 8.12.9 to 8.12.11). The series converge for |eta| < 3.5. For a shape of at least
# ASYMPTOTIC, tails above 1e-308 have |eta| < 0.38; relative to them, what is left out is below 1e-15.
UNIFORM = (
    (
        -0.3333333333333333,
        0.08333333333333333,
        -0.014814814814814815,
        0.0011574074074074073,
        0.0003527336860670194,
        -0.0001787551440329218,
        3.919263178522438e-05,
        -2.185448510679992e-06,
        -1.85406221071516e-06,
        8.296711340953087e-07,
        -1.7665952736826078e-07,
        6.707853543401498e-09,
        1.0261809784240309e-08,
        -4.382036018453353e-09,
        9.14769958223679e-10,
    ),
    (
        -0.001851851851851852,
        -0.003472222222222222,
        0.0026455026455026454,
        -0.0009902263374485596,
        0.00020576131687242798,
        -4.018775720164609e-07,
        -1.8098550334489977e-05,
        7.64916091608111e-06,
        -1.6120900894563446e-06,
        4.647127802807434e-09,
        1.378633446915721e-07,
    ),
    (
        0.004133597883597883,
        -0.0026813271604938273,
        0.0007716049382716049,
        2.0093878600823047e-06,
        -0.0001073665322636516,
        5.2923448829120125e-05,
        -1.2760635188618728e-05,
    ),
    (0.0006494341563786008, 0.00022947209362139917, -0.0004691894943952557, 0.00026772063206283885),
)


def normal_two_sided(z: float) -> float:
    """P(|Z| > |z|) for Z of N(0, 1). Error below 2 ulp."""
    return 2.0 * float(normal_cdf(-abs(z)))


def gamma_tails(shape: float, x: float) -> tuple[float, float]:
    """(P(G < x), P(G > x)) for G of the gamma distribution of scale 1; (0, 1) for x <= 0.

    `shape` is positive and tested from 0.5 to 1e8. Relative error below 1e-12 of tails above 1e-300. The series (DLMF
    8.11.4) below the mean and the continued fraction (8.9.2) above it take in the order of sqrt(shape) steps; large
    shapes have an expansion (8.12.3 to 8.12.9).
    """
    if math.isnan(shape) or math.isnan(x):
        return math.nan, math.nan
    if x <= 0.0:
        return 0.0, 1.0
    x = min(max(x, SMALLEST), LARGEST)
    u = (x - shape) / shape
    deviance = shape * _minus_log1p(u, x / shape)
    if shape >= ASYMPTOTIC:
        return _gamma_tails_of_large_shape(shape, u, deviance)
    density = math.sqrt(shape) * float(exp(-deviance - HALF_LOG_TWO_PI - stirling_remainder(shape)))  # times x
    if x < shape + 1.0:
        term = total = 1.0
        factor = shape
        for _ in range(STEPS):
            factor += 1.0
            term *= x / factor
            total += term
            if term < CONVERGED * total:
                break
        lower = density / shape * total
        return lower, 1.0 - lower
    upper = density / _gamma_fraction(shape, x)
    return 1.0 - upper, upper


def _gamma_fraction(shape: float, x: float) -> float:
    """x**shape e**-x / Gamma(shape, x) for x > shape: a continued fraction by Lentz's method."""
    b = x + 1.0 - shape
    value = c = b
    d = 0.0
    for n in range(1, STEPS):
        a = -n * (n - shape)
        b += 2.0
        c = b + a / c
        d = 1.0 / (b + a * d)
        value *= c * d
        if abs(c * d - 1.0) < CONVERGED:
            break
    return value


def _gamma_tails_of_large_shape(shape: float, u: float, deviance: float) -> tuple[float, float]:
    """`gamma_tails` for x = shape (1 + u), with deviance = shape (u - ln(1 + u)) = shape eta**2 / 2."""
    z = math.copysign(math.sqrt(2.0 * deviance), u)
    if abs(z) > 39.0:
        return (0.0, 1.0) if z < 0.0 else (1.0, 0.0)
    eta = z / math.sqrt(shape)
    remainder = 0.0
    for coefficients in reversed(UNIFORM):
        value = 0.0
        for coefficient in reversed(coefficients):
            value = value * eta + coefficient
        remainder = remainder / shape + value
    remainder *= float(normal_pdf(z)) / math.sqrt(shape)
    return float(normal_cdf(z)) - remainder, float(normal_cdf(-z)) + remainder


def beta_tail(x: float, a: float, b: float) -> float:
    """P(B > x) for B of the beta distribution with parameters a, b > 0.

    Tested for a and b from 0.5 to 2e7. Relative error of tails above 1e-300 below 2e-14 if a or b is 0.5, else 5e-12.
    Takes in the order of sqrt(min(a, b)) steps near the mean.
    """
    if math.isnan(x) or math.isnan(a) or math.isnan(b):
        return math.nan
    if x <= 0.0:
        return 1.0
    if x >= 1.0:
        return 0.0
    n, y = a + b, 1.0 - x
    difference = x * b - y * a  # n (x - mean)
    u, v = difference / a, -difference / b
    deviance = a * _minus_log1p(u, x * n / a) + b * _minus_log1p(v, y * n / b)
    constant = stirling_remainder(n) - stirling_remainder(a) - stirling_remainder(b) - HALF_LOG_TWO_PI
    density = math.sqrt(a / n * b) * float(exp(constant - deviance))  # times x y
    if difference < 0.0:
        return 1.0 - density * _beta_fraction(x, a, b, -difference)
    return density * _beta_fraction(y, b, a, difference)


def _beta_fraction(x: float, a: float, b: float, difference: float) -> float:
    """B(a, b) I_x(a, b) / (x**a (1 - x)**b) for difference = a - (a + b) x >= 0.

    The continued fraction of DiDonato & Morris 1992, ACM Trans. Math. Softw. 18:360, eq. 9, by Lentz's method.
    """
    value = c = a / (a + 1.0) * (difference + 1.0)
    d = 0.0
    for n in range(1, STEPS):
        step = n * (b - n) * x / (a + (2 * n - 1))
        alpha = (a + (n - 1)) * (a + b + (n - 1)) / (a + (2 * n - 1)) * step * x
        beta = n + step + (a + n) / (a + (2 * n + 1)) * (difference + 1.0 + n * (2.0 - x))
        d = 1.0 / (beta + alpha * d)
        c = beta + alpha / c
        value *= c * d
        if abs(c * d - 1.0) < CONVERGED:
            break
    return 1.0 / value


def kolmogorov_tail(t: float) -> float:
    """P(K > t) for the limit K of sqrt(n) times the two-sided Kolmogorov-Smirnov statistic. Relative error below 1e-15.

    The two series of the theta function (Kolmogorov 1933; Feller 1948, eq. 1.4), on either side of t = 1.
    """
    if t <= 0.04:  # the first term of the series for the other side is below 1e-300
        return 1.0
    if t < 1.0:
        terms = [float(exp(-(k * k) * (math.pi * math.pi / 8.0) / (t * t))) for k in (7, 5, 3, 1)]
        return 1.0 - math.fsum(terms) / (NORMAL_PEAK * t)
    terms = [float(normal_pdf(2.0 * k * t)) for k in (1, 2, 3, 4, 5)]
    return 2.0 * math.fsum(term if k % 2 == 0 else -term for k, term in enumerate(terms)) / NORMAL_PEAK


def log_gamma(x: float) -> float:
    """ln Gamma(x) for x > 0. Error below 4 ulp of the largest of |x ln x|, x and 1."""
    if x < 0.5:
        return log_gamma(x + 1.0) - float(log(x))
    return (x - 0.5) * float(log(x)) - x + HALF_LOG_TWO_PI + stirling_remainder(x)


def stirling_remainder(x: float) -> float:
    """ln Gamma(x) - ((x - 1/2) ln x - x + ln(2 pi) / 2) for x > 0: STIRLING for x >= 10, there by steps of 1.

    The remainders of x and x + 1 differ by the sum of (2 x + 1)**-2k / (2 k + 1) over k >= 1.
    """
    total = 0.0
    while x < 10.0:
        ratio = 1.0 / ((2.0 * x + 1.0) * (2.0 * x + 1.0))
        power, k, term = ratio, 3, ratio / 3.0
        while term > CONVERGED * total:
            total += term
            power, k = power * ratio, k + 2
            term = power / k
        x += 1.0
    value = 0.0
    for coefficient in reversed(STIRLING):
        value = value / (x * x) + coefficient
    return total + value / x


def _minus_log1p(u: float, one_plus_u: float) -> float:
    """u - ln(1 + u), at least 0, for u > -1: for |u| < 1/2 with ln(1 + u) = 2 artanh(s), s = u / (2 + u)."""
    if abs(u) >= 0.5:
        return u - float(log(one_plus_u))
    s = u / (u + 2.0)
    square, value = s * s, 0.0
    for k in range(35, 1, -2):
        value = (value + 2.0 / k) * square
    return s * (u - value)
