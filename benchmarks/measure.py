"""Time measurements: of competitors in alternation, of parts of the kernel, and of the peak rate of a core."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from pipeline.networks import kernel, kernel_passes, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.kernel_passes import entry
from pipeline.networks.losses import Loss
from pipeline.networks.parameters import Parameters
from pipeline.numerics import loops
from pipeline.numerics.simd import DOUBLES, spread
from pipeline.numerics.sums import LANES
from pipeline.numerics.tiles import TILE, ir_constant, loop


class Spread(NamedTuple):
    """Minimum, median and maximum of several measurements."""

    low: float
    median: float
    high: float


def spread_of(values: list[float]) -> Spread:
    """The spread of a nonempty list of measurements."""
    return Spread(min(values), statistics.median(values), max(values))


def seconds(work: Callable[[], object]) -> float:
    """The wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each work in each round; each round runs all works, so that disturbances affect all of them."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return taken


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """The minimum over several rounds of the seconds per call, with calls repeated for about 20 ms per round."""
    repeat = max(1, int(0.02 / max(seconds(work), 1e-7)))
    return min(seconds(lambda: [work() for _ in range(repeat)]) for _ in range(rounds)) / repeat


def flops(widths: list[int], m: int) -> int:
    """The multiplications and additions in the matrix products of a step: for Z, dW, and dA of hidden layers."""
    products = [n_in * n_out for n_in, n_out in pairwise(widths)]
    return 2 * m * (2 * sum(products) + sum(products[1:]))


def peak(fused: bool) -> float:
    """The floating-point operations per second of one core for multiply-adds in registers, fused or not."""

    @intrinsic
    def rounds(typing_context: Any, n: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x = spread(builder, ir.Constant(ir.DoubleType(), 0.5))
            first = [spread(builder, ir.Constant(ir.DoubleType(), float(k))) for k in range(TILE[0] * TILE[1])]
            flags = ("contract",) if fused else ()

            def body(index: Any, sums: Any) -> list[Any]:
                return [builder.fadd(builder.fmul(s, x, flags=flags), x, flags=flags) for s in sums]

            total = ir.Constant(DOUBLES, [0.0] * LANES)
            for s in loop(builder, ir_constant(0), arguments[0], first, body):
                total = builder.fadd(total, s)
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return types.float64(types.intp), codegen

    run = njit(lambda n: rounds(n))
    run(1)
    n = 1_000_000
    return 2 * TILE[0] * TILE[1] * LANES * n / best(lambda: run(n))


def phases(models: Parameters, X: Any, Y: Any) -> dict[str, float]:
    """Seconds of each part of a step of one model, from differences of times with and without the part."""
    S, activations = reference.samples(X, Y), [ACTIVATIONS["relu"]] * (len(models) - 1)
    prepared = kernel.prepare(models, [S], activations)
    P, (data, m, _, _), (_, work, *table) = prepared.packed.ctypes.data, prepared.data(), prepared.space()
    layers, n_layers = table
    blocks = m // LANES
    n = 2000

    def repeated(function: Any) -> float:
        return best(lambda: function(n)) / n

    def products(n: int) -> None:
        for _ in range(n):
            for l in range(n_layers):
                n_in, n_out, W, D = entry(layers, l, 0), entry(layers, l, 1), entry(layers, l, 2), entry(layers, l, 3)
                inputs, step = (work + 8 * entry(layers, l - 1, 4), blocks * LANES) if l > 0 else (data, m)
                Z, Z_step = work + 8 * D, blocks * LANES
                loops.biased_product(P + 8 * W, n_in + 1, 1, n_out, n_in, inputs, step, Z, Z_step, blocks)

    def forward(n: int) -> None:
        for _ in range(n):
            kernel_passes.forward(P, data, m, blocks, work, layers, n_layers)

    def both(n: int) -> None:  # backward alone would repeatedly scale its own results, down to subnormals
        for _ in range(n):
            kernel_passes.forward(P, data, m, blocks, work, layers, n_layers)
            kernel_passes.backward(P, P, data, m, blocks, work, layers, n_layers, False, False, 0.0, 0.0)

    functions = [njit(f) for f in (products, forward, both)]
    functions[1](1)  # else the products would be of zeros
    measured = [repeated(f) for f in functions]
    starts = np.array([0, blocks])
    arguments = (
        P,
        P,
        *prepared.packed.shape,
        *prepared.data(),
        starts.ctypes.data,
        1,
        *prepared.space(),
        Loss.CROSS_ENTROPY,
    )
    whole = best(lambda: kernel.compiled["descend_models"](*arguments, 0.0, 0.0, n)) / n
    return {
        "products forward": measured[0],
        "activations": measured[1] - measured[0],
        "products back and sums over samples": measured[2] - measured[1],
        "output, adding up, update": whole - measured[2],
    }


def processor() -> str:
    """The name of the processor as reported by the system."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
