"""Calls of functions of this package on a Dask cluster, as futures of `concurrent.futures`."""

import asyncio
import contextlib
import hashlib
import pickle
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Executor, Future
from importlib.metadata import version
from typing import Any

from pipeline.cluster import remote
from pipeline.cluster.package import PACKAGES
from pipeline.cluster.slices import Slices
from pipeline.errors import UserError

END = 5.0  # seconds that the end of the connection may take; Dask takes 2 if the scheduler is lost
POLL = 2.0  # seconds between two looks at the workers
NOTE = 10.0  # seconds without workers after which a note is printed
NONE, PAUSED = "no workers", "only workers that are paused because they use most of their memory"
LOST = "The scheduler at {} was lost, or it cancelled the work; finished slices are kept for the next run."


class Loop:
    """An event loop in a thread of its own, for Dask's asynchronous client."""

    def __init__(self) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.hold(started)), daemon=True)
        self.thread.start()
        self.loop, self.ended = started.result()

    async def hold(self, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        """Keep the loop running until `ended` is set."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda loop, context: None)  # of tasks that nobody waits for
        started.set_result((loop, ended))
        await ended.wait()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """The future result of a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def result(self, coroutine: Coroutine[Any, Any, Any], seconds: float | None = None) -> Any:
        """The result of a coroutine. Raises TimeoutError after this number of seconds, if it is given."""
        future = self.start(coroutine)
        try:
            return future.result(seconds)
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel all coroutines and end the thread; one that does not end within END seconds ends with the process."""
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(END)


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

    def __init__(self, client: Any, loop: Loop, address: str, package: tuple[bytes, str], slices: Slices) -> None:
        self.client, self.loop, self.address, self.slices = client, loop, address, slices
        self.archive, self.digest = package
        self.run = ByValue(remote.run)
        self.versions = {name: version(name) for name in PACKAGES[1:]}
        self.calls: set[asyncio.Task[Any]] = set()  # those that are not finished
        self.failure: UserError | None = None

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """The future result of function(*arguments); keyword arguments are not supported."""
        if keywords:
            raise TypeError(f"keyword arguments are not supported: {', '.join(keywords)}")
        call = pickle.dumps((function, arguments), protocol=5)
        name = hashlib.sha256(f"{self.versions} {self.digest}".encode() + call).hexdigest()
        kept = self.slices.read(name)
        if kept is None:
            return self.loop.start(self.computed(function.__name__, name, call))
        future: Future[Any] = Future()
        future.set_result(pickle.loads(kept))
        return future

    async def computed(self, title: str, name: str, call: bytes) -> Any:
        """The result of a pickled call, which is kept under `name`. Raises UserError and what the function raises."""
        this = asyncio.current_task()
        assert this is not None
        self.calls.add(this)
        try:
            key = f"{title}-{uuid.uuid4().hex}"
            task = self.client.submit(self.run, self.versions, self.digest, self.archive, call, key=key, pure=False)
            content = await self.content(task)
        except asyncio.CancelledError:
            if self.failure is not None:
                raise self.failure from None
            raise
        finally:
            self.calls.discard(this)
        self.slices.write(name, content)
        return pickle.loads(content)

    async def content(self, task: Any) -> bytes:
        """The pickled result of a task. Raises UserError and what the function raises."""
        from distributed import KilledWorker
        from distributed.scheduler import NoWorkerError

        try:
            state, content = await task
        except KilledWorker as error:
            raise UserError(
                f"{error.allowed_failures + 1} workers of the cluster ended while they computed the same slice, the"
                f" last at {error.last_worker.address}: a worker that needs more memory than its limit is ended. Give"
                " workers more memory, or choose smaller network.hidden_sizes; docs/cluster.md says how."
            ) from error
        except NoWorkerError as error:  # of the scheduler's own limit
            raise self.without_workers(error.timeout) from error
        except (CancelledError, OSError) as error:
            if task.status == "error":  # of the function
                raise
            raise UserError(LOST.format(self.address)) from error
        if state == remote.REFUSED:
            raise UserError(f"A worker of the cluster at {self.address} cannot be used: {content.decode()}.")
        return bytes(content)

    async def watch(self, limit: float) -> None:
        """Fail the calls that are not finished after `limit` seconds without workers; print a note after NOTE."""
        since, noted = time.monotonic(), False
        while True:
            await asyncio.sleep(min(POLL, limit))
            try:
                found = await self.obstacle() if self.calls else None
            except OSError:  # the calls say that the scheduler is lost
                return
            now = time.monotonic()
            if found is None:
                since, noted = now, False
            elif now - since >= limit:
                self.failure = self.without_workers(limit, found)
                for call in self.calls:
                    call.cancel()
            elif now - since >= NOTE and not noted:
                noted = True
                note = f"The cluster at {self.address} has {found}; waiting for others, at most {limit:.0f} s."
                print(note, file=sys.stderr, flush=True)

    async def obstacle(self) -> str | None:
        """NONE or PAUSED if no worker computes or takes a slice, else None."""
        scheduler = self.client.scheduler
        if await scheduler.ncores_running():
            return None
        workers = (await scheduler.identity(n_workers=-1))["workers"].values()
        if any(worker["metrics"].get("task_counts", {}).get("executing") for worker in workers):
            return None
        return PAUSED if workers else NONE

    def without_workers(self, seconds: float, found: str = NONE) -> UserError:
        """The error after this number of seconds with nothing but what was found."""
        more = " with more memory" if found == PAUSED else ""
        return UserError(
            f"The cluster at {self.address} had {found} for {seconds:.0f} s; finished slices are kept for the next"
            f" run. Start workers{more} as in docs/cluster.md."
        )

    @contextlib.contextmanager
    def watched(self, limit: float) -> Iterator[None]:
        """Watch the workers during a block."""
        watch = self.loop.start(self.watch(limit))
        try:
            yield
        finally:
            watch.cancel()
