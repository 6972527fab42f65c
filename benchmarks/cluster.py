"""Time of training on a Dask cluster of one and of two processes, and the overhead of a slice and of a model.

`python -m benchmarks.cluster` prints two tables in Markdown; it takes about three minutes on two cores. The cluster is
on this computer, so the network costs little. The second table has the overhead: slices of one and of ten models, which
are trained for one step.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]

from pipeline.cluster import connection
from pipeline.datasets import circles
from pipeline.initializers.fan_scaling import he_normal
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, take
from pipeline.training import gradient_descent

SHORT, N_SHORT = 300, (1_000, 5_000, 20_000)  # steps, and numbers of models
USUAL, N_USUAL = 15_000, (400,)  # as in params.yaml
N_SLICES = 2_000  # for the overhead of a slice
LOCAL = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


def models(n: int) -> Parameters:
    """The tutorial's networks, each drawn from RandomState(0) in turn."""
    rng, init, layers = np.random.RandomState(0), he_normal(), []
    for fan_in, fan_out in ((2, 10), (10, 5), (5, 1)):
        W = np.stack([init(rng, fan_out, fan_in) for _ in range(n)])
        layers.append((W, np.zeros((n, fan_out, 1))))
    return layers


def seconds(parameters: Parameters, steps: int, executor: Executor | None, n_workers: int) -> float:
    """The duration of training on the circles, in seconds."""
    X, Y = circles(300, 0.05, 1)
    relu = [ACTIVATIONS["relu"]] * 2
    start = time.perf_counter()
    gradient_descent.train(
        parameters, X, Y, relu, learning_rate=0.01, record_at=[0, steps], executor=executor, n_workers=n_workers
    )
    return time.perf_counter() - start


@contextmanager
def cluster(n_workers: int) -> Iterator[tuple[str, list[psutil.Process]]]:
    """The address of a scheduler with workers of one thread, and the processes: the scheduler, then the workers."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        commands = [("dask_scheduler", "--port", "0"), *[("dask_worker", "--nthreads", "1", "--no-nanny")] * n_workers]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *options, *LOCAL, "--scheduler-file", str(file)],
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
            )
            for name, *options in commands
        ]
        try:
            while not file.exists():
                time.sleep(0.1)
            yield json.loads(file.read_text())["address"], [psutil.Process(each.pid) for each in started]
        finally:
            for each in reversed(started):
                each.terminate()
                each.wait()


def processor_time(process: psutil.Process) -> float:
    """The seconds that a process has computed."""
    times = process.cpu_times()
    return float(times.user + times.system)


def measured(measure: Callable[[Executor | None, int], list[float]]) -> list[list[float]]:
    """The result of `measure` with one thread of this process, one worker, and two workers."""
    rows = [measure(ThreadPoolExecutor(1), 1)]
    for n_workers in (1, 2):
        with cluster(n_workers) as (address, _):
            os.environ[connection.ADDRESS] = address
            with all_workers(n_workers) as workers:
                rows.append(measure(workers.executor, n_workers))
    return rows


@contextmanager
def all_workers(n_workers: int) -> Iterator[connection.Workers]:
    """The workers of the cluster when all have started and have loaded the compiled code."""
    import distributed

    with distributed.Client(os.environ[connection.ADDRESS], set_as_default=False) as client:
        client.wait_for_workers(n_workers)
    with connection.workers("train", "benchmark") as workers:
        seconds(models(200), 1, workers.executor, 25 * n_workers)
        yield workers


def main() -> None:
    """Print the tables."""
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.abspath("pipeline/__pycache__"))
    stack = models(max(N_SHORT))
    seconds(take(stack, slice(0, 8)), 1, ThreadPoolExecutor(1), 1)  # loads the compiled code
    cases = [(n, SHORT) for n in N_SHORT] + [(n, USUAL) for n in N_USUAL]

    def durations(executor: Executor | None, n_workers: int) -> list[float]:
        return [seconds(take(stack, slice(0, n)), steps, executor, n_workers) for n, steps in cases]

    print("| models | steps | one thread, s | 1 worker, s | 2 workers, s | 2 workers : 1 |")
    print("|---:|---:|---:|---:|---:|---:|")
    for (n, steps), thread, one, two in zip(cases, *measured(durations), strict=True):
        print(f"| {n:,} | {steps:,} | {thread:.2f} | {one:.2f} | {two:.2f} | {one / two:.2f} |")
    overhead(stack)


def overhead(stack: Parameters) -> None:
    """Print what a slice and a model cost, beside the arithmetic, in each process."""
    with cluster(1) as (address, processes):
        os.environ[connection.ADDRESS] = address
        with all_workers(1) as workers:
            print(f"\n| models in each of {N_SLICES:,} slices | duration | this process | scheduler | worker |")
            print("|---:|---:|---:|---:|---:|")
            for size in (1, len(stack[0][0]) // N_SLICES):
                before = [processor_time(each) for each in (psutil.Process(), *processes)]
                duration = seconds(take(stack, slice(0, size * N_SLICES)), 1, workers.executor, N_SLICES // 4)
                after = [processor_time(each) for each in (psutil.Process(), *processes)]
                spent = [duration, *(b - a for a, b in zip(before, after, strict=True))]
                print(f"| {size} | {' | '.join(f'{1e3 * each / N_SLICES:.2f} ms' for each in spent)} |")


if __name__ == "__main__":
    main()
