"""Elementary functions with the same bits on every computer.

The C library's `exp` and NumPy's own differ in the last bit from one processor to the next, and a bit is
enough to change a chaotic training run. Here each function is a fixed sequence of IEEE 754 additions,
subtractions, multiplications, divisions and selections: no fused multiply-add, no library call.
tests/test_elementary.py measures their errors against mpmath.

A function takes anything that has the four operators and comparisons and for which the primitives `select`,
`copysign` and `power_of_two` are defined: NumPy arrays here, vectors of eight lanes in the compiled kernel.
The coefficients are those of the Taylor series, so that they can be checked by eye; the ranges are reduced
until the series, cut where it is, is good to a tenth of an ulp.
"""

import math
from typing import Any

import numpy as np

Number = Any  # a float, an array or a vector of lanes

LOG2_E = 1.4426950408889634
LN2_HIGH = float.fromhex("0x1.62e42fefa0000p-1")  # ln 2 to 41 bits: k * LN2_HIGH is exact for |k| < 2**12
LN2_LOW = float.fromhex("0x1.cf79abc9e3b3ap-40")  # ln 2 - LN2_HIGH
ROUNDER = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to a whole number, in the low bits of the sum
EXP_MAX = 709.782712893384  # the last double whose exponential is finite
EXP_MIN = -746.0  # below: exp rounds to 0


def select(condition: Number, yes: Number, no: Number) -> Number:
    """`yes` where the condition holds, `no` elsewhere."""
    return np.where(condition, yes, no)


def copysign(size: Number, sign: Number) -> Number:
    """|size| with the sign of `sign`, that of a zero too."""
    return np.copysign(size, sign)


def power_of_two(shifted: Number) -> Number:
    """2**k as a double from k + ROUNDER, for whole k from -1022 to 1023."""
    bits = np.asarray(shifted, dtype=np.float64).view(np.int64)
    return ((bits + 1023) << 52).view(np.float64)


def expm1_series(r: Number) -> Number:
    """e**r - 1 for |r| <= ln(2) / 2: r + r**2 / 2! + ... + r**13 / 13!."""
    q = 1 / 6227020800
    q = q * r + 1 / 479001600
    q = q * r + 1 / 39916800
    q = q * r + 1 / 3628800
    q = q * r + 1 / 362880
    q = q * r + 1 / 40320
    q = q * r + 1 / 5040
    q = q * r + 1 / 720
    q = q * r + 1 / 120
    q = q * r + 1 / 24
    q = q * r + 1 / 6
    q = q * r + 1 / 2
    return r + (r * r) * q


def exp(x: Number) -> Number:
    """e**x: with x = k ln 2 + r, 2**k e**r. Error below 1.5 ulp."""
    y = select(x > EXP_MAX, EXP_MAX, select(x < EXP_MIN, EXP_MIN, x))
    k = (y * LOG2_E + ROUNDER) - ROUNDER
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    half_shifted = k * 0.5 + ROUNDER  # 2**k in two factors, since 2**-1075 and 2**1024 are no doubles
    rest_shifted = (k - (half_shifted - ROUNDER)) + ROUNDER
    scaled = ((1.0 + expm1_series(r)) * power_of_two(half_shifted)) * power_of_two(rest_shifted)
    return select(x > EXP_MAX, math.inf, scaled)


def log1p_unit(x: Number) -> Number:
    """ln(1 + x) for x in [0, 1]: x - x**2 / 2 + s (x**2 / 2 + R) with s = x / (2 + x).

    It is 2 artanh(s) = 2 s + s R, where R = 2 s**2 / 3 + 2 s**4 / 5 + ... + 2 s**34 / 35; put this way the
    leading x is exact.
    """
    s = x / (x + 2.0)
    u = s * s
    q = 2 / 35
    q = q * u + 2 / 33
    q = q * u + 2 / 31
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


def softplus(x: Number) -> Number:
    """ln(1 + e**x), finite for every finite x. Error below 2.5 ulp."""
    return select(x < 0.0, 0.0, x) + log1p_unit(exp(-abs(x)))


def sigmoid(x: Number) -> Number:
    """1 / (1 + e**-x). Error below 2.5 ulp."""
    e = exp(-abs(x))
    return select(x < 0.0, e, 1.0) / (e + 1.0)


def tanh(x: Number) -> Number:
    """t / (t + 2) with t = e**(2 |x|) - 1, the sign of x put back. Error below 2.5 ulp."""
    y = abs(x)
    y = select(y > 22.0, 22.0, y) * 2.0  # tanh 22 rounds to 1
    k = (y * LOG2_E + ROUNDER) - ROUNDER
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    scale = power_of_two(k + ROUNDER)
    t = scale * expm1_series(r) + (scale - 1.0)
    return copysign(t / (t + 2.0), x)


def log(x: Number) -> Number:
    """ln x of positive, normal doubles: with x = 2**k (1 + f), k ln 2 + ln(1 + f). Error below 1 ulp. NumPy only."""
    significand, exponent = np.frexp(x)
    small = significand < math.sqrt(0.5)
    f = np.where(small, significand * 2.0, significand) - 1.0
    k = np.where(small, exponent - 1, exponent).astype(np.float64)
    s = f / (f + 2.0)  # as in log1p_unit
    u = s * s
    q = 2 / 25 * np.ones_like(u)
    for n in range(23, 1, -2):
        q = q * u + 2 / n
    half_square = (f * f) * 0.5
    return k * LN2_HIGH - ((half_square - (s * (half_square + q * u) + k * LN2_LOW)) - f)


def circle(turns: Number) -> tuple[Number, Number]:
    """The cosine and the sine of 2 pi * turns, for turns in [0, 1]. Error below 1e-15. NumPy only."""
    quarter = np.rint(turns * 4.0)
    angle = (turns - quarter * 0.25) * (2.0 * math.pi)  # within [-pi / 4, pi / 4]; the difference is exact
    u = angle * angle
    cosine, sine = np.ones_like(u), np.ones_like(u)
    for n in range(18, 0, -2):
        cosine = 1.0 - u * cosine / (n * (n - 1))
        sine = 1.0 - u * sine / (n * (n + 1))
    sine = angle * sine
    quadrant = quarter % 4
    odd = (quadrant == 1) | (quadrant == 3)
    first, second = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    return (
        np.where((quadrant == 1) | (quadrant == 2), -first, first),
        np.where((quadrant == 2) | (quadrant == 3), -second, second),
    )
