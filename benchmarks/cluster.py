"""Time of training on a Dask cluster of one and of two processes, and the overhead of a slice and of a model.

`python -m benchmarks.cluster` prints the section "Growth" of docs/cluster.md, from its first table to its end, in at
most four minutes on two idle cores; `--quick` does it with few models in half a minute. The clusters are on this
computer, so the network costs little. Training takes turns: one thread, one worker, two workers; of several rounds the
minimum is printed. The overhead is the processor time of many slices that are trained for one step.
"""

import argparse
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil  # type: ignore[import-untyped]

from pipeline.cluster import connection
from pipeline.cluster.calls import Cluster
from pipeline.cluster.package import package_of
from pipeline.datasets import DATASETS
from pipeline.initializers.fan_scaling import he_normal
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters, take
from pipeline.networks.reference import UpdateRule
from pipeline.training import gradient_descent
from pipeline.training.executors import SLICES

SHORT, USUAL = 300, 15_000  # steps; the second as in params.yaml
CASES = ((1_000, SHORT), (5_000, SHORT), (20_000, SHORT), (200, USUAL))  # models, steps
QUICK = ((200, SHORT), (1_000, SHORT), (20, USUAL))
ROUNDS = 2
N_SLICES = 500  # for the overhead
SIZES = (1, 50)  # models in these slices
LOCAL = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
WORKERS, SEEDS = 1_000, 100  # of the text: of a large cluster, and of params.yaml
SAMPLES = {"circles": 300, "digits": 1_400}  # of the text
GIGABIT = 125e6  # bytes per second


class Duration(NamedTuple):
    """Seconds of training on one thread of this process, one worker, and two workers."""

    models: int
    steps: int
    thread: float
    one: float
    two: float


class Overhead(NamedTuple):
    """Processor time in ms per slice, of slices with `models` models."""

    models: int
    client: float
    scheduler: float
    worker: float


def models(n: int) -> Parameters:
    """The tutorial's networks, each drawn from RandomState(0) in turn."""
    rng, init, layers = np.random.RandomState(0), he_normal(), []
    for fan_in, fan_out in ((2, 10), (10, 5), (5, 1)):
        W = np.stack([init(rng, fan_out, fan_in) for _ in range(n)])
        layers.append((W, np.zeros((n, fan_out, 1))))
    return layers


# ---------------------------------------------------------------------------------------------------------------------
# Measurements


def seconds(parameters: Parameters, steps: int, executor: Executor, n_workers: int) -> float:
    """The duration of training on the circles, in seconds."""
    (X, Y), _ = DATASETS["circles"].split(SAMPLES["circles"], 20, 0.05, 1, 2)
    relu = [ACTIVATIONS["relu"]] * 2
    start = time.perf_counter()
    gradient_descent.train(
        parameters, X, Y, relu, learning_rate=0.01, record_at=[0, steps], executor=executor, n_workers=n_workers
    )
    taken = time.perf_counter() - start
    if isinstance(executor, Cluster):
        executor.slices.delete()  # else the next round would find them
    return taken


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


@contextmanager
def all_workers(address: str, n_workers: int) -> Iterator[Executor]:
    """The workers of a cluster when all have started and have loaded the compiled code."""
    import distributed

    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(n_workers)
    os.environ[connection.ADDRESS] = address
    with connection.workers("train", f"benchmark-{n_workers}") as workers:
        assert workers.executor is not None
        seconds(models(200), 1, workers.executor, 25 * n_workers)
        yield workers.executor


def durations(
    cases: tuple[tuple[int, int], ...], stack: Parameters, places: list[tuple[Executor, int]]
) -> list[Duration]:
    """The minimum over the rounds for each case."""
    found = []
    for n, steps in cases:
        rounds = [[seconds(take(stack, slice(0, n)), steps, *place) for place in places] for _ in range(ROUNDS)]
        found.append(Duration(n, steps, *(min(each) for each in zip(*rounds, strict=True))))
    return found


def overheads(stack: Parameters, executor: Executor, processes: list[psutil.Process]) -> list[Overhead]:
    """What a slice costs beside its arithmetic in this process, the scheduler and the worker: the minimum."""

    def spent() -> list[float]:
        times = [each.cpu_times() for each in (psutil.Process(), *processes)]
        return [float(each.user + each.system) for each in times]

    rounds: dict[int, list[list[float]]] = {size: [] for size in SIZES}
    for _ in range(ROUNDS):
        for size in SIZES:
            before = spent()
            seconds(take(stack, slice(0, size * N_SLICES)), 1, executor, N_SLICES // SLICES)
            rounds[size].append([1e3 * (b - a) / N_SLICES for a, b in zip(before, spent(), strict=True)])
    return [Overhead(size, *(min(each) for each in zip(*found, strict=True))) for size, found in rounds.items()]


def size_of_slice(name: str, stack: Parameters) -> float:
    """The kB that a slice of one model sends for a data set: its weights, the samples and the package."""
    (X, Y), _ = DATASETS[name].split(SAMPLES[name], 20, 0.05, 1, 2)
    rule, relu = UpdateRule(0.01, 0.0), [ACTIVATIONS["relu"]] * 2
    job = gradient_descent.Job(
        take(stack, [0]), [0], X, Y, relu, rule, None, np.array([0, USUAL]), gradient_descent.COMPILED
    )
    archive, _ = package_of("pipeline.stages.train")
    return (len(pickle.dumps((gradient_descent.train_slice, (job,)), protocol=5)) + len(archive)) / 1e3


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few models, in half a minute")
    quick = parser.parse_args().quick
    cases = QUICK if quick else CASES
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.abspath("pipeline/__pycache__"))
    stack = models(max(*(n for n, _ in cases), max(SIZES) * N_SLICES))
    thread = ThreadPoolExecutor(1)
    seconds(take(stack, slice(0, 8)), 1, thread, 1)  # loads the compiled code
    with ExitStack() as opened:
        clusters = [opened.enter_context(cluster(n)) for n in (1, 2)]
        one, two = (opened.enter_context(all_workers(address, n + 1)) for n, (address, _) in enumerate(clusters))
        taken = durations(cases, stack, [(thread, 1), (one, 1), (two, 2)])
        spent = overheads(stack, one, clusters[0][1])
    print(section(taken, spent, {name: size_of_slice(name, stack) for name in SAMPLES}))


# ---------------------------------------------------------------------------------------------------------------------
# Text


def section(taken: list[Duration], spent: list[Overhead], sizes: dict[str, float]) -> str:
    """The tables and what follows from them, in Markdown; each number is computed from those that are printed.

    The last of `taken` has the usual number of steps. `sizes` has the kB of a slice for each data set of SAMPLES.
    """
    taken = [Duration(*each[:2], *(round(value, 2) for value in each[2:])) for each in taken]
    spent = [Overhead(each.models, *(round(value, 1) for value in each[1:])) for each in spent]
    sizes = {name: round(size, -1) for name, size in sizes.items()}
    return "\n\n".join([*growth(taken), *overhead(spent), *on_paper(taken[-1], spent[0], sizes)])


def paragraph(text: str) -> str:
    """Lines of the length of the page's."""
    return textwrap.fill(text, 140, break_on_hyphens=False)


def growth(taken: list[Duration]) -> list[str]:
    """The durations."""
    rows = [f"| {n:,} | {steps:,} | {a:.2f} | {b:.2f} | {c:.2f} | {b / c:.2f} |" for n, steps, a, b, c in taken]
    workers, faster = [each.one / each.thread for each in taken], [each.one / each.two for each in taken]
    head = "| models | steps | one thread | 1 worker | 2 workers | 2 workers : 1 |\n|---:|---:|---:|---:|---:|---:|"
    return [
        "\n".join([head, *rows]),
        paragraph(
            f"Each number is the minimum of {ROUNDS} rounds. One worker takes {min(workers):.2f} to {max(workers):.2f}"
            f" times as long as a thread, and two are {min(faster):.2f} to {max(faster):.2f} times as fast as one. What"
            f" a slice costs beside its arithmetic is measured with {N_SLICES:,} slices of one step, as time of the"
            " processor in each process:"
        ),
    ]


def overhead(spent: list[Overhead]) -> list[str]:
    """The processor time of a slice."""
    rows = [
        f"| {n} | {client:.1f} ms | {scheduler:.1f} ms | {worker:.1f} ms |" for n, client, scheduler, worker in spent
    ]
    head = "| models in a slice | `dvc repro` | scheduler | worker |\n|---:|---:|---:|---:|"
    return ["\n".join([head, *rows])]


def on_paper(usual: Duration, slice_: Overhead, sizes: dict[str, float]) -> list[str]:
    """What limits WORKERS workers: what passes one slice in t seconds serves them if a slice lasts WORKERS * t."""
    n_slices = SLICES * WORKERS
    costs = {"the scheduler's processor": slice_.scheduler / 1e3, "`dvc repro`": slice_.client / 1e3}  # s per slice
    titles = [f"{name}, one core: {1e3 * cost:.1f} ms per slice" for name, cost in costs.items()]
    titles += [
        f"the scheduler's network, 1 Gbit/s: {name}, {SAMPLES[name]:,} samples, {size:.0f} kB per slice"
        for name, size in sizes.items()
    ]
    network = {name: 1e3 * size / GIGABIT for name, size in sizes.items()}
    rows = [
        f"| {title} | {n_slices * cost:.1f} s | {WORKERS * cost:.1f} s |"
        for title, cost in zip(titles, [*costs.values(), *network.values()], strict=True)
    ]
    head = f"| resource | use by {n_slices:,} slices | workers are idle if a slice takes less than |\n|---|---:|---:|"
    first = {
        name: max([(cost, "the scheduler's network"), *((b, a) for a, b in costs.items())])
        for name, cost in network.items()
    }
    said = " and ".join(f"{resource} with the {name}" for name, (_, resource) in first.items())
    longest, model = first["circles"][0], usual.one / usual.models
    seeds = n_slices * math.ceil(WORKERS * longest / model)
    enough = math.isqrt(int(SEEDS / SLICES * model / longest))  # slices of SEEDS / (SLICES * workers) models
    held = " and ".join(f"{n_slices * size / 1e3:,.0f} MB of the {name}" for name, size in sizes.items())
    return [
        paragraph(
            f"For {WORKERS:,} workers the following is computed from the times of slices of one model, not measured. A"
            f" stage has {n_slices:,} slices:"
        ),
        "\n".join([head, *rows]),
        paragraph(
            f"What saturates first is {said}: each slice carries all samples. One of the tutorial's models with"
            f" {usual.steps:,} steps takes {1e3 * model:.0f} ms, so {WORKERS:,} workers need {seeds:,} seeds of one"
            f" initializer to be in use, and the {SEEDS} seeds of `params.yaml` suffice for {enough} workers; `train`"
            " has one stage per initializer, one after the other. The scheduler holds all slices that have not begun:"
            f" {held}."
        ),
    ]


if __name__ == "__main__":
    main()
