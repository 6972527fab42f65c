"""The compiled functions of `kernel`: forward and backward passes and updates of networks given by addresses.

An address is that of the first double of an array; offsets within arrays are in doubles. `layers` has one row per
layer: n_in, n_out, the offset of [W b] among a model's parameters, the offsets in `work` of D (Z, then phi'(Z), then
dZ) and A (phi(Z), then a row of ones), and the code of the activation. `work` begins with the sums over samples, eight
lanes for each parameter.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.networks import activations, losses
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.losses import (
    cross_entropy,
    cross_entropy_slope,
    exp_below,
    if_reached,
    larger,
    softmax_cross_entropy,
    softmax_cross_entropy_slope,
)
from pipeline.numerics import elementary, numba_cache, simd
from pipeline.numerics.elementary import sigmoid
from pipeline.numerics.loops import BLOCK, DOUBLE, biased_product, lane_sums, scaled_product
from pipeline.numerics.simd import everywhere, lane_total
from pipeline.numerics.sums import LANES
from pipeline.numerics.tiles import eight_totals, load_double, load_vector, store, store_double

numba_cache.use_own_cache()
for module in (elementary, activations, losses):
    simd.compile_for_lanes(module)


def dispatch(code: int, activation: Activation, otherwise: Any) -> Any:
    """A compiled function apply(given, Z, A, n): if given == code, A = phi(Z) and Z = phi'(Z) over n vectors.

    For any other code it calls `otherwise` with the same arguments.
    """
    phi, slope = activation.phi, activation.slope

    @njit
    def apply(given: int, Z: int, A: int, n: int) -> None:
        if given != code:
            otherwise(given, Z, A, n)
            return
        for place in range(0, n * LANES, LANES):
            z = load_vector(Z, place)
            a = phi(z)
            store(a, A, place)
            store(slope(z, a), Z, place)

    return apply


@njit
def unknown_code(given: int, Z: int, A: int, n: int) -> None:
    """The end of the chain of activations, which is never reached."""


activate = unknown_code
for code, activation in enumerate(ACTIVATIONS.values()):
    activate = dispatch(code, activation, activate)


@njit
def forward(P: int, X: int, X_step: int, n_blocks: int, work: int, layers: NDArray[np.int64]) -> None:
    """Write, for a chunk of samples, phi'(Z) to D and phi(Z) to A of every hidden layer, and Z to D of the last."""
    inputs, step, own_step = X, X_step, n_blocks * LANES
    for l in range(len(layers)):  # element by element: unpacking a row costs more than a small layer
        n_in, n_out, W, Z = layers[l, 0], layers[l, 1], P + DOUBLE * layers[l, 2], work + DOUBLE * layers[l, 3]
        biased_product(W, n_in + 1, 1, n_out, n_in, inputs, step, Z, own_step, n_blocks)
        if l + 1 < len(layers):
            inputs, step = work + DOUBLE * layers[l, 4], own_step
            activate(layers[l, 5], Z, inputs, n_out * n_blocks)
            for place in range(n_out * own_step, (n_out + 1) * own_step, LANES):
                store(everywhere(1.0), inputs, place)


@njit
def backward(P: int, X: int, X_step: int, n_blocks: int, work: int, layers: NDArray[np.int64]) -> None:
    """Add the gradients of all layers to the sums over samples in `work`, from dZ of the last layer in its D."""
    own_step = n_blocks * LANES
    for l in range(len(layers) - 1, -1, -1):
        n_in, n_out, W, dZ = layers[l, 0], layers[l, 1], layers[l, 2], work + DOUBLE * layers[l, 3]
        inputs, step = (work + DOUBLE * layers[l - 1, 4], own_step) if l > 0 else (X, X_step)
        lane_sums(dZ, own_step, n_out, inputs, step, n_in + 1, n_blocks, work + BLOCK * W)
        if l > 0:
            below = work + DOUBLE * layers[l - 1, 3]
            scaled_product(P + DOUBLE * W, 1, n_in + 1, n_in, n_out, dZ, own_step, below, own_step, n_blocks)


@njit
def output_slopes(Z: int, n_out: int, n_blocks: int, Y: int, weight: int) -> None:
    """Replace Z of the last layer by dZ: the weighted derivative of each sample's cost."""
    step = n_blocks * LANES
    for place in range(0, step, LANES):
        y, w = load_vector(Y, place), load_vector(weight, place)
        if n_out == 1:
            store(cross_entropy_slope(load_vector(Z, place), y) * w, Z, place)
            continue
        _, total = softmax_terms(Z, n_out, step, place)
        for k in range(n_out):
            here = k * step + place
            store(softmax_cross_entropy_slope(load_vector(Z, here), total, y, float(k)) * w, Z, here)


@njit
def softmax_terms(Z: int, n_out: int, step: int, place: int) -> Any:
    """The largest logit and the sum of e**(logit - largest) of eight samples; the terms replace the logits."""
    top = load_vector(Z, place)
    for k in range(1, n_out):
        top = larger(top, load_vector(Z, k * step + place))
    total = exp_below(load_vector(Z, place), top)
    store(total, Z, place)
    for k in range(1, n_out):
        term = exp_below(load_vector(Z, k * step + place), top)
        store(term, Z, k * step + place)
        total = total + term
    return top, total


@njit
def output_costs(
    Z: int, n_out: int, n_blocks: int, Y: int, weight: int, probabilities: int, P_step: int, sums: Any
) -> Any:
    """`sums` plus the weighted costs of the samples, lane by lane. Writes the probabilities to their rows."""
    step = n_blocks * LANES
    for place in range(0, step, LANES):
        y, w, z = load_vector(Y, place), load_vector(weight, place), load_vector(Z, place)
        if n_out == 1:
            sums = sums + w * cross_entropy(z, y)
            store(sigmoid(z), probabilities, place)
            continue
        own = z
        for k in range(1, n_out):
            own = if_reached(y, float(k), load_vector(Z, k * step + place), own)
        top, total = softmax_terms(Z, n_out, step, place)
        sums = sums + w * softmax_cross_entropy(total, top, own)
        for k in range(n_out):
            store(load_vector(Z, k * step + place) / total, probabilities, k * P_step + place)
    return sums


@njit
def update(P: int, V: int, sums: int, n_parameters: int, learning_rate: float, momentum: float) -> None:
    """One step of gradient descent, with momentum if > 0, from the lanes of the gradient in `sums`."""
    n_whole = n_parameters // LANES * LANES
    for k in range(0, n_whole, LANES):
        step = eight_totals(sums, LANES * k)
        if momentum > 0.0:
            step = momentum * load_vector(V, k) + step
            store(step, V, k)
        store(load_vector(P, k) - learning_rate * step, P, k)
    for k in range(n_whole, n_parameters):
        gradient = lane_total(load_vector(sums, LANES * k))
        if momentum > 0.0:
            gradient = momentum * load_double(V, k) + gradient
            store_double(gradient, V, k)
        store_double(load_double(P, k) - learning_rate * gradient, P, k)


def entry_points(sources: str) -> tuple[Any, Any]:
    """The two compiled functions. `sources` is part of the key under which Numba caches them on disk."""

    @njit(nogil=True, cache=True)
    def descend_models(
        P: int,
        V: int,
        n_models: int,
        n_parameters: int,
        X: int,
        X_step: int,
        Y: int,
        weight: int,
        batches: NDArray[np.int64],
        chunk: int,
        work: int,
        layers: NDArray[np.int64],
        learning_rate: float,
        momentum: float,
        steps: int,
    ) -> None:
        """Train the models in place. `batches` has the first block of each batch and the end of the last."""
        _ = sources
        last, n_out = work + DOUBLE * layers[-1, 3], layers[-1, 1]
        for model in range(n_models):
            own, velocity = P + DOUBLE * n_parameters * model, V + DOUBLE * n_parameters * model
            for step in range(steps):
                batch = step % (len(batches) - 1)
                first, n_blocks = batches[batch], batches[batch + 1] - batches[batch]
                n_chunks = (n_blocks + chunk - 1) // chunk
                for k in range(n_parameters):
                    store(everywhere(0.0), work, LANES * k)
                for c in range(n_chunks):
                    b = c * n_blocks // n_chunks
                    n = (c + 1) * n_blocks // n_chunks - b
                    start = BLOCK * (first + b)
                    forward(own, X + start, X_step, n, work, layers)
                    output_slopes(last, n_out, n, Y + start, weight + start)
                    backward(own, X + start, X_step, n, work, layers)
                update(own, velocity, work, n_parameters, learning_rate, momentum)

    @njit(nogil=True, cache=True)
    def evaluate_models(
        P: int,
        n_models: int,
        n_parameters: int,
        X: int,
        X_step: int,
        Y: int,
        weight: int,
        chunk: int,
        work: int,
        layers: NDArray[np.int64],
        costs: int,
        probabilities: int,
    ) -> None:
        _ = sources
        n_blocks = X_step // LANES
        n_chunks = (n_blocks + chunk - 1) // chunk
        last, n_out = work + DOUBLE * layers[-1, 3], layers[-1, 1]
        for model in range(n_models):
            sums, rows = everywhere(0.0), probabilities + DOUBLE * n_out * X_step * model
            for c in range(n_chunks):
                b = c * n_blocks // n_chunks
                n = (c + 1) * n_blocks // n_chunks - b
                start = BLOCK * b
                forward(P + DOUBLE * n_parameters * model, X + start, X_step, n, work, layers)
                sums = output_costs(last, n_out, n, Y + start, weight + start, rows + start, X_step, sums)
            store_double(lane_total(sums), costs, model)

    return descend_models, evaluate_models


descend_models, evaluate_models = entry_points(numba_cache.source_digest(__name__))
