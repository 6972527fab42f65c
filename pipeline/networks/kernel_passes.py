"""The compiled functions of `kernel`: forward and backward passes and updates of networks given by addresses.

An address is that of the first double of an array; offsets within arrays are in doubles. `layers` is the address of a
table of integers with one row per layer: n_in, n_out, the offset of [W b] among a model's parameters, the offsets in
`work` of D (Z, then phi'(Z), then dZ) and A (phi(Z)), and the code of the activation. If phi' is computed from phi(Z),
both are at the same place, which holds one after another Z, phi(Z), phi'(Z) and dZ. `work` begins with the sums over
samples, eight lanes for each parameter.
"""

from typing import Any

from pipeline.networks.kernel_activations import RELU, activate, derive, relu_product, relu_scaled_product
from pipeline.networks.kernel_output import logistic_output_slopes, relu_single_output
from pipeline.networks.losses import (
    Loss,
    cross_entropy,
    exp_below,
    if_reached,
    larger,
    softmax_cross_entropy,
    softmax_cross_entropy_slope,
    squared_distance,
    squared_slope,
)
from pipeline.numerics.elementary import sigmoid
from pipeline.numerics.loops import biased_product, lane_sums_with_bias, scaled_product
from pipeline.numerics.simd import everywhere, lane_total, native
from pipeline.numerics.sums import BLOCK, DOUBLE, LANES
from pipeline.numerics.tiles import eight_totals, load_integer, load_vector, store

COLUMNS = 6  # of the table of layers
SQUARED = int(Loss.SQUARED)


@native
def entry(layers: int, l: int, column: int) -> Any:
    """An integer of the table of layers, read alone: unpacking a row costs more than a small layer."""
    return load_integer(layers, COLUMNS * l + column)


@native
def forward(P: int, X: int, X_step: int, n_blocks: int, work: int, layers: int, n_layers: int) -> None:
    """Write, for a chunk of samples, phi'(Z) to D and phi(Z) to A of every hidden layer, and Z to D of the last."""
    inputs, step, own_step = X, X_step, n_blocks * LANES
    for l in range(n_layers):
        n_in, n_out = entry(layers, l, 0), entry(layers, l, 1)
        W, Z = P + DOUBLE * entry(layers, l, 2), work + DOUBLE * entry(layers, l, 3)
        code = entry(layers, l, 5)
        if code == RELU:
            relu_product(W, n_in + 1, 1, n_out, n_in, inputs, step, Z, own_step, n_blocks)
        else:
            biased_product(W, n_in + 1, 1, n_out, n_in, inputs, step, Z, own_step, n_blocks)
        if l + 1 < n_layers:
            inputs, step = work + DOUBLE * entry(layers, l, 4), own_step
            if code != RELU:
                activate(code, Z, inputs, n_out * n_blocks)


@native
def update(P: int, V: int, sums: int, n_parameters: int, learning_rate: float, momentum: float) -> None:
    """One step of gradient descent, with momentum if > 0, from the lanes of the gradient in `sums`.

    The parameters of a layer are padded to whole vectors; the values of the padding are not used.
    """
    for k in range(0, n_parameters, LANES):
        step = eight_totals(sums, LANES * k)
        if momentum > 0.0:
            step = momentum * load_vector(V, k) + step
            store(step, V, k)
        store(load_vector(P, k) - learning_rate * step, P, k)


@native
def backward(
    P: int,
    V: int,
    X: int,
    X_step: int,
    n_blocks: int,
    work: int,
    layers: int,
    n_layers: int,
    is_first: bool,
    is_last: bool,
    learning_rate: float,
    momentum: float,
) -> None:
    """Add the gradients of all layers for a chunk to the sums over samples, from dZ of the last layer in its D.

    The sums of a layer begin at 0 in the first chunk of a batch and update its parameters after the last, while they
    are in the cache: all layers of a large network have more sums than the cache holds. A batch of one chunk needs the
    sums of one layer at a time.
    """
    own_step = n_blocks * LANES
    for l in range(n_layers - 1, -1, -1):
        n_in, n_out = entry(layers, l, 0), entry(layers, l, 1)
        place, dZ = entry(layers, l, 2), work + DOUBLE * entry(layers, l, 3)
        inputs, step = (work + DOUBLE * entry(layers, l - 1, 4), own_step) if l > 0 else (X, X_step)
        W, n_parameters = P + DOUBLE * place, n_out * (n_in + 1)
        sums = work if is_first and is_last else work + BLOCK * place
        below, code = (work + DOUBLE * entry(layers, l - 1, 3), entry(layers, l - 1, 5)) if l > 0 else (work, -1)
        if n_out == 1 and code == RELU:
            relu_single_output(W, n_in, dZ, inputs, step, n_blocks, sums, not is_first)
        else:
            lane_sums_with_bias(dZ, own_step, n_out, inputs, step, n_in, n_blocks, sums, not is_first)
            if code == RELU:
                relu_scaled_product(W, 1, n_in + 1, n_in, n_out, dZ, own_step, below, own_step, n_blocks)
            elif l > 0:
                derive(code, below, n_in * n_blocks)
                scaled_product(W, 1, n_in + 1, n_in, n_out, dZ, own_step, below, own_step, n_blocks)
        if is_last:
            update(W, V + DOUBLE * place, sums, n_parameters, learning_rate, momentum)


@native
def output_slopes(Z: int, n_out: int, n_blocks: int, Y: int, row_step: int, weight: int, loss: int) -> None:
    """Replace Z of the last layer by dZ: the weighted derivative of each sample's loss."""
    step = n_blocks * LANES
    if n_out == 1 and loss != SQUARED:
        logistic_output_slopes(Z, n_blocks, Y, weight)
        return
    if loss == SQUARED:
        for k in range(n_out):
            for place in range(0, step, LANES):
                y, here = load_vector(Y, k * row_step + place), k * step + place
                store(squared_slope(load_vector(Z, here), y) * load_vector(weight, place), Z, here)
        return
    for place in range(0, step, LANES):
        y, w = load_vector(Y, place), load_vector(weight, place)
        _, total = softmax_terms(Z, n_out, step, place)
        for k in range(n_out):
            here = k * step + place
            store(softmax_cross_entropy_slope(load_vector(Z, here), total, y, float(k)) * w, Z, here)


@native
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


@native
def output_costs(
    Z: int, n_out: int, n_blocks: int, Y: int, row_step: int, weight: int, loss: int, predictions: int, sums: Any
) -> Any:
    """`sums` plus the weighted losses of the samples, lane by lane. Writes the predictions to their rows."""
    step = n_blocks * LANES
    if loss == SQUARED:
        for place in range(0, step, LANES):
            total = everywhere(0.0)
            for k in range(n_out):
                z, here = load_vector(Z, k * step + place), k * row_step + place
                store(z, predictions, here)
                total = total + squared_distance(z, load_vector(Y, here))
            sums = sums + load_vector(weight, place) * (0.5 * total)
        return sums
    for place in range(0, step, LANES):
        y, w, z = load_vector(Y, place), load_vector(weight, place), load_vector(Z, place)
        if n_out == 1:
            sums = sums + w * cross_entropy(z, y)
            store(sigmoid(z), predictions, place)
            continue
        own = z
        for k in range(1, n_out):
            own = if_reached(y, float(k), load_vector(Z, k * step + place), own)
        top, total = softmax_terms(Z, n_out, step, place)
        sums = sums + w * softmax_cross_entropy(total, top, own)
        for k in range(n_out):
            store(load_vector(Z, k * step + place) / total, predictions, k * row_step + place)
    return sums


@native
def descend_models(
    P: int,
    V: int,
    n_models: int,
    n_parameters: int,
    X: int,
    X_step: int,
    Y: int,
    weight: int,
    batches: int,
    n_batches: int,
    chunk: int,
    work: int,
    layers: int,
    n_layers: int,
    loss: int,
    learning_rate: float,
    momentum: float,
    steps: int,
) -> None:
    """Train the models in place. `batches` is the address of the first block of each batch and the end of the last."""
    last, n_out = work + DOUBLE * entry(layers, n_layers - 1, 3), entry(layers, n_layers - 1, 1)
    for model in range(n_models):
        own, velocity = P + DOUBLE * n_parameters * model, V + DOUBLE * n_parameters * model
        batch = 0
        for _ in range(steps):
            first, end = load_integer(batches, batch), load_integer(batches, batch + 1)
            batch = batch + 1 if batch + 1 < n_batches else 0
            for b in range(first, end, chunk):
                n, start = min(chunk, end - b), BLOCK * b
                forward(own, X + start, X_step, n, work, layers, n_layers)
                output_slopes(last, n_out, n, Y + start, X_step, weight + start, loss)
                ends = b == first, b + n == end
                backward(own, velocity, X + start, X_step, n, work, layers, n_layers, *ends, learning_rate, momentum)


@native
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
    layers: int,
    n_layers: int,
    loss: int,
    costs: int,
    predictions: int,
) -> None:
    """Write the mean loss of each model, and the predictions of all samples."""
    n_blocks = X_step // LANES
    n_chunks = (n_blocks + chunk - 1) // chunk
    last, n_out = work + DOUBLE * entry(layers, n_layers - 1, 3), entry(layers, n_layers - 1, 1)
    for model in range(n_models):
        sums, rows = everywhere(0.0), predictions + DOUBLE * n_out * X_step * model
        for c in range(n_chunks):
            b = c * n_blocks // n_chunks
            n = (c + 1) * n_blocks // n_chunks - b
            start = BLOCK * b
            forward(P + DOUBLE * n_parameters * model, X + start, X_step, n, work, layers, n_layers)
            sums = output_costs(last, n_out, n, Y + start, X_step, weight + start, loss, rows + start, sums)
        store(lane_total(sums), costs, model)


ENTRY_POINTS = (descend_models, evaluate_models)
