"""Signals and gradients in a stack of models on a set of samples, at initialization or at any later iteration.

A stack of models is W (models, n_l, n_{l-1}) and b (models, n_l, 1) of each layer l = 1 ... L, samples X
(n_0, m), and an activation for each of the L - 1 hidden layers. In an array (models, layers) layer 1 comes first.

The bits are the same on every processor. A diverged model gives inf and nan, not an error. Squares overflow for
numbers above 1e154 and underflow for numbers below 1e-162.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnostics.histograms import Counts, _histograms
from pipeline.diagnostics.symmetry import unique_rows
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, take
from pipeline.networks.reference import compute_cost, cost_slope, samples, softmax
from pipeline.networks.saturation import FLAT, flat_below
from pipeline.numerics.elementary import log, sigmoid
from pipeline.numerics.matmul import product, product_over_samples
from pipeline.numerics.sums import Array, integer_sum, lane_sum, pad

CACHED = 2**14  # entries of an array whose intermediate results stay in the cache
PIECE = 2**22  # pre-activations held in memory at a time, if they are of more than one model

BoolArray = NDArray[np.bool_]


class LayerMoments(NamedTuple):
    """Moments over all units and samples of a layer."""

    mean: Array
    std: Array  # divided by n, not n - 1
    second: Array  # the mean square


class Signals(NamedTuple):
    """Statistics of one forward and one backward pass of a stack of models; A has the hidden layers 1 ... L - 1."""

    cost: Array  # (models,)
    Z: LayerMoments  # each (models, L): pre-activations
    A: LayerMoments  # each (models, L - 1): activations
    dZ: Array  # (models, L), root mean square over units and samples of the derivative of the cost by Z
    dW: Array  # (models, L), root mean square of the gradient of W
    saturated: Array  # (models, L - 1), share of (unit, sample) pairs, see `saturated_share`
    saturated_outputs: Array  # (models,), share of samples, see `saturated_outputs`
    dead: list[BoolArray]  # (models, n_l) of each hidden layer, see `dead_units`
    unique_activations: Counts  # (models, L), different rows of A, and of the last Z
    blocked_inputs: Array  # (models,), share of samples at which all slopes of some hidden layer are 0
    log_growth: Array  # (models,), `log_growth` of the last hidden layer
    Z_counts: Counts  # (models, L, bins), see `histograms.histogram`
    A_counts: Counts  # (models, L - 1, bins)


def weight_change(before: Parameters, after: Parameters) -> Array:
    """The largest |after - before| over all W and b of each model (models,); exactly 0 if nothing changed."""
    changes = [
        np.abs(new - old).max(axis=(-1, -2))
        for layer_before, layer_after in zip(before, after, strict=True)
        for old, new in zip(layer_before, layer_after, strict=True)
    ]
    largest: Array = np.max(changes, axis=0)
    return largest


def forward(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> tuple[list[Array], list[Array]]:
    """Pre-activations Z_1 ... Z_L and A_0 = X, A_1 ... A_{L-1}, with the bits of `reference.forward_propagation`."""
    Z: list[Array] = []
    A = [X]
    for l, (W, b) in enumerate(parameters):
        Z.append(product(W, A[l]) + b)
        if l < len(activations):
            A.append(elementwise(activations[l].phi, Z[l]))
    return Z, A


def elementwise(f: Callable[..., Any], *arrays: Array) -> Array:
    """f of arrays of one shape, such as phi(Z), evaluated on `CACHED` entries at a time: six times as fast if large."""
    if arrays[0].size <= CACHED:
        return np.asarray(f(*arrays))
    flat = [np.ascontiguousarray(values).reshape(-1) for values in arrays]
    result = np.empty(flat[0].size)
    for start in range(0, len(result), CACHED):
        result[start : start + CACHED] = f(*(values[start : start + CACHED] for values in flat))
    return result.reshape(arrays[0].shape)


def backward(
    parameters: Parameters, Z: list[Array], A: list[Array], Y: Array, activations: Sequence[Activation]
) -> tuple[list[Array], list[Array]]:
    """The derivatives of the mean cost over the samples with respect to Z_1 ... Z_L and W_1 ... W_L.

    `Z` and `A` are returned by `forward`. The derivatives by W have the bits of `reference.backward_propagation`.
    """
    return propagate_back(parameters, Z, A, cost_slope(Z[-1], Y) * (1.0 / Y.shape[1]), activations)


def propagate_back(
    parameters: Parameters, Z: list[Array], A: list[Array], dZ_L: Array, activations: Sequence[Activation]
) -> tuple[list[Array], list[Array]]:
    """The derivatives by Z_1 ... Z_L and W_1 ... W_L of a function whose derivative by Z_L is dZ_L (models, n_L, m)."""
    dZ = derivatives_by_Z(parameters, Z, A, dZ_L, activations)
    return dZ, [product_over_samples(d, a) for d, a in zip(dZ, A, strict=True)]


def derivatives_by_Z(
    parameters: Parameters, Z: list[Array], A: list[Array], dZ_L: Array, activations: Sequence[Activation]
) -> list[Array]:
    """The first part of `propagate_back`, which takes a small part of its time in wide layers."""
    dZ = [dZ_L]
    for l in range(len(parameters) - 1, 0, -1):
        W, _ = parameters[l]
        dZ.insert(0, product(W.swapaxes(1, 2), dZ[0]) * elementwise(activations[l - 1].slope, Z[l - 1], A[l]))
    return dZ


def signals(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> Signals:
    """The statistics of one forward and one backward pass on the inputs X (n_0, m) and the class numbers Y (1, m)."""
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
        _layers((saturated_share(*layer) for layer in hidden), n_models),
        saturated_outputs(Z[-1]),
        [dead_units(*layer) for layer in hidden],
        _layers(map(unique_rows, [*A[1:], Z[-1]]), n_models).astype(np.int64),
        blocked_inputs(hidden, len(X[0]), n_models),
        log_growth(X, A[-1]) if hidden else np.full(n_models, np.nan),
        _histograms(Z, n_models),
        _histograms(A[1:], n_models),
    )


def blocked_inputs(hidden: Sequence[tuple[Array, Array, Activation]], n_samples: int, n_models: int) -> Array:
    """The share (models,) of samples at which all slopes of some hidden layer, (Z, A, activation), are 0.

    No gradient passes such a layer: with ReLU the network is dead at that input (Lu et al. 2019).
    """
    stopped = np.zeros((n_models, n_samples), dtype=np.bool_)
    for Z, A, activation in hidden:
        stopped |= (activation.slope(Z, A) == 0.0).all(axis=1)
    return np.asarray(np.count_nonzero(stopped, axis=1) / n_samples)


def log_growth(X: Array, A: Array) -> Array:
    """The mean over the samples, (models,), of ln of the mean square of A (models, n, m) over that of X (n_0, m).

    Samples at which either is 0 or not finite are left out; nan if none is left. It describes a typical input, unlike
    a ratio of means, which a few large values dominate.
    """
    before, after = column_squares(X[None]) / len(X), column_squares(A) / A.shape[1]
    live = (before > 0.0) & (after > 0.0) & np.isfinite(after)
    logs = np.where(live, log(np.where(live, after / before, 1.0)), 0.0)
    return np.asarray(lane_sum(pad(logs)) / np.count_nonzero(live, axis=1))


def layer_moments(values: Array) -> LayerMoments:
    """The moments, each (models,), of values (models, n, m)."""
    size = values[0].size
    mean = _total(values) / size
    deviations = values - mean[:, None, None]
    return LayerMoments(mean, np.sqrt(_total(deviations * deviations) / size), _total(values * values) / size)


def root_mean_square(values: Array) -> Array:
    """The root mean square (models,) of values (models, n, m)."""
    return np.asarray(np.sqrt(_total(values * values) / values[0].size))


def saturated_share(Z: Array, A: Array, activation: Activation) -> Array:
    """The share (models,) of (unit, sample) pairs of a hidden layer, Z and A (models, n, m), that are saturated.

    Where an activation is constant on one side of 0, as relu6 is for Z < 0, a unit is inactive, not saturated.
    """
    flat = np.abs(activation.slope(Z, A)) < flat_below(activation)
    for side in (-1.0, 1.0):
        near = np.full(1, side * np.finfo(np.float64).tiny)
        if activation.slope(near, activation.phi(near)) == 0.0:
            flat &= Z * side < 0.0
    return np.asarray(np.count_nonzero(flat, axis=(1, 2)) / Z[0].size)


def saturated_outputs(Z: Array) -> Array:
    """The share (models,) of samples whose most probable class has p > (1 + sqrt 0.9) / 2 = 0.9743, by the logits Z.

    There the slope p (1 - p) of the probability is below a tenth of the sigmoid's largest, 1/4: for one logit,
    `saturated_share` for a sigmoid, |z| > 3.6369.
    """
    if Z.shape[1] == 1:
        p = np.asarray(sigmoid(np.abs(Z)))
    else:
        _, terms, total = softmax(Z)
        p = (terms / total).max(axis=1, keepdims=True)
    return np.asarray(np.count_nonzero((p * (1.0 - p) < FLAT / 4.0) & (p > 0.5), axis=(1, 2)) / Z.shape[2])


def dead_units(Z: Array, A: Array, activation: Activation) -> BoolArray:
    """The units (models, n) of a hidden layer whose slope is 0 on every sample: no gradient reaches their weights.

    A unit of ReLU that is never active. `.sum(axis=1)` counts those of each model, `.all(axis=0).sum()` those dead in
    every model.
    """
    return np.asarray((activation.slope(Z, A) == 0.0).all(axis=2))


def correlations(parameters: Parameters, x: Array, y: Array, activations: Sequence[Activation]) -> Array:
    """c_l = <z_l(x), z_l(y)> / (|z_l(x)| |z_l(y)|), (models, L), of the pre-activations of two inputs (n_0,).

    The mean is not subtracted. In wide networks the correlation map gives c_{l+1} (Poole et al. 2016). nan where z_l of
    an input is 0; a layer of one unit has -1 or 1.
    """
    with np.errstate(all="ignore"):
        Z, _ = forward(parameters, np.stack([x, y], axis=1), activations)
        return _layers(map(_cosine, Z), len(Z[0]))


def _cosine(Z: Array) -> Array:
    """The cosine (models,) between the two columns of Z (models, n, 2)."""
    x, y = np.moveaxis(Z / np.abs(Z).max(axis=1, keepdims=True), 2, 0)
    xy, xx, yy = (lane_sum(pad(product)) for product in (x * y, x * x, y * y))
    return np.asarray(np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0))


def pieces(parameters: Parameters, n_columns: int) -> Iterator[Parameters]:
    """Parts of a stack of models: at most `PIECE` pre-activations of all layers at a time, but at least one model."""
    size = max(1, PIECE // (n_columns * integer_sum(W.shape[1] for W, _ in parameters)))
    for i in range(0, len(parameters[0][0]), size):
        yield take(parameters, slice(i, i + size))


def _total(values: Array) -> Array:
    """The sum (models,) over all axes but the first: over the samples of each unit, then over the units."""
    return lane_sum(pad(lane_sum(pad(values))))


def column_squares(values: Array) -> Array:
    """The sum of squares (models, m) of each column of values (models, n, m), row after row."""
    total = np.zeros((len(values), values.shape[2]))
    for unit in range(values.shape[1]):
        total += values[:, unit] * values[:, unit]
    return total


def _layers(numbers: Iterable[NDArray[Any]], n_models: int) -> NDArray[Any]:
    """Arrays (models,), one per layer, as one array (models, layers)."""
    return np.array(list(numbers)).reshape(-1, n_models).T


def _moments(layers: Sequence[Array], n_models: int) -> LayerMoments:
    each = [layer_moments(values) for values in layers]
    return LayerMoments(*(_layers((layer[k] for layer in each), n_models) for k in range(3)))


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays, or tuples and lists of arrays, of several stacks of models concatenated along their first axis."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    fields = [_joined(field) for field in zip(*parts, strict=True)]
    return LayerMoments(*fields) if isinstance(parts[0], LayerMoments) else fields
