"""Larger clusters of real processes, SIGKILL at random moments, and what travels; run by `make cluster`."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.cluster import calls, connection, slices
from pipeline.errors import UserError
from pipeline.networks.activations import ACTIVATIONS
from pipeline.training import gradient_descent
from tests.clusters import (
    CIRCLES,
    DIGITS,
    HE,
    RECIPES,
    ROOT,
    Files,
    Proxy,
    bare_workers,
    kept,
    limited,
    local_cluster,
    run_stages,
    scheduler,
    train_he,
    until,
    write_jobs,
    written,
)

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.servers, pytest.mark.cluster]


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """A test that waits forever for a cluster fails; a quiet machine needs some seconds."""
    with limited(600):
        yield


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Files]:
    """The files of CIRCLES and DIGITS, computed in one thread of this process."""
    results = []
    for case in (CIRCLES, DIGITS):
        folder = tmp_path_factory.mktemp("serial") / "case"
        write_jobs(folder, case)
        results.append(run_stages(folder, None))
    assert [len(files) for files in results] == [len(RECIPES) * (2 + 1 + 3)] * 2
    return results


def compare(folder: Path, address: str, expected: list[Files]) -> None:
    """Run the stages on a cluster for both cases."""
    for number, case in enumerate((CIRCLES, DIGITS)):
        write_jobs(folder / str(number), case)
        assert run_stages(folder / str(number), address) == expected[number]
        assert not list((folder / str(number) / slices.FOLDER).iterdir())  # finished slices are deleted


def test_bare_workers_give_the_same_bytes(expected: list[Files], tmp_path: Path) -> None:
    with scheduler(tmp_path / "scheduler") as (address, _), bare_workers(tmp_path, address, 2):
        compare(tmp_path, address, expected)


@pytest.mark.parametrize(("n_workers", "processes"), [(2, False), (4, True)])
def test_threads_and_processes_give_the_same_bytes(
    n_workers: int, processes: bool, expected: list[Files], tmp_path: Path
) -> None:
    with local_cluster(n_workers, processes) as cluster:
        compare(tmp_path, cluster.scheduler_address, expected)


def test_servers_listen_on_this_computer_only(tmp_path: Path) -> None:
    """The servers of the tests and of Dask's own cluster."""
    with scheduler(tmp_path / "scheduler") as (address, _), bare_workers(tmp_path, address, 1), local_cluster(1):
        ours = psutil.Process()
        found = [each for process in (ours, *ours.children(recursive=True)) for each in process.net_connections("tcp")]
    assert {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    assert len([each for each in found if each.status == psutil.CONN_LISTEN]) >= 6


KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", "5"))  # of the moments


def kill_workers(cluster: Any, n: int, chance: random.Random, done: threading.Event) -> None:
    """SIGKILL to `n` processes of workers, each at a random moment, unless `done` is set before.

    A process may be killed before it is a worker, but only while the scheduler has another worker: a stage that begins
    without one fails. Raises AssertionError if there is no such process for two minutes.
    """
    killed: set[int] = set()

    def candidates() -> list[int]:
        ready = {state.pid for state in list(cluster.scheduler.workers.values())} - killed
        living = {nanny.pid for nanny in list(cluster.workers.values())} - killed - {None}
        return sorted(pid for pid in living if ready - {pid})

    while len(killed) < n and not done.wait(chance.uniform(0.0, 0.5)):
        until(lambda: bool(candidates()), 120)
        pid = chance.choice(candidates())
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)


def test_workers_killed_at_random_moments_and_a_slice_that_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL to KILLS workers while models are trained: the same bytes. A task that ends its process: a message."""
    write_jobs(tmp_path / "he", CIRCLES | {"seeds": range(16), "iterations": 15_000}, HE)
    serial = train_he(tmp_path / "he", None)
    done = threading.Event()
    with local_cluster(2) as cluster, ThreadPoolExecutor(1) as thread:
        cluster.scheduler.allowed_failures = KILLS  # all may hit the same slice
        killer = thread.submit(kill_workers, cluster, KILLS, random.Random(SEED), done)
        try:
            while not killer.done():
                (tmp_path / "he/runs/he/weights.npz").unlink()
                assert train_he(tmp_path / "he", cluster.scheduler_address) == serial
        finally:
            done.set()
        killer.result()
        cluster.scheduler.allowed_failures = 0
        monkeypatch.setenv(connection.ADDRESS, cluster.scheduler_address)
        message = r"^1 workers of the cluster ended .* the last at tcp://127"
        with pytest.raises(UserError, match=message) as failure, connection.workers("train", "he") as workers:
            workers.executor.submit(os._exit, 1).result()
        assert "\n" not in str(failure.value)


def test_a_scheduler_that_is_killed(tmp_path: Path) -> None:
    """The stage as a process: its exit code and its message, and that it ends."""
    write_jobs(tmp_path / "he", CIRCLES | {"seeds": range(8), "iterations": 200_000}, HE)
    command = [sys.executable, "-m", "pipeline.stages.train", "--initializer", "he"]
    with scheduler(tmp_path / "scheduler") as (address, server), bare_workers(tmp_path, address, 2):
        environment = os.environ | {"PYTHONPATH": str(ROOT), connection.ADDRESS: address}
        with subprocess.Popen(
            command, cwd=tmp_path / "he", env=environment, stderr=subprocess.PIPE, text=True
        ) as stage:
            until(lambda: bool(kept(tmp_path / "he")) or stage.poll() is not None)
            server.kill()
            _, said = stage.communicate(timeout=120)
    assert (stage.returncode, said.splitlines()[-1]) == (1, calls.LOST.format(address))
    assert written(tmp_path / "he") == {}


# ---------------------------------------------------------------------------------------------------------------------
# What travels

MEGABYTES = float(os.environ.get("MEGABYTES", "20"))


def test_weights_travel_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes through proxies: to the scheduler and to the worker the initial weights, and back the final ones."""
    dims, phi = (64, 500, 500, 10), [ACTIVATIONS["relu"]] * 2
    one = 8 * (65 * 500 + 501 * 500 + 501 * 10)
    n_models = round(MEGABYTES * 1e6 / one)
    rng = np.random.RandomState(0)
    parameters = [
        (0.05 * rng.randn(n_models, fan_out, fan_in), np.zeros((n_models, fan_out, 1)))
        for fan_in, fan_out in pairwise(dims)
    ]
    X, Y = rng.randn(64, 16), rng.randint(0, 10, (1, 16)).astype(float)
    settings: dict[str, Any] = {"learning_rate": 0.1, "record_at": [0, 1]}
    with scheduler(tmp_path / "scheduler") as (address, _):
        port = int(address.rpartition(":")[2])
        of_client, of_worker = Proxy(port), Proxy(port)
        with bare_workers(tmp_path, of_worker.address):
            monkeypatch.setenv(connection.ADDRESS, of_client.address)
            with connection.workers("train") as workers:
                there = gradient_descent.train(
                    parameters, X, Y, phi, executor=workers.executor, n_workers=workers.n_threads, **settings
                )
        of_client.close()
        of_worker.close()
    here = gradient_descent.train(parameters, X, Y, phi, **settings)
    assert there.costs.tobytes() == here.costs.tobytes()
    assert all(
        a.tobytes() == b.tobytes()
        for x, y in zip(there.parameters, here.parameters, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    weights = n_models * one
    # 1 MB for the package (60 kB in each of four slices), the samples and the messages of Dask
    for travelled in (of_client.sent, of_client.received, of_worker.received):
        assert weights < travelled < 1.01 * weights + 1e6
    print(
        f"{weights / 1e6:.1f} MB of weights; {of_client.sent / 1e6:.1f} to the scheduler, {of_worker.received / 1e6:.1f} to the worker, {of_client.received / 1e6:.1f} back"
    )
