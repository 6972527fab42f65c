"""Gradient descent over many models, with records of the cost.

The models are divided into slices, each of which is one call that any executor with the interface of
`concurrent.futures` can run: threads (the default), processes, or the machines of a cluster. The bits of a model do not
depend on the slice it is in.
"""

import hashlib
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks import kernel, reference
from pipeline.networks.activations import Activation
from pipeline.networks.losses import Loss
from pipeline.networks.parameters import Parameters, concatenate, take
from pipeline.networks.reference import Models, Samples, UpdateRule
from pipeline.numerics.sums import DOUBLE, Array, integer_sum
from pipeline.training.executors import SLICES, THREAD_SLICES, n_cores

SHUFFLES = 1  # RandomState([seed, SHUFFLES]) draws the shuffles
# Copies of the weights that exist at the same time while a slice is trained, its pickled job and result included
COPIES = 6  # of each model; one more with momentum
KEPT_COPIES = 3  # of each model for each record of its weights
WORK_COPIES = 18  # of one model, in the work space of the kernel, which has eight lanes of each gradient
PIECE_FLOPS = 2e9  # per call of the arithmetic, some hundredths of a second; `stop` is checked after each call


class Arithmetic(NamedTuple):
    """The two functions of `reference` or `kernel` that training calls."""

    descend: Callable[[Models, Sequence[Samples], Sequence[Activation], UpdateRule, int, Loss], Models]
    cost: Callable[[Parameters, Samples, Sequence[Activation], Loss], Array]


REFERENCE = Arithmetic(reference.descend, reference.cost)
COMPILED = Arithmetic(kernel.descend, kernel.cost)


class Trained(NamedTuple):
    """The results of training a stack of models."""

    parameters: Parameters
    costs: Array  # (models, records); the cross-entropy is in nats
    snapshots: list[Parameters]  # the parameters at each record if `keep`, else empty


class Job(NamedTuple):
    """A slice of models and the settings of its training; can be pickled."""

    parameters: Parameters
    seeds: Sequence[int]  # of the models, for their shuffles
    X: Array
    Y: Array
    activations: Sequence[Activation]
    rule: UpdateRule
    batch_size: int | None  # None: all samples in every step
    record_at: NDArray[np.int64]
    arithmetic: Arithmetic
    keep: bool = False  # whether to keep the parameters at each record
    loss: Loss = Loss.CROSS_ENTROPY


def train_slice(job: Job, stop: threading.Event | None = None) -> Trained:
    """Train the models of a job. Raises CancelledError soon after `stop` is set."""
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is a result, visible in the costs
        if job.batch_size is None:
            batches = itertools.repeat(reference.samples(job.X, job.Y))
            parts = [descend_slice(job, job.parameters, batches, stop)]
        else:  # each model has its own shuffles
            models = [take(job.parameters, [i]) for i in range(len(job.seeds))]
            streams = [shuffled_batches(job.X, job.Y, job.batch_size, seed) for seed in job.seeds]
            parts = [descend_slice(job, model, batches, stop) for model, batches in zip(models, streams, strict=True)]
    return concatenate_slices(parts)


def descend_slice(
    job: Job, parameters: Parameters, batches: Iterator[Samples], stop: threading.Event | None
) -> Trained:
    """The results of training on a stream of batches, one step per batch."""
    models, everything = reference.at_rest(parameters), reference.samples(job.X, job.Y)
    m = job.batch_size or job.X.shape[1]
    piece = max(1, int(PIECE_FLOPS / (6 * m * integer_sum(W.size + b.size for W, b in parameters))))
    costs = np.empty((len(parameters[0][0]), len(job.record_at)))
    kept: list[Parameters] = []
    step = 0
    for record, due in enumerate(map(int, job.record_at)):
        while step < due:
            steps = min(piece, due - step)
            taken = [next(batches)] if job.batch_size is None else list(itertools.islice(batches, steps))
            models = job.arithmetic.descend(models, taken, job.activations, job.rule, steps, job.loss)
            step += steps
            if stop is not None and stop.is_set():
                raise CancelledError
        costs[:, record] = job.arithmetic.cost(models.parameters, everything, job.activations, job.loss)
        if job.keep:
            kept.append(with_canonical_nan(models.parameters))
    return Trained(with_canonical_nan(models.parameters), canonical_nan(costs), kept)


def with_canonical_nan(parameters: Parameters) -> Parameters:
    """`parameters` with every NaN replaced by `np.nan`."""
    return [(canonical_nan(W), canonical_nan(b)) for W, b in parameters]


def shuffled_batches(X: Array, Y: Array, batch_size: int, seed: int) -> Iterator[Samples]:
    """An infinite stream of mini-batches: each epoch has all samples once, in an order drawn from `seed`.

    The last batch of an epoch has the remaining samples. The random stream differs from that of the initial weights.
    """
    rng = np.random.RandomState([seed, SHUFFLES])
    while True:
        order = rng.permutation(X.shape[1])
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            yield reference.samples(X[:, batch], Y[:, batch])


def canonical_nan(values: Array) -> Array:
    """`values` with every NaN replaced by `np.nan`: the bits of a computed NaN depend on the processor."""
    return np.where(np.isnan(values), np.nan, values)


def train(
    parameters: Parameters,
    X: Array,
    Y: Array,
    activations: Sequence[Activation],
    *,
    learning_rate: float,
    record_at: Sequence[int] | NDArray[np.int64],
    momentum: float = 0.0,
    batch_size: int | None = None,
    seeds: Sequence[int] = (),
    keep: bool = False,
    loss: Loss = Loss.CROSS_ENTROPY,
    arithmetic: Arithmetic = COMPILED,
    executor: Executor | None = None,
    n_workers: int | None = None,
    memory: float = math.inf,
    progress: Callable[[int], object] = lambda n_models: None,
) -> Trained:
    """Train the stack `parameters`, which is not modified, on X (n_0, m) and Y (1, m).

    Y is (n_L, m) for the squared loss. The cost on all samples is recorded after the numbers of steps in `record_at`,
    in ascending order; training ends at the last. With `keep`, the parameters at each record are returned too. With a
    `batch_size` below m each step uses that many samples, shuffled in each epoch by a stream drawn from the model's
    entry in `seeds`. Without an executor, threads on all cores are used, and an interruption stops them within a
    second. An executor runs `n_workers` slices at once, each of which may take `memory` bytes if it has more than one
    model. `progress` is called with the number of models finished since the last call. Models with identical initial
    parameters follow identical trajectories, so each distinct model is trained once; with mini-batches all are trained.
    """
    if batch_size is not None and batch_size >= X.shape[1]:
        batch_size = None
    n_all = len(parameters[0][0])
    chosen, inverse = unique_models(parameters) if batch_size is None else (np.arange(n_all), np.arange(n_all))
    progress(n_all - len(chosen))
    parameters, seeds = take(parameters, chosen), [seeds[i] for i in chosen] if seeds else ()
    n_models, n_workers = len(chosen), n_workers or n_cores()
    n_slices = min(n_models, (THREAD_SLICES if executor is None else SLICES) * n_workers)
    if memory < math.inf:
        copies = COPIES + (momentum > 0.0) + KEPT_COPIES * len(record_at) * keep
        most = int((memory / (DOUBLE * n_weights(parameters)) - WORK_COPIES) / copies)
        n_slices = max(n_slices, -(-n_models // max(1, most)))
    rule, records = UpdateRule(learning_rate, momentum), np.asarray(record_at, dtype=np.int64)
    ends = [n_models * i // n_slices for i in range(n_slices + 1)]  # sizes that differ by 1 at most
    jobs = [
        Job(
            take(parameters, slice(begin, end)),
            seeds[begin:end],
            *(X, Y, activations, rule, batch_size, records, arithmetic, keep, loss),
        )
        for begin, end in itertools.pairwise(ends)
    ]
    if executor is not None:
        return gather([executor.submit(train_slice, job) for job in jobs], progress, inverse)
    stop, threads = threading.Event(), ThreadPoolExecutor(n_workers)
    try:
        return gather([threads.submit(train_slice, job, stop) for job in jobs], progress, inverse)
    finally:
        stop.set()  # has no effect once all slices are finished
        threads.shutdown(wait=False, cancel_futures=True)


def n_weights(parameters: Parameters) -> int:
    """The number of weights and biases of each model of a stack."""
    return integer_sum(W[0].size + b[0].size for W, b in parameters)


def unique_models(parameters: Parameters) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The indices of the bitwise distinct models of a stack, and for each model the position of its equal in these.

    As `return_index` (in order of appearance) and `return_inverse` of `np.unique`.
    """
    chosen: list[int] = []
    inverse: list[int] = []
    seen: dict[bytes, int] = {}
    for place in range(len(parameters[0][0])):
        digest = hashlib.sha256()
        for part in itertools.chain.from_iterable(parameters):
            digest.update(part[place].tobytes())
        if digest.digest() not in seen:
            seen[digest.digest()] = len(chosen)
            chosen.append(place)
        inverse.append(seen[digest.digest()])
    return np.array(chosen), np.array(inverse)


def gather(futures: Sequence[Future[Trained]], progress: Callable[[int], object], inverse: NDArray[np.intp]) -> Trained:
    """The results of all slices, concatenated in order and then indexed by `inverse`."""
    for future in as_completed(futures):
        progress(len(future.result().costs))
    whole = concatenate_slices([future.result() for future in futures])
    snapshots = [take(snapshot, inverse) for snapshot in whole.snapshots]
    return Trained(take(whole.parameters, inverse), whole.costs[inverse], snapshots)


def concatenate_slices(parts: Sequence[Trained]) -> Trained:
    """The results of several slices as one."""
    return Trained(
        concatenate([part.parameters for part in parts]),
        np.concatenate([part.costs for part in parts]),
        [concatenate(snapshots) for snapshots in zip(*(part.snapshots for part in parts), strict=True)],
    )
