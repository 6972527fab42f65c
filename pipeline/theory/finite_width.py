"""Exact finite-width results for ReLU networks with He's normal weights at one input.

With W ~ N(0, 2 / fan_in), no biases and a nonzero input, a ReLU layer of n units multiplies the mean square of the
activations by R = (2 / n) sum_i relu(g_i)^2 with g_i ~ N(0, 1) independent of the layers below: (2 / n) chi^2 with k
degrees of freedom, where k ~ B(n, 1/2) is the number of active units. E[R] = 1 for every n, but E[log R] < 0, so the
signal of a typical network decreases with depth. The last layer is linear: with m the mean square of the activations
below it, q_L = |z_L|^2 / n_L = 2 m chi^2 / n_L with n_L degrees of freedom. The bits are the same on every computer;
the built-in `sum`, whose result changed with Python 3.12, is not used.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from pipeline.numerics import elementary

EULER = 0.5772156649015329
LN2 = 0.6931471805599453


class Log(NamedTuple):
    """Mean and variance of the logarithm of a factor, over networks that are not dead."""

    mean: float
    variance: float


def second_moment_growth(hidden: Sequence[int], n_out: int | None = None) -> float:
    """E[m^2] / E[m]^2 = prod_l (1 + 5 / n_l), m being the mean square of the activations of the last ReLU layer.

    `hidden` are the widths n_l of the ReLU layers. With n_out, E[q_L^2] / E[q_L]^2, which has the additional factor
    1 + 2 / n_out. The growth is exponential in the sum of 1 / n_l (Hanin & Rolnick 2018). Raises ValueError for widths
    below 1.
    """
    _check(hidden, n_out)
    growth = 1.0
    for n in hidden:
        growth = growth * (1.0 + 5.0 / n)
    return growth if n_out is None else growth * (1.0 + 2.0 / n_out)


@cache
def relu_log(n: int) -> Log:
    """E[log R] and Var[log R] of a ReLU layer of n >= 1 units, given that at least one is active.

    E = sum_k C(n, k) / (2^n - 1) (psi(k / 2) + log 2) - log(n / 2), about -5 / (2 n); Var about 5 / n.
    """
    _check([n], None)
    alive = (1 << n) - 1
    ways, shares = 1, []
    for k in range(1, n + 1):
        ways = ways * (n - k + 1) // k
        shares.append(ways / alive)  # integers: rounded once
    digamma, trigamma = _polygamma(n)
    mean = spread = 0.0
    for share, psi in zip(shares, digamma, strict=True):
        mean = mean + share * psi
    for share, psi, curvature in zip(shares, digamma, trigamma, strict=True):
        spread = spread + share * (curvature + (psi - mean) * (psi - mean))
    return Log(mean + 2.0 * LN2 - float(elementary.log(float(n))), spread)


@cache
def linear_log(n: int) -> Log:
    """E and Var of log(chi^2_n / n) for a linear layer of n >= 1 units: psi(n / 2) - log(n / 2) and psi'(n / 2)."""
    _check([n], None)
    digamma, trigamma = _polygamma(n)
    return Log(digamma[-1] + LN2 - float(elementary.log(float(n))), trigamma[-1])


def log_signal(hidden: Sequence[int], n_out: int | None = None) -> Log:
    """Mean and variance of log(m / E[m]) over networks that are not dead; with n_out, of log(q_L / E[q_L]).

    Both are sums over the layers. A typical q_L is e^mean times the mean-field prediction. E is over all networks.
    """
    _check(hidden, n_out)
    mean = variance = 0.0
    for layer in [relu_log(n) for n in hidden] + ([] if n_out is None else [linear_log(n_out)]):
        mean, variance = mean + layer.mean, variance + layer.variance
    return Log(mean, variance)


def born_dead(hidden: Sequence[int]) -> float:
    """1 - prod_l (1 - 2^-n_l): the probability that the network is born dead (Lu et al. 2019).

    That is, that all activations of some ReLU layer are 0 at one input, for weights of any symmetric continuous
    distribution and without biases. Relative error of rounding only, also for very small probabilities.
    """
    _check(hidden, None)
    dead = 0.0
    for n in hidden:
        dead = dead + (1.0 - dead) * math.ldexp(1.0, -n)
    return dead


def born_dead_on_the_line(width: int, depth: int) -> tuple[float, float]:
    """Bounds on the probability that `depth` ReLU layers without biases are 0 at every input of the real line.

    The two halves of the line are two inputs, of which each is dead by layer l + 1 with probability
    d_l = 1 - (1 - 2^-n)^l if it is not in the first layer. In the first layer all n weights have one sign with
    probability 2^(1-n), and one half of the line is dead; otherwise the activations of the two halves are orthogonal.
    Both halves are dead at the end with a probability between that of independent halves, which is
    2^(1-n) d + (1 - 2^(1-n)) d^2 with d = d_(depth-1), and that of equal ones, d: the angle of nonnegative vectors is
    at most a right one, at which they are independent. The lower bound is exact for 2 layers. (Cf. Lu et al. 2019.)
    """
    _check([width] * depth, None)
    dead = born_dead([width] * (depth - 1))
    one_sign = math.ldexp(1.0, 1 - width)
    return one_sign * dead + (1.0 - one_sign) * (dead * dead), dead


def _polygamma(n: int) -> tuple[list[float], list[float]]:
    """[psi(k / 2)] and [psi'(k / 2)] for k = 1 ... n, by psi(x + 1) = psi(x) + 1 / x and its derivative."""
    digamma = [-EULER - 2.0 * LN2, -EULER]
    trigamma = [math.pi * math.pi / 2.0, math.pi * math.pi / 6.0]
    for k in range(1, n - 1):
        digamma.append(digamma[k - 1] + 2.0 / k)
        trigamma.append(trigamma[k - 1] - 4.0 / (k * k))
    return digamma[:n], trigamma[:n]


def _check(hidden: Sequence[int], n_out: int | None) -> None:
    for n in [*hidden, *([] if n_out is None else [n_out])]:
        if n < 1:
            raise ValueError(f"a layer must have at least 1 unit, not {n}")
