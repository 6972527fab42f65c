"""Matrix products for a stack of models: the bits of `networks.reference`, by the inner loops of the kernel.

The diagnostics need the signals and gradients of each layer, which the training kernel does not keep, and NumPy loops
take minutes for layers of 1,000 units. BLAS cannot be used, not even with rounded results: its order of summation
depends on the processor, and a deep chaotic network amplifies 1 ulp to a different state within one forward pass.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.numerics import machine_code
from pipeline.numerics.sums import DOUBLE, LANES, Array, pad


def entry_points() -> Sequence[Any]:
    """The functions to compile."""
    from pipeline.numerics import matrix_loops  # imports Numba

    return matrix_loops.ENTRY_POINTS


compiled = machine_code.Library("pipeline.numerics.matrix_loops", entry_points)


def product(W: Array, A: Array) -> Array:
    """W A (models, n, m), summed in the order of `reference.product`.

    W is (models, n, k); A is (models, k, m), or (k, m) shared by all models.
    """
    n_models, n, k = W.shape
    inputs = pad(A)
    steps = [step // DOUBLE for step in W.strides]
    A_step = inputs.shape[-1]
    A_model = k * A_step if A.ndim == 3 else 0
    Z = np.ones((n_models, n, A_step))
    compiled["products"](W.ctypes.data, *steps, n_models, n, k, inputs.ctypes.data, A_model, A_step, Z.ctypes.data)
    return Z[..., : A.shape[-1]]


def product_over_samples(D: Array, A: Array) -> Array:
    """D A' (models, n, k), summed over samples in the order of `lane_sum`: weight gradients from D = dZ.

    D is (models, n, m); A is (models, k, m), or (k, m) shared by all models.
    """
    n_models, n, _ = D.shape
    slopes, inputs = pad(D), pad(A)
    k, step = inputs.shape[-2:]
    A_model = k * step if A.ndim == 3 else 0
    lanes, G = np.empty((n, k, LANES)), np.empty((n_models, n, k))
    places = slopes.ctypes.data, inputs.ctypes.data, lanes.ctypes.data, G.ctypes.data
    compiled["products_over_samples"](n_models, n, k, A_model, step, *places)
    return G


def orthonormalize_rows(A: Array) -> Array:
    """Orthonormal rows (k, n) from those of A (k, n), k <= n, by Gram-Schmidt with two projections per row.

    The bits of `matrices.orthonormal_rows`, 15 to 80 times faster if A is wide.
    """
    k, n = A.shape
    Q = pad(np.concatenate([np.zeros((1, n)), A]))
    shares, sums = np.empty(k + 1), np.empty(LANES * k)
    compiled["project"](Q.ctypes.data, k, Q.shape[1], shares.ctypes.data, sums.ctypes.data)
    return np.ascontiguousarray(Q[1:, :n])
