"""Where the slices of a stage are computed: by threads here, or, if DASK_SCHEDULER_ADDRESS is set, by a Dask cluster.

The address is read from the environment and not from params.yaml, because no result depends on it. Dask is imported
only if it is set. docs/cluster.md describes how to start a cluster.
"""

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.cluster.package import PACKAGES, package_of
from pipeline.cluster.slices import Slices
from pipeline.errors import UserError
from pipeline.numerics.sums import integer_sum
from pipeline.training.executors import n_cores

if TYPE_CHECKING:
    from pipeline.cluster.calls import Loop  # imports asyncio, which threads do not need

ADDRESS = "DASK_SCHEDULER_ADDRESS"  # Dask's own name
TIMEOUT = "10s"  # for the connection to the scheduler
ANSWER = 60.0  # seconds in which the scheduler and all workers say what they are
ON_SCHEDULER = ("distributed",)  # of PACKAGES, what must be installed there, too
MEMORY = 0.5  # share of a worker's memory for the arrays of its slices; Dask pauses a worker at 0.8 of it
NO_WORKERS = "distributed.scheduler.no-workers-timeout"  # Dask's own setting
WAIT = "5 minutes"  # how long a stage waits without workers, unless the setting is a duration
SETTINGS = {"distributed.admin.large-graph-warning-threshold": "1TB"}  # the weights travel with the slices


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
    from pipeline.cluster.calls import Cluster

    with connected(address) as (client, loop):
        info, found = described(address, client, loop)
        require_versions(address, found)
        n_threads = integer_sum(worker["nthreads"] for worker in info.values())
        if n_threads == 0:
            raise UserError(f"The Dask scheduler at {address} has no workers; start some as in docs/cluster.md.")
        shares = [
            worker["memory_limit"] / worker["nthreads"]
            for worker in info.values()
            if worker["memory_limit"] and worker["nthreads"]
        ]
        slices = Slices(f"{stage}-{initializer}" if initializer else stage)
        cluster = Cluster(client, loop, address, package_of(f"pipeline.stages.{stage}"), slices)
        place = f" on {n_threads} thread{'s' if n_threads > 1 else ''} of the cluster at {address}"
        with cluster.watched(longest_wait()):
            yield Workers(cluster, n_threads, MEMORY * min(shares, default=math.inf), place)
            cluster.slices.delete()


@contextlib.contextmanager
def connected(address: str) -> Iterator[tuple[Any, "Loop"]]:
    """A client of the scheduler at an address, and the loop in which it runs.

    Its tasks are cancelled at the end of the block. Raises UserError if there is no scheduler, or Dask is not
    installed.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UserError(
            f"{ADDRESS} is set, but Dask is not installed ({error}); run pip install -e '.[cluster]', or unset it."
        ) from error
    from pipeline.cluster.calls import END, Loop

    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):  # each failure becomes one message of ours
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    async def connect() -> Any:
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False, asynchronous=True)
        try:
            return await client
        except BaseException:
            client.status = "closed"  # for its destructor; Dask does this for some of the exceptions
            raise

    async def close() -> None:
        await client.close()

    with warnings.catch_warnings(), dask.config.set(SETTINGS), contextlib.closing(Loop()) as loop:
        warnings.filterwarnings("ignore", module="distributed")  # of versions, which are compared here
        try:
            client = loop.result(connect())
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[:1] or [type(error).__name__]
            raise UserError(
                f"{ADDRESS} holds {address}; it must be the address of a Dask scheduler that can be reached within"
                f" {TIMEOUT}: {reason[0].rstrip('.')}. Unset the variable to compute on this computer."
            ) from error
        try:
            yield client, loop
        finally:
            try:
                loop.result(close(), END)  # the scheduler cancels the tasks of a client that ends
            except Exception:  # its connections end with this process; the destructor is not to try again
                client.status = "closed"


def described(address: str, client: Any, loop: "Loop") -> tuple[dict[str, Any], dict[str, Any]]:
    """What the scheduler knows of each worker, and the result of `Client.get_versions`. Raises UserError."""

    async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
        identity = await client.scheduler.identity(n_workers=-1)
        return identity["workers"], await client.get_versions(packages=PACKAGES)

    try:
        answer: tuple[dict[str, Any], dict[str, Any]] = loop.result(ask(), ANSWER)
        return answer
    except (OSError, TimeoutError) as error:
        raise UserError(
            f"The scheduler or a worker of the cluster at {address} did not answer within {ANSWER:.0f} s."
        ) from error


def longest_wait() -> float:
    """The number of seconds that a stage waits without workers: Dask's setting for its scheduler, or WAIT."""
    import dask

    seconds: float = dask.utils.parse_timedelta(dask.config.get(NO_WORKERS) or WAIT)
    return seconds


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
