"""Gradient descent over many models, the cost recorded along the way.

The models are cut into slices, and each slice is a call that any executor in the manner of `concurrent.futures` can
take: threads here, processes, or the machines of a cluster. A model's bits do not depend on the slice it is in.
"""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.networks import kernel, reference
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, concatenate, take
from pipeline.networks.reference import Models, Rule, Samples
from pipeline.numerics.sums import Array, integer_sum
from pipeline.training.executors import n_cores

SLICES = 4  # for each worker, so that none waits long for the last
SHUFFLES = 1  # beside a seed: the stream of its shuffles
PIECE_FLOPS = 2e9  # of one call of the arithmetic: some hundredths of a second, after which a stop is heeded


class Arithmetic(NamedTuple):
    """The two functions of `network` or `kernel` that training calls."""

    descend: Callable[[Models, Sequence[Samples], Sequence[Activation], Rule, int], Models]
    cost: Callable[[Parameters, Samples, Sequence[Activation]], Array]


REFERENCE = Arithmetic(reference.descend, reference.cost)
COMPILED = Arithmetic(kernel.descend, kernel.cost)


class Trained(NamedTuple):
    """What training leaves."""

    parameters: Parameters
    costs: Array  # (models, records)
    snapshots: list[Parameters]  # at each record, if they were asked for


class Job(NamedTuple):
    """A slice of models and how to train it: all that a worker needs; it can be pickled."""

    parameters: Parameters
    seeds: Sequence[int]  # of the models; their shuffles come from them
    X: Array
    Y: Array
    activations: Sequence[Activation]
    rule: Rule
    batch_size: int | None  # None: all samples in every step
    record_at: NDArray[np.int64]
    arithmetic: Arithmetic
    keep: bool = False  # snapshots


def train_slice(job: Job, stop: threading.Event | None = None) -> Trained:
    """Train the models of a job. Raises CancelledError soon after `stop` is set."""
    with np.errstate(over="ignore", invalid="ignore"):  # a model that diverges is a result: its costs say so
        if job.batch_size is None:
            batches = itertools.repeat(reference.samples(job.X, job.Y))
            parts = [descend_slice(job, job.parameters, batches, stop)]
        else:  # each model has shuffles of its own
            models = [take(job.parameters, [i]) for i in range(len(job.seeds))]
            streams = [shuffled_batches(job.X, job.Y, job.batch_size, seed) for seed in job.seeds]
            parts = [descend_slice(job, model, batches, stop) for model, batches in zip(models, streams, strict=True)]
    return concatenate_slices(parts)


def descend_slice(
    job: Job, parameters: Parameters, batches: Iterator[Samples], stop: threading.Event | None
) -> Trained:
    """The models after training on a stream of batches, a step each."""
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
            models = job.arithmetic.descend(models, taken, job.activations, job.rule, steps)
            step += steps
            if stop is not None and stop.is_set():
                raise CancelledError
        costs[:, record] = job.arithmetic.cost(models.parameters, everything, job.activations)
        if job.keep:
            kept.append(with_canonical_nan(models.parameters))
    return Trained(with_canonical_nan(models.parameters), canonical_nan(costs), kept)


def with_canonical_nan(parameters: Parameters) -> Parameters:
    """`parameters` with one and the same nan wherever they are nan."""
    return [(canonical_nan(W), canonical_nan(b)) for W, b in parameters]


def shuffled_batches(X: Array, Y: Array, batch_size: int, seed: int) -> Iterator[Samples]:
    """Batches without end: in each epoch all samples once, in an order drawn from `seed`, the last batch the smallest.

    The stream is not the one that the weights are drawn from.
    """
    rng = np.random.RandomState([seed, SHUFFLES])
    while True:
        order = rng.permutation(X.shape[1])
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            yield reference.samples(X[:, batch], Y[:, batch])


def canonical_nan(values: Array) -> Array:
    """`values` with one and the same nan wherever they are nan; which one arises depends on the processor."""
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
    arithmetic: Arithmetic = COMPILED,
    executor: Executor | None = None,
    progress: Callable[[int], object] = lambda n_models: None,
) -> Trained:
    """Train the stack `parameters` on X (n_0, m), Y (1, m); the input is left as it was.

    The cost on all samples is recorded at the numbers of steps in `record_at`, which rise; the last is where training
    ends; with `keep` the weights of those moments are kept too. With a `batch_size` below m a step takes so many
    samples, shuffled anew each epoch from the model's own of `seeds`. Without an executor, threads on all cores do the
    work, and an interruption stops them within a second. `progress` is called with a number of models whenever so many
    more are done. Models that are born alike, as all are that are born of zeros, learn alike: one is trained for all,
    unless their shuffles differ.
    """
    if batch_size is not None and batch_size >= X.shape[1]:
        batch_size = None
    everyone = len(parameters[0][0])
    chosen, like = unique_models(parameters) if batch_size is None else (np.arange(everyone), np.arange(everyone))
    progress(everyone - len(chosen))
    parameters, seeds = take(parameters, chosen), [seeds[i] for i in chosen] if seeds else ()
    n_models, n_workers = len(chosen), n_cores()
    size = max(1, -(-n_models // (SLICES * n_workers)))
    rule, records = Rule(learning_rate, momentum), np.asarray(record_at, dtype=np.int64)
    jobs = [
        Job(
            [(W[i : i + size], b[i : i + size]) for W, b in parameters],
            seeds[i : i + size],
            *(X, Y, activations, rule, batch_size, records, arithmetic, keep),
        )
        for i in range(0, n_models, size)
    ]
    if executor is not None:
        return gather([executor.submit(train_slice, job) for job in jobs], progress, like)
    stop, threads = threading.Event(), ThreadPoolExecutor(n_workers)
    try:
        return gather([threads.submit(train_slice, job, stop) for job in jobs], progress, like)
    finally:
        stop.set()  # when all is well there is nothing left to stop
        threads.shutdown(wait=False, cancel_futures=True)


def unique_models(parameters: Parameters) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places of the models in a stack that are like none before, to the last bit; for each model, which of them."""
    chosen: list[int] = []
    like: list[int] = []
    seen: dict[bytes, int] = {}
    for place in range(len(parameters[0][0])):
        digest = hashlib.sha256()
        for part in itertools.chain.from_iterable(parameters):
            digest.update(part[place].tobytes())
        if digest.digest() not in seen:
            seen[digest.digest()] = len(chosen)
            chosen.append(place)
        like.append(seen[digest.digest()])
    return np.array(chosen), np.array(like)


def gather(futures: Sequence[Future[Trained]], progress: Callable[[int], object], like: NDArray[np.intp]) -> Trained:
    """The slices put together again in their order, then a model for each place in `like`."""
    for future in as_completed(futures):
        progress(len(future.result().costs))
    whole = concatenate_slices([future.result() for future in futures])
    moments = [take(moment, like) for moment in whole.snapshots]
    return Trained(take(whole.parameters, like), whole.costs[like], moments)


def concatenate_slices(parts: Sequence[Trained]) -> Trained:
    """Several slices as one."""
    return Trained(
        concatenate([part.parameters for part in parts]),
        np.concatenate([part.costs for part in parts]),
        [concatenate(moment) for moment in zip(*(part.snapshots for part in parts), strict=True)],
    )
