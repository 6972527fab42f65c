"""What is measured of a stack of models, apart from cost and accuracy: at birth, or of any snapshot. Pure.

A stack is what `network` takes: W (models, n_l, n_{l-1}) and b (models, n_l, 1) of each layer l = 1 ... L, samples X
(n_0, m), and an activation for each of the L - 1 hidden layers. In an array (models, layers) layer 1 comes first.

The bits are the same on every processor; what is made of singular values, and is not, is in `spectra`. A diverged model
gives inf and nan, not an error. Squares leave the range of doubles for numbers beyond 1e154 and below 1e-162.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.activations import Activation
from pipeline.elementary import sigmoid
from pipeline.initializers import Parameters
from pipeline.network import compute_cost, cost_slope, samples, softmax
from pipeline.products import product, product_over_samples
from pipeline.sums import Array, lane_sum, pad

FLAT = 0.1  # of its largest slope: where an activation has less it is flat; k flat layers leave less than 10^-k
FAR = 40.0  # where a bounded activation has met its asymptotes
PIECE = 2**22  # pre-activations that are held at a time, if they are of several models

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Moments(NamedTuple):
    """Over all units and samples of a layer."""

    mean: Array
    sd: Array  # divided by n, not n - 1
    second: Array  # the mean square


class Signals(NamedTuple):
    """What goes through a stack of models, forward and back; the layers of A are 1 ... L - 1, the hidden ones."""

    cost: Array  # (models,)
    Z: Moments  # each (models, L): pre-activations
    A: Moments  # each (models, L - 1): activations
    dZ: Array  # (models, L), root mean square over units and samples of the derivative of the cost by Z
    dW: Array  # (models, L), root mean square of the gradient of W
    saturated: Array  # (models, L - 1), share of (unit, sample) pairs
    saturated_outputs: Array  # (models,), share of samples
    dead: list[Mask]  # of each hidden layer (models, n_l)
    distinct: Counts  # (models, L - 1), different rows of A


class Symmetry(NamedTuple):
    """How alike the units of a layer are, each (models, L)."""

    distinct: Counts  # different rows of [W b]
    largest_cosine: Array  # of two rows of W


class Sensitivity(NamedTuple):
    """What a last bit has become after training, each (models,)."""

    cost: Array  # |difference| of the final costs
    weights: Array  # the largest |difference| of any W or b


def weight_change(before: Parameters, after: Parameters) -> Array:
    """The largest |after - before| over all W and b of each model (models,); exactly 0 if nothing moved."""
    changes = [
        np.abs(new - old).max(axis=(-1, -2))
        for layer_before, layer_after in zip(before, after, strict=True)
        for old, new in zip(layer_before, layer_after, strict=True)
    ]
    largest: Array = np.max(changes, axis=0)
    return largest


def distinct_units(parameters: Parameters) -> Counts:
    """The number of different units, rows of [W b], in the hidden layer that has fewest (models,).

    Hidden layers of a single unit do not count; 0 if there is no other.
    """
    counts = [distinct_rows(np.concatenate([W, b], axis=2)) for W, b in parameters[:-1] if W.shape[1] > 1]
    return np.min(counts, axis=0) if counts else np.zeros(len(parameters[0][0]), dtype=np.int64)


def forward(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> tuple[list[Array], list[Array]]:
    """Z_1 ... Z_L and A_0 ... A_{L-1}, bit for bit those of `network.forward_propagation`."""
    Z: list[Array] = []
    A = [X]
    for l, (W, b) in enumerate(parameters):
        Z.append(product(W, A[l]) + b)
        if l < len(activations):
            A.append(np.asarray(activations[l].phi(Z[l])))
    return Z, A


def backward(
    parameters: Parameters, Z: list[Array], A: list[Array], Y: Array, activations: Sequence[Activation]
) -> tuple[list[Array], list[Array]]:
    """The derivatives of the mean cost over the samples, by Z_1 ... Z_L and by W_1 ... W_L, from what `forward` gives.

    The latter are bit for bit those of `network.backward_propagation`.
    """
    dZ = [cost_slope(Z[-1], Y) * (1.0 / Y.shape[1])]
    for l in range(len(parameters) - 1, 0, -1):
        W, _ = parameters[l]
        dZ.insert(0, product(W.swapaxes(1, 2), dZ[0]) * activations[l - 1].slope(Z[l - 1], A[l]))
    return dZ, [product_over_samples(d, a) for d, a in zip(dZ, A, strict=True)]


def signals(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> Signals:
    """All that one pass forward and back tells, on X (n_0, m) and Y (1, m)."""
    with np.errstate(all="ignore"):
        parts = [_signals(part, X, Y, activations) for part in pieces(parameters, X.shape[1])]
    return Signals(*map(_joined, zip(*parts, strict=True)))


def _signals(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> Signals:
    Z, A = forward(parameters, X, activations)
    dZ, dW = backward(parameters, Z, A, Y, activations)
    S, n_models = samples(X, Y), len(Z[0])
    hidden = list(zip(Z[:-1], A[1:], activations, strict=True))
    return Signals(
        compute_cost(pad(Z[-1]), S.Y, S.weight),
        _moments(Z, n_models),
        _moments(A[1:], n_models),
        _layers(map(root_mean_square, dZ), n_models),
        _layers(map(root_mean_square, dW), n_models),
        _layers((saturated(*layer) for layer in hidden), n_models),
        saturated_outputs(Z[-1]),
        [dead(*layer) for layer in hidden],
        _layers(map(distinct_rows, A[1:]), n_models).astype(np.int64),
    )


def histograms(
    parameters: Parameters,
    X: Array,
    activations: Sequence[Activation],
    Z_edges: Sequence[Array],
    A_edges: Sequence[Array],
) -> tuple[list[Counts], list[Counts]]:
    """`histogram` of Z_1 ... Z_L and of A_1 ... A_{L-1}, over all models, units and samples; edges for each layer."""
    Z_counts, A_counts = ([np.zeros(len(e) + 1, dtype=np.int64) for e in edges] for edges in (Z_edges, A_edges))
    with np.errstate(all="ignore"):
        for part in pieces(parameters, X.shape[1]):
            Z, A = forward(part, X, activations)
            for values, edges, counts in zip([*Z, *A[1:]], [*Z_edges, *A_edges], [*Z_counts, *A_counts], strict=True):
                counts += histogram(values, edges)
    return Z_counts, A_counts


def histogram(values: Array, edges: Array) -> Counts:
    """How many values lie below the first edge, from each edge up to but without the next, and from the last on.

    (edges + 1,). A nan counts with the last.
    """
    return np.bincount(np.searchsorted(edges, values.ravel(), side="right"), minlength=len(edges) + 1).astype(np.int64)


def moments(values: Array) -> Moments:
    """Of values (models, n, m), each (models,)."""
    size = values[0].size
    mean = _total(values) / size
    deviations = values - mean[:, None, None]
    return Moments(mean, np.sqrt(_total(deviations * deviations) / size), _total(values * values) / size)


def root_mean_square(values: Array) -> Array:
    """Of values (models, n, m), (models,)."""
    return np.asarray(np.sqrt(_total(values * values) / values[0].size))


@cache
def flat_below(activation: Activation) -> float:
    """The |slope| below which a unit is saturated: a tenth of the activation's largest; 0 if it is not bounded.

    To be saturated is to be close to an asymptotic end of a bounded activation (Rakitianskaia & Engelbrecht 2015); how
    close, the slope says, which is what the gradient is multiplied by. tanh: |a| > sqrt(0.9) = 0.9487, |z| > 1.8184.
    sigmoid: a outside [0.0257, 0.9743], |z| > 3.6369. Those that are flat on one side at most, such as the relatives
    of ReLU, have no saturated units: what makes ReLU's 0 there is sparse, and fatal only to a unit that is `dead`.
    """
    z = np.linspace(-FAR, FAR, 5121)  # steps of 1/64, exactly
    slopes = np.abs(activation.slope(z, activation.phi(z)))
    threshold = FLAT * float(slopes.max())
    return threshold if max(slopes[0], slopes[-1]) < threshold else 0.0


def saturated(Z: Array, A: Array, activation: Activation) -> Array:
    """The share (models,) of (unit, sample) pairs of a hidden layer, Z and A (models, n, m), that are saturated."""
    flat = np.abs(activation.slope(Z, A)) < flat_below(activation)
    return np.asarray(np.count_nonzero(flat, axis=(1, 2)) / Z[0].size)


def saturated_outputs(Z: Array) -> Array:
    """The share (models,) of samples whose most probable class has p > (1 + sqrt 0.9) / 2 = 0.9743, by the logits Z.

    There the slope p (1 - p) of the probability is below a tenth of the sigmoid's largest, 1/4: for one logit,
    `saturated` for a sigmoid, |z| > 3.6369.
    """
    if Z.shape[1] == 1:
        p = np.asarray(sigmoid(np.abs(Z)))
    else:
        _, terms, total = softmax(Z)
        p = (terms / total).max(axis=1, keepdims=True)
    return np.asarray(np.count_nonzero((p * (1.0 - p) < FLAT / 4.0) & (p > 0.5), axis=(1, 2)) / Z.shape[2])


def dead(Z: Array, A: Array, activation: Activation) -> Mask:
    """The units (models, n) of a hidden layer whose slope is 0 on every sample: no gradient reaches their weights.

    A unit of ReLU that is never active. `.sum(axis=1)` counts those of each model, `.all(axis=0).sum()` those dead in
    every model.
    """
    return np.asarray((activation.slope(Z, A) == 0.0).all(axis=2))


def distinct_rows(rows: Array) -> Counts:
    """The number of different rows of each matrix (models, n, k), (models,). A row with a nan equals no other."""
    plain = rows + 0.0  # without -0
    broken = np.asarray(np.isnan(rows).any(axis=2))
    counts = [
        len({row.tobytes() for row in plain[model][~broken[model]]}) + np.count_nonzero(broken[model])
        for model in range(len(rows))
    ]
    return np.array(counts, dtype=np.int64)


def symmetry(parameters: Parameters) -> Symmetry:
    """Of every layer. The cosine of a layer of one unit is nan."""
    n_models = len(parameters[0][0])
    distinct = (distinct_rows(np.concatenate([W, b], axis=2)) for W, b in parameters)
    with np.errstate(all="ignore"):
        cosines = _layers((largest_cosine(W) for W, _ in parameters), n_models)
    return Symmetry(_layers(distinct, n_models).astype(np.int64), cosines)


def largest_cosine(W: Array) -> Array:
    """The largest |cosine| of the angle between the incoming weights, biases left out, of two units (models,).

    Exactly 1 for two units that are equal. Units whose weights are all 0 do not count; nan if less than two are left.
    """
    cosines: Array = np.full(len(W), np.nan)
    for model, every in enumerate(W):
        rows = every[every.any(axis=1)]
        if len(rows) > 1:
            rows = rows / np.abs(rows).max()  # so that no square overflows
            gram = product(rows[None], rows.T)[0].copy()
            squares = gram.diagonal().copy()
            np.fill_diagonal(gram, 0.0)
            cosines[model] = np.max(np.abs(gram) / np.sqrt(squares[:, None] * squares))
    return np.minimum(cosines, 1.0)  # a rounding may be beyond


def correlations(parameters: Parameters, x: Array, y: Array, activations: Sequence[Activation]) -> Array:
    """c_l = <z_l(x), z_l(y)> / (|z_l(x)| |z_l(y)|) of the pre-activations of two inputs (n_0,), (models, L).

    No mean is taken off. In wide networks c_l goes to c_{l+1} by the correlation map (Poole et al. 2016). nan where
    z_l of an input is 0; a layer of one unit has -1 or 1.
    """
    with np.errstate(all="ignore"):
        Z, _ = forward(parameters, np.stack([x, y], axis=1), activations)
        return _layers(map(_cosine, Z), len(Z[0]))


def _cosine(Z: Array) -> Array:
    """Of the two columns of Z (models, n, 2)."""
    x, y = np.moveaxis(Z / np.abs(Z).max(axis=1, keepdims=True), 2, 0)
    xy, xx, yy = (lane_sum(pad(product)) for product in (x * y, x * x, y * y))
    return np.asarray(np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0))


def ulp_sensitivity(parameters: Parameters, train: Callable[[Parameters], tuple[Parameters, Array]]) -> Sensitivity:
    """How far apart two trainings end up if every weight of W_1 is born a last bit larger: a meter of reproducibility.

    `train` takes a stack of models to their final parameters and costs (models,).
    """
    (W, b), *others = parameters
    (trained, cost), (moved, moved_cost) = (train([(first, b), *others]) for first in (W, np.nextafter(W, np.inf)))
    with np.errstate(invalid="ignore"):
        return Sensitivity(np.abs(moved_cost - cost), weight_change(trained, moved))


def pieces(parameters: Parameters, n_columns: int) -> Iterator[Parameters]:
    """The models of a stack, so many at a time that their pre-activations of all layers fit into `PIECE`, or one."""
    size = max(1, PIECE // (n_columns * sum(W.shape[1] for W, _ in parameters)))
    for i in range(0, len(parameters[0][0]), size):
        yield [(W[i : i + size], b[i : i + size]) for W, b in parameters]


def _total(values: Array) -> Array:
    """The sum over all but the first axis, unit by unit and then over the units (models,)."""
    return lane_sum(pad(lane_sum(pad(values))))


def _layers(numbers: Iterable[NDArray[Any]], n_models: int) -> NDArray[Any]:
    """(models,) of each layer, as (models, layers)."""
    return np.array(list(numbers)).reshape(-1, n_models).T


def _moments(layers: Sequence[Array], n_models: int) -> Moments:
    each = [moments(values) for values in layers]
    return Moments(*(_layers((layer[k] for layer in each), n_models) for k in range(3)))


def _joined(parts: Sequence[Any]) -> Any:
    """Numbers of several stacks of models as those of one."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    fields = [_joined(field) for field in zip(*parts, strict=True)]
    return Moments(*fields) if isinstance(parts[0], Moments) else fields
