"""Random draws from the frozen stream of `numpy.random.RandomState`, with the same bits on every computer.

NumPy guarantees the bits of RandomState's uniform doubles permanently (NEP 19); they are scaled integers. Its `uniform`
scales them in C, where a compiler may fuse the multiplication and the addition; here that is done on NumPy arrays. Its
`randn` uses the logarithm of the C library, which can differ by 1 ulp between systems; here the same polar method
(Marsaglia & Bray 1964) uses the logarithm of `elementary`. `normal` therefore reproduces `randn`: the same numbers in
the same order, 97 % of them bit for bit and the others within 4 ulp, and the same generator state afterwards.
"""

import functools
import importlib.util
import math

import numpy as np

from pipeline.numerics.elementary import NORMAL_MAX, log, normal_cdf, normal_pdf
from pipeline.numerics.sums import LANES, SLACK, Array

PAIRS = 8192  # drawn at a time, so that intermediate results stay in the cache
COMPILED = 1024  # pairs from which compiled code is used: NumPy is slower, and threads that draw wait for each other


def uniform(rng: np.random.RandomState, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Independent draws from U(low, high), in the order of `rng.uniform(low, high, shape)`."""
    return low + (high - low) * rng.random_sample(shape)


def normal(rng: np.random.RandomState, shape: tuple[int, ...]) -> Array:
    """Independent draws from N(0, 1), in the order of `rng.randn(*shape)`."""
    n = math.prod(shape)
    drawn = np.empty(n + LANES)  # room for the second of the last pair
    is_cached, value = _cached_normal(rng)
    start = min(n, int(is_cached))
    drawn[:start] = value
    pairs = drawn[start : start + 2 * ((n - start + 1) // 2)]
    for place in range(0, len(pairs), 2 * PAIRS):
        part = pairs[place : place + 2 * PAIRS]
        (compiled_pairs if len(part) >= 2 * COMPILED and has_compiler() else normal_pairs)(rng, part)
    if n > 0:
        _set_cached_normal(rng, drawn[n] if (n - start) % 2 else None)
    return drawn[:n].reshape(shape)


def normal_pairs(rng: np.random.RandomState, drawn: Array) -> None:
    """Fill `drawn` (2 n,) with n pairs of independent draws from N(0, 1), the second of each before the first."""
    pairs = _pairs_in_disc(rng, len(drawn) // 2)
    square = pairs[:, 0] * pairs[:, 0] + pairs[:, 1] * pairs[:, 1]
    factor = np.sqrt(-2.0 * log(square) / square)
    drawn[::2], drawn[1::2] = pairs[:, 1] * factor, pairs[:, 0] * factor


def compiled_pairs(rng: np.random.RandomState, drawn: Array) -> None:
    """As `normal_pairs`, the same bits, by compiled code that does not hold Python's lock of the interpreter."""
    from pipeline.numerics.matmul import compiled  # imports llvmlite

    n, room, found = len(drawn) // 2, np.ones((3, len(drawn) // 2 + SLACK)), np.zeros(1, dtype=np.int64)
    places, count = [row.ctypes.data for row in room], found.ctypes.data
    while (missing := n - int(found[0])) > 0:  # an extra point would advance the stream
        points = rng.random_sample(2 * missing)
        compiled["keep_in_disc"](points.ctypes.data, missing, *places, count)
    compiled["turn"](n, *places, drawn.ctypes.data)


@functools.cache
def has_compiler() -> bool:
    """Whether Numba is installed: the audit needs NumPy alone."""
    return importlib.util.find_spec("numba") is not None


def truncated_normal(rng: np.random.RandomState, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Independent draws from N(0, 1) truncated to [low, high].

    By rejection: the whole array is drawn from `normal`; entries outside the interval are redrawn together, in array
    order, until none is left. Entries accepted at first equal those of `normal` from the same state.
    """
    drawn = normal(rng, shape)
    while (outside := (drawn < low) | (drawn > high)).any():
        drawn[outside] = normal(rng, (int(np.count_nonzero(outside)),))
    return drawn


def truncated_moments(low: float, high: float) -> tuple[float, float]:
    """Mean and variance of N(0, 1) truncated to [low, high]; error below 1e-13 if its probability is at least 0.01.

    With density p and distribution function P: the mean is m = (p(low) - p(high)) / Z, Z = P(high) - P(low), and the
    variance 1 + (low p(low) - high p(high)) / Z - m^2.
    """
    a, b = max(low, -NORMAL_MAX), min(high, NORMAL_MAX)  # the density is 0 beyond
    density_a, density_b = float(normal_pdf(a)), float(normal_pdf(b))
    mass = float(normal_cdf(b)) - float(normal_cdf(a))
    mean = (density_a - density_b) / mass
    return mean, 1.0 + (a * density_a - b * density_b) / mass - mean * mean


def _pairs_in_disc(rng: np.random.RandomState, n: int) -> Array:
    """n uniform points (n, 2) in the open unit disc without its centre, by rejection from the square."""
    found = np.empty((0, 2))
    while len(found) < n:  # draws exactly the missing number: an extra pair would advance the stream
        points = 2.0 * rng.random_sample((n - len(found), 2)) - 1.0
        square = points[:, 0] * points[:, 0] + points[:, 1] * points[:, 1]
        inside = points.compress((square < 1.0) & (square > 0.0), axis=0)  # much faster than points[...]
        found = np.concatenate([found, inside])
    return found


def _cached_normal(rng: np.random.RandomState) -> tuple[bool, float]:
    """Whether the generator caches the second normal draw of a pair, and that draw."""
    state = rng.get_state(legacy=False)
    return bool(state["has_gauss"]), float(state["gauss"])


def _set_cached_normal(rng: np.random.RandomState, value: float | None) -> None:
    """Set the cached second normal draw of a pair of the generator to `value`, or clear it if None."""
    state = rng.get_state(legacy=False)
    state["has_gauss"], state["gauss"] = int(value is not None), value if value is not None else 0.0
    rng.set_state(state)
