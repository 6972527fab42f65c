"""What a function must do besides drawing from the right distribution: depend on its generator, and on nothing else."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.grading.calls import Caller, Drawn, Fault, Shape, global_seed
from pipeline.audit.run import SAME
from pipeline.distributions.streams import matches, prefixes
from pipeline.distributions.structures import BY_CHANCE


def varies(call: Caller, shape: Shape) -> bool:
    """Whether the weights vary from one generator, seed or state of the global generators to another.

    Raises Fault if they depend on something else than the generator or the seed that is passed.
    """
    has_source = call.function.has("rng") or call.function.has("seed")
    first = draw(call, shape, 1, 11)
    again, other_source, other_global = draw(call, shape, 1, 11), draw(call, shape, 2, 11), draw(call, shape, 1, 12)
    same_again, same_source, same_global = (_equal(first, each) for each in (again, other_source, other_global))
    if not has_source:
        return not same_global
    passed = "generator" if call.function.has("rng") else "seed"
    if not same_again:
        text = f"it returns other weights for the same {passed}: it draws from a generator of its own, or keeps a state"
        raise Fault("not_reproducible", text)
    if not same_global:
        text = f"its weights depend on the global generator of np.random or random, not only on its {passed}"
        raise Fault("global_state", text)
    return not same_source


def draw(call: Caller, shape: Shape, seed: int, global_state: int) -> list[NDArray[np.float64]]:
    """Copies of the arrays of one call with a new generator of this seed."""
    with global_seed(global_state):
        drawn = call([shape], call.generator(seed), seed)
    return [np.array(values, np.float64) for each in drawn for values in (each.W, each.b) if values is not None]


def check_succession(call: Caller, shape: Shape) -> None:
    """Raise Fault if two layers that are drawn in succession from one generator hold the same draws."""
    if call.whole:
        drawn = call_of_network(call, shape, 1)
    elif call.function.has("seed") and not call.function.has("rng"):
        return  # the seed is the caller's choice
    else:
        with global_seed(1):
            drawn = call([shape, shape[::-1]], call.generator(1), 1)
    if pair := same_draws(drawn):
        first, second = pair
        layers = f"the layers {first} and {second} of a network" if call.whole else "two layers drawn in succession"
        raise Fault("same_draws", f"{layers} hold the same draws: it seeds its generator anew for each layer")


def call_of_network(call: Caller, shape: Shape, seed: int) -> list[Drawn]:
    """A network of four layers with this shape, its transpose, and two square ones."""
    fan_out, fan_in = shape
    with global_seed(seed):
        return call([shape, (fan_in, fan_out), (fan_out, fan_in), (fan_out, fan_out)], call.generator(seed), seed)


def same_draws(drawn: Sequence[Drawn]) -> tuple[int, int] | None:
    """The numbers, from 1, of the first two layers that hold the same draws up to a factor, if there are any."""
    found = matches([prefixes(each.W) for each in drawn], BY_CHANCE)
    return next(((one.first + 1, one.second + 1) for one in found if one.correlation > SAME), None)


def _equal(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> bool:
    return len(one) == len(other) and all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))
