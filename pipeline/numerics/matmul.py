"""Matrix products for a stack of models: the bits of `networks.reference`, by the inner loops of the kernel.

The diagnostics need the signals and gradients of each layer, which the training kernel does not keep, and NumPy loops
take minutes for layers of 1,000 units. BLAS cannot be used, not even with rounded results: its order of summation
depends on the processor, and a deep chaotic network amplifies 1 ulp to a different state within one forward pass.
"""

from typing import Any

import numpy as np
from numba import njit

from pipeline.numerics.loops import BLOCK, DOUBLE, lane_sums, scaled_product
from pipeline.numerics.numba_cache import source_digest
from pipeline.numerics.simd import everywhere, lane_total
from pipeline.numerics.sums import LANES, Array, pad
from pipeline.numerics.tiles import load_vector, store, store_double

CHUNK = 32  # blocks of eight columns processed for all rows before the next, so that they stay in the cache


def product(W: Array, A: Array) -> Array:
    """W A (models, n, m), summed in the order of `reference.product`.

    W is (models, n, k); A is (models, k, m), or (k, m) shared by all models.
    """
    n_models, n, k = W.shape
    inputs = np.ascontiguousarray(pad(A))  # np.pad keeps the memory order of a transposed matrix
    steps = [step // DOUBLE for step in W.strides]
    A_step = inputs.shape[-1]
    A_model = k * A_step if A.ndim == 3 else 0
    Z = np.ones((n_models, n, A_step))
    products(W.ctypes.data, *steps, n_models, n, k, inputs.ctypes.data, A_model, A_step, Z.ctypes.data)
    return Z[..., : A.shape[-1]]


def product_over_samples(D: Array, A: Array) -> Array:
    """D A' (models, n, k), summed over samples in the order of `lane_sum`: weight gradients from D = dZ.

    D is (models, n, m); A is (models, k, m), or (k, m) shared by all models.
    """
    n_models, n, _ = D.shape
    slopes, inputs = np.ascontiguousarray(pad(D)), np.ascontiguousarray(pad(A))
    k, step = inputs.shape[-2:]
    A_model = k * step if A.ndim == 3 else 0
    lanes, G = np.empty((n, k, LANES)), np.empty((n_models, n, k))
    places = slopes.ctypes.data, inputs.ctypes.data, lanes.ctypes.data, G.ctypes.data
    products_over_samples(n_models, n, k, A_model, step, *places)
    return G


def entry_points(sources: str) -> tuple[Any, Any]:
    """The two compiled functions. `sources` is part of the key under which Numba caches them on disk."""

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
        _ = sources
        n_blocks = A_step // LANES
        for model in range(n_models):
            w, a, z = (W + DOUBLE * W_model * model, A + DOUBLE * A_model * model, Z + DOUBLE * n_rows * A_step * model)
            for first in range(0, n_blocks, CHUNK):
                n, start = min(CHUNK, n_blocks - first), BLOCK * first
                scaled_product(w, row_step, term_step, n_rows, n_terms, a + start, A_step, z + start, A_step, n)

    def products_over_samples(
        n_models: int, n_rows: int, n_columns: int, A_model: int, step: int, D: int, A: int, lanes: int, G: int
    ) -> None:
        _ = sources
        n = n_rows * n_columns
        for model in range(n_models):
            d, a, g = D + DOUBLE * n_rows * step * model, A + DOUBLE * A_model * model, G + DOUBLE * n * model
            for k in range(n):
                store(everywhere(0.0), lanes, LANES * k)
            lane_sums(d, step, n_rows, a, step, n_columns, step // LANES, lanes)
            for k in range(n):
                store_double(lane_total(load_vector(lanes, LANES * k)), g, k)

    compile = njit(nogil=True, cache=True)
    return compile(products), compile(products_over_samples)


products, products_over_samples = entry_points(source_digest(__name__))
