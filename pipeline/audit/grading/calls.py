"""Calls of a graded function: what it is given, and its result as layers."""

import contextlib
import inspect
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.grading.signatures import Function, described

Shape = tuple[int, int]  # (fan_out, fan_in)
SOURCES: dict[str, Callable[[int], Any]] = {
    "RandomState": np.random.RandomState,
    "Generator": np.random.default_rng,
    "random.Random": random.Random,
    # Tried if the function's module uses JAX
    "jax.random.PRNGKey": lambda seed: sys.modules["jax"].random.PRNGKey(seed),
}
RETURNS_NETWORK = "returns network"  # the cause if an argument `shape` proves to be the sizes of a network
BITS = (np.random.PCG64, np.random.MT19937, np.random.Philox)  # bit generators of Generator


class Fault(Exception):
    """What is wrong with a function, whatever its distribution: a cause and a sentence."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class Drawn(NamedTuple):
    """Weights of one layer that a call returned."""

    W: NDArray[Any]  # (fan_out, fan_in)
    b: NDArray[Any] | None

    @property
    def shape(self) -> Shape:
        """(fan_out, fan_in)."""
        return self.W.shape[0], self.W.shape[1]


class Caller(NamedTuple):
    """How a function is called."""

    function: Function
    source: str  # the type of generator, a key of SOURCES
    transposed: bool  # whether weights are (fan_in, fan_out)
    whole: bool  # whether it takes the sizes of a network and returns all its layers

    def __call__(self, shapes: Sequence[Shape], rng: Any, seed: int) -> list[Drawn]:
        """The layers of these shapes; `rng` and `seed` are the generator and the seed to pass. Raises Fault.

        A function for single layers is called once for each shape, with the same generator, or with the seeds or keys
        that follow.
        """
        if self.whole:
            return self._network(shapes, rng, seed)
        if self.source == "jax.random.PRNGKey":
            return [self._layer(shape, self.generator(seed + i), seed + i) for i, shape in enumerate(shapes)]
        return [self._layer(shape, rng, seed + i) for i, shape in enumerate(shapes)]

    def generator(self, seed: int) -> Any:
        """A generator of the type that the function takes; those of NumPy's Generator take turns with the seed."""
        if self.source == "Generator":
            return np.random.Generator(BITS[seed % len(BITS)](seed))
        return SOURCES[self.source](seed)

    def _layer(self, shape: Shape, rng: Any, seed: int) -> Drawn:
        stored = shape[::-1] if self.transposed else shape
        returned = self._returned(stored, shape, [shape[1], shape[0]], rng, seed)
        if isinstance(returned, dict) and self.function.has("shape"):
            raise Fault(RETURNS_NETWORK, "")
        W, b = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)
        return Drawn(self._weights(W, shape, "W"), _biases(b, shape[0], "b"))

    def _network(self, shapes: Sequence[Shape], rng: Any, seed: int) -> list[Drawn]:
        dims = [shapes[0][1], *(fan_out for fan_out, _ in shapes)]
        returned = self._returned(tuple(dims), shapes[0], dims, rng, seed)
        pairs = _pairs(returned, len(shapes))
        return [
            Drawn(self._weights(W, shape, f"W{l}"), _biases(b, shape[0], f"b{l}"))
            for l, ((W, b), shape) in enumerate(zip(pairs, shapes, strict=True), 1)
        ]

    def _returned(self, stored: tuple[int, ...], shape: Shape, dims: list[int], rng: Any, seed: int) -> Any:
        """What the function returns. Raises Fault if it raises, or changes the sizes that it is given."""
        sizes = {"shape": stored, "dims": list(dims), "sizes": stored, "fan_out": shape[0], "fan_in": shape[1]}
        values: dict[str, Any] = sizes | {"rng": rng, "seed": seed, "dtype": np.float64}
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for argument in self.function.arguments:
            value = values[argument.role]
            if argument.how is inspect.Parameter.VAR_POSITIONAL:
                positional += value
            elif argument.how is inspect.Parameter.KEYWORD_ONLY:
                named[argument.name] = value
            else:
                positional.append(value)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                returned = self.function.call(*positional, **named)
        except (Exception, SystemExit) as error:  # the code may raise anything
            called = f"fan_out {shape[0]} and fan_in {shape[1]}" if not self.whole else f"the layers {dims}"
            raise Fault("raises", f"it raises {described(error, self.function.file)} for {called}") from error
        if values["dims"] != dims:
            raise Fault("mutates", f"it changes its argument: the sizes {dims} became {values['dims']}")
        return returned

    def _weights(self, W: Any, shape: Shape, name: str) -> NDArray[Any]:
        """The weights (fan_out, fan_in). Raises Fault for another type, shape or number format."""
        array = _array(W, name)
        wanted = shape[::-1] if self.transposed else shape
        words = "(fan_in, fan_out)" if self.transposed else "(fan_out, fan_in)"
        if array.shape != wanted:
            transposed = array.shape == wanted[::-1]
            text = f"it returns {name} of shape {array.shape}, {words} is {wanted}"
            raise Fault("transposed" if transposed else "wrong_shape", text + (": the transpose" if transposed else ""))
        return array.T if self.transposed else array


def _array(value: Any, name: str) -> NDArray[Any]:
    """A finite array of floating-point numbers. Raises Fault."""
    if value is None:
        raise Fault("wrong_shape", f"it returns None instead of {name}: is the return statement missing?")
    if not hasattr(value, "__array__") or isinstance(value, np.generic):
        kind = type(value).__name__
        raise Fault("wrong_dtype", f"it returns {'an' if kind[0] in 'aeiou' else 'a'} {kind} for {name}, not an array")
    try:
        array = np.asarray(value)
    except Exception as error:  # of another library, such as a tensor of PyTorch with a gradient
        text = f"it returns a {type(value).__name__} for {name}, which is not converted to an array"
        raise Fault("wrong_dtype", f"{text}: {described(error, '')}") from error
    if array.dtype.kind != "f":
        raise Fault("wrong_dtype", f"it returns an array of {array.dtype} for {name}, not of floating-point numbers")
    if array.size and not np.isfinite(array).all():
        n = int(np.count_nonzero(~np.isfinite(array)))
        raise Fault("non_finite", f"{n} of {array.size} values of {name} are NaN or infinite")
    return array


def _biases(b: Any, fan_out: int, name: str) -> NDArray[Any] | None:
    """The biases (fan_out,), or None. Raises Fault."""
    if b is None:
        return None
    array = _array(b, name)
    if array.shape not in ((fan_out,), (fan_out, 1), (1, fan_out)):
        raise Fault("wrong_shape", f"it returns {name} of shape {array.shape}, expected ({fan_out}, 1)")
    return array.reshape(-1)


def _pairs(returned: Any, n: int) -> list[tuple[Any, Any]]:
    """The weights and biases of n layers from a dictionary W1, b1, ..., or a list. Raises Fault."""
    if isinstance(returned, dict):
        names = {re.sub(r"^(w|weights?)_?(?=\d)", "W", str(key).lower()): value for key, value in returned.items()}
        missing = [f"W{l}" for l in range(1, n + 1) if f"W{l}" not in names]
        if missing:
            keys = ", ".join(map(str, returned)) or "none"
            raise Fault("wrong_shape", f"it returns the keys {keys}; {missing[0]} is missing, with {n} layers")
        return [(names[f"W{l}"], names.get(f"b{l}")) for l in range(1, n + 1)]
    if isinstance(returned, list | tuple):
        items = list(returned)
        if len(items) == 2 * n and all(getattr(each, "ndim", 0) for each in items):
            items = list(zip(items[::2], items[1::2], strict=True))
        if len(items) == n:
            return [each if isinstance(each, tuple) and len(each) == 2 else (each, None) for each in items]
        raise Fault("wrong_shape", f"it returns {len(items)} values for {n} layers")
    raise Fault("wrong_shape", f"it returns a {type(returned).__name__}; expected a dictionary W1, b1, ..., or a list")


def caller(function: Function, shape: Shape, transposed: bool) -> Caller:
    """How the function is called: the first type of generator with which it does not raise. Raises Fault.

    The fault is that of the first type, unless it is an AttributeError, as from a method that the generator lacks.
    """
    faults = []
    usable = [source for source in SOURCES if source.partition(".")[0] != "jax" or "jax" in sys.modules]
    for source in usable if function.has("rng") else usable[:1]:
        tried = Caller(function, source, transposed, function.has("dims"))
        try:
            with global_seed(0):
                tried([shape], tried.generator(1), 1)
        except Fault as fault:
            if fault.cause == RETURNS_NETWORK:
                roles = [each._replace(role="dims") if each.role == "shape" else each for each in function.arguments]
                return caller(function._replace(arguments=roles), shape, transposed)
            if fault.cause != "raises":
                raise
            faults.append(fault)
        else:
            return tried
    others = [fault for fault in faults if not isinstance(fault.__cause__, AttributeError | TypeError)]
    raise (others or faults)[0]


@contextlib.contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """NumPy's and Python's global generators with this seed; their states are restored afterwards."""
    states = np.random.get_state(legacy=False), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
