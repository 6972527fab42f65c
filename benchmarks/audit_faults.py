"""Networks with one kind of fault each, for the benchmark of the audit."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from benchmarks.audit_networks import Generator, Matrix, Network, draw, draws, log_uniform
from pipeline.audit.results import ALARM, NOT_INITIAL
from pipeline.datasets import DATASETS
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import stack
from pipeline.training import gradient_descent

# Changes a network in the layers with these indices.
Change = Callable[[Network, list[int], Generator], None]


class Fault(NamedTuple):
    """A kind of fault. `places`: in which layers, of networks with an even and with an odd number."""

    kind: str
    size: str  # what exactly is wrong
    cause: str  # that the audit should give; "" if several are right
    change: Change
    law: str = ""  # that the audit should name
    expect: str = "he_normal"
    places: str = "one, all"
    least: int = 16  # smallest width
    uneven: bool = False  # whether neighbouring layers differ in width by a factor of 1.5 or more
    states: tuple[str, ...] = (ALARM,)
    data: bool = False  # whether the audit gets a batch of data
    beside: tuple[str, ...] = ()  # causes that are right too


class Case(NamedTuple):
    """A network with a fault."""

    network: Network
    faulty: set[str]  # names of the layers
    data: Matrix | None


def each(change: Callable[[Matrix, Generator], Any]) -> Change:
    """Change each of the layers by itself; what is returned replaces the weights."""

    def apply(network: Network, places: list[int], rng: Generator) -> None:
        for l in places:
            network.weights[l] = change(network.weights[l], rng)

    return apply


def drawn(law: str) -> Change:
    """Weights drawn by a law of `audit_networks.LAWS`."""
    return each(lambda W, rng: draw(law, W.shape[0], W.shape[1], rng))


def put(factor: Callable[[Matrix, Generator], tuple[Any, Any]]) -> Change:
    """Set one element, row or column: `factor` returns its index and what is put there."""

    def change(W: Matrix, rng: Generator) -> Matrix:
        place, value = factor(W, rng)
        W[place] = value
        return W

    return each(change)


def unit(W: Matrix, rng: Generator) -> int:
    return int(rng.integers(len(W)))


def copied(factor: float) -> Change:
    def change(W: Matrix, rng: Generator) -> Matrix:
        i, j = rng.choice(len(W), 2, replace=False)
        W[i] = factor * W[j]
        return W

    return each(change)


def he_std(W: Matrix) -> float:
    return math.sqrt(2 / W.shape[1])


def correlated(W: Matrix, rng: Generator) -> Matrix:
    i, j = rng.choice(len(W), 2, replace=False)
    W[i] = 0.95 * W[j] + math.sqrt(1 - 0.95**2) * W[i]
    return W


def one_seed(network: Network, places: list[int], rng: Generator) -> None:
    """All layers drawn from the start of the same stream."""
    seed = int(rng.integers(2**31))
    for l in places:
        W = network.weights[l]
        network.weights[l] = np.random.RandomState(seed).standard_normal(W.shape) * he_std(W)


def garbage(W: Matrix, rng: Generator) -> Matrix:
    """Random bytes, read as float32: numbers from 1e-38 to 1e38, some of them NaN."""
    return rng.integers(0, 256, 4 * W.size, dtype=np.uint8).view(np.float32).reshape(W.shape)


def left_over(W: Matrix, rng: Generator) -> Matrix:
    """Zeros, but for a quarter of the rows, which memory of another use still fills."""
    n = max(1, len(W) // 4)
    W = np.zeros(W.shape)
    W[:n] = rng.integers(0, 256, W[:n].shape)
    return W


def with_biases(network: Network, places: list[int], rng: Generator) -> None:
    for l in places:
        network.biases[l] = rng.normal(size=len(network.weights[l]))


def normalization(network: Network, places: list[int], rng: Generator) -> None:
    network.scales = [np.zeros(64), np.zeros(64)]


def half_precision(factor: float) -> Change:
    def apply(network: Network, places: list[int], rng: Generator) -> None:
        network.dtype = "float16"
        for l in places:
            network.weights[l] = network.weights[l] * factor

    return apply


def nothing(network: Network, places: list[int], rng: Generator) -> None:
    """For kinds that `case` makes itself."""


VARIANCE = "with the variance as standard deviation"
FAULTS = [
    Fault("scale x10", "std x 10", "wrong_scale", each(lambda W, rng: W * 10)),
    Fault("scale /10", "std / 10: for widths near 50 also that of other laws", "", each(lambda W, rng: W / 10)),
    Fault("scale /100", "std / 100", "wrong_scale", each(lambda W, rng: W / 100)),
    Fault("scale x2", "std x 2", "wrong_scale", each(lambda W, rng: W * 2)),
    Fault("variance as std", "std 2/n for sqrt(2/n)", "wrong_law",
          each(lambda W, rng: W * he_std(W)), f"he_normal {VARIANCE}"),
    Fault("no sqrt(3)", "U(-s, s) with s = sqrt(2/n)", "wrong_law",
          each(lambda W, rng: rng.uniform(-1, 1, W.shape) * he_std(W)), "he_uniform without the factor sqrt(3)",
          "he_uniform"),
    Fault("fan_out for fan_in", "widths differ by 1.5 or more; from 24", "wrong_law",
          drawn("he_normal(mode='fan_out')"), "he_normal(mode='fan_out')", least=24, uneven=True),
    Fault("Xavier for He", "std x 0.71; widths from 32", "wrong_law",
          drawn("xavier_normal"), "xavier_normal", least=32),
    Fault("truncation not corrected", "std x 0.88; widths from 48", "wrong_law",
          each(lambda W, rng: draws("truncated_normal", W.shape, he_std(W) * 0.8796256610342398, rng)),
          "he_truncated_normal without correction of the variance", "he_truncated_normal", least=48),
    Fault("framework's default", "U(-1/sqrt(n), 1/sqrt(n))", "wrong_law", drawn("pytorch_linear"), "pytorch_linear"),
    Fault("standard normal", "N(0, 1)", "wrong_law", each(lambda W, rng: rng.normal(size=W.shape)), "normal(std=1)"),
    Fault("zeros", "all 0", "zeros", each(lambda W, rng: W * 0)),
    Fault("constant", "all 0.05", "constant", each(lambda W, rng: W * 0 + 0.05)),
    Fault("equal units", "all units the same", "equal_units", each(lambda W, rng: np.tile(W[:1], (len(W), 1)))),
    Fault("mirrored unit", "one unit -1 times another", "equal_units", copied(-1.0), places="one"),
    Fault("scaled unit", "one unit 0.5 times another", "equal_units", copied(0.5), places="one"),
    Fault("zero unit", "one unit 0", "zero_unit", put(lambda W, rng: (unit(W, rng), 0.0)), places="one"),
    Fault("similar units", "two units with correlation 0.95", "dependent_units", each(correlated), places="one"),
    Fault("one seed, all layers", "the same stream from its start", "same_draws", one_seed, places="all"),
    Fault("one seed, two layers", "of other shapes", "same_draws", one_seed, places="two", uneven=True),
    Fault("NaN", "one weight", "non_finite", put(lambda W, rng: ((unit(W, rng), 0), math.nan)), places="one"),
    Fault("infinite", "one weight", "non_finite", put(lambda W, rng: ((unit(W, rng), 0), math.inf)), places="one"),
    Fault("one huge weight", "20 standard deviations", "outliers",
          put(lambda W, rng: ((unit(W, rng), 1), 20 * he_std(W))), places="one"),
    Fault("shifted mean", "by 1/2 standard deviation", "shifted_mean", each(lambda W, rng: W + he_std(W) / 2)),
    Fault("one large unit", "x 5", "uneven_units", put(lambda W, rng: ((i := unit(W, rng)), W[i] * 5)), places="one"),
    Fault("heavy tails", "Student t, 3 degrees of freedom, of the right variance", "wrong_family",
          each(lambda W, rng: rng.standard_t(3, W.shape) * (he_std(W) / math.sqrt(3))), least=24),
    Fault("uniform for normal", "of the right variance", "wrong_family", drawn("he_uniform"), "he_uniform"),
    Fault("sorted weights", "in ascending order", "", each(lambda W, rng: np.sort(W, axis=None).reshape(W.shape)),
          states=(ALARM, NOT_INITIAL)),
    Fault("masked", "30 % of the weights 0", "zero_weights",
          each(lambda W, rng: W * (rng.random(W.shape) > 0.3))),
    Fault("garbage", "random bytes as float32", "non_finite", each(garbage)),
    Fault("never initialized", "zeros, a quarter of the units garbage", "zero_unit", each(left_over)),
    Fault("biases N(0, 1)", "instead of 0", "bias", with_biases),
    Fault("normalization scale 0", "of all such layers", "normalization", normalization, places="none"),
    Fault("float16 overflow", "std x 200000", "non_finite", half_precision(2e5)),
    Fault("float16 underflow", "std / 1e7: most are 0", "zero_weights", half_precision(1e-7)),
    Fault("depends on data", "each layer scaled to variance 1 on the data, as in LSUV", "data_dependent", nothing,
          places="all", data=True, beside=("wrong_law", "wrong_scale")),
    Fault("trained a little", "digits, 100 steps at 0.1", "", nothing, places="all", states=(NOT_INITIAL,)),
    Fault("trained to the end", "digits, 2,000 steps at 0.1", "", nothing, places="all", states=(NOT_INITIAL,)),
]  # fmt: skip


def case(fault: Fault, index: int) -> Case:
    """The network of this number with the fault."""
    rng = np.random.default_rng([15, FAULTS.index(fault), index])
    if fault.change is nothing:
        return _of_data(fault, index)
    sizes = _sizes(fault, rng)
    weights = [draw(fault.expect, o, i, rng) for i, o in pairwise(sizes)]
    zeros: list[Matrix | None] = [np.zeros(len(W)) for W in weights]
    network = Network(weights, zeros, "relu", fault.expect)
    inner = range(1, len(weights) - 1)  # between two hidden layers
    options = fault.places.split(", ")
    where = options[index % len(options)]
    places = list(range(len(weights))) if where == "all" else []
    if where in ("one", "two"):
        places = sorted(rng.choice(inner, 1 if where == "one" else 2, replace=False).tolist())
    fault.change(network, places, rng)
    faulty = {str(l + 1) for l in places} or {"norm2"}
    return Case(network, faulty - {str(places[0] + 1)} if where == "two" else faulty, None)


def _sizes(fault: Fault, rng: Generator) -> list[int]:
    """2 to 20 hidden layers of 16 to 128 units, and at least 3 weight matrices between hidden layers for two places."""
    n_hidden = log_uniform(rng, 4 if fault.places == "two" else 2, 20)
    if fault.uneven:
        narrow = log_uniform(rng, fault.least, 80)
        wide = log_uniform(rng, math.ceil(1.5 * narrow), 128)
        hidden = [(narrow, wide)[l % 2] for l in range(n_hidden)]
    elif rng.random() < 0.5:
        hidden = [log_uniform(rng, fault.least, 128)] * n_hidden
    else:
        hidden = [log_uniform(rng, fault.least, 128) for _ in range(n_hidden)]
    outside = max(fault.least, 32)
    return [outside, *hidden, 10]


def _of_data(fault: Fault, index: int) -> Case:
    """Networks that depend on data: of LSUV, or trained."""
    rng = np.random.default_rng([16, index // 10])  # ten networks of each architecture, which are trained together
    n_hidden, width = log_uniform(rng, 2, 6), log_uniform(rng, 24, 64)
    X, _ = DATASETS["digits"].split(300, 10, 0.0, 1, 2)[0]
    sizes = [len(X), *[width] * n_hidden, 10]
    if fault.data:
        parameters = scaled_by_data(sizes, X, np.random.default_rng([18, index]))
    else:
        parameters = trained(fault.kind, index // 10, tuple(sizes))[index % 10]
    network = Network(
        [np.array(W) for W, _ in parameters], [np.array(b).reshape(-1) for _, b in parameters], "relu", "he_normal"
    )
    return Case(network, {str(l + 1) for l in range(len(sizes) - 1)}, X.T if fault.data else None)


def scaled_by_data(sizes: list[int], X: Matrix, rng: Generator) -> list[tuple[Matrix, Matrix]]:
    """He's normal draws, each layer scaled so that its pre-activations on X (n_0, m) have variance 1 (ReLU)."""
    parameters, A = [], X
    for fan_in, fan_out in pairwise(sizes):
        W = draw("he_normal", fan_out, fan_in, rng)
        W = W / np.std(W @ A)
        parameters.append((W, np.zeros((fan_out, 1))))
        A = np.maximum(W @ A, 0)
    return parameters


_TRAINED: dict[tuple[str, int], Any] = {}


def trained(kind: str, group: int, sizes: tuple[int, ...]) -> list[Any]:
    """Ten trained networks of one architecture, drawn by He's normal law."""
    if (kind, group) not in _TRAINED:
        X, Y = DATASETS["digits"].split(300, 10, 0.0, 1, 2)[0]
        models = []
        for seed in range(10):
            rng = np.random.default_rng([17, group, seed])
            models.append([(draw("he_normal", o, i, rng), np.zeros((o, 1))) for i, o in pairwise(sizes)])
        steps = 100 if kind == "trained a little" else 2000
        relu = [ACTIVATIONS["relu"]] * (len(sizes) - 2)
        run = gradient_descent.train(stack(models), X, Y, relu, learning_rate=0.1, record_at=[0, steps])
        _TRAINED[kind, group] = [[(W[m], b[m]) for W, b in run.parameters] for m in range(10)]
    return list(_TRAINED[kind, group])
