"""A cluster of two processes without this package: the bytes of one thread of this computer, and failures.

No test depends on the duration of anything: what must happen during a stage happens when its first slice is finished.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster import calls, connection, slices
from pipeline.errors import UserError
from tests import clusters
from tests.clusters import CIRCLES, HE, RECIPES, ROOT, Files, kept, train_he, until, write_jobs, written
from tests.conftest import compile_once

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),  # printed by destructors
]

SMALL = {name: RECIPES[name] for name in ("he", "random_x10", "own")}
# Slices of one model each on two or three threads; they take longer than it takes to submit all of them
SLICES = CIRCLES | {"seeds": range(8), "iterations": 10_000}


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A test that waits forever for a cluster fails; a quiet machine needs some seconds. Slices are kept in its folder."""
    monkeypatch.setattr(connection, "TIMEOUT", "120s")
    monkeypatch.chdir(tmp_path)
    with clusters.limited(300):
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A scheduler in this process with two bare workers, which load the compiled code from the disk."""
    compile_once()
    with (
        clusters.local_cluster(0) as made,
        clusters.bare_workers(tmp_path_factory.mktemp("cluster"), made.scheduler_address, 2),
    ):
        yield made


@pytest.fixture(scope="module")
def address(cluster: Any) -> str:
    return str(cluster.scheduler_address)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of the stage `train` for SLICES, computed in one thread of this process."""
    folder = tmp_path_factory.mktemp("serial")
    write_jobs(folder / "he", SLICES, HE)
    return train_he(folder / "he", None)


def test_the_same_bytes(address: str, tmp_path: Path) -> None:
    """Of all stages; each of the two threads computes some of the slices."""
    for name in ("serial", "cluster"):
        write_jobs(tmp_path / name, CIRCLES, SMALL)
    expected = clusters.run_stages(tmp_path / "serial", None, SMALL)
    assert len(expected) == len(SMALL) * (2 + 1 + 3)
    assert clusters.run_stages(tmp_path / "cluster", address, SMALL) == expected
    assert not list((tmp_path / "cluster" / slices.FOLDER).iterdir())  # finished slices are deleted


def after_the_first_slice(monkeypatch: pytest.MonkeyPatch, event: Callable[[], Any]) -> list[bytes]:
    """Call `event` in the thread of the client when it has the first result; returns the list of results so far."""
    results: list[bytes] = []
    content = calls.Cluster.content

    async def first(cluster: calls.Cluster, task: Any) -> bytes:
        results.append(found := await content(cluster, task))
        if len(results) == 1:
            waiting = event()
            if waiting is not None:
                await waiting
        return found

    monkeypatch.setattr(calls.Cluster, "content", first)
    return results


def test_the_slices_of_a_killed_worker_run_again(
    cluster: Any, trained: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL to the third worker while it has slices."""
    write_jobs(tmp_path / "he", SLICES, HE)
    with clusters.bare_workers(tmp_path, cluster.scheduler_address) as (victim,):
        (state,) = [worker for worker in cluster.scheduler.workers.values() if worker.pid == victim.pid]

        async def kill() -> None:
            while not state.processing:
                await asyncio.sleep(0.01)
            victim.kill()

        results = after_the_first_slice(monkeypatch, kill)
        assert train_he(tmp_path / "he", cluster.scheduler_address) == trained
        assert victim.wait(60) == -signal.SIGKILL
    assert len(results) == 8


# ---------------------------------------------------------------------------------------------------------------------
# Failures


def refusal(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    """The message of the UserError of a cluster that cannot be used."""
    monkeypatch.setenv(connection.ADDRESS, address)
    with pytest.raises(UserError) as failure, connection.workers("train"):
        raise AssertionError("the cluster is used")
    return str(failure.value)


def test_a_worker_with_another_version_is_refused_by_name(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes the version of a package from the first METADATA on its path."""
    other = tmp_path / "other" / "numba-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numba\nVersion: 0.1\n")
    with clusters.bare_workers(tmp_path, address, PYTHONPATH=str(other.parent)):
        message = refusal(monkeypatch, address)
    first, second = message.splitlines()
    assert first == "The cluster's versions must be those here:"
    here = connection.version("numba")
    assert second.startswith("the worker at tcp://127.0.0.1:")
    assert second.endswith(f" has numba 0.1, this computer {here}.")


@pytest.mark.parametrize("value", ["nowhere", "tcp://127.0.0.1:1", "http://127.0.0.1:80"])
def test_an_address_without_a_scheduler(
    value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", "0.2s")
    message = refusal(monkeypatch, value)
    assert message.startswith(f"DASK_SCHEDULER_ADDRESS holds {value}; it must be the address of a Dask scheduler")
    assert "\n" not in message
    gc.collect()  # the destructor of the client prints nothing
    assert capfd.readouterr().err == ""


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    with clusters.local_cluster(0) as empty:
        assert refusal(monkeypatch, empty.scheduler_address) == (
            f"The Dask scheduler at {empty.scheduler_address} has no workers; start some as in docs/cluster.md."
        )


def test_a_cluster_that_does_not_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silence(client: Any, packages: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(distributed.Client, "get_versions", silence)
    monkeypatch.setattr(connection, "ANSWER", 1.0)
    said = f"The scheduler or a worker of the cluster at {address} did not answer within 1 s."
    assert refusal(monkeypatch, address) == said


def without_workers(cluster: Any) -> None:
    """A call on a cluster whose workers leave after the connection is made."""
    with connection.workers("train") as workers:
        cluster.scale(0)
        until(lambda: not cluster.scheduler.workers)
        workers.executor.submit(abs, -1).result()


def test_workers_that_leave(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A note, and the work goes on with a new worker; without one a message. Both limits: of this package, and Dask's."""
    monkeypatch.setattr(calls, "POLL", 0.02)
    monkeypatch.setattr(calls, "NOTE", 0.04)
    with clusters.local_cluster(1, processes=False) as one:
        monkeypatch.setenv(connection.ADDRESS, one.scheduler_address)
        note = f"The cluster at {one.scheduler_address} has no workers; waiting for others, at most 300 s.\n"
        with connection.workers("train") as workers:
            said = ""
            one.scale(0)
            until(lambda: not one.scheduler.workers)
            future = workers.executor.submit(abs, -1)
            while not said.endswith("\n"):
                said += capfd.readouterr().err
                time.sleep(0.01)
            assert said == note
            one.scale(1)
            assert future.result() == 1
        monkeypatch.setattr(connection, "WAIT", "0.2 s")
        monkeypatch.setattr(calls, "NOTE", 60.0)
        message = (
            rf"^The cluster at {one.scheduler_address} had no workers for 0 s; finished slices are kept for the next"
            r" run\. Start workers as in docs/cluster\.md\.$"
        )
        with pytest.raises(UserError, match=message):
            without_workers(one)
        assert capfd.readouterr().err == ""


def without_memory(one: Any) -> None:
    """Two calls on a cluster whose only worker is paused while it computes the first."""
    ((state,), (worker,)) = one.scheduler.workers.values(), one.workers.values()
    read, write = os.pipe()
    with connection.workers("train") as workers:
        cluster: Any = workers.executor
        assert cluster.loop.result(cluster.obstacle()) is None
        first, second = cluster.submit(os.read, read, 1), cluster.submit(abs, -1)
        until(lambda: bool(state.metrics["task_counts"].get("executing")))
        worker.memory_manager.memory_limit = 1  # byte
        until(lambda: bool(state.status.name == "paused"))
        assert cluster.loop.result(cluster.obstacle()) is None
        os.write(write, b"x")
        assert first.result() == b"x"
        until(lambda: cluster.loop.result(cluster.obstacle()) == calls.PAUSED)
        second.result()


def test_workers_that_are_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask pauses a worker above 80 % of its memory: it finishes its slice and takes no other one."""
    monkeypatch.setattr(calls, "POLL", 0.02)
    monkeypatch.setattr(connection, "longest_wait", lambda: 1.0)
    with clusters.local_cluster(1, processes=False) as one:
        monkeypatch.setenv(connection.ADDRESS, one.scheduler_address)
        message = (
            rf"^The cluster at {one.scheduler_address} had only workers that are paused because they use most of their"
            r" memory for 1 s; finished slices are kept for the next run\. Start workers with more memory as in"
            r" docs/cluster\.md\.$"
        )
        with pytest.raises(UserError, match=message):
            without_memory(one)


def test_dasks_own_limit_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    assert connection.longest_wait() == 300.0
    with dask.config.set({connection.NO_WORKERS: "20s"}):
        assert connection.longest_wait() == 20.0
    with (
        dask.config.set({connection.NO_WORKERS: "50ms"}),  # read by the scheduler when it starts
        clusters.local_cluster(1, processes=False) as one,
    ):
        monkeypatch.setattr(connection, "longest_wait", lambda: 300.0)
        monkeypatch.setenv(connection.ADDRESS, one.scheduler_address)
        with pytest.raises(UserError, match=r"had no workers for 0 s"):
            without_workers(one)


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "Dask is not installed" in refusal(monkeypatch, "tcp://127.0.0.1:1")


def test_memory_that_is_not_there_and_errors_of_the_function(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connection.ADDRESS, address)
    cases = ((bytearray, 2**60, MemoryError), (json.loads, "{", json.JSONDecodeError), (os.stat, "no/file", OSError))
    for function, argument, error in cases:
        with pytest.raises(error), connection.workers("train") as workers:
            workers.executor.submit(function, argument).result()


def finish(folder: Path, address: str, expected: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage again: it computes the slices that are not kept, and no other."""
    before = kept(folder)
    assert 0 < len(before) < 8
    assert written(folder) == {}
    results = after_the_first_slice(monkeypatch, lambda: None)
    assert train_he(folder, address) == expected
    assert len(results) == 8 - len(before)
    assert not kept(folder)


def test_a_lost_scheduler_keeps_the_finished_slices(
    address: str, trained: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All connections to the scheduler end."""
    write_jobs(tmp_path / "he", SLICES, HE)
    proxy = clusters.Proxy(int(address.rpartition(":")[2]))
    with monkeypatch.context() as patch:
        after_the_first_slice(patch, proxy.close)
        with pytest.raises(UserError) as failure:
            train_he(tmp_path / "he", proxy.address)
    assert str(failure.value) == calls.LOST.format(proxy.address)
    del failure
    gc.collect()  # the destructor of the client prints nothing
    finish(tmp_path / "he", address, trained, monkeypatch)


INTERRUPTED = """
import asyncio, signal, threading
from pipeline.cluster import calls, connection
from pipeline.stages import run_and_exit, train
connection.TIMEOUT = "120s"
signal.signal(signal.SIGINT, signal.default_int_handler)  # processes in the background ignore it
content, finished = calls.Cluster.content, 0

async def first(cluster, task):
    global finished
    found, finished = await content(cluster, task), finished + 1
    if finished > 1:
        await asyncio.Event().wait()
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    return found

calls.Cluster.content = first
run_and_exit(train.main)
"""


def test_an_interruption_keeps_the_finished_slices(
    address: str, trained: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT to the stage as a process when its first slice is finished; no other one becomes finished."""
    write_jobs(tmp_path / "he", SLICES, HE)
    stage = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "--initializer", "he"],
        cwd=tmp_path / "he",
        env=os.environ | {"PYTHONPATH": str(ROOT), connection.ADDRESS: address},
        capture_output=True,
        text=True,
    )
    assert (stage.returncode, stage.stderr.splitlines()[1:]) == (130, ["Interrupted; no partial files were written."])
    assert len(kept(tmp_path / "he")) == 1
    finish(tmp_path / "he", address, trained, monkeypatch)


def test_slices_follow_the_threads_and_the_memory_of_the_cluster(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connection.ADDRESS, address)
    with connection.workers("train") as workers:
        assert workers.n_threads == 2
        assert workers.place == f" on 2 threads of the cluster at {address}"
        # Dask's default limit: the memory of this computer in proportion to the threads of a worker
        assert 2**20 < workers.memory < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
