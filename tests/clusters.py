"""Dask schedulers and workers as processes on 127.0.0.1, ended with the block, and a proxy that counts bytes."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

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
def bare_workers(folder: Path, address: str, n: int = 1, **environment: str) -> Iterator[None]:
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
        "60",
    ]
    with ExitStack() as stack:
        for i in range(n):
            stack.enter_context(process(folder / f"worker{i}", "-c", BARE, address, *options, **environment))
        logs = [folder / f"worker{i}" / "output.txt" for i in range(n)]
        until(lambda: all("Starting established connection" in log.read_text() for log in logs))
        yield


def accepts(port: int) -> bool:
    """Whether a server listens on a port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Proxy:
    """Forwards TCP connections to a port of 127.0.0.1 and counts the bytes to the server and from it."""

    def __init__(self, port: int) -> None:
        self.target, self.sent, self.received = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
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
        self.listener.close()
