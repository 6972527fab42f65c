"""Elementary functions with the same bits on every computer.

The results of `exp` in the C library and in NumPy differ by 1 ulp between processors, which is enough to change
a chaotic training run. Here each function is a fixed sequence of IEEE 754 additions, subtractions,
multiplications, divisions and selections, without fused multiply-add and without library calls.
tests/numerics/test_elementary.py measures the errors against mpmath.

The functions accept any type that has the four arithmetic operators, comparisons and `abs`, and for which the
primitives `select`, `copysign` and `power_of_two` are defined: NumPy arrays in this module, vectors of eight lanes
in the compiled kernel. The coefficients are those of Taylor series, except TAIL; arguments are reduced until the
truncated series is accurate to a tenth of an ulp.
"""

import math
from typing import Any

import numpy as np

Operand = Any  # a float, an array or a vector of lanes

LOG2_E = 1.4426950408889634
LN2_HIGH = float.fromhex("0x1.62e42fefa0000p-1")  # ln 2 to 41 bits: k * LN2_HIGH is exact for |k| < 2**12
LN2_LOW = float.fromhex("0x1.cf79abc9e3b3ap-40")  # ln 2 - LN2_HIGH
ROUNDER = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, held in the low bits of the sum
EXPM1 = tuple(1 / math.factorial(n) for n in range(13, 1, -1))  # coefficients of `expm1_series`
EXP_MAX = 709.782712893384  # the last double whose exponential is finite
EXP_MIN = -746.0  # below: exp rounds to 0
NORMAL_MAX = 39.0  # above: the density of N(0, 1) and its tail round to 0
NORMAL_GRID = 3221225472.0  # 1.5 * 2**31: adding it rounds to a multiple of 2**-21
NORMAL_PEAK = 0.3989422804014327  # 1 / sqrt(2 pi)
NORMAL_PEAK_LOW = -2.49232720227773e-17  # 1 / sqrt(2 pi) - NORMAL_PEAK
TAIL_OFFSET = 0.8125  # about sqrt(2 / pi), so that the function approximated by TAIL stays between 0.40 and 0.48
TAIL_CENTRE = 6.09375  # near the optimum for 22 terms, and such that rounding TAIL[0] costs only 2e-18
TAIL_GRID = 50331648.0  # 1.5 * 2**25: adding it rounds to a multiple of 2**-27
# The coefficients of the polynomial of degree 22 in s of `tail_ratio`: interpolation at 23 Chebyshev points of [-1,
# (39 - TAIL_CENTRE) / (39 + TAIL_CENTRE)], ends included. Error below 1e-17; tests/numerics/test_elementary.py has it.
TAIL = (
    0.44083023746897676,
    -0.06161075975285123,
    0.02068910796776358,
    0.009851534595113311,
    -0.02591284279488756,
    0.028890309458331626,
    -0.02362680675448304,
    0.015501770735895476,
    -0.008293278480354849,
    0.003543269022712123,
    -0.0011219852364775767,
    0.00019868126843801626,
    2.5380674456891257e-05,
    -2.9919202449693995e-05,
    7.4078858848197135e-06,
    1.1426883762048804e-06,
    -1.1954078892273053e-06,
    1.4737562303971475e-07,
    1.2656921826766995e-07,
    -4.136632988364602e-08,
    -1.3435227841440088e-08,
    5.405920421600665e-09,
    1.7717991940655879e-09,
)


def select(condition: Operand, yes: Operand, no: Operand) -> Operand:
    """`yes` where the condition holds, `no` elsewhere."""
    return np.where(condition, yes, no)


def copysign(size: Operand, sign: Operand) -> Operand:
    """|size| with the sign bit of `sign`, including that of -0."""
    return np.copysign(size, sign)


def power_of_two(shifted: Operand) -> Operand:
    """2**k as a double, given k + ROUNDER, for integer k from -1022 to 1023."""
    bits = np.asarray(shifted, dtype=np.float64).view(np.int64)
    return ((bits + 1023) << 52).view(np.float64)


def expm1_series(r: Operand) -> Operand:
    """e**r - 1 for |r| <= ln(2) / 2: r + r**2 / 2! + ... + r**13 / 13!."""
    q = ((EXPM1[0] * r + EXPM1[1]) * r + EXPM1[2]) * r + EXPM1[3]
    q = (((q * r + EXPM1[4]) * r + EXPM1[5]) * r + EXPM1[6]) * r + EXPM1[7]
    q = (((q * r + EXPM1[8]) * r + EXPM1[9]) * r + EXPM1[10]) * r + EXPM1[11]
    return r + (r * r) * q


def exp(x: Operand) -> Operand:
    """e**x, computed as 2**k e**r with x = k ln 2 + r. Error below 1.5 ulp."""
    y = select(x > EXP_MAX, EXP_MAX, select(x < EXP_MIN, EXP_MIN, x))
    k = (y * LOG2_E + ROUNDER) - ROUNDER
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    half_shifted = k * 0.5 + ROUNDER  # 2**k as two factors: 2**-1075 and 2**1024 are not doubles
    rest_shifted = (k - (half_shifted - ROUNDER)) + ROUNDER
    value = (1.0 + expm1_series(r)) * power_of_two(half_shifted)
    return select(x > EXP_MAX, math.inf, value * power_of_two(rest_shifted))


def exp_of_negative(x: Operand) -> Operand:
    """e**x for x <= 0, with the bits of `exp`."""
    shifted, r = reduced(x)
    return exp_of_reduced(shifted, expm1_series(r))


def reduced(x: Operand) -> tuple[Operand, Operand]:
    """k + ROUNDER and r for x = k ln 2 + r <= 0."""
    y = select(x < EXP_MIN, EXP_MIN, x)
    shifted = y * LOG2_E + ROUNDER
    k = shifted - ROUNDER
    return shifted, (y - k * LN2_HIGH) - k * LN2_LOW


def exp_of_reduced(shifted: Operand, t: Operand) -> Operand:
    """2**k (1 + t) for `shifted` = k + ROUNDER: of two factors of 2**k, 2**-128 is fixed, and only it can round."""
    return ((1.0 + t) * power_of_two(shifted + 128.0)) * (1 / 340282366920938463463374607431768211456)


def expm1(x: Operand) -> Operand:
    """e**x - 1 (-0 for -0), computed as 2**k (e**r - 1) + (2**k - 1) with x = k ln 2 + r. Error below 2.5 ulp."""
    y = select(x > EXP_MAX, EXP_MAX, select(x < -40.0, -40.0, x))  # e**-40 - 1 rounds to -1
    k = (y * LOG2_E + ROUNDER) - ROUNDER
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    last = select(k > 1023.0, 1.0, 0.0)  # 2**1024 is not a double
    scale = power_of_two((k - last) + ROUNDER)
    t = (scale * expm1_series(r) + (scale - 1.0)) * power_of_two(last + ROUNDER)
    return copysign(select(x > EXP_MAX, math.inf, t), x)


def log1p_unit(x: Operand) -> Operand:
    """ln(1 + x) for x in [0, 1]: x - x**2 / 2 + s (x**2 / 2 + R) with s = x / (2 + x).

    This equals 2 artanh(s) = 2 s + s R with R = 2 s**2 / 3 + 2 s**4 / 5 + ... + 2 s**34 / 35, rearranged so that the
    leading term x is exact.
    """
    s = x / (x + 2.0)
    u = s * s
    q = ((2 / 35) * u + 2 / 33) * u + 2 / 31
    q = q * u + 2 / 29
    q = q * u + 2 / 27
    q = q * u + 2 / 25
    q = q * u + 2 / 23
    q = q * u + 2 / 21
    q = q * u + 2 / 19
    q = q * u + 2 / 17
    q = q * u + 2 / 15
    q = q * u + 2 / 13
    q = q * u + 2 / 11
    q = q * u + 2 / 9
    q = q * u + 2 / 7
    q = q * u + 2 / 5
    q = q * u + 2 / 3
    half_square = (x * x) * 0.5
    return x - (half_square - s * (half_square + q * u))


def log_of_sum(x: Operand) -> Operand:
    """ln x for x in [1, 65536), computed as k ln 2 + ln(1 + f) with x = 2**k (1 + f). Error below 2.5 ulp."""
    k = select(x < 256.0, 0.0, 8.0)
    f = select(x < 256.0, x, x * (1 / 256))
    k = select(f < 16.0, k, k + 4.0)
    f = select(f < 16.0, f, f * (1 / 16))
    k = select(f < 4.0, k, k + 2.0)
    f = select(f < 4.0, f, f * (1 / 4))
    k = select(f < 2.0, k, k + 1.0)
    f = select(f < 2.0, f, f * (1 / 2))
    return k * LN2_HIGH + (log1p_unit(f - 1.0) + k * LN2_LOW)


def softplus(x: Operand) -> Operand:
    """ln(1 + e**x), finite for every finite x. Error below 2.5 ulp."""
    return select(x < 0.0, 0.0, x) + log1p_unit(exp_of_negative(-abs(x)))


def sigmoid(x: Operand) -> Operand:
    """1 / (1 + e**-x). Error below 2.5 ulp."""
    e = exp_of_negative(-abs(x))
    return select(x < 0.0, e, 1.0) / (e + 1.0)


def tanh(x: Operand) -> Operand:
    """tanh x, computed as t / (t + 2) with t = e**(2 |x|) - 1 and the sign of x. Error below 2.5 ulp."""
    y = select(abs(x) > 22.0, 22.0, abs(x)) * 2.0  # tanh 22 rounds to 1
    k = (y * LOG2_E + ROUNDER) - ROUNDER
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    scale = power_of_two(k + ROUNDER)
    t = scale * expm1_series(r) + (scale - 1.0)
    return copysign(t / (t + 2.0), x)


def gaussian(t: Operand, high: Operand, low: Operand) -> Operand:
    """(high + low) e**(-t**2 / 2) for t in [0, 39] and |low| much smaller than |high|. Error below 1.5 ulp.

    t is split into a multiple of 2**-21, whose square is exact, and a remainder.
    """
    near = (t + NORMAL_GRID) - NORMAL_GRID
    x = (near * near) * -0.5
    k = (x * LOG2_E + ROUNDER) - ROUNDER
    r = (x - k * LN2_HIGH) - (k * LN2_LOW + (t - near) * ((t + near) * 0.5))
    half_shifted = k * 0.5 + ROUNDER  # as in exp
    rest_shifted = (k - (half_shifted - ROUNDER)) + ROUNDER
    value = high + (low + expm1_series(r) * (high + low))
    return (value * power_of_two(half_shifted)) * power_of_two(rest_shifted)


def normal_pdf(x: Operand) -> Operand:
    """The density of N(0, 1) at x, e**(-x**2 / 2) / sqrt(2 pi). Error below 1.5 ulp."""
    t = abs(x)
    return gaussian(select(t > NORMAL_MAX, NORMAL_MAX, t), NORMAL_PEAK, NORMAL_PEAK_LOW)


def tail_ratio(t: Operand) -> tuple[Operand, Operand]:
    """M(t) = e**(t**2 / 2) Phi(-t), the Mills ratio divided by sqrt(2 pi), as an unevaluated sum (high, low).

    t must be a multiple of 2**-21 in [0, 39]. (t + TAIL_OFFSET) M(t) is the polynomial TAIL in
    s = (t - TAIL_CENTRE) / (t + TAIL_CENTRE), after Shepherd & Laframboise 1981. Even and odd powers are summed
    separately, as two independent dependency chains. `low` is the rounding error of the final addition and division.
    """
    s = (t - TAIL_CENTRE) / (t + TAIL_CENTRE)
    u = s * s
    even = TAIL[22]
    even = even * u + TAIL[20]
    even = even * u + TAIL[18]
    even = even * u + TAIL[16]
    even = even * u + TAIL[14]
    even = even * u + TAIL[12]
    even = even * u + TAIL[10]
    even = even * u + TAIL[8]
    even = even * u + TAIL[6]
    even = even * u + TAIL[4]
    even = even * u + TAIL[2]
    odd = TAIL[21]
    odd = odd * u + TAIL[19]
    odd = odd * u + TAIL[17]
    odd = odd * u + TAIL[15]
    odd = odd * u + TAIL[13]
    odd = odd * u + TAIL[11]
    odd = odd * u + TAIL[9]
    odd = odd * u + TAIL[7]
    odd = odd * u + TAIL[5]
    odd = odd * u + TAIL[3]
    odd = odd * u + TAIL[1]
    change = u * even + s * odd
    product = TAIL[0] + change
    product_low = (TAIL[0] - product) + change
    inverse = 1.0 / (t + TAIL_OFFSET)
    high = (product * inverse + TAIL_GRID) - TAIL_GRID  # few enough bits for an exact product with t + TAIL_OFFSET
    low = ((product - high * (t + TAIL_OFFSET)) + product_low) * inverse
    return high, low


def normal_cdf(x: Operand) -> Operand:
    """Phi(x), the distribution function of N(0, 1), computed as M(-x) e**(-x**2 / 2) for x < 0. Error below 2 ulp.

    M is `tail_ratio` at the nearest multiple of 2**-21 plus two terms of the Taylor series about it, with
    M' = t M - 1 / sqrt(2 pi).
    """
    t = abs(x)
    t = select(t > NORMAL_MAX, NORMAL_MAX, t)
    near = (t + NORMAL_GRID) - NORMAL_GRID
    rest = t - near
    high, low = tail_ratio(near)
    slope = near * (high + low) - NORMAL_PEAK
    curvature = near * slope + high
    tail = gaussian(t, high, low + rest * (slope + (rest * 0.5) * curvature))
    return select(x < 0.0, tail, 1.0 - tail)


def log(x: Operand) -> Operand:
    """ln x for positive normal doubles. Error below 1 ulp. NumPy only."""
    return log_of_parts(*np.frexp(x))


def log_of_parts(significand: Operand, exponent: Operand) -> Operand:
    """ln x for x = significand 2**exponent, significand in [1/2, 1), as k ln 2 + ln(1 + f) with x = 2**k (1 + f)."""
    small = significand < 0.7071067811865476  # sqrt(1/2)
    f = select(small, significand * 2.0, significand) - 1.0
    k = select(small, exponent - 1.0, exponent)
    s = f / (f + 2.0)  # as in log1p_unit
    u = s * s
    q = u * (2 / 25) + 2 / 23
    for n in range(21, 1, -2):
        q = q * u + 2 / n
    half_square = (f * f) * 0.5
    return k * LN2_HIGH - ((half_square - (s * (half_square + q * u) + k * LN2_LOW)) - f)


def circle(turns: Operand) -> tuple[Operand, Operand]:
    """(cos(2 pi turns), sin(2 pi turns)) for turns in [0, 1]. Absolute error below 1e-15. NumPy only."""
    quarter = np.rint(turns * 4.0)
    angle = (turns - quarter * 0.25) * (2.0 * math.pi)  # within [-pi / 4, pi / 4]; the difference is exact
    u = angle * angle
    cosine, sine = np.ones_like(u), np.ones_like(u)
    for n in range(18, 0, -2):
        cosine = 1.0 - u * cosine / (n * (n - 1))
        sine = 1.0 - u * sine / (n * (n + 1))
    sine = angle * sine
    quadrant, odd = quarter % 4, quarter % 2 == 1
    first, second = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    is_left, is_below = (quadrant == 1) | (quadrant == 2), quadrant > 1
    return np.where(is_left, -first, first), np.where(is_below, -second, second)
