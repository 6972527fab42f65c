"""The compiled functions of `matmul`: products for a stack of models, and Gram-Schmidt, by the loops of the kernel."""

import math

from numba import njit

from pipeline.numerics.loops import lane_sums, scaled_product
from pipeline.numerics.simd import everywhere, lane_total
from pipeline.numerics.sums import BLOCK, DOUBLE, LANES
from pipeline.numerics.tiles import load_vector, store, store_double

CHUNK = 32  # blocks of eight columns processed for all rows before the next, so that they stay in the cache


@njit
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


@njit
def products_over_samples(
    n_models: int, n_rows: int, n_columns: int, A_model: int, step: int, D: int, A: int, lanes: int, G: int
) -> None:
    n = n_rows * n_columns
    for model in range(n_models):
        d, a, g = D + DOUBLE * n_rows * step * model, A + DOUBLE * A_model * model, G + DOUBLE * n * model
        lane_sums(d, step, n_rows, a, step, n_columns, step // LANES, lanes, False)
        for k in range(n):
            store_double(lane_total(load_vector(lanes, LANES * k)), g, k)


@njit
def dot_products(rows: int, n_rows: int, x: int, step: int, sums: int) -> None:
    """Write to `sums` the eight lanes of each row's dot product with x."""
    lane_sums(rows, step, n_rows, x, step, 1, step // LANES, sums, False)


@njit
def project(Q: int, n_rows: int, step: int, shares: int, sums: int) -> None:
    """Orthonormalize rows 1 to n_rows of Q in place; row 0 is scratch space for the current row.

    x - s_1 q_1 - ... is computed as 1 x + (-s_1) q_1 + ...
    """
    n_blocks = step // LANES
    store_double(1.0, shares, 0)
    for k in range(1, n_rows + 1):
        own = Q + DOUBLE * step * k
        for place in range(0, step, LANES):
            store(load_vector(own, place), Q, place)
        for _twice in range(2):
            dot_products(Q + DOUBLE * step, k - 1, Q, step, sums)
            for j in range(1, k):
                store_double(-lane_total(load_vector(sums, LANES * (j - 1))), shares, j)
            for place in range(0, step, LANES):
                store(everywhere(1.0), own, place)
            scaled_product(shares, k, 1, 1, k, Q, step, own, step, n_blocks)
            for place in range(0, step, LANES):
                store(load_vector(own, place), Q, place)
        dot_products(Q, 1, Q, step, sums)
        length = math.sqrt(lane_total(load_vector(sums, 0)))
        for place in range(0, step, LANES):
            store(load_vector(Q, place) / length, own, place)


ENTRY_POINTS = (products, products_over_samples, project)
