"""Gradient descent over a batch of models: full batch, a fixed learning rate, the cost recorded along the way.

The batch is cut into slices of models, and each slice is a call that any executor in the manner of `concurrent.futures`
can take: threads here, processes, or the machines of a cluster. A model's bits do not depend on the slice it is in.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline import kernel, network
from pipeline.activations import Activation
from pipeline.initializers import Parameters
from pipeline.sums import Array

SLICES = 4  # for each worker, so that none waits long for the last
PIECE_FLOPS = 2e9  # of one call of the arithmetic: some hundredths of a second, after which a stop is heeded


class Arithmetic(NamedTuple):
    """The two functions of `network` or `kernel` that training calls."""

    descend: Callable[[Parameters, network.Samples, Sequence[Activation], float, int], Parameters]
    cost: Callable[[Parameters, network.Samples, Sequence[Activation]], Array]


REFERENCE = Arithmetic(network.descend, network.cost)
COMPILED = Arithmetic(kernel.descend, kernel.cost)


class Trained(NamedTuple):
    """What training leaves."""

    parameters: Parameters
    costs: Array  # (models, records)


class Job(NamedTuple):
    """A slice of a batch and how to train it: all that a worker needs; it can be pickled."""

    parameters: Parameters
    X: Array
    Y: Array
    activations: Sequence[Activation]
    learning_rate: float
    record_at: NDArray[np.int64]
    arithmetic: Arithmetic


def train_slice(job: Job, stop: threading.Event | None = None) -> Trained:
    """Train the models of a job. Raises CancelledError soon after `stop` is set."""
    parameters, arithmetic = job.parameters, job.arithmetic
    S = network.samples(job.X, job.Y)
    size = sum(W.size + b.size for W, b in parameters) * S.X.shape[1]
    piece = max(1, int(PIECE_FLOPS / (6 * size)))
    costs = np.empty((len(parameters[0][0]), len(job.record_at)))
    step = 0
    with np.errstate(over="ignore", invalid="ignore"):  # a model that diverges is a result: its costs say so
        for record, due in enumerate(job.record_at.tolist()):
            while step < due:
                steps = min(piece, due - step)
                parameters = arithmetic.descend(parameters, S, job.activations, job.learning_rate, steps)
                step += steps
                if stop is not None and stop.is_set():
                    raise CancelledError
            costs[:, record] = arithmetic.cost(parameters, S, job.activations)
    return Trained([(one_nan(W), one_nan(b)) for W, b in parameters], one_nan(costs))


def one_nan(values: Array) -> Array:
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
    arithmetic: Arithmetic = COMPILED,
    executor: Executor | None = None,
    progress: Callable[[int], object] = lambda n_models: None,
) -> Trained:
    """Train the stack `parameters` on X (n_0, m), Y (1, m); the input is left as it was.

    The cost is recorded at the numbers of steps in `record_at`, which rise; the last is where training ends. Without
    an executor, threads on all cores do the work, and an interruption stops them within a second. `progress` is called
    with a number of models whenever so many more are done.
    """
    n_models, n_workers = len(parameters[0][0]), n_cores()
    size = max(1, -(-n_models // (SLICES * n_workers)))
    records = np.asarray(record_at, dtype=np.int64)
    slices = [[(W[i : i + size], b[i : i + size]) for W, b in parameters] for i in range(0, n_models, size)]
    jobs = [Job(part, X, Y, activations, learning_rate, records, arithmetic) for part in slices]
    if executor is not None:
        return gathered([executor.submit(train_slice, job) for job in jobs], progress)
    stop = threading.Event()
    with ThreadPoolExecutor(n_workers) as threads:
        try:
            return gathered([threads.submit(train_slice, job, stop) for job in jobs], progress)
        except BaseException:
            stop.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def gathered(futures: Sequence[Future[Trained]], progress: Callable[[int], object]) -> Trained:
    """The slices put together again, in their order."""
    for future in as_completed(futures):
        progress(len(future.result().costs))
    slices = [future.result() for future in futures]
    layers = zip(*(part.parameters for part in slices), strict=True)
    parameters = [(np.concatenate([W for W, _ in layer]), np.concatenate([b for _, b in layer])) for layer in layers]
    return Trained(parameters, np.concatenate([part.costs for part in slices]))


def n_cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
