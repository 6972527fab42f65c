"""What tests of a cluster use: Dask on 127.0.0.1, ended with the block; a proxy that counts bytes; small cases of stages."""

import faulthandler
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster import connection, slices
from pipeline.datasets import DATASETS
from pipeline.initializers.recipes import Recipe
from pipeline.stages import diagnose, train, trajectories
from pipeline.storage import jobs, samples
from pipeline.storage.jobs import ModelsJob, TrainingJob, TrajectoriesJob
from tests.browser import free_port

ROOT = Path(__file__).parents[1]
COMPILED = os.environ.get("NUMBA_CACHE_DIR", str(ROOT / "pipeline" / "__pycache__"))
# A worker without this package: an editable installation is undone before Dask starts
BARE = f"""
import importlib.util, sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
sys.path = [path for path in sys.path if path != {str(ROOT)!r}]
assert importlib.util.find_spec("pipeline") is None
from distributed.cli.dask_worker import main
main()
"""


@contextmanager
def process(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process in an empty folder, without PYTHONPATH unless given; its output goes to a file there."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DASK_SCHEDULER_ADDRESS")}
    # TMPDIR: the package is unpacked there
    variables = kept | {"NUMBA_CACHE_DIR": COMPILED, "TMPDIR": str(folder)} | environment
    with (folder / "output.txt").open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=variables, stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler: its address and its process."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    with process(folder, "-m", "distributed.cli.dask_scheduler", *options) as started:
        until(lambda: accepts(port))
        yield f"tcp://127.0.0.1:{port}", started


@contextmanager
def bare_workers(folder: Path, address: str, n: int = 1, **environment: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers of one thread that cannot import this package, each a process without a nanny."""
    options = [
        "--host",
        "127.0.0.1",
        "--nthreads",
        "1",
        "--no-nanny",
        "--dashboard-address",
        "127.0.0.1:0",
        "--death-timeout",
        "240",
    ]
    with ExitStack() as stack:
        started = [
            stack.enter_context(process(folder / f"worker{i}", "-c", BARE, address, *options, **environment))
            for i in range(n)
        ]
        logs = [folder / f"worker{i}" / "output.txt" for i in range(n)]
        until(lambda: all("Starting established connection" in log.read_text() for log in logs))
        yield started


def accepts(port: int) -> bool:
    """Whether a server listens on a port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def until(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the main thread if the block takes longer; where each thread was is written to stderr."""

    def expired(number: int, frame: Any) -> None:
        faulthandler.dump_traceback(2)
        raise TimeoutError(f"the test took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def local_cluster(n_workers: int, processes: bool = True) -> Iterator[Any]:
    """A scheduler in this process, and workers of one thread: processes, or threads of this process.

    Dask ends a worker of its own clusters for good if it is not back within 15 s after its process ended, which is too
    short on a loaded machine.
    """
    import dask
    import distributed

    how = {"processes": processes, "dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    how |= {"host": "127.0.0.1"} if processes else {}  # threads of this process use no port
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, memory_limit="1GB", **how) as cluster,
    ):
        yield cluster


class Proxy:
    """Forwards TCP connections to a port of 127.0.0.1 and counts the bytes to the server and from it."""

    def __init__(self, port: int) -> None:
        self.target, self.sent, self.received = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self.connections += [client, server]
                for name, source, sink in (("sent", client, server), ("received", server, client)):
                    threading.Thread(target=self.forward, args=(name, source, sink), daemon=True).start()

    def forward(self, name: str, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(2**20):
                setattr(self, name, getattr(self, name) + len(content))
                sink.sendall(content)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End all connections, and accept no more: to a client as if the server had ended."""
        for each in (self.listener, *self.connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


# ---------------------------------------------------------------------------------------------------------------------
# Stages

RECIPES = {
    "he": Recipe("he_normal"),
    "random_x10": Recipe("normal", {"std": 10.0}),  # a change of 1 ulp becomes visible within some hundred steps
    "zeros": Recipe("zeros"),  # all models are equal
    "lsuv": Recipe("lsuv"),  # depends on the data
    "own": Recipe("own.example:mirrored", {"scale": 2.0}),  # drawn here: workers do not get the files in own/
}
HE = {"he": RECIPES["he"]}
CIRCLES = {"data": ("circles", 300), "hidden": (10, 5), "seeds": range(7), "iterations": 1000, "batch": None}
DIGITS = {"data": ("digits", 200), "hidden": (20, 10), "seeds": range(5), "iterations": 60, "batch": 50}
Files = dict[str, bytes]


def write_jobs(folder: Path, case: dict[str, Any], recipes: dict[str, Recipe] = RECIPES) -> None:
    """Write the files that the stages read, for a case."""
    (folder / ".dvc").mkdir(parents=True)
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
            jobs.write_job(ModelsJob(each, recipe, dims, relu, tuple(case["seeds"]), n_train, n_classes, code))
        momentum = 0.0 if case["batch"] is None else 0.9
        jobs.write_job(TrainingJob(case["iterations"], 0.01, momentum, case["batch"], 100))
        jobs.write_job(TrajectoriesJob(0, tuple(recipes)))


def run_stages(folder: Path, address: str | None, recipes: dict[str, Recipe] = RECIPES) -> Files:
    """The files that the three stages write; without an address, in one thread."""
    with stage_in(folder, address):
        for name in recipes:
            train.train(name)
        trajectories.trajectories()
        diagnose.diagnose()
    return written(folder)


def train_he(folder: Path, address: str | None) -> Files:
    """The files that the stage `train` writes for "he"."""
    with stage_in(folder, address):
        train.train("he")
    return written(folder)


@contextmanager
def stage_in(folder: Path, address: str | None) -> Iterator[None]:
    """The folder and the environment of a stage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        patch.delenv(connection.ADDRESS, raising=False)
        if address:
            patch.setenv(connection.ADDRESS, address)
        yield


def written(folder: Path) -> Files:
    """The files in the folders of the stages."""
    found = [path for name in ("runs", "trajectories", "diagnostics") for path in (folder / name).rglob("*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


def kept(folder: Path) -> set[str]:
    """The names of the finished slices of the stage `train` for "he"."""
    return {path.name for path in (folder / slices.FOLDER / "train-he").glob("*") if path.suffix != ".part"}
