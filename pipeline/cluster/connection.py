"""Where the slices of a stage are computed: by threads here, or, if DASK_SCHEDULER_ADDRESS is set, by a Dask cluster.

The address is read from the environment and not from params.yaml, because no result depends on it. Dask is imported
only if it is set. docs/cluster.md describes how to start a cluster.
"""

import contextlib
import hashlib
import logging
import math
import os
import pickle
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from importlib.metadata import version
from typing import Any, NamedTuple

from pipeline.cluster import remote
from pipeline.cluster.package import package_of
from pipeline.cluster.slices import Slices
from pipeline.errors import UserError
from pipeline.numerics.sums import integer_sum
from pipeline.training.executors import n_cores

ADDRESS = "DASK_SCHEDULER_ADDRESS"  # Dask's own name
TIMEOUT = "10s"  # for the connection to the scheduler
PACKAGES = ("distributed", "numpy", "numba", "llvmlite")  # their versions must be equal on all computers
ON_SCHEDULER = ("distributed",)  # and these must be installed there, too
MEMORY = 0.5  # share of a worker's memory for the arrays of its slices; Dask pauses a worker at 0.8 of it
SETTINGS = {"distributed.admin.large-graph-warning-threshold": "1TB"}  # the weights travel with the slices
LOST = "The scheduler at {} was lost, or it cancelled the work; finished slices are kept for the next run."


class Workers(NamedTuple):
    """What computes the slices of a stage."""

    executor: Executor | None  # None: threads of this process
    n_threads: int
    memory: float  # bytes that the arrays of one slice may take
    place: str  # a phrase for the description of the stage, or nothing


@contextlib.contextmanager
def workers(stage: str, initializer: str = "") -> Iterator[Workers]:
    """The workers for the slices of a stage, or of one initializer in it.

    On a cluster, slices that are not finished at the end of the block are cancelled. Finished ones are deleted if the
    block ends without an exception, and otherwise kept for the next run. Raises UserError if the cluster cannot be
    used.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        yield Workers(None, n_cores(), math.inf, "")
        return
    with connected(address) as client:
        info = client.scheduler_info(n_workers=-1)["workers"]
        require_versions(address, client.get_versions(packages=PACKAGES))
        n_threads = integer_sum(worker["nthreads"] for worker in info.values())
        if n_threads == 0:
            raise UserError(f"The Dask scheduler at {address} has no workers; start some as in docs/cluster.md.")
        shares = [
            worker["memory_limit"] / worker["nthreads"]
            for worker in info.values()
            if worker["memory_limit"] and worker["nthreads"]
        ]
        slices = Slices(f"{stage}-{initializer}" if initializer else stage)
        cluster = Cluster(client, address, package_of(f"pipeline.stages.{stage}"), slices)
        place = f" on {n_threads} thread{'s' if n_threads > 1 else ''} of the cluster at {address}"
        try:
            yield Workers(cluster, n_threads, MEMORY * min(shares, default=math.inf), place)
            cluster.slices.delete()
        finally:
            cluster.shutdown(cancel_futures=True)


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address. Raises UserError if there is none, or Dask is not installed."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UserError(
            f"{ADDRESS} is set, but Dask is not installed ({error}); run pip install -e '.[cluster]', or unset it."
        ) from error
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):  # each failure becomes one message of ours
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings(), dask.config.set(SETTINGS):
        warnings.filterwarnings("ignore", module="distributed")  # of versions, which are compared here
        try:
            client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[:1] or [type(error).__name__]
            raise UserError(
                f"{ADDRESS} holds {address}; it must be the address of a Dask scheduler that can be reached within"
                f" {TIMEOUT}: {reason[0].rstrip('.')}. Unset the variable to compute on this computer."
            ) from error
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


def require_versions(address: str, found: dict[str, Any]) -> None:
    """Raise UserError unless the scheduler and all workers have the versions of Python and of PACKAGES here.

    `found` is the result of `Client.get_versions`. Python may differ after the second number, and the scheduler may
    lack the packages that compute.
    """
    places: dict[str, tuple[Any, tuple[str, ...]]] = {f"the scheduler at {address}": (found["scheduler"], ON_SCHEDULER)}
    places |= {f"the worker at {worker}": (each, PACKAGES) for worker, each in found["workers"].items()}
    here = {"python": minor(found["client"]["host"]["python"])} | {name: version(name) for name in PACKAGES}
    problems = []
    for place, (each, required) in places.items():
        there = {"python": minor(each["host"]["python"])} | {name: each["packages"].get(name) for name in PACKAGES}
        problems += [
            f"{place} has {name} {there[name] or '(not installed)'}, this computer {wanted}."
            for name, wanted in here.items()
            if there[name] != wanted and (there[name] or name in required)
        ]
    if problems:
        more = [f"{len(problems) - 5} further differences."] if len(problems) > 5 else []
        raise UserError("\n".join(["The cluster's versions must be those here:", *problems[:5], *more]))


def minor(python: str) -> str:
    """The first two numbers of a version: 3.11 of 3.11.7.final.0."""
    return ".".join(python.split(".")[:2])


class ByValue:
    """A function of `cluster.remote` that is pickled with the code of its module, and unpickled as the function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import cloudpickle

        self.function = function
        cloudpickle.register_pickle_by_value(remote)
        try:
            self.content = cloudpickle.dumps(function)
        finally:
            cloudpickle.unregister_pickle_by_value(remote)

    def __call__(self, *arguments: Any) -> Any:
        """What Dask requires of a function; called if the cluster is in this process."""
        return self.function(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        return pickle.loads, (self.content,)


class Cluster(Executor):
    """Calls of functions of this package on a Dask cluster.

    Each call is one task with all that it needs: the function and its arguments, pickled, and the package. A task runs
    again if its worker is lost. The result is kept in `slices`. Errors of the cluster are raised as UserError.
    """

    def __init__(self, client: Any, address: str, package: tuple[bytes, str], slices: Slices) -> None:
        self.client, self.address, self.slices = client, address, slices
        self.archive, self.digest = package
        self.run = ByValue(remote.run)
        self.versions = {name: version(name) for name in PACKAGES[1:]}
        self.tasks: dict[Future[Any], Any] = {}  # those that are not finished

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """The future result of function(*arguments); keyword arguments are not supported."""
        if keywords:
            raise TypeError(f"keyword arguments are not supported: {', '.join(keywords)}")
        future: Future[Any] = Future()
        call = pickle.dumps((function, arguments), protocol=5)
        name = hashlib.sha256(f"{self.versions} {self.digest}".encode() + call).hexdigest()
        kept = self.slices.read(name)
        if kept is not None:
            future.set_result(pickle.loads(kept))
            return future
        key = f"{function.__name__}-{uuid.uuid4().hex}"  # threads may submit at the same time
        task = self.client.submit(self.run, self.versions, self.digest, self.archive, call, key=key, pure=False)
        self.tasks[future] = task
        task.add_done_callback(lambda done: self.finish(future, name, done))
        return future

    def finish(self, future: Future[Any], name: str, task: Any) -> None:
        """Set the result of a future, or the exception, from its finished task."""
        with contextlib.suppress(InvalidStateError):  # after `shutdown`
            try:
                future.set_result(self.result_of(name, task))
            except BaseException as error:
                future.set_exception(error)
        self.tasks.pop(future, None)  # workers may forget the result

    def result_of(self, name: str, task: Any) -> Any:
        """The result of a finished task, which is kept under `name`. Raises UserError and what the function raises."""
        from distributed import KilledWorker

        try:
            state, content = task.result()
        except KilledWorker as error:
            raise UserError(
                f"{error.allowed_failures + 1} workers of the cluster ended while they computed the same slice, the"
                f" last at {error.last_worker.address}: a worker that needs more memory than its limit is ended. Give"
                " workers more memory, or choose smaller network.hidden_sizes; docs/cluster.md says how."
            ) from error
        except (CancelledError, OSError) as error:
            if task.status == "error":  # of the function
                raise
            raise UserError(LOST.format(self.address)) from error
        if state == remote.REFUSED:
            raise UserError(f"A worker of the cluster at {self.address} cannot be used: {content.decode()}.")
        self.slices.write(name, content)
        return pickle.loads(content)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel the tasks that are not finished, so that workers begin no more of them. Does not wait for workers."""
        pending = dict(self.tasks)
        for future in pending:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(CancelledError())
        if pending and self.client.status == "running":
            with contextlib.suppress(Exception):
                self.client.cancel(list(pending.values()), force=True)
