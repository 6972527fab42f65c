"""The arithmetic of `network`, compiled by Numba: the same bits, many times faster.

`descend`, `cost` and `predict` have the names, arguments and results of the reference's. What makes them fast changes
no bit, because no sum is formed in another order:

- Eight samples lie side by side in a vector (`lanes`), the eight lanes of every sum over samples.
- A tile of a matrix product keeps its sums in registers (`tiles`), so that a number once loaded is used several times.
- Samples are taken a chunk at a time, through all layers forward and back (`compiled`), so that what one layer writes
  the next still finds in the cache. The sums over samples go on from chunk to chunk and are added up once a step.
- A layer's bias is its last column of weights, for an input that is always 1: dZ * 1.0 is dZ, so the gradient of the
  bias is one column more of the same sums.

Threads share nothing: the compiled functions release the GIL, and each call has its own memory.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba.core import event
from numpy.typing import NDArray

from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.kernel_passes import descend_models, evaluate_models
from pipeline.networks.parameters import Parameters
from pipeline.networks.reference import Models, Rule, Samples
from pipeline.numerics.loops import BLOCK, DOUBLE
from pipeline.numerics.sums import LANES, Array, integer_sum, pad

CHUNK_BYTES = 256 * 1024  # of what a chunk of samples leaves behind in all layers: a part of the second-level cache
CHUNK_MIN = 32  # blocks of eight samples; with fewer, wide layers fetch their sums over samples too often


class Prepared(NamedTuple):
    """What a call needs: everything that lies behind an address is held here while the call runs."""

    packed: Array  # (models, n_parameters), W and b of a layer as one matrix [W b], row after row
    X: Array  # (n_0 + 1, m), a row of ones last
    Y: Array
    weight: Array
    work: Array
    layers: NDArray[np.int64]  # a row a layer: n_in, n_out, the places of [W b], D and A, the activation's code
    chunk: int

    def data(self) -> tuple[int, int, int, int]:
        """The addresses of the samples, and the step from a row of X to the next."""
        return self.X.ctypes.data, self.X.shape[1], self.Y.ctypes.data, self.weight.ctypes.data

    def space(self) -> tuple[int, int, NDArray[np.int64]]:
        """The blocks in a chunk, and where they are worked on."""
        return self.chunk, self.work.ctypes.data, self.layers


def prepare(parameters: Parameters, batches: Sequence[Samples], activations: Sequence[Activation]) -> Prepared:
    """Copy a stack of models and the samples to where the compiled code wants them, and lay out its memory."""
    n_0 = parameters[0][0].shape[2]
    widths = [n_0, *(W.shape[1] for W, _ in parameters)]
    n_blocks = max(S.X.shape[1] for S in batches) // LANES
    held = BLOCK * integer_sum(2 * n + 1 for n in widths[1:])
    chunk = min(n_blocks, max(CHUNK_MIN, CHUNK_BYTES // held))
    codes = [list(ACTIVATIONS.values()).index(activation) for activation in activations]
    layers, n_parameters = [], 0
    for (n_in, n_out), code in zip(pairwise(widths), [*codes, -1], strict=True):
        layers.append([n_in, n_out, n_parameters, 0, 0, code])
        n_parameters += n_out * (n_in + 1)
    place = LANES * n_parameters
    for layer in layers:
        layer[3] = place
        layer[4] = place + LANES * chunk * layer[1]
        place = layer[4] + LANES * chunk * (layer[1] + 1)
    X, Y, weight = (np.concatenate(parts, axis=-1) for parts in zip(*batches, strict=True))
    return Prepared(
        pack(parameters),
        aligned(np.concatenate([X, np.ones((1, X.shape[1]))])),
        aligned(Y),
        aligned(weight),
        aligned(np.empty(place)),
        np.array(layers, dtype=np.int64),
        chunk,
    )


def pack(parameters: Parameters) -> Array:
    """(models, n_parameters): W and b of a layer as one matrix [W b], row after row, layer after layer."""
    layers = [np.concatenate([W, b], axis=2).reshape(len(W), -1) for W, b in parameters]
    return np.concatenate(layers, axis=1)


def unpack(packed: Array, like: Parameters) -> Parameters:
    """The layers again, in the shapes of `like`."""
    layers, start = [], 0
    for W, b in like:
        stop = start + W[0].size + b[0].size
        both = packed[:, start:stop].reshape(len(W), b.shape[1], -1)
        layers.append((both[:, :, :-1].copy(), both[:, :, -1:].copy()))
        start = stop
    return layers


def aligned(values: Array) -> Array:
    """A copy that starts at a multiple of a vector's size, so that no vector lies across two lines of the cache."""
    room = np.empty(values.size + LANES)
    start = -room.ctypes.data % BLOCK // DOUBLE
    copy = room[start : start + values.size].reshape(values.shape)
    copy[...] = values
    return copy


def descend(
    models: Models, batches: Sequence[Samples], activations: Sequence[Activation], rule: Rule, steps: int
) -> Models:
    """The models after so many steps of gradient descent, one on each batch in turn."""
    prepared = prepare(models.parameters, batches, activations)
    P, V = prepared.packed, pack(models.velocity) if rule.momentum > 0.0 else np.empty((0, 0))
    starts = np.cumsum([0, *(S.X.shape[1] // LANES for S in batches)])
    descend_models(P.ctypes.data, V.ctypes.data, *P.shape, *prepared.data(), starts, *prepared.space(), *rule, steps)
    velocity = unpack(V, models.velocity) if rule.momentum > 0.0 else models.velocity
    return Models(unpack(P, models.parameters), velocity)


def cost(parameters: Parameters, S: Samples, activations: Sequence[Activation]) -> Array:
    """The cost (models,) on the samples."""
    return evaluate(parameters, S, activations)[0]


def predict(parameters: Parameters, X: Array, activations: Sequence[Activation]) -> Array:
    """The probability (models, 1, m) that each sample is of class 1, or (models, classes, m) of each class."""
    m = X.shape[1]
    padded = pad(X)
    nothing = np.zeros((1, padded.shape[1]))
    return evaluate(parameters, Samples(padded, nothing, nothing[0]), activations)[1][:, :, :m]


def evaluate(parameters: Parameters, S: Samples, activations: Sequence[Activation]) -> tuple[Array, Array]:
    """Cost (models,) and probability (models, outputs, m) of the padded samples."""
    prepared = prepare(parameters, [S], activations)
    P, n_out = prepared.packed, parameters[-1][0].shape[1]
    costs, probabilities = np.empty(len(P)), aligned(np.empty((len(P), n_out, S.X.shape[1])))
    results = costs.ctypes.data, probabilities.ctypes.data
    evaluate_models(P.ctypes.data, *P.shape, *prepared.data(), *prepared.space(), *results)
    return costs, probabilities


@contextlib.contextmanager
def when_compiling(tell: Callable[[], object]) -> Iterator[None]:
    """Call `tell` once if, in this context, the kernel is compiled and not found on disk."""

    class Listener(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        yield
