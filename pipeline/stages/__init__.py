"""One module for each DVC stage: arguments, files, calls."""

import itertools
import math
import os
import sys
from collections.abc import Callable

from pipeline.config import params, schema
from pipeline.errors import UserError
from pipeline.numerics.sums import integer_sum


def run(work: Callable[[], None]) -> int:
    """Do the work of a stage; what the user got wrong becomes a sentence on stderr and exit code 1."""
    try:
        work()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except MemoryError as error:
        print(out_of_memory(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing half-written was left.", file=sys.stderr, flush=True)
        os._exit(130)  # at once: a thread may be compiling, and no thread writes files
    return 0


def require_memory(P: schema.Params, n_models: int) -> None:
    """Raise MemoryError if so many models at once, held twice, exceed the memory of this computer.

    Linux would grant the memory and kill the process, without a message, once it is used.
    """
    needed = 2.0 * n_models * model_size(P)
    try:
        there_is = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError):  # Windows, or a system without these names
        return
    if needed > there_is:
        raise MemoryError(f"at least {binary(needed)} are needed at once, and this computer has {binary(there_is)}")


def out_of_memory(error: MemoryError) -> str:
    """One sentence: what could not be allocated, and how much memory the models of params.yaml take."""
    P = params.load()
    one, n = model_size(P), len(P.seeds)
    every = f"the weights of one model take {binary(one)}, of all {n} seeds {binary(one * n)}"
    advice = "and a stage holds several copies; choose smaller network.hidden or fewer seeds"
    return f"Out of memory ({str(error) or 'no details are known'}): {every}, {advice}."


def model_size(P: schema.Params) -> float:
    """The bytes of the weights and biases of one model."""
    return 8.0 * integer_sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(P.layers_dims))


def binary(size: float) -> str:
    """A number of bytes in the largest unit of which there is one: 11.9 GiB."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, max(0, int(size).bit_length() - 1) // 10)
    return f"{math.ldexp(size, -10 * power):.3g} {units[power]}"
