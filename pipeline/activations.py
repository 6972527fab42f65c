"""Activations: phi and its derivative, one table.

Like the functions of `elementary`, which they are made of, they take NumPy arrays and the kernel's vectors.
"""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.elementary import Number, select, tanh


def relu(z: Number) -> Number:
    """max(0, z); nan stays nan."""
    return select(z < 0.0, 0.0, z)


def relu_slope(z: Number, a: Number) -> Number:
    """1 where z > 0, else 0."""
    return select(z > 0.0, 1.0, 0.0)


def tanh_slope(z: Number, a: Number) -> Number:
    """1 - tanh(z)**2, from a = tanh(z)."""
    return 1.0 - a * a


class Activation(NamedTuple):
    """phi(z), and its derivative at z given a = phi(z)."""

    phi: Callable[[Number], Number]
    slope: Callable[[Number, Number], Number]


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_slope),
    "tanh": Activation(tanh, tanh_slope),
}
