"""Measure what a second core adds: `python -m benchmarks.cores` prints the rates of training on one and on two cores.

Three measurements, each in short bursts of which the fastest counts, so that other work on the computer disturbs less:

- processes: two processes, each with one thread and pinned to its core, beside one alone. They share nothing but
  caches, memory and the clock frequency, so the ratio of the rates is the most that two threads can reach;
- threads: `train`, which divides the models into slices, limited to one core and on two;
- serial: the parts of `train` outside the compiled code, in seconds of the processor.
"""

import multiprocessing
import os
import time
from collections.abc import Sequence
from typing import Any

from pipeline.datasets import circles
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks import kernel, parameters, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters
from pipeline.training import gradient_descent

NETWORK, SAMPLES = [2, 10, 5, 1], 300
RELU = [ACTIVATIONS["relu"]] * 2
BURSTS, STEPS = 2000, 500  # of a process; a burst takes about 1 ms
ROUNDS, MODELS, RECORDS = 20, 100, range(0, 2001, 100)  # of `train`


def models(n: int) -> Parameters:
    """A stack of models with He's normal weights."""
    spec = NetworkSpec(NETWORK, RELU, circles(SAMPLES, 0.05, 1)[0])
    return parameters.stack([sample_parameters(Recipe("he_normal"), 3 + k, spec) for k in range(n)])


def bursts(core: int, start: Any, results: Any) -> None:
    """Put the seconds per step of many bursts, and the time of the first and the last, into the queue `results`."""
    os.sched_setaffinity(0, {core})
    begin, rule = reference.at_rest(models(1)), reference.UpdateRule(0.01)
    batch = [reference.samples(*circles(SAMPLES, 0.05, 1))]
    kernel.descend(begin, batch, RELU, rule, STEPS)
    start.wait()
    taken = []
    for _ in range(BURSTS):
        before = time.perf_counter()
        kernel.descend(begin, batch, RELU, rule, STEPS)
        taken.append((time.perf_counter() - before) / STEPS)
    results.put(sorted(taken))


def processes(cores: Sequence[int]) -> list[list[float]]:
    """The seconds per step of bursts, in ascending order, of one process for each core, all at the same time."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(len(cores)), context.Queue()
    running = [context.Process(target=bursts, args=(core, start, results)) for core in cores]
    for process in running:
        process.start()
    taken = [results.get() for _ in running]
    for process in running:
        process.join()
    return taken


def threads(cores: Sequence[int]) -> tuple[float, float]:
    """The least seconds of `train` on these cores, and the least of the processor's in the same rounds."""
    os.sched_setaffinity(0, cores)
    stack, (X, Y) = models(MODELS), circles(SAMPLES, 0.05, 1)
    wall, used = [], []
    for _ in range(ROUNDS):
        before = time.perf_counter(), time.process_time()
        gradient_descent.train(stack, X, Y, RELU, learning_rate=0.01, record_at=RECORDS)
        wall.append(time.perf_counter() - before[0])
        used.append(time.process_time() - before[1])
    return min(wall), min(used)


def main() -> None:
    """Print all measurements."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    alone = processes(cores[:1])[0]
    together = processes(cores)
    for share, name in ((0, "fastest burst"), (len(alone) // 2, "median burst")):
        rate = sum(alone[share] / each[share] for each in together)
        print(f"two processes, {name}: {alone[share] * 1e6:.3f} us a step alone, {rate:.3f} times the rate of one")
    (one, used), (two, both) = threads(cores[:1]), threads(cores)
    inner = MODELS * RECORDS[-1] * alone[0]
    print(f"threads: {one:.3f} s on one core, {two:.3f} on two, {one / two:.3f} times")
    print(f"seconds of the processor: {used:.3f} and {both:.3f}, of which the steps take {inner:.3f}")


if __name__ == "__main__":
    main()
