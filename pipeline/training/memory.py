"""How much memory the weights of models take, and whether there is so much."""

import itertools
import math
import os
from collections.abc import Sequence

from pipeline.numerics.sums import integer_sum


def require_memory(layers_dims: Sequence[int], n_models: int) -> None:
    """Raise MemoryError if the weights of so many models, held twice, exceed the memory of this computer.

    Linux would grant the memory and kill the process, without a message, once it is used.
    """
    one = model_size(layers_dims)
    try:
        available = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError):  # Windows, or a system without these names
        return
    if 2.0 * n_models * one > available:
        needed = (
            f"at least {binary(2.0 * n_models * one)} are needed at once, and this computer has {binary(available)}"
        )
        raise MemoryError(f"{needed}: the weights of one model take {binary(one)}")


def model_size(layers_dims: Sequence[int]) -> float:
    """The bytes of the weights and biases of one model with layers of these sizes."""
    return 8.0 * integer_sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(layers_dims))


def binary(size: float) -> str:
    """A number of bytes in the largest unit of which there is one: 11.9 GiB."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, max(0, int(size).bit_length() - 1) // 10)
    return f"{math.ldexp(size, -10 * power):.3g} {units[power]}"
