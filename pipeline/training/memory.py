"""The memory that the weights of models need, and a check that it is available."""

import itertools
import math
import os
from collections.abc import Sequence

from pipeline.numerics.sums import integer_sum


def require_memory(
    layers_dims: Sequence[int], n_models: int, available: float | None = None, owner: str = "this computer"
) -> None:
    """Raise MemoryError if two copies of the weights of `n_models` models exceed the memory of their `owner`.

    `available` is in bytes; None means the memory of this computer. Linux would grant the allocation and later kill the
    process without a message.
    """
    one = model_size(layers_dims)
    try:
        if available is None:
            available = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError):  # Windows, or a system without these configuration names
        return
    if 2.0 * n_models * one > available:
        needed = f"at least {format_bytes(2.0 * n_models * one)} are needed, and {owner} has {format_bytes(available)}"
        raise MemoryError(f"{needed}: the weights of one model take {format_bytes(one)}")


def model_size(layers_dims: Sequence[int]) -> float:
    """The size in bytes of the weights and biases of one model with layer sizes n_0, ..., n_L."""
    return 8.0 * integer_sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(layers_dims))


def format_bytes(size: float) -> str:
    """A number of bytes in the largest binary unit that is at most the number, such as "11.9 GiB"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, max(0, int(size).bit_length() - 1) // 10)
    return f"{math.ldexp(size, -10 * power):.3g} {units[power]}"
