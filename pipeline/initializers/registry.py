"""What is known of a recipe, registered beside the function that implements it.

`register` puts a function and these facts into a dictionary; documentation, theory, the check of params.yaml and the
tests read them there.
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from pipeline.numerics.sums import Array

Initializer = Callable[[np.random.RandomState, int, int], Array | tuple[Array, Array]]
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Variances(NamedTuple):
    """The distribution of a layer's initial parameters: uncorrelated and symmetric about their mean."""

    weight: float  # Var(W_ij)
    bias: float = 0.0  # Var(b_i), of mean 0
    normal: bool = False  # whether weights are independent and normal
    mean: float = 0.0  # of the weights


class Entry(NamedTuple, Generic[T]):
    """A recipe. Its name is that of the factory, its law and source are the first paragraph of the docstring.

    `variances` has the arguments (fan_out, fan_in, **settings) and returns `Variances`; of a recipe for whole networks
    it has (spec, **settings) and returns a list with one per layer. All settings are passed, with the factory's
    defaults. If weights are not uncorrelated, symmetric and random, it returns the reason why mean-field theory does
    not apply, as a clause such as "deterministic weights, but theory assumes random ones".

    `pytorch`, `keras` and `jax` are the names of the distribution there, or the call that gives it, in Markdown, from
    the source code of PyTorch 2.13, Keras 3 and JAX 0.10; empty if there is none.
    """

    factory: Callable[..., Any]  # from settings to an initializer
    variances: Callable[..., T | str]
    use: str  # what the recipe is for
    pytorch: str = ""
    keras: str = ""
    jax: str = ""


def register(
    registry: dict[str, Entry[T]],
    *,
    use: str,
    variances: Callable[..., T | str],
    pytorch: str = "",
    keras: str = "",
    jax: str = "",
) -> Callable[[F], F]:
    """A decorator that puts a factory and what is known of it into `registry`, under the factory's name."""

    def add(factory: F) -> F:
        registry[factory.__name__] = Entry(factory, variances, use, pytorch, keras, jax)
        return factory

    return add


def no_theory(reason: str) -> Callable[..., str]:
    """`variances` of a recipe that theory does not cover: a function of any arguments that returns the reason."""
    return lambda *shape, **settings: reason


def require(holds: bool, name: str, clause: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} must be {clause}, not {value}")


def positive(name: str, value: float) -> None:
    require(value > 0.0, name, "greater than 0", value)


def one_of(name: str, value: str, table: dict[str, T]) -> T:
    require(value in table, name, f"one of {', '.join(table)}", repr(value))
    return table[value]
