"""Benchmark of the audit: false alarms, power, causes and names; reports/audit_benchmark.md and .csv.

`python -m benchmarks.audit` takes several minutes on two cores. Times are printed and not stored, so that the report is
the same each time. `--share 0.02` runs a part of each, and writes nothing.
"""

import argparse
import csv
import io
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each process has one core

import numpy as np

from benchmarks import audit_faults, audit_rivals
from benchmarks.audit_faults import FAULTS
from benchmarks.audit_networks import Network, draw, healthy
from pipeline.audit.judge import examine, examine_matrix
from pipeline.audit.results import AS_INTENDED, Audit
from pipeline.audit.run import audit_layers
from pipeline.distributions.explain import candidates
from pipeline.distributions.goodness import TESTS
from pipeline.distributions.laws import Fans
from pipeline.reporting.markdown import table
from pipeline.storage import atomic_files, reports

N_HEALTHY, N_FAULTY, N_NAMED = 2500, 100, 100
LEVEL = 0.01
LAWS = [
    f"{rule}_{family}" for rule in ("he", "xavier", "lecun") for family in ("normal", "uniform", "truncated_normal")
]
LAWS += ["pytorch_linear", "normal(std=0.02)", "truncated_normal(std=0.02)", "uniform(low=-0.05, high=0.05)"]
SHAPES = [(16, 24), (32, 48), (64, 64), (128, 300), (512, 512)]
FRAMEWORKS = Path(__file__).with_name("audit_frameworks.csv")


class Healthy(NamedTuple):
    """What was found for a network that is as intended."""

    activation: str
    expect: str
    dtype: str
    alarm: str  # cause and tests with the smallest p-values, "" if there is no alarm
    alarm_without: str  # the same without an expectation
    sagemaker: bool
    deep_checker: bool
    p_values: dict[str, float]  # of the tests of the second layer for the expected law


class Faulty(NamedTuple):
    """What was found for a network with a fault."""

    kind: str
    detected: bool
    cause: bool
    layer: bool
    found: str  # the first cause
    sagemaker: bool
    deep_checker: bool


class Named(NamedTuple):
    """Whether the law of one layer was named."""

    law: str
    shape: tuple[int, int]
    first: bool
    listed: bool
    wrong_alone: bool


def reason(found: Audit) -> str:
    """The first finding of an alarm, as text."""
    if found.state == AS_INTENDED:
        return ""
    one = found.findings[0]
    return f"{found.state}: {one.cause}, layer {one.layer} of {len(found.layers)}, p {one.p:.2g}: {one.text}"


def run_healthy(index: int) -> Healthy:
    """Audit the network of this number."""
    network = healthy(index)
    layers = network.layers()
    expected = audit_layers(layers, expect=network.expect, level=LEVEL)
    without = audit_layers(layers, level=LEVEL)
    weights, _ = examine(layers[min(1, len(layers) - 1)], network.expect)
    tests = weights.expected[0].tests if weights.expected else {}
    return Healthy(
        network.activation,
        network.expect,
        network.dtype,
        reason(expected),
        reason(without),
        audit_rivals.sagemaker(network),
        audit_rivals.deep_checker(network),
        tests,
    )


def run_faulty(kind: int, index: int) -> Faulty:
    """Audit the network of this number with a fault of this kind."""
    fault = FAULTS[kind]
    case = audit_faults.case(fault, index)
    found = audit_layers(case.network.layers(), expect=case.network.expect, data=case.data, level=LEVEL)
    reported = {one.layer for one in found.findings if one.layer}  # a finding of the whole network has no layer
    cause = next((one.cause for one in found.findings if one.cause not in fault.beside), "")
    named = True
    if fault.law and found.findings:
        (layer,) = (one for one in found.layers if one.layer.name == found.findings[0].layer)
        named = any(fault.law in one.law.split(" = ") for one in layer.candidates)
    return Faulty(
        fault.kind,
        found.state in fault.states,
        bool(fault.cause) and cause == fault.cause and named,
        bool(reported) and reported <= case.faulty,
        f"{found.state}: {cause}",
        audit_rivals.sagemaker(case.network),
        audit_rivals.deep_checker(case.network),
    )


def run_named(law: str, shape: tuple[int, int], index: int) -> Named:
    """Name the law of the layer (units, fan_in) of this number, without an expectation."""
    rng = np.random.default_rng([18, LAWS.index(law), *shape, index])
    matrix = draw(law, *shape, rng).astype(np.float32)
    weights = examine_matrix(matrix, "float32", [Fans(shape[1], shape[0])], "")
    names = [one.law.name.split(" = ") for one in candidates(weights.found)]
    return Named(
        law,
        shape,
        bool(names) and law in names[0],
        any(law in name for name in names),
        len(names) == 1 and law not in names[0],
    )


def call(work: Callable[[], Any]) -> Any:
    return work()


def run_all(works: Sequence[Callable[[], Any]], processes: int) -> list[Any]:
    """The results of the works in their order."""
    if processes == 1:
        return [work() for work in works]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(call, works, chunksize=10))


def part(n: int, share: float) -> int:
    return max(1, round(n * share))


# ---------------------------------------------------------------------------------------------------------------------
# The report


def percent(values: Iterable[bool]) -> str:
    found = list(values)
    return f"{100 * np.count_nonzero(found) / max(1, len(found)):.2f} %"


def false_alarms(found: Sequence[Healthy]) -> list[str]:
    """Markdown: false alarms by group, and the distribution of the p-values of each test."""
    groups = [("all", found)]
    groups += [(name, [one for one in found if one.activation == name]) for name in ("relu", "tanh", "gelu")]
    groups += [
        (name, [one for one in found if one.dtype == name]) for name in ("float64", "float32", "float16", "bfloat16")
    ]
    groups += [(law, [one for one in found if one.expect == law]) for law in sorted({one.expect for one in found})]
    rows = [
        [
            name,
            str(len(group)),
            str(sum(bool(one.alarm) for one in group)),
            str(sum(bool(one.alarm_without) for one in group)),
            percent(one.sagemaker for one in group),
            percent(one.deep_checker for one in group),
        ]
        for name, group in groups
        if group
    ]
    lines = [table(["networks", "number", "alarms", "alarms without `--expect`", "SageMaker", "TheDeepChecker"], rows)]
    levels = (0.5, 0.1, 0.01, 0.001)
    rows = []
    for test, meaning in TESTS.items():
        p = [one.p_values[test] for one in found if test in one.p_values]
        if p:
            shares = [f"{np.count_nonzero([value <= level for value in p]) / len(p):.4f}" for level in levels]
            rows.append([f"{test}: {meaning}", str(len(p)), *shares])
    lines.append(table(["test", "layers", *(f"p ≤ {level}" for level in levels)], rows))
    return lines


def power(found: Sequence[Faulty]) -> str:
    """Markdown: what was detected of each kind of fault."""
    rows = []
    for fault in FAULTS:
        group = [one for one in found if one.kind == fault.kind]
        if not group:
            continue
        count = partial(lambda field, group: str(sum(getattr(one, field) for one in group)), group=group)
        rows.append(
            [
                fault.kind,
                fault.size,
                count("detected"),
                count("cause") if fault.cause else "–",
                count("layer") if fault.places not in ("all", "none") or fault.kind.startswith("one seed") else "–",
                count("sagemaker"),
                count("deep_checker"),
            ]
        )
    n = len([one for one in found if one.kind == FAULTS[0].kind])
    mean = [
        f"{100 * sum(getattr(one, field) for one in found) / len(found):.1f} %"
        for field in ("detected", "sagemaker", "deep_checker")
    ]
    rows.append(["mean", "", mean[0], "", "", *mean[1:]])
    head = ["fault", "size", f"detected of {n}", "cause right", "layer right", "SageMaker", "TheDeepChecker"]
    return table(head, rows)


def names(found: Sequence[Named]) -> str:
    """Markdown: how often the law of a layer was named."""
    rows = []
    for law in LAWS:
        row = [law]
        for shape in SHAPES:
            group = [one for one in found if one.law == law and one.shape == shape]
            counts = [sum(getattr(one, field) for one in group) for field in ("first", "listed", "wrong_alone")]
            row.append(", ".join(map(str, counts)))
        rows.append(row)
    return table(["law", *(f"{units} x {fan_in}" for units, fan_in in SHAPES)], rows)


def report(good: Sequence[Healthy], bad: Sequence[Faulty], named: Sequence[Named]) -> str:
    """The report in Markdown."""
    alarms = [one.alarm for one in good if one.alarm]
    parts = [
        "# Benchmark of the audit",
        "Written by `python -m benchmarks.audit`. Weights are drawn by NumPy's generator or by the laboratory's "
        "recipes; the level is 0.01 for a network. SageMaker is the condition of the rule PoorWeightInitialization "
        "that holds at step 0, TheDeepChecker its check of initial weights: see benchmarks/audit_rivals.py.",
        "## False alarms",
        f"Of {len(good):,} networks of 1 to 49 hidden layers of 16 to 256 units that are as intended, with biases that "
        "are absent, 0 or PyTorch's default, in four number formats and both layouts.",
        *false_alarms(good),
        "The second table has the p-values of one layer of each network, for the law that is expected.",
        f"{len(alarms)} alarms with `--expect`:" if alarms else "No alarm with `--expect`.",
        "\n".join(f"- {alarm}" for alarm in alarms),
        "## Faults",
        "Networks of 2 to 20 hidden layers of 16 to 128 units with ReLU, expected to be drawn by He's normal law "
        "unless the kind says otherwise. A fault is in one layer between two hidden ones; kinds that apply to all "
        "layers are in one layer of every other network and in all layers of the rest. The cause is right if the most "
        "certain finding gives it, and lists the law if there is one; the layer, if findings name faulty layers alone.",
        power(bad),
        "## Names of laws",
        "Of 100 layers (units x inputs) of each law and shape, without `--expect`: how many times the law is named "
        "first, how many times it is among those listed, and how many times a wrong one is named alone.",
        names(named),
    ]
    if FRAMEWORKS.exists():
        with FRAMEWORKS.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        parts += ["## Files of frameworks", "Written and audited by benchmarks/audit_frameworks.py.", table(head, rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_csv(good: Sequence[Healthy], bad: Sequence[Faulty], named: Sequence[Named]) -> str:
    """Counts of all groups, one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["part", "group", "detail", "number", "first", "second", "third"])
    for expect in sorted({one.expect for one in good}):
        group = [one for one in good if one.expect == expect]
        alarms = [
            sum(map(bool, values)) for values in zip(*[(one.alarm, one.alarm_without) for one in group], strict=True)
        ]
        writer.writerow(["false alarms", expect, "with and without --expect", len(group), *alarms, ""])
    for kind in dict.fromkeys(one.kind for one in bad):
        faulty = [one for one in bad if one.kind == kind]
        for found, n in sorted(Counter(one.found for one in faulty).items()):
            writer.writerow(["cause", kind, found, n, "", "", ""])
        counts = [sum(getattr(one, field) for one in faulty) for field in ("detected", "cause", "layer")]
        writer.writerow(["detected, cause, layer right", kind, "", len(faulty), *counts])
    for law, shape in itertools.product(LAWS, SHAPES):
        layers = [one for one in named if one.law == law and one.shape == shape]
        counts = [sum(getattr(one, field) for one in layers) for field in ("first", "listed", "wrong_alone")]
        writer.writerow(["first, listed, wrong alone", law, f"{shape[0]} x {shape[1]}", len(layers), *counts])
    return text.getvalue()


def speed() -> None:
    """Print the times of the audit of two networks."""
    rng = np.random.default_rng(0)
    for n_layers, width, limit in ((10, 64, 0.2), (5, 1000, 2.0)):
        weights = [draw("he_normal", width, width, rng) for _ in range(n_layers)]
        layers = Network(weights, [None] * n_layers, "relu", "he_normal").layers()
        times = []
        for _ in range(5):
            start = time.perf_counter(), time.process_time()
            audit_layers(layers, expect="he_normal")
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        best = " and ".join(
            f"{min(each):.3f} s of {what}"
            for each, what in zip(zip(*times, strict=True), ("clock", "processor"), strict=True)
        )
        print(f"{n_layers} layers of {width}: {best} (aim: {limit} s)", flush=True)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the networks; below 1 nothing is written")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="healthy, faulty, named or speed; nothing is written")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    speed()
    wanted = options.only.split(",") if options.only else ["healthy", "faulty", "named"]
    faulty, layers = range(part(N_FAULTY, options.share)), range(part(N_NAMED, options.share))
    works: dict[str, list[Callable[[], Any]]] = {
        "healthy": [partial(run_healthy, index) for index in range(part(N_HEALTHY, options.share))],
        "faulty": [partial(run_faulty, kind, index) for kind in range(len(FAULTS)) for index in faulty],
        "named": [partial(run_named, law, shape, index) for law in LAWS for shape in SHAPES for index in layers],
    }
    found: dict[str, list[Any]] = {"healthy": [], "faulty": [], "named": []}
    for name in found:
        if name in wanted:
            found[name] = run_all(works[name], options.processes)
            print(f"{name}: {len(found[name])} in {time.perf_counter() - start:.0f} s", flush=True)
    text = report(found["healthy"], found["faulty"], found["named"])
    if options.share < 1.0 or options.only:
        print(text)
        print(as_csv(found["healthy"], found["faulty"], found["named"]))
        return
    atomic_files.write_text(reports.REPORTS / "audit_benchmark.md", text)
    atomic_files.write_text(reports.REPORTS / "audit_benchmark.csv", as_csv(*found.values()))
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
