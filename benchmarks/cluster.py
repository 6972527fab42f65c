"""Time of training 1,000 to 20,000 models on a Dask cluster of one and of two processes, and the overhead of a slice.

`python -m benchmarks.cluster` prints a table in Markdown; it takes about two minutes on two cores. The cluster is on
this computer, so the network costs little. The overhead of a slice is measured with slices of one model and one step.
"""

import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor

import distributed
import numpy as np

from pipeline.cluster import connection
from pipeline.datasets import circles
from pipeline.initializers.fan_scaling import he_normal
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, take
from pipeline.training import gradient_descent

N_MODELS = (1_000, 5_000, 20_000)
STEPS = 300  # of each model
N_SLICES = 2_000  # for the overhead of a slice
LOCAL = "127.0.0.1"


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
        parameters,
        X,
        Y,
        relu,
        learning_rate=0.01,
        record_at=[0, steps],
        executor=executor,
        n_workers=n_workers,
    )
    return time.perf_counter() - start


def main() -> None:
    """Print the table and the overhead."""
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.abspath("pipeline/__pycache__"))
    stacks = {n: models(n) for n in N_MODELS}
    tiny = take(stacks[N_MODELS[-1]], slice(0, N_SLICES))
    thread = ThreadPoolExecutor(1)
    seconds(tiny, 1, thread, 1)  # loads the compiled code
    columns, overheads = [[seconds(stack, STEPS, thread, 1) for stack in stacks.values()]], []
    for n_workers in (1, 2):
        where = {"host": LOCAL, "dashboard_address": f"{LOCAL}:0", "worker_dashboard_address": f"{LOCAL}:0"}
        with distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, **where) as cluster:
            os.environ[connection.ADDRESS] = cluster.scheduler_address
            with connection.workers("train", "benchmark") as workers:
                seconds(tiny, 1, workers.executor, n_workers)
                columns.append([seconds(stack, STEPS, workers.executor, n_workers) for stack in stacks.values()])
                overheads.append(seconds(tiny, 1, workers.executor, N_SLICES) / N_SLICES)
    print(f"| models, {STEPS} steps | one thread, s | 1 worker, s | 2 workers, s |\n|---:|---:|---:|---:|")
    for n, *times in zip(N_MODELS, *columns, strict=True):
        print(f"| {n:,} | {' | '.join(f'{each:.2f}' for each in times)} |")
    print(f"\nA slice of one model and one step: {', '.join(f'{1e3 * each:.2f}' for each in overheads)} ms.")


if __name__ == "__main__":
    main()
