"""Matrix products and sums over samples, compiled by Numba from the inner loops of `tiles`."""

from typing import Any

from numba import njit

from pipeline.numerics.sums import BLOCK, DOUBLE, LANES
from pipeline.numerics.tiles import TILE, biased_product_strip, lane_sums_strip, scaled_product_strip

STRIP = TILE[0]  # rows


def strip_by_strip(strip: Any) -> Any:
    """A compiled function run(...) that applies `strip` to horizontal strips of nearly equal height.

    It computes Z = W A + b or Z = (W A) * Z for W (n_rows, n_terms) with any row and column strides, and A and Z of
    n_blocks blocks of eight samples. Addresses are in bytes, strides in doubles.
    """

    @njit
    def run(
        W: int,
        row_step: int,
        term_step: int,
        n_rows: int,
        n_terms: int,
        A: int,
        A_step: int,
        Z: int,
        Z_step: int,
        n_blocks: int,
    ) -> None:
        n_strips = (n_rows + STRIP - 1) // STRIP
        for s in range(n_strips):
            i = s * n_rows // n_strips
            rows = (s + 1) * n_rows // n_strips - i
            w, z = W + DOUBLE * i * row_step, Z + DOUBLE * i * Z_step
            strip(rows, n_blocks, (w, row_step, term_step, n_terms, A, A_step, z, Z_step))

    return run


biased_product, scaled_product = strip_by_strip(biased_product_strip), strip_by_strip(scaled_product_strip)


@njit
def lane_sums(D: int, D_step: int, n_rows: int, A: int, A_step: int, n_columns: int, n_blocks: int, G: int) -> None:
    """Add D A', as eight lanes per entry, to G (n_rows, n_columns, 8)."""
    n_strips = (n_rows + STRIP - 1) // STRIP
    for s in range(n_strips):
        i = s * n_rows // n_strips
        rows = (s + 1) * n_rows // n_strips - i
        d, g = D + DOUBLE * i * D_step, G + BLOCK * i * n_columns
        lane_sums_strip(rows, n_columns, (d, D_step, A, A_step, n_blocks, g, LANES * n_columns))
