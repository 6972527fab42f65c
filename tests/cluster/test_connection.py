"""A Dask cluster on 127.0.0.1: the bytes of one thread of this computer, failures, and what travels."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.cluster import connection, slices
from pipeline.datasets import DATASETS
from pipeline.errors import UserError
from pipeline.initializers.recipes import Recipe
from pipeline.networks import kernel
from pipeline.networks.activations import ACTIVATIONS
from pipeline.numerics import matmul
from pipeline.stages import diagnose, train, trajectories
from pipeline.storage import jobs, samples
from pipeline.storage.jobs import ModelsJob, TrainingJob, TrajectoriesJob
from pipeline.training import gradient_descent
from tests.clusters import ROOT, Proxy, bare_workers, scheduler, until
from tests.conftest import compiling

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.servers, pytest.mark.cluster]

LIMIT = 120  # seconds of a test; a quiet machine needs a tenth
RECIPES = {
    "he": Recipe("he_normal"),
    "random_x10": Recipe("normal", {"std": 10.0}),  # a change of 1 ulp becomes visible within some hundred steps
    "zeros": Recipe("zeros"),  # all models are equal
    "lsuv": Recipe("lsuv"),  # depends on the data
    "own": Recipe("own.example:mirrored", {"scale": 2.0}),  # drawn here: workers do not get the files in own/
}
CIRCLES = {"data": ("circles", 300), "hidden": (10, 5), "seeds": range(7), "iterations": 1000, "batch": None}
DIGITS = {"data": ("digits", 200), "hidden": (20, 10), "seeds": range(5), "iterations": 60, "batch": 50}
Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """A test that waits forever for a cluster fails after LIMIT seconds."""

    def expired(number: int, frame: Any) -> None:
        raise TimeoutError(f"the test took more than {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the workers load from the disk."""
    with compiling(tmp_path_factory, ROOT):
        kernel.compiled["descend_models"]
        matmul.compiled["products"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler with two bare workers."""
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder / "scheduler") as (found, _), bare_workers(folder, found, 2):
        yield found


def write_jobs(folder: Path, case: dict[str, Any], recipes: dict[str, Recipe] = RECIPES) -> None:
    """The files that the stages read, for a case."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".dvc").mkdir()
    name, n_train = case["data"]
    (X, Y), _ = DATASETS[name].split(n_train, 20, 0.05, 1, 2)
    n_classes = int(Y.max()) + 1
    dims = (len(X), *case["hidden"], 1 if n_classes == 2 else n_classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        samples.write_samples(samples.DATA / "train.csv", X, Y)
        for each, recipe in recipes.items():
            relu = ("relu",) * len(case["hidden"])
            code = "a digest" if each == "own" else None
            jobs.write_models_job(ModelsJob(each, recipe, dims, relu, tuple(case["seeds"]), n_train, n_classes, code))
        momentum = 0.0 if case["batch"] is None else 0.9
        jobs.write_training_job(TrainingJob(case["iterations"], 0.01, momentum, case["batch"], 100))
        jobs.write_trajectories_job(TrajectoriesJob(0, tuple(recipes)))


def run_stages(folder: Path, address: str | None, recipes: dict[str, Recipe] = RECIPES) -> Files:
    """The files that the three stages write; without an address, in one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        patch.delenv(connection.ADDRESS, raising=False)
        if address:
            patch.setenv(connection.ADDRESS, address)
        for name in recipes:
            train.train(name)
        trajectories.trajectories()
        diagnose.diagnose()
    return written(folder)


def written(folder: Path) -> Files:
    """The files in the folders of the stages."""
    found = [path for name in ("runs", "trajectories", "diagnostics") for path in (folder / name).rglob("*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Files]:
    """The files of CIRCLES and DIGITS, computed in one thread of this process."""
    results = []
    for case in (CIRCLES, DIGITS):
        folder = tmp_path_factory.mktemp("serial")
        write_jobs(folder, case)
        results.append(run_stages(folder, None))
    assert [len(files) for files in results] == [len(RECIPES) * (2 + 1 + 3)] * 2
    return results


def compare(folder: Path, address: str, expected: list[Files]) -> None:
    for number, case in enumerate((CIRCLES, DIGITS)):
        write_jobs(folder / str(number), case)
        assert run_stages(folder / str(number), address) == expected[number]
        assert not list((folder / str(number) / slices.FOLDER).iterdir())  # finished slices are deleted


def test_bare_workers_give_the_same_bytes(address: str, expected: list[Files], tmp_path: Path) -> None:
    compare(tmp_path, address, expected)


@contextmanager
def local_cluster(n_workers: int, processes: bool = True) -> Iterator[Any]:
    """Dask's own cluster of one thread per worker."""
    how = {"processes": processes, "dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    how |= {"host": "127.0.0.1"} if processes else {}  # threads of this process use no port
    with distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, memory_limit="1GB", **how) as cluster:
        yield cluster


@pytest.mark.parametrize(("n_workers", "processes"), [(2, False), (4, True)])
def test_threads_and_processes_give_the_same_bytes(
    n_workers: int, processes: bool, expected: list[Files], tmp_path: Path
) -> None:
    with local_cluster(n_workers, processes) as cluster:
        compare(tmp_path, cluster.scheduler_address, expected)


def test_servers_listen_on_this_computer_only(address: str) -> None:
    """The servers of the module's cluster and of Dask's own."""
    with local_cluster(1):
        ours = psutil.Process()
        found = [each for process in (ours, *ours.children(recursive=True)) for each in process.net_connections("tcp")]
    assert {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    assert len([each for each in found if each.status == psutil.CONN_LISTEN]) >= 6


KILLS = int(os.environ.get("KILLS", "3"))


def test_slices_of_killed_workers_run_again_and_a_slice_that_kills_ends_in_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL to KILLS workers at random moments while models are trained; then a task that ends its process."""
    case = CIRCLES | {"seeds": range(16), "iterations": 15_000}
    he = {"he": RECIPES["he"]}
    write_jobs(tmp_path, case, he)
    monkeypatch.chdir(tmp_path)
    train.train("he")
    serial = written(tmp_path)
    chance, kills, done = random.Random(5), 0, threading.Event()
    with local_cluster(2) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        cluster.scheduler.allowed_failures = KILLS  # all may hit the same slice

        def kill() -> None:
            nonlocal kills
            while kills < KILLS and not done.wait(chance.uniform(0.0, 0.5)):
                pids = [worker.process.pid for worker in cluster.workers.values() if worker.process.pid]
                os.kill(chance.choice(pids), signal.SIGKILL)
                kills += 1
                client.wait_for_workers(2, timeout=60)

        killer = threading.Thread(target=kill)
        killer.start()
        monkeypatch.setenv(connection.ADDRESS, cluster.scheduler_address)
        try:
            while kills < KILLS or killer.is_alive():
                (tmp_path / "runs/he/weights.npz").unlink()
                train.train("he")
                assert written(tmp_path) == serial
        finally:
            done.set()
            killer.join()
        cluster.scheduler.allowed_failures = 0
        message = r"^1 workers of the cluster ended .* the last at tcp://127"
        with pytest.raises(UserError, match=message) as failure, connection.workers("train", "he") as workers:
            workers.executor.submit(os._exit, 1).result()
        assert "\n" not in str(failure.value)


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
    with bare_workers(tmp_path, address, PYTHONPATH=str(other.parent)):
        message = refusal(monkeypatch, address)
    first, second = message.splitlines()
    assert first == "The cluster's versions must be those here:"
    here = connection.version("numba")
    assert second.startswith("the worker at tcp://127.0.0.1:")
    assert second.endswith(f" has numba 0.1, this computer {here}.")


@pytest.mark.parametrize("value", ["nowhere", "tcp://127.0.0.1:1", "http://127.0.0.1:80"])
def test_an_address_without_a_scheduler(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", "1s")
    message = refusal(monkeypatch, value)
    assert message.startswith(f"DASK_SCHEDULER_ADDRESS holds {value}; it must be the address of a Dask scheduler")
    assert "\n" not in message


def test_a_cluster_without_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scheduler(tmp_path) as (address, _):
        assert refusal(monkeypatch, address) == (
            f"The Dask scheduler at {address} has no workers; start some as in docs/cluster.md."
        )


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "Dask is not installed" in refusal(monkeypatch, "tcp://127.0.0.1:1")


def test_memory_that_is_not_there_and_errors_of_the_function(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connection.ADDRESS, address)
    cases = ((bytearray, 2**60, MemoryError), (json.loads, "{", json.JSONDecodeError), (os.stat, "no/file", OSError))
    for function, argument, error in cases:
        with pytest.raises(error), connection.workers("train") as workers:
            workers.executor.submit(function, argument).result()


def started(folder: Path, address: str) -> subprocess.Popen[str]:
    """The stage `train` as a process, of which at least one slice is finished."""
    command = [sys.executable, "-m", "pipeline.stages.train", "--initializer", "he"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), connection.ADDRESS: address}
    stage = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    until(lambda: bool(kept(folder)) or stage.poll() is not None)
    return stage


def kept(folder: Path) -> list[Path]:
    return [path for path in (folder / slices.FOLDER / "train-he").glob("*") if path.suffix != ".part"]


def test_an_interruption_and_a_lost_scheduler_keep_the_finished_slices(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CIRCLES | {"seeds": range(8), "iterations": 100_000}
    he = {"he": RECIPES["he"]}
    for name in ("serial", "interrupted", "lost"):
        write_jobs(tmp_path / name, case, he)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "serial")
        train.train("he")
    with started(tmp_path / "interrupted", address) as stage:
        stage.send_signal(signal.SIGINT)
        _, said = stage.communicate(timeout=30)
    assert (stage.returncode, said.splitlines()[1:]) == (130, ["Interrupted; no partial files were written."])
    assert written(tmp_path / "interrupted") == {}
    # The same number of threads, so the same slices
    with (
        scheduler(tmp_path / "scheduler") as (second, server),
        bare_workers(tmp_path, second, 2),
        started(tmp_path / "lost", second) as stage,
    ):
        server.kill()
        _, said = stage.communicate(timeout=30)
    assert (stage.returncode, said.splitlines()[1:]) == (1, [connection.LOST.format(second)])
    assert written(tmp_path / "lost") == {}
    computed: list[Any] = []
    result_of = connection.Cluster.result_of

    def counted(cluster: connection.Cluster, name: str, task: Any) -> Any:
        computed.append(name)
        return result_of(cluster, name, task)

    monkeypatch.setattr(connection.Cluster, "result_of", counted)
    monkeypatch.setenv(connection.ADDRESS, address)
    for name in ("interrupted", "lost"):
        computed.clear()
        before = {path.name for path in kept(tmp_path / name)}
        assert 0 < len(before) < 8
        monkeypatch.chdir(tmp_path / name)
        train.train("he")
        assert len(computed) == 8 - len(before)
        assert before.isdisjoint(computed)
        assert written(tmp_path / name)["runs/he/weights.npz"] == written(tmp_path / "serial")["runs/he/weights.npz"]
        assert kept(tmp_path / name) == []


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


def test_slices_follow_the_threads_and_the_memory_of_the_cluster(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connection.ADDRESS, address)
    with connection.workers("train") as workers:
        assert workers.n_threads == 2
        assert workers.place == f" on 2 threads of the cluster at {address}"
        # Dask's default limit: the memory of this computer in proportion to the threads of a worker
        assert 2**20 < workers.memory < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
