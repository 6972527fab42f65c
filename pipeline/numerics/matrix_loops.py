"""The compiled functions of `matmul` and `random`.

These are products for a stack of models and Gram-Schmidt, by the loops of the kernel, and the polar method.
"""

import math

from pipeline.numerics.elementary import log_of_parts
from pipeline.numerics.loops import lane_sums, scaled_product
from pipeline.numerics.simd import everywhere, exponent, lane_total, native, significand, square_root
from pipeline.numerics.sums import BLOCK, DOUBLE, LANES
from pipeline.numerics.tiles import (
    WIDE,
    load_double,
    load_integer,
    load_vector,
    load_wide,
    store,
)

CHUNK = 32  # blocks of eight columns processed for all rows before the next, so that they stay in the cache


@native
def products(
    W: int,
    W_model: int,
    row_step: int,
    term_step: int,
    n_models: int,
    n_rows: int,
    n_terms: int,
    A: int,
    A_model: int,
    A_step: int,
    Z: int,
) -> None:
    """Multiply Z, which must hold ones, elementwise by W A."""
    n_blocks = A_step // LANES
    for model in range(n_models):
        w, a, z = (W + DOUBLE * W_model * model, A + DOUBLE * A_model * model, Z + DOUBLE * n_rows * A_step * model)
        for first in range(0, n_blocks, CHUNK):
            n, start = min(CHUNK, n_blocks - first), BLOCK * first
            scaled_product(w, row_step, term_step, n_rows, n_terms, a + start, A_step, z + start, A_step, n)


@native
def products_over_samples(
    n_models: int, n_rows: int, n_columns: int, A_model: int, step: int, D: int, A: int, lanes: int, G: int
) -> None:
    n = n_rows * n_columns
    for model in range(n_models):
        d, a, g = D + DOUBLE * n_rows * step * model, A + DOUBLE * A_model * model, G + DOUBLE * n * model
        lane_sums(d, step, n_rows, a, step, n_columns, step // LANES, lanes, False)
        for k in range(n):
            store(lane_total(load_vector(lanes, LANES * k)), g, k)


@native
def dot_products(rows: int, n_rows: int, x: int, step: int, sums: int) -> None:
    """Write to `sums` the eight lanes of each row's dot product with x."""
    lane_sums(rows, step, n_rows, x, step, 1, step // LANES, sums, False)


@native
def project(Q: int, n_rows: int, step: int, shares: int, sums: int) -> None:
    """Orthonormalize rows 1 to n_rows of Q in place; row 0 is scratch space for the current row.

    x - s_1 q_1 - ... is computed as 1 x + (-s_1) q_1 + ...
    """
    n_blocks = step // LANES
    store(1.0, shares, 0)
    for k in range(1, n_rows + 1):
        own = Q + DOUBLE * step * k
        for place in range(0, step, LANES):
            store(load_vector(own, place), Q, place)
        for _twice in range(2):
            dot_products(Q + DOUBLE * step, k - 1, Q, step, sums)
            for j in range(1, k):
                store(-lane_total(load_vector(sums, LANES * (j - 1))), shares, j)
            for place in range(0, step, LANES):
                store(everywhere(1.0), own, place)
            scaled_product(shares, k, 1, 1, k, Q, step, own, step, n_blocks)
            for place in range(0, step, LANES):
                store(load_vector(own, place), Q, place)
        dot_products(Q, 1, Q, step, sums)
        length = math.sqrt(lane_total(load_vector(sums, 0)))
        for place in range(0, step, LANES):
            store(load_vector(Q, place) / length, own, place)


@native
def keep_in_disc(points: int, n_points: int, x: int, y: int, square: int, found: int) -> None:
    """Append 2 u - 1 of those points u (n_points, 2) that are in the unit disc, not its centre, and their squares.

    `found` is the address of the number of points in x, y and square, which have one place more than needed.
    """
    n = load_integer(found, 0)
    for k in range(n_points):
        a, b = 2.0 * load_double(points, 2 * k) - 1.0, 2.0 * load_double(points, 2 * k + 1) - 1.0
        r = a * a + b * b
        store(a, x, n)
        store(b, y, n)
        store(r, square, n)
        n += int(0.0 < r < 1.0)
    store(n, found, 0)


@native
def turn(n_points: int, x: int, y: int, square: int, drawn: int) -> None:
    """Write the pairs (y, x) sqrt(-2 ln(r) / r), r = square, to `drawn`. All have room for whole wide vectors."""
    for place in range(0, n_points, WIDE):
        r = load_wide(square, place)
        store(square_root(-2.0 * log_of_parts(significand(r), exponent(r)) / r), square, place)
    for k in range(n_points):
        factor = load_double(square, k)
        store(load_double(y, k) * factor, drawn, 2 * k)
        store(load_double(x, k) * factor, drawn, 2 * k + 1)


ENTRY_POINTS = (products, products_over_samples, project, keep_in_disc, turn)
