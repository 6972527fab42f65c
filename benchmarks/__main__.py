"""Benchmark the kernel against other libraries in one process, in alternation, and write reports/benchmark.md.

The comparison runs on one core, and all libraries are configured to use one thread. The report has each result beside
that of the previous run, from reports/benchmark.csv, which is then replaced.
"""

import importlib.metadata
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ONE_THREAD["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS_", "NUMBA_", "XLA_"))}
if any(os.environ.get(key) != value for key, value in ONE_THREAD.items()) or len(CLEAN) > len(os.environ):
    os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], CLEAN | ONE_THREAD)


import numpy as np

from benchmarks import previous
from benchmarks.measure import best, flops, in_turns, peak, phases, processor, seconds, spread_of
from benchmarks.peers import PEERS, compiled, installed, stacked_numpy
from benchmarks.previous import Measured
from pipeline.datasets import circles
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Recipe, sample_parameters
from pipeline.networks import parameters, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters
from pipeline.training import gradient_descent

SEED_NETWORK, SAMPLES = [2, 10, 5, 1], 300
ROUNDS, ROUND = 9, 0.25  # rounds of a comparison, and seconds per peer in a round
REPORT, PREVIOUS = Path("reports/benchmark.md"), Path("reports/benchmark.csv")
ACTIVATIONS_MEASURED = ("relu", "tanh", "sigmoid", "gelu")

Results = dict[str, Measured]


def he(widths: Sequence[int], n_models: int) -> Parameters:
    """A stack of models with He's normal weights, from the seeds 3, 4, ..."""
    spec = NetworkSpec(widths, [ACTIVATIONS["relu"]] * (len(widths) - 2), np.empty((widths[0], 0)))
    return parameters.stack([sample_parameters(Recipe("he_normal"), 3 + k, spec) for k in range(n_models)])


def cost(models: Parameters, X: Any, Y: Any) -> float:
    """The cost of the first model, computed by the reference implementation."""
    activations = [ACTIVATIONS["relu"]] * (len(models) - 1)
    return float(reference.cost(parameters.take(models, [0]), reference.samples(X, Y), activations)[0])


def comparison() -> tuple[list[str], Results]:
    """The Markdown table of all peers, each checked for the same cost first, and their microseconds per step."""
    X, Y = circles(SAMPLES, 0.05, 1)
    expected = cost(compiled(he(SEED_NETWORK, 1), X, Y)(1000), X, Y)
    works: dict[str, Callable[[], object]] = {}
    sizes: dict[str, int] = {}
    for peer in installed():
        run = peer.prepare(he(SEED_NETWORK, peer.n_models), X, Y)
        try:
            reached = cost(run(1000), X, Y)
        except Exception as error:  # installed, but not working: PyTorch's compiler requires a C++ compiler
            print(f"{peer.name}: left out, {type(error).__name__}: {str(error).splitlines()[0][:100]}")
            continue
        if abs(reached - expected) > 1e-9:
            raise SystemExit(f"{peer.name} reaches the cost {reached!r}, not {expected!r}: it does something else.")
        steps = max(10, int(1000 * ROUND / seconds(partial(run, 1000))))
        run(steps)
        works[peer.name], sizes[peer.name] = partial(run, steps), steps * peer.n_models
        print(f"{peer.name}: cost after 1,000 steps {reached:.12f}")
    taken = in_turns(works, ROUNDS)
    step = {name: [s / sizes[name] for s in values] for name, values in taken.items()}
    own = step[PEERS[0].name]
    lines = ["| | µs a step a model | spread | times as long as this kernel | spread |", "|---|--:|--:|--:|--:|"]
    for name, values in step.items():
        time, ratio = (spread_of(v) for v in (values, [a / b for a, b in zip(values, own, strict=True)]))
        cells = f"{time.median * 1e6:.2f} | {time.low * 1e6:.2f} to {time.high * 1e6:.2f}"
        lines.append(f"| {name} | {cells} | {ratio.median:.1f} | {ratio.low:.1f} to {ratio.high:.1f} |")
    missing = [peer.name for peer in PEERS if peer.name not in step]
    if missing:
        lines += ["", f"Not measured, because not installed or not working here: {', '.join(missing)}."]
    return lines, {f"a step, {name}": Measured(spread_of(v).median * 1e6, "µs") for name, v in step.items()}


def limit(step: float) -> tuple[list[str], Results]:
    """Markdown lines: the time of a step, in seconds, relative to the arithmetic limit, and its parts."""
    work, apart, fused = flops(SEED_NETWORK, SAMPLES), peak(fused=False), peak(fused=True)
    X, Y = circles(SAMPLES, 0.05, 1)
    parts = phases(he(SEED_NETWORK, 1), X, Y)
    lines = [
        f"The matrix products of a step of the tutorial's network have {work:,} multiplications and additions. On "
        f"numbers in registers one core here computes {apart / 1e9:.0f} billion a second, not fused, as the same bits "
        f"everywhere demand ({fused / 1e9:.0f} billion fused), which is {work / apart * 1e6:.2f} µs for a step. The "
        f"kernel takes {step * 1e6:.2f} µs, {step / (work / apart):.1f} times that. Its parts, from differences of the "
        "fastest runs with and without them; a negative difference is written as 0:",
        "",
        "| part of a step | µs |",
        "|---|--:|",
    ]
    times = {name: max(value, 0.0) * 1e6 for name, value in parts.items()}
    results = {f"part of a step: {name}": Measured(time, "µs") for name, time in times.items()}
    return lines + [f"| {name} | {time:.2f} |" for name, time in times.items()], results


def activations() -> tuple[list[str], Results]:
    """A Markdown table: the time of a step with several activations."""
    X, Y = circles(SAMPLES, 0.05, 1)
    works: dict[str, Callable[[], object]] = {}
    for name in ACTIVATIONS_MEASURED:
        run = compiled(he(SEED_NETWORK, 1), X, Y, name)
        run(10)
        works[name] = partial(run, 10_000)
    taken = {name: spread_of(values).median / 10_000 * 1e6 for name, values in in_turns(works, ROUNDS).items()}
    lines = [f"Of both hidden layers of the tutorial's network; median of {ROUNDS} rounds, in turns.", ""]
    lines += ["| activation | µs a step |", "|---|--:|", *(f"| {name} | {time:.2f} |" for name, time in taken.items())]
    return lines, {f"a step with {name}": Measured(time, "µs") for name, time in taken.items()}


def two_cores() -> tuple[list[str], Results]:
    """Markdown lines: the speed-up of training 80 models on two cores."""
    if not hasattr(os, "sched_setaffinity") or len(ALL_CORES) < 2:
        return ["Not measured: this system has one core, or does not support CPU affinity."], {}
    X, Y = circles(SAMPLES, 0.05, 1)
    models, relu = he(SEED_NETWORK, 80), [ACTIVATIONS["relu"]] * 2

    def on(cores: set[int]) -> Callable[[], object]:
        def work() -> None:
            os.sched_setaffinity(0, cores)
            gradient_descent.train(models, X, Y, relu, learning_rate=0.01, record_at=range(0, 2001, 100))

        return work

    one, two = sorted(ALL_CORES)[:1], sorted(ALL_CORES)[:2]
    taken = in_turns({"one": on(set(one)), "two": on(set(two))}, ROUNDS)
    ratio = spread_of([a / b for a, b in zip(taken["one"], taken["two"], strict=True)])
    line = (
        f"Two threads on two cores train 80 models {ratio.median:.2f} times as fast as on one core "
        f"({ratio.low:.2f} to {ratio.high:.2f}); {ROUNDS} rounds, in turns; median, least and most."
    )
    return [line], {"two cores, 80 models": Measured(ratio.median, "times one core")}


def growth() -> tuple[list[str], Results]:
    """Markdown tables: time of a step by number of models, width (also NumPy with BLAS), depth and samples."""

    def step(widths: Sequence[int], m: int, n_models: int = 1, prepare: Any = compiled) -> float:
        X, Y = circles(m, 0.05, 1)
        run = prepare(he(widths, n_models), X, Y)
        steps = max(1, int(0.1 / seconds(lambda: run(1))))
        return best(lambda: run(steps), 3) / steps

    results: Results = {}
    lines = ["Each time is that of the fastest of three runs of 0.1 s. The tutorial's network:", ""]
    lines += ["| models | µs a step | µs a step a model |", "|--:|--:|--:|"]
    for n in (1, 10, 100, 1000):
        time = step(SEED_NETWORK, SAMPLES, n) * 1e6
        lines.append(f"| {n:,} | {time:,.1f} | {time / n:.2f} |")
        results[f"a step, {n:,} models"] = Measured(time, "µs")
    lines += ["", "One model, 1,000 samples, ReLU:", ""]
    lines += ["| two hidden layers of | µs a step | billion flops a second | NumPy with BLAS, µs | kernel / NumPy |"]
    lines += ["|--:|--:|--:|--:|--:|"]
    for width in (10, 32, 64, 128, 256):
        widths = [2, width, width, 1]
        time, numpys = step(widths, 1000), step(widths, 1000, prepare=stacked_numpy)
        rate = flops(widths, 1000) / time / 1e9
        results[f"a step, two layers of {width}"] = Measured(time * 1e6, "µs")
        lines.append(f"| {width} | {time * 1e6:,.1f} | {rate:.0f} | {numpys * 1e6:,.1f} | {time / numpys:.2f} |")
    lines += ["", f"One model, {SAMPLES} samples, ReLU:", ""]
    lines += ["| hidden layers of 10 units | µs a step | µs a layer |", "|--:|--:|--:|"]
    for depth in (2, 5, 10, 20, 50):
        time = step([2, *[10] * depth, 1], SAMPLES) * 1e6
        lines.append(f"| {depth} | {time:,.1f} | {time / depth:.2f} |")
        results[f"a step, {depth} layers of 10"] = Measured(time, "µs")
    lines += ["", "The tutorial's network, one model:", ""]
    lines += ["| samples | µs a step | ns a sample |", "|--:|--:|--:|"]
    for m in (100, 1000, 10_000, 100_000):
        time = step(SEED_NETWORK, m) * 1e6
        lines.append(f"| {m:,} | {time:,.1f} | {time / m * 1e3:.1f} |")
        results[f"a step, {m:,} samples"] = Measured(time, "µs")
    return lines, results


def versions() -> str:
    """The versions of Python and the installed libraries, as text."""
    packages = ("numpy", "numba", "scikit-learn", "torch", "jax")
    found = []
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join([f"Python {sys.version.split()[0]}", *found])


def main() -> None:
    """Run all benchmarks, print the report and write it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(ALL_CORES)[:1])
    peers, results = comparison()
    distance, parts_of_step = limit(results[f"a step, {PEERS[0].name}"].value / 1e6)
    others, by_activation = activations()
    cores, on_two = two_cores()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(ALL_CORES)[:1])
    sizes, by_size = growth()
    results |= parts_of_step | by_activation | on_two | by_size
    parts = [
        "# How fast the kernel is",
        f"Written by `make benchmark` on one core of: {processor()}; {versions()}.",
        "## The tutorial's network",
        f"Layers {', '.join(map(str, SEED_NETWORK))}, {SAMPLES} samples, float64, full-batch gradient descent. All "
        f"peers reach this kernel's cost after 1,000 steps to 1e-9. {ROUNDS} rounds, in turns; median, least and most.",
        "\n".join(peers),
        "## How far from the limit",
        "\n".join(distance),
        "## Activations",
        "\n".join(others),
        "## Cores",
        "\n".join(cores),
        "## Growth",
        "\n".join(sizes),
        "## Beside the previous run",
        previous.beside(PREVIOUS, results),
    ]
    text = "\n\n".join(parts) + "\n"
    part = REPORT.with_name(f"{REPORT.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(REPORT)
    previous.write(PREVIOUS, results)
    print(text)


ALL_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

if __name__ == "__main__":
    main()
