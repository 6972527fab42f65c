"""Matrix products and sums over samples, compiled by Numba from the inner loops of `tiles`."""

from typing import Any

from pipeline.numerics.simd import native
from pipeline.numerics.sums import BLOCK, DOUBLE, LANES
from pipeline.numerics.tiles import TILE, emit_lane_sums, emit_product, strip


@native
def strip_height(n_rows: int) -> int:
    """The number of rows of each horizontal strip but the last: at most TILE[0], and nearly equal for all strips."""
    n_strips = max(1, (n_rows + TILE[0] - 1) // TILE[0])
    return max(1, (n_rows + n_strips - 1) // n_strips)


def product(scaled: bool, function: Any = None) -> Any:
    """A compiled function that computes Z = f(W A + b), or Z = (W A) * f(Z) if `scaled`, with f(x) = x by default.

    W is (n_rows, n_terms) with any row and column strides; A and Z have n_blocks blocks of eight samples. Addresses are
    in bytes, strides in doubles. Horizontal strips of nearly equal height are computed one after another.
    """
    product_strip = strip(emit_product(scaled, function), 8)

    @native
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
        height = strip_height(n_rows)
        for i in range(0, n_rows, height):
            rows = min(height, n_rows - i)
            w, z = W + DOUBLE * i * row_step, Z + DOUBLE * i * Z_step
            product_strip(rows, n_blocks, (w, row_step, term_step, n_terms, A, A_step, z, Z_step))

    return run


biased_product, scaled_product = product(scaled=False), product(scaled=True)


def sums_over_samples(with_bias: bool) -> Any:
    """A compiled function that adds D A', as eight lanes per entry, to G (n_rows, n_columns, 8), or replaces G by it.

    G is replaced unless `continued`. If `with_bias`, G is (n_rows, n_columns + 1, 8), and its last column has the sums
    of D.
    """
    sums_strip = strip(emit_lane_sums(False), 8, emit_lane_sums(True) if with_bias else None)
    width = int(with_bias)

    @native
    def run(
        D: int,
        D_step: int,
        n_rows: int,
        A: int,
        A_step: int,
        n_columns: int,
        n_blocks: int,
        G: int,
        continued: bool,
    ) -> None:
        height, G_step = strip_height(n_rows), n_columns + width
        for i in range(0, n_rows, height):
            rows = min(height, n_rows - i)
            d, g = D + DOUBLE * i * D_step, G + BLOCK * i * G_step
            sums_strip(rows, n_columns, (d, D_step, A, A_step, n_blocks, g, LANES * G_step, int(continued)))

    return run


lane_sums, lane_sums_with_bias = sums_over_samples(with_bias=False), sums_over_samples(with_bias=True)
