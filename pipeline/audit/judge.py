"""The audit of one layer: which law explains its weights, and if it is not the expected one, what is wrong."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.local_faults import (
    LARGEST_REPAIRED,
    NAMED,
    Weights,
    are_independent,
    dependence,
    has_scaled_units,
    local_fault,
    places_text,
)
from pipeline.audit.results import Finding
from pipeline.distributions.explain import Explained, candidates, explain
from pipeline.distributions.goodness import NOT_TESTED, TESTS, p_values
from pipeline.distributions.laws import Fans, Law, law
from pipeline.distributions.structures import RANDOM, Structure, count_equal, equal_rows, may_be_orthogonal, structure
from pipeline.distributions.summary import summarize
from pipeline.model_files.layers import IN_OUT, Layer
from pipeline.model_files.tensors import count

SCALED = 1e-4  # p-value of all laws below which units are given a scale of their own
SCALED_UNITS = Structure("data_dependent", "normal draws, with a scale of its own for each unit, as set from data")
TOO_SMALL = 4.0  # standard deviations of weights, in units of the smallest number, that are rounded to almost nothing
MANY_ZEROS = 10  # times as many as expected, and at least as many
STRUCTURES = {  # those that a recipe's name stands for
    "zeros", "constant", "orthogonal", "identity", "sparse", "martens_sparse", "zero_init", "looks_linear", "dirac",
    "delta_orthogonal", "data_dependent", "lsuv",
}  # fmt: skip
SAME_STRUCTURE = {"lsuv": "orthogonal", "ones": "constant"}  # orthogonal with a gain of its own for each layer


def fans_of(layer: Layer) -> list[Fans]:
    """The fans of a layer: of one of unknown layout, both possibilities.

    Of a dense layer over several axes, such as Keras' attention, also its inputs and outputs: Keras 3.15 computes the
    fans from these, earlier versions as of a convolution.
    """
    fans = [Fans(layer.fan_in, layer.fan_out, layer.hidden_size)]
    if not layer.layout and layer.fan_in != layer.fan_out:
        fans.append(Fans(layer.fan_out, layer.fan_in, layer.hidden_size))
    shape = layer.weight.shape
    if layer.kind == "dense" and layer.layout == IN_OUT and len(shape) > 2 and layer.fan_out != layer.units:
        fans.append(Fans(count(shape) // layer.units, layer.units))
    return fans


def examine(layer: Layer, expect: str) -> tuple[Weights, NDArray[Any]]:
    """What the weights of a layer are, and the matrix (units, fan_in). `expect` is a law, a structure, or ""."""
    matrix = layer.matrix()
    return examine_matrix(matrix, layer.weight.dtype, fans_of(layer), expect), matrix


def examine_matrix(matrix: NDArray[Any], dtype: str, fans: Sequence[Fans], expect: str) -> Weights:
    """`examine` for weights (units, fan_in) that are stored as `dtype`."""
    summary = summarize(matrix, dtype)
    if summary.non_finite:
        return Weights(summary, NOT_TESTED, RANDOM, [], [], 0.0)
    pairs = dependence(matrix)
    kind = structure(matrix, summary, pairs)
    if kind is not RANDOM:
        wanted = expect.partition("(")[0]
        as_expected = SAME_STRUCTURE.get(wanted, wanted) == kind.name
        as_expected |= not expect and kind.name not in ("zeros", "constant")
        return Weights(summary, pairs, kind, [], [], 1.0 if as_expected else 0.0)
    if SAME_STRUCTURE.get(expect.partition("(")[0], expect) == "orthogonal" and may_be_orthogonal(summary, pairs):
        return Weights(
            summary, pairs, Structure("orthogonal", "or random: too few weights to distinguish"), [], [], 1.0
        )
    found = explain(summary, pairs, fans)
    laws = [law(expect, fan) for fan in fans] if expect and expect.partition("(")[0] not in STRUCTURES else []
    expected = [Explained(one, p_values(summary, pairs, one), 0.0) for one in laws] if expect else found
    weights = Weights(summary, pairs, kind, found, expected, max((one.p for one in expected), default=0.0))
    if weights.p < SCALED and expect in ("", SCALED_UNITS.name) and has_scaled_units(weights, matrix):
        return weights._replace(structure=SCALED_UNITS, p=1.0)
    return weights


def fault(name: str, weights: Weights, matrix: NDArray[Any], expect: str, p: float) -> Finding:
    """The finding for a layer whose weights are not as expected; p is corrected for the network."""
    certain = _certain(name, weights, matrix, expect)
    if certain is not None:
        return certain
    target = f"the expected {expect}" if expect else "the law of any initializer"
    if weights.structure is not RANDOM:
        return Finding(name, "wrong_law", f"the weights are {weights.structure}, not {expect}", 0.0)
    named = [one for one in candidates(weights.found) if one.p > NAMED]
    wanted = weights.expected[0].law if weights.expected and expect else None
    if named:
        return Finding(name, *_named(named[0], wanted, expect, weights), p)
    local = local_fault(weights, matrix, wanted)
    if local is not None:
        return Finding(name, *local, p)
    if has_scaled_units(weights, matrix):
        return Finding(name, "data_dependent", f"the weights are {SCALED_UNITS.detail}", p)
    if are_independent(weights, matrix):
        summary = weights.summary
        kurtosis = summary.fourth / summary.n / (summary.mean_square * summary.mean_square)
        shape = f"kurtosis {kurtosis:.3g}, where a normal distribution has 3 and a uniform one 1.8"
        return Finding(name, "wrong_family", f"independent draws, but of no known distribution: {shape}", p)
    return Finding(name, "not_initial", f"the weights do not follow {target}: {_why(weights)}", p)


def _certain(name: str, weights: Weights, matrix: NDArray[Any], expect: str) -> Finding | None:
    """A fault that needs no test."""
    summary, kind = weights.summary, weights.structure
    if summary.non_finite:
        text = f"{summary.non_finite} of {summary.n} weights are NaN or infinite"
        return Finding(name, "non_finite", text, 0.0)
    if kind.name == "zeros":
        hint = "" if expect else f"; if that is meant, expect it: {name}=zeros"
        return Finding(name, "zeros", f"all {summary.n} weights are 0{hint}", 0.0)
    if kind.name == "constant":
        return Finding(name, "constant", f"all {summary.n} weights are {summary.low:.6g}", 0.0)
    if kind is not RANDOM:
        return None
    least = 2.0 * float(summary.half_spacing(0.0))
    if summary.zeros and summary.mean_square < TOO_SMALL * TOO_SMALL * least * least:
        text = f"{summary.zeros} of {summary.n} weights are 0, the others near the smallest number of {summary.dtype}"
        return Finding(name, "zero_weights", text, 0.0)
    for what, squares in (("unit", summary.unit_squares), ("input", summary.input_squares)):
        if not squares.all():
            places = np.flatnonzero(squares == 0.0)
            return Finding(name, "zero_unit", f"all weights of {places_text(what, places)} are 0", 0.0)
    for what, pair, rows in (
        ("unit", weights.dependence.units, matrix),
        ("input", weights.dependence.inputs, matrix.T),
    ):
        if equal_rows(pair, rows, summary):
            n = count_equal(rows, pair.first, summary.dtype) if summary.n <= LARGEST_REPAIRED else 2
            which = f"{what}s {pair.first} and {pair.second}" if n == 2 else f"{n} of {len(rows)} {what}s"
            return Finding(name, "equal_units", f"{which} have the same weights up to sign and scale", 0.0)
    chance = summary.n * float(summary.half_spacing(0.0)) / math.sqrt(max(summary.mean_square, 1e-300))
    if summary.zeros >= MANY_ZEROS * (1.0 + chance):
        share = 100.0 * summary.zeros / summary.n
        return Finding(name, "zero_weights", f"{summary.zeros} weights ({share:.2g} %) are exactly 0", 0.0)
    return None


def _named(one: Explained, wanted: Law | None, expect: str, weights: Weights) -> tuple[str, str]:
    """The cause and the text for weights that another law than the expected one explains."""
    found = one.law
    std = f"standard deviation {math.sqrt(weights.summary.mean_square):.3g}"
    if wanted is None:
        return "wrong_law", f"independent draws of {first_name(found)}, not {expect}"
    ratio = found.std / wanted.std
    if found.mean != wanted.mean:
        return (
            "shifted_mean",
            f"mean {weights.summary.mean:.3g} instead of {wanted.mean:.3g}: draws of {first_name(found)}",
        )
    if found.family is not wanted.family and abs(ratio - 1.0) < 1e-3:
        return "wrong_family", f"a {found.family.name} distribution instead of the {wanted.family.name} one of {expect}"
    times = f"{ratio:.3g} times that of {expect} ({wanted.std:.3g})"
    if found.free:
        return "wrong_scale", f"{std} is {times}; the distribution is {found.family.name}"
    return "wrong_law", f"draws of {first_name(found)}: {std} is {times}"


def _why(weights: Weights) -> str:
    """The tests that reject the most likely law, as a clause."""
    if not weights.found:
        return "no law has this scale"
    best = max(weights.found, key=lambda one: one.p)
    worst = sorted(best.tests, key=lambda test: best.tests[test])[:2]
    rejected = " and ".join(TESTS[test] for test in worst if best.tests[test] * len(best.tests) < NAMED)
    return f"for draws of {first_name(best.law)}, {rejected or 'the results of the tests'} would be unlikely"


def first_name(law: Law) -> str:
    """The first of the names of a law."""
    return law.name.partition(" = ")[0]
