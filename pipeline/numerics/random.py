"""Draws from the frozen stream of `numpy.random.RandomState`, with the same bits on every computer.

NumPy keeps the bits of RandomState's uniform doubles for ever (NEP 19); they are integers, scaled. Its `uniform`
scales them further in C, where a compiler may fuse the product and the sum; here NumPy's arrays do that. Its `randn`
takes the logarithm from the C library, whose last bit may differ between systems. Here the same polar method
(Marsaglia & Bray 1964) takes the logarithm from `elementary`. So `normal` is `randn`: the same numbers in the same
order, 97 in 100 bit for bit and the others within four ulp, and the generator left in the same state.
"""

import math

import numpy as np

from pipeline.numerics.elementary import log
from pipeline.numerics.sums import Array


def uniform(rng: np.random.RandomState, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Independent draws from U(low, high), as `rng.uniform(low, high, shape)` makes them."""
    return low + (high - low) * rng.random_sample(shape)


def normal(rng: np.random.RandomState, shape: tuple[int, ...]) -> Array:
    """Independent draws from N(0, 1), as `rng.randn(*shape)` makes them."""
    n = math.prod(shape)
    drawn = np.empty(n)
    kept_back, value = _spare(rng)
    start = min(n, int(kept_back))
    drawn[:start] = value
    n_pairs = (n - start + 1) // 2
    pairs = _pairs_in_disc(rng, n_pairs)
    square = pairs[:, 0] * pairs[:, 0] + pairs[:, 1] * pairs[:, 1]
    factor = np.sqrt(-2.0 * log(square) / square)
    made = (pairs[:, ::-1] * factor[:, None]).ravel()  # the second of a pair comes first, as in NumPy
    drawn[start:] = made[: n - start]
    if n > 0:
        _keep(rng, made[-1] if len(made) > n - start else None)
    return drawn.reshape(shape)


def truncated_normal(rng: np.random.RandomState, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Independent draws from N(0, 1) within [low, high].

    By rejection: the whole array is drawn from `normal`; then, as often as needed, the entries that lie outside are
    drawn anew together, in their order. So most entries are those of `normal` from the same state.
    """
    drawn = normal(rng, shape)
    while (outside := (drawn < low) | (drawn > high)).any():
        drawn[outside] = normal(rng, (int(np.count_nonzero(outside)),))
    return drawn


def _pairs_in_disc(rng: np.random.RandomState, n: int) -> Array:
    """(n, 2) points of the open unit disc without its centre, by rejection from the square."""
    found = np.empty((0, 2))
    while len(found) < n:  # never more than are missing: a pair too many would move the stream
        points = 2.0 * rng.random_sample((n - len(found), 2)) - 1.0
        square = points[:, 0] * points[:, 0] + points[:, 1] * points[:, 1]
        found = np.concatenate([found, points[(square < 1.0) & (square > 0.0)]])
    return found


def _spare(rng: np.random.RandomState) -> tuple[bool, float]:
    """Whether the generator keeps back the second draw of a pair, and that draw."""
    state = rng.get_state(legacy=False)
    return bool(state["has_gauss"]), float(state["gauss"])


def _keep(rng: np.random.RandomState, value: float | None) -> None:
    """Let the generator keep back `value` as the second draw of a pair, or nothing."""
    state = rng.get_state(legacy=False)
    state["has_gauss"], state["gauss"] = int(value is not None), value if value is not None else 0.0
    rng.set_state(state)
