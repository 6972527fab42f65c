"""The arithmetic of `reference`, compiled by Numba: the same bits, many times faster.

`descend`, `cost` and `predict` have the names, arguments and results of those in `reference`. The optimizations keep
the order of every sum, and therefore the bits:

- A vector holds eight samples (`simd`), which are the eight lanes of every sum over samples.
- A tile of a matrix product keeps its sums in registers (`tiles`), so that each loaded number is used several times.
- Samples are processed in chunks, forward and backward through all layers (`kernel_passes`), so that the output of a
  layer is still in the cache when the next layer reads it. Sums over samples continue from chunk to chunk; their lanes
  are added, and the layer is updated, after the last chunk.
- The bias of a layer is the last column of its weights; its gradient is one more column of the same sums.
- A last layer with one output has functions of its own (`kernel_output`): the general ones wait for results there.
- ReLU and its derivative are computed in the registers of the tiles; the other functions on vectors of many lanes. What
  replaces an array's content is written to its place, so that fewer arrays compete for the cache.

Threads share no memory: the compiled functions release the GIL, and each call has its own buffers.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.losses import Loss
from pipeline.networks.parameters import Parameters
from pipeline.networks.reference import Models, Samples, UpdateRule, require_targets
from pipeline.numerics import machine_code
from pipeline.numerics.sums import BLOCK, DOUBLE, LANES, SLACK, Array, integer_sum, pad

CHUNK_BYTES = 256 * 1024  # size of the intermediate results of a chunk of samples: a part of the second-level cache
CHUNK_MIN = 32  # blocks of eight samples; with fewer, wide layers reload their sums over samples too often


def entry_points() -> Sequence[Any]:
    """The functions to compile."""
    from pipeline.networks import kernel_passes  # imports Numba

    return kernel_passes.ENTRY_POINTS


compiled = machine_code.Library("pipeline.networks.kernel_passes", entry_points)


class Prepared(NamedTuple):
    """The arguments of a compiled call; holds references to all buffers whose addresses are passed."""

    packed: Array  # (models, n_parameters), see `pack`
    X: Array  # (n_0, m)
    Y: Array
    weight: Array
    work: Array
    layers: NDArray[np.int64]  # one row per layer: n_in, n_out, offsets of [W b], D and A, code of the activation
    chunk: int

    def data(self) -> tuple[int, int, int, int]:
        """The address of X, its row stride in doubles, and the addresses of Y and weight."""
        return self.X.ctypes.data, self.X.shape[1], self.Y.ctypes.data, self.weight.ctypes.data

    def space(self) -> tuple[int, int, int, int]:
        """The number of blocks in a chunk, and the addresses of the work space and of the table of layers, its rows."""
        return self.chunk, self.work.ctypes.data, self.layers.ctypes.data, len(self.layers)


def prepare(parameters: Parameters, batches: Sequence[Samples], activations: Sequence[Activation]) -> Prepared:
    """Copy a stack of models and the samples into the layout of the compiled code, and allocate its work space."""
    n_0 = parameters[0][0].shape[2]
    widths = [n_0, *(W.shape[1] for W, _ in parameters)]
    n_blocks = max(S.X.shape[1] for S in batches) // LANES
    needs_z = [activation.slope_needs_z for activation in activations]
    held = BLOCK * (widths[-1] + integer_sum(n * (1 + z) for n, z in zip(widths[1:-1], needs_z, strict=True)))
    n_chunks = -(-n_blocks // max(CHUNK_MIN, CHUNK_BYTES // held))
    chunk = -(-n_blocks // n_chunks)
    codes = [list(ACTIVATIONS.values()).index(activation) for activation in activations]
    layers, n_parameters = [], 0
    for (n_in, n_out), code in zip(pairwise(widths), [*codes, -1], strict=True):
        layers.append([n_in, n_out, n_parameters, 0, 0, code])
        n_parameters += -(-n_out * (n_in + 1) // LANES) * LANES
    place = LANES * n_parameters
    for layer, needs in zip(layers, [*needs_z, False], strict=True):
        size = LANES * chunk * layer[1] + SLACK
        layer[3] = place
        layer[4] = place + size * needs
        place = layer[4] + size
    X, Y, weight = (np.concatenate(parts, axis=-1) for parts in zip(*batches, strict=True))
    return Prepared(
        pack(parameters),
        aligned_copy(X),
        aligned_copy(Y),
        aligned_copy(weight),
        aligned_zeros(place),
        np.array(layers, dtype=np.int64),
        chunk,
    )


def pack(parameters: Parameters) -> Array:
    """Parameters as (models, n_parameters): of each layer the matrix [W b] in row-major order, padded by `sums.pad`."""
    layers = [pad(np.concatenate([W, b], axis=2).reshape(len(W), -1)) for W, b in parameters]
    return np.concatenate(layers, axis=1)


def unpack(packed: Array, like: Parameters) -> Parameters:
    """The inverse of `pack`: copies with the shapes of `like`."""
    layers, start = [], 0
    for W, b in like:
        stop = start + W[0].size + b[0].size
        both = packed[:, start:stop].reshape(len(W), b.shape[1], -1)
        layers.append((both[:, :, :-1].copy(), both[:, :, -1:].copy()))
        start = -(-stop // LANES) * LANES
    return layers


def aligned_copy(values: Array) -> Array:
    """A copy that begins where `aligned_zeros` does."""
    copy = aligned_zeros(*values.shape)
    copy[...] = values
    return copy


def aligned_zeros(*shape: int) -> Array:
    """An array of zeros, aligned so that no vector crosses a cache line, followed by SLACK zeros.

    Vectors that reach behind an array are computed with what is there; subnormal numbers would take longer.
    """
    size = math.prod(shape)
    room = np.zeros(size + LANES + SLACK)
    start = -room.ctypes.data % BLOCK // DOUBLE
    return room[start : start + size].reshape(shape)


def descend(
    models: Models,
    batches: Sequence[Samples],
    activations: Sequence[Activation],
    rule: UpdateRule,
    steps: int,
    loss: Loss = Loss.CROSS_ENTROPY,
) -> Models:
    """The models after `steps` steps of gradient descent; step k uses batch k modulo the number of batches."""
    require_targets(models.parameters, batches, loss)
    prepared = prepare(models.parameters, batches, activations)
    P, V = prepared.packed, pack(models.velocity) if rule.momentum > 0.0 else np.empty((0, 0))
    starts = np.cumsum([0, *(S.X.shape[1] // LANES for S in batches)]).astype(np.int64)
    blocks = starts.ctypes.data, len(batches)
    compiled["descend_models"](
        P.ctypes.data, V.ctypes.data, *P.shape, *prepared.data(), *blocks, *prepared.space(), loss, *rule, steps
    )
    velocity = unpack(V, models.velocity) if rule.momentum > 0.0 else models.velocity
    return Models(unpack(P, models.parameters), velocity)


def cost(
    parameters: Parameters, S: Samples, activations: Sequence[Activation], loss: Loss = Loss.CROSS_ENTROPY
) -> Array:
    """The mean loss (models,) of the samples; the cross-entropy is in nats."""
    require_targets(parameters, [S], loss)
    return evaluate(parameters, S, activations, loss)[0]


def predict(
    parameters: Parameters, X: Array, activations: Sequence[Activation], loss: Loss = Loss.CROSS_ENTROPY
) -> Array:
    """The probability of class 1 (models, 1, m), or of each class (models, classes, m) if there are more than two.

    For the squared loss, the outputs (models, n_L, m).
    """
    m = X.shape[1]
    padded = pad(X)
    nothing = np.zeros((len(parameters[-1][0][0]), padded.shape[1]))
    return evaluate(parameters, Samples(padded, nothing, nothing[0]), activations, loss)[1][:, :, :m]


def evaluate(parameters: Parameters, S: Samples, activations: Sequence[Activation], loss: Loss) -> tuple[Array, Array]:
    """The mean loss (models,) and the predictions (models, outputs, m) of the padded samples.

    The predictions are probabilities, or the outputs themselves for the squared loss.
    """
    prepared = prepare(parameters, [S], activations)
    P, n_out = prepared.packed, parameters[-1][0].shape[1]
    costs, predictions = np.empty(len(P)), aligned_zeros(len(P), n_out, S.X.shape[1])
    results = costs.ctypes.data, predictions.ctypes.data
    compiled["evaluate_models"](P.ctypes.data, *P.shape, *prepared.data(), *prepared.space(), loss, *results)
    return costs, predictions
