"""The audit of one layer: which law explains its weights, and if it is not the expected one, what is wrong."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.results import Finding
from pipeline.distributions.dependence import largest_cosine, largest_singular_value
from pipeline.distributions.explain import Explained, candidates, explain, free_laws
from pipeline.distributions.families import UNIFORM
from pipeline.distributions.goodness import NOT_TESTED, TESTS, Dependence, combined, p_values
from pipeline.distributions.laws import Fans, Law, law
from pipeline.distributions.structures import RANDOM, Structure, count_equal, equal_rows, structure
from pipeline.distributions.summary import Summary, summarize
from pipeline.model_files.layers import Layer

NAMED = 0.01  # p-value above which a law is given as the cause
MOST_OUTLIERS = 3
MOST_UNEVEN = 0.1  # of the units, or inputs
LARGEST_REPAIRED = 1 << 21  # weights; of larger layers, no copies without the suspected units are made
MIN_INDEPENDENT = 64  # weights, to call them independent draws of an unknown distribution
ARRANGEMENT = ("units", "inputs", "unit_angle", "input_angle")  # the tests that depend on where weights stand
SCALED = 1e-4  # p-value of all laws below which units are given a scale of their own
MIN_SCALED = 8  # units and inputs
SCALED_UNITS = Structure("data_dependent", "normal draws, with a scale of its own for each unit, as set from data")
MANY_ZEROS = 10  # times as many as expected, and at least as many
STRUCTURES = {  # those that a recipe's name stands for
    "zeros", "constant", "orthogonal", "identity", "sparse", "martens_sparse", "zero_init", "looks_linear", "dirac",
    "delta_orthogonal", "data_dependent", "lsuv",
}  # fmt: skip


SAME_STRUCTURE = {"lsuv": "orthogonal", "ones": "constant"}  # orthogonal with a gain of its own for each layer


class Weights(NamedTuple):
    """What was found out about a layer's weights."""

    summary: Summary
    dependence: Dependence
    structure: Structure
    found: list[Explained]  # laws, most likely first; empty if there is a structure or a value is not finite
    expected: list[Explained]
    p: float  # the largest over the expected laws; 1 if the expected structure is found, 0 if another one


def fans_of(layer: Layer) -> list[Fans]:
    """The fans of a layer: of one of unknown layout, both possibilities."""
    fans = [Fans(layer.fan_in, layer.fan_out, layer.hidden_size)]
    if not layer.layout and layer.fan_in != layer.fan_out:
        fans.append(Fans(layer.fan_out, layer.fan_in, layer.hidden_size))
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
    found = explain(summary, pairs, fans)
    expected = [Explained(wanted, p_values(summary, pairs, wanted), 0.0) for wanted in _expected(expect, fans)]
    if not expect:
        expected = found
    weights = Weights(summary, pairs, kind, found, expected, max((one.p for one in expected), default=0.0))
    if weights.p < SCALED and expect in ("", SCALED_UNITS.name) and _has_scaled_units(weights, matrix):
        return weights._replace(structure=SCALED_UNITS, p=1.0)
    return weights


def dependence(matrix: NDArray[Any]) -> Dependence:
    """What the tests of independence need of a matrix (units, fan_in)."""
    return Dependence(largest_cosine(matrix), largest_cosine(matrix.T), largest_singular_value(matrix))


def _expected(expect: str, fans: Sequence[Fans]) -> list[Law]:
    if not expect or expect.partition("(")[0] in STRUCTURES:
        return []
    return [law(expect, fan) for fan in fans]


def fault(name: str, weights: Weights, matrix: NDArray[Any], expect: str, p: float) -> Finding:
    """The finding for a layer whose weights are not as expected; p is corrected for the network."""
    certain = _certain(name, weights, matrix, expect)
    if certain is not None:
        return certain
    target = f"the expected {expect}" if expect else "the law of any initializer"
    if weights.structure is not RANDOM:
        return Finding(name, "wrong_law", f"the weights are {_structure_text(weights.structure)}, not {expect}", 0.0)
    named = [one for one in candidates(weights.found) if one.p > NAMED]
    wanted = weights.expected[0].law if weights.expected and expect else None
    if named:
        return Finding(name, *_named(named[0], wanted, expect, weights), p)
    local = _local(weights, matrix, wanted)
    if local is not None:
        return Finding(name, *local, p)
    if _has_scaled_units(weights, matrix):
        return Finding(name, "data_dependent", f"the weights are {SCALED_UNITS.detail}", p)
    if _independent(weights, matrix):
        return Finding(
            name, "wrong_family", f"independent draws, but of no known distribution: {_shape_text(weights)}", p
        )
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
    for what, squares in (("unit", summary.unit_squares), ("input", summary.input_squares)):
        if not squares.all():
            places = np.flatnonzero(squares == 0.0)
            return Finding(name, "zero_unit", f"all weights of {_places(what, places)} are 0", 0.0)
    for what, pair, rows in (
        ("unit", weights.dependence.units, matrix),
        ("input", weights.dependence.inputs, matrix.T),
    ):
        if equal_rows(pair, rows.shape[1], summary.dtype):
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


def _local(weights: Weights, matrix: NDArray[Any], wanted: Law | None) -> tuple[str, str] | None:
    """The cause and the text if few weights or units are wrong and a law explains the others."""
    summary = weights.summary
    if summary.n > LARGEST_REPAIRED or min(matrix.shape) < 1:
        return None
    W = np.asarray(matrix, dtype=np.float64)
    absolute = np.abs(W)
    typical = float(np.sort(absolute, axis=None)[summary.n // 2]) / 0.6745  # the median of |N(0, 1)|
    if typical == 0.0:
        return None
    order = np.argsort(-absolute, axis=None, kind="stable")[:MOST_OUTLIERS]
    if summary.n >= 20 * MOST_OUTLIERS:
        for n_outliers in range(1, MOST_OUTLIERS + 1):
            repaired = W.copy()
            repaired.reshape(-1)[order[:n_outliers]] = typical
            if _fits(repaired, summary.dtype, weights, wanted):
                values = ", ".join(f"{W.reshape(-1)[k]:.3g}" for k in order[:n_outliers])
                place = ", ".join(f"({k // W.shape[1]}, {k % W.shape[1]})" for k in order[:n_outliers].tolist())
                return (
                    "outliers",
                    f"the weight at {place} is {values}, where the others' standard deviation is {typical:.3g}",
                )
    for what, axis, squares in (("unit", 0, summary.unit_squares), ("input", 1, summary.input_squares)):
        size = summary.n // len(squares)
        ratio = squares / size / (typical * typical)
        distance = np.where(ratio > 1.0, ratio, 1.0 / np.maximum(ratio, 1e-300))
        worst = np.argsort(-distance, kind="stable")[: max(1, int(MOST_UNEVEN * len(squares)))]
        for n_worst in range(1, len(worst) + 1) if len(squares) > 2 else ():
            removed = np.sort(worst[:n_worst])
            if _fits(np.delete(W, removed, axis=axis), summary.dtype, weights, wanted):
                factors = ", ".join(f"{math.sqrt(float(ratio[k])):.3g}" for k in removed[:3])
                text = (
                    f"the weights of {_places(what, removed)} have a standard deviation of {factors} times the others'"
                )
                return "uneven_units", text
    if not weights.found:  # the mean square is beyond the range of doubles
        return None
    tests = max((one.tests for one in weights.found), key=combined)
    angles = {test: p for test, p in tests.items() if test.endswith("_angle")}
    others = {test: p for test, p in tests.items() if test not in angles}
    if angles and combined(others) > NAMED:
        what, pair = min(
            (("units", weights.dependence.units), ("inputs", weights.dependence.inputs)),
            key=lambda one: angles.get(f"{one[0][:-1]}_angle", 1.0),
        )
        return "dependent_units", f"{what} {pair.first} and {pair.second} have a cosine of {pair.cosine:.3g}"
    return None


def _fits(W: NDArray[Any], dtype: str, weights: Weights, wanted: Law | None) -> bool:
    """Whether the expected law, or a family of any scale, explains weights of which some were replaced or left out."""
    summary = summarize(W, dtype)
    pairs = dependence(W)
    laws = [one.law for one in weights.found if not one.law.free] + ([wanted] if wanted else [])
    return any(combined(p_values(summary, pairs, law)) > NAMED for law in [*laws, *free_laws(summary)])


def _has_scaled_units(weights: Weights, matrix: NDArray[Any]) -> bool:
    """Whether the weights of most units are draws of one family, but with a scale of its own for each unit."""
    summary = weights.summary
    if summary.n > LARGEST_REPAIRED or min(matrix.shape) < MIN_SCALED or not summary.unit_squares.all():
        return False
    W = matrix / np.sqrt(summary.unit_squares / summary.fan_in)[:, None]
    scaled, pairs = summarize(W, "float64"), dependence(W)
    for one in free_laws(scaled)[:1]:
        tests = p_values(scaled, pairs, one)
        kept = {test: p for test, p in tests.items() if test not in ("scale", "units")}
        if combined(kept) > NAMED:
            return _local(weights, matrix, None) is None
    return False


def _independent(weights: Weights, matrix: NDArray[Any]) -> bool:
    """Whether units and inputs are as even and as independent as draws of any continuous distribution would be.

    Tested on the ranks of the weights, which have a uniform distribution whatever that of the weights is.
    """
    summary = weights.summary
    if not MIN_INDEPENDENT <= summary.n <= LARGEST_REPAIRED:
        return False
    order = np.argsort(np.asarray(matrix, dtype=np.float64), axis=None, kind="stable")
    scores = np.empty(summary.n)
    scores[order] = (np.arange(summary.n) - 0.5 * (summary.n - 1)) * (2.0 * UNIFORM.bound / summary.n)
    ranks = scores.reshape(matrix.shape)
    tests = p_values(summarize(ranks, "float64"), dependence(ranks), Law("ranks", UNIFORM, 1.0))
    kept = {test: p for test, p in tests.items() if test in ARRANGEMENT}
    return bool(kept) and combined(kept) > NAMED


def _why(weights: Weights) -> str:
    """The tests that refuse the most likely law, in words."""
    if not weights.found:
        return "no law has this scale"
    best = max(weights.found, key=lambda one: one.p)
    worst = sorted(best.tests, key=lambda test: best.tests[test])[:2]
    refused = " and ".join(TESTS[test] for test in worst if best.tests[test] * len(best.tests) < NAMED)
    return f"for draws of {first_name(best.law)}, {refused or 'the results of the tests'} would be unlikely"


def first_name(law: Law) -> str:
    """The first of the names of a law."""
    return law.name.partition(" = ")[0]


def _shape_text(weights: Weights) -> str:
    summary = weights.summary
    kurtosis = summary.fourth / summary.n / (summary.mean_square * summary.mean_square)
    return f"kurtosis {kurtosis:.3g}, where a normal distribution has 3 and a uniform one 1.8"


def _structure_text(kind: Structure) -> str:
    return f"{kind.name} ({kind.detail})" if kind.detail else kind.name


def _places(what: str, places: NDArray[np.int64]) -> str:
    if len(places) == 1:
        return f"{what} {places[0]}"
    shown = ", ".join(str(place) for place in places[:5])
    return f"{len(places)} {what}s ({shown}{', ...' if len(places) > 5 else ''})"
