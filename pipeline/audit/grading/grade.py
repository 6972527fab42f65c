"""The grade of a function that draws initial weights: `grade`.

The function is called for layers of several shapes with several generators or seeds. The weights of each shape are
tested together against the law that was meant, so that any order of the draws and any generator is right. What a
function must do besides, such as returning the right shape and drawing from its generator, is checked before.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.grading import reasons
from pipeline.audit.grading.calls import Caller, Drawn, Fault, Shape, caller, global_seed
from pipeline.audit.grading.contract import check_succession, varies
from pipeline.audit.grading.results import Grade, OfShape, Reason
from pipeline.audit.grading.signatures import Function, find
from pipeline.audit.judge import STRUCTURES, examine_matrix, fault
from pipeline.audit.law_names import documented
from pipeline.audit.local_faults import Weights
from pipeline.audit.results import ALARM, AS_INTENDED
from pipeline.audit.run import FROM_DATA
from pipeline.distributions import biases
from pipeline.distributions.explain import candidates
from pipeline.distributions.laws import Fans, law
from pipeline.distributions.power import std_factor
from pipeline.distributions.structures import RANDOM
from pipeline.errors import UserError
from pipeline.numerics.sums import integer_sum

SHAPES: tuple[Shape, ...] = ((64, 64), (48, 192), (192, 48))  # square, wide and tall: (fan_out, fan_in)
REPEATS = 4  # calls for each shape
LEVEL = 0.0001  # of a grade: the number of weights is free, so a false alarm can be rarer than in an audit
DETERMINISTIC = {"zeros", "ones", "constant", "identity", "zero_init", "dirac"}
WITH_BIASES = ("pytorch_linear", "sklearn_mlp")  # recipes that draw biases from the law of the weights
SHAPE_OF_FIRST_CALLS: Shape = (48, 192)  # not square, so that a transpose is seen

ONE_NETWORK = "the function sets a seed and returns the same weights at every call, so that one network was graded"


class Sample(NamedTuple):
    """Weights and biases of one shape, from one call or, stacked unit by unit, from several."""

    shape: Shape
    W: NDArray[Any]
    b: NDArray[Any] | None


def grade(
    place: str,
    expect: str,
    *,
    shapes: Sequence[Shape] = SHAPES,
    level: float = LEVEL,
    transposed: bool = False,
    seed: int = 0,
) -> Grade:
    """The grade of the function at `place`, `module.path:function` or `file.py:function`. Executes that code.

    `expect` is a law or structure of the catalogue; `shapes` are (fan_out, fan_in); `transposed` says that weights are
    (fan_in, fan_out), as in Keras and JAX. `seed` is the first of those with which the function is called. Raises
    UserError if the function is not found, its arguments are not recognized or the law depends on more than sizes, and
    KeyError for an unknown law.
    """
    if expect in FROM_DATA:
        raise UserError(f"--expect is {expect}, which depends on data, so that a function of sizes cannot be graded.")
    if expect.partition("(")[0] not in STRUCTURES and not law(expect, Fans(1, 1)).variance > 0.0:
        raise UserError(f"--expect is {expect}, which is for recurrent layers, whose functions are not graded.")
    function = find(place)
    try:
        call = caller(function, SHAPE_OF_FIRST_CALLS, transposed)
        is_random = varies(call, SHAPE_OF_FIRST_CALLS)
        deterministic = expect.partition("(")[0] in DETERMINISTIC
        if not deterministic and (is_random or call.whole):
            check_succession(call, SHAPE_OF_FIRST_CALLS)
        drawn = _drawn(call, shapes, seed, REPEATS if is_random else 1)
        graded = _graded(place, function, expect, level, drawn)
        if not is_random and not deterministic:
            _require_draws(call, graded)
            graded = replace(graded, note=ONE_NETWORK) if graded.ok else graded
    except Fault as found:
        return Grade(
            place, str(function), expect, ALARM, level, [Reason(found.cause, str(found))], 0.0, [], 0, np.nan, []
        )  # fmt: skip
    return graded


def _require_draws(call: Caller, graded: Grade) -> None:
    """Raise Fault if weights that are always the same look random; those that do not have their reason already."""
    if any(reason.cause in ("zeros", "constant") for reason in graded.reasons):
        return
    has_rng, has_seed = call.function.has("rng"), call.function.has("seed")
    if has_rng or has_seed:
        what = "generator" if has_rng else "seed"
        raise Fault("ignores_generator", f"it returns the same weights for every {what}: it does not draw from it")
    if not call.whole:
        text = "it returns the same weights at every call: all layers of a network would hold the same draws"
        raise Fault("same_draws", text)


def _drawn(call: Caller, shapes: Sequence[Shape], seed: int, repeats: int) -> dict[Shape, list[Drawn]]:
    """The weights of each shape, from `repeats` calls each with another generator, seed and global state."""
    chain = connected(shapes) if call.whole else list(shapes)
    found: dict[Shape, list[Drawn]] = {}
    for k in range(repeats):
        first = seed + k * (len(chain) + 1)
        with global_seed(first):
            for one in call(chain, call.generator(first), first):
                found.setdefault(one.shape, []).append(one)
    return found


def connected(shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes of a network that has these, with layers between them where the sizes differ."""
    chain: list[Shape] = []
    for fan_out, fan_in in shapes:
        if chain and chain[-1][0] != fan_in:
            chain.append((fan_in, chain[-1][0]))
        chain.append((fan_out, fan_in))
    return chain


def _graded(place: str, function: Function, expect: str, level: float, drawn: dict[Shape, list[Drawn]]) -> Grade:
    samples = _samples(drawn, expect)
    n_tests = integer_sum(1 + (sample.b is not None) for sample in samples)
    examined: list[tuple[Sample, Weights]] = []
    for sample in samples:
        fans = [Fans(sample.shape[1], sample.shape[0])]
        examined.append((sample, examine_matrix(sample.W, str(sample.W.dtype), fans, expect)))
    p = min(1.0, n_tests * min(weights.p for _, weights in examined))
    found = _reasons(examined, drawn, expect) if p < level else []
    for sample, _ in examined:
        if sample.b is not None and not found and (wrong := _bias(sample, expect, level / n_tests)):
            found.append(wrong[0])
            p = min(1.0, n_tests * wrong[1])
    laws = _common([_names(weights) for _, weights in examined])
    n = integer_sum(weights.summary.n for _, weights in examined)
    factors = [std_factor(weights.summary.n, level / n_tests) for _, weights in examined]
    rows = [_of_shape(sample, weights, expect) for sample, weights in examined[: len(drawn)]]
    state = ALARM if found else AS_INTENDED
    return Grade(place, str(function), expect, state, level, found, p, laws, n, max(factors), rows)


def _samples(drawn: dict[Shape, list[Drawn]], expect: str) -> list[Sample]:
    """The weights of each shape, stacked unit by unit if they are independent draws; else those of each call."""
    (fan_out, fan_in), (first, *_) = next(iter(drawn.items()))
    structure = examine_matrix(first.W, str(first.W.dtype), [Fans(fan_in, fan_out)], "").structure
    if expect.partition("(")[0] in STRUCTURES or structure is not RANDOM:
        return [Sample(each.shape, each.W, each.b) for one in zip(*drawn.values(), strict=False) for each in one]
    return [
        Sample(
            shape,
            np.concatenate([each.W for each in one]),
            None if one[0].b is None else np.concatenate([each.b for each in one if each.b is not None]),
        )
        for shape, one in drawn.items()
    ]


def _reasons(examined: Sequence[tuple[Sample, Weights]], drawn: dict[Shape, list[Drawn]], expect: str) -> list[Reason]:
    """Why the weights are not as expected: what is certain, or else the mean, the scale and the family."""
    for sample, weights in examined:
        single = drawn[sample.shape][0].W
        alone = examine_matrix(single, str(single.dtype), [Fans(sample.shape[1], sample.shape[0])], expect)
        if weights.p == 0.0 and alone.p == 0.0:
            found = fault("", alone, single, expect, 1.0)
            if found.p == 0.0:  # certain
                return [Reason(found.cause, found.text)]
    if expect.partition("(")[0] in STRUCTURES:
        common = [*_common([_names(weights) for _, weights in examined]), "no known law"]
        return [Reason("wrong_law", f"the weights are draws of {common[0]}, not {expect}")]
    measured = [_measured(sample, weights, expect) for sample, weights in examined]
    wanted = law(expect, Fans(1, 1))
    summaries = [weights.summary for _, weights in examined]
    kurtosis = summaries[0].n * summaries[0].fourth / (summaries[0].squares * summaries[0].squares)
    family = next(iter(_common([_families(weights) for _, weights in examined])), "")
    shifted = [each for each in measured if abs(each.mean - wanted.mean) * np.sqrt(each.n) > reasons.SIGMAS * each.std]
    found_reasons = []
    if shifted:
        found_reasons.append(Reason("shifted_mean", reasons.of_mean(measured, wanted.mean)))
    elif not reasons.agree(measured, [each.expected for each in measured], kurtosis):
        found_reasons.append(Reason("wrong_scale", reasons.of_std(measured, family, kurtosis)))
    explains = all(wanted.family.name in _families(weights) for _, weights in examined)
    if not shifted and family != wanted.family.name and not explains:
        found_reasons.append(Reason("wrong_family", reasons.of_family(measured, wanted.family.name, family)))
    if found_reasons:
        return found_reasons
    sample, weights = min(examined, key=lambda one: one[1].p)
    other = fault("", weights, sample.W, expect, weights.p)
    return [Reason(other.cause, other.text)]


def _measured(sample: Sample, weights: Weights, expect: str) -> reasons.Measured:
    summary = weights.summary
    fan_out, fan_in = sample.shape
    std = float(np.sqrt(max(0.0, summary.mean_square - summary.mean * summary.mean)))
    moments = summary.n, summary.mean, std, summary.low
    distinct = len(np.unique(summary.sample)), len(summary.sample)
    return reasons.Measured(fan_out, fan_in, *moments, *distinct, law(expect, Fans(fan_in, fan_out)).std)


def _families(weights: Weights) -> list[str]:
    """The families that explain weights, whatever their scale, most likely first."""
    return list(dict.fromkeys(one.law.family.name for one in candidates(weights.found)))


def _common(lists: Sequence[list[str]]) -> list[str]:
    """The names that all lists contain, in the order of the shortest."""
    first, *others = sorted(lists, key=len)
    return [name for name in first if all(name in other for other in others)]


def _names(weights: Weights) -> list[str]:
    """The names of the laws or of the structure of weights, most likely first."""
    if weights.structure is not RANDOM:
        return [weights.structure.name]
    return documented([one.law.name for one in candidates(weights.found)])


def _of_shape(sample: Sample, weights: Weights, expect: str) -> OfShape:
    fan_out, fan_in = sample.shape
    structured = expect.partition("(")[0] in STRUCTURES
    expected = np.nan if structured else law(expect, Fans(fan_in, fan_out)).std
    std = float(np.sqrt(weights.summary.mean_square))
    return OfShape(fan_out, fan_in, weights.summary.n, std, expected, _names(weights), weights.p)


def _bias(sample: Sample, expect: str, level: float) -> tuple[Reason, float] | None:
    """What is wrong with biases and its p-value: they are not 0, or, of recipes that draw them, not of their law."""
    assert sample.b is not None
    drawn = expect.startswith(WITH_BIASES)
    wanted = law(expect, Fans(sample.shape[1], sample.shape[0])) if drawn else None
    bounds = (wanted.family.bound * wanted.std,) if wanted else ()
    bias = biases.classify(sample.b, str(sample.b.dtype), bounds)
    if bias.name == "zeros" or (wanted and bias.p >= level and bias.name != "constant"):
        return None
    law_of_biases = f"draws of U(-{bounds[0]:.3g}, {bounds[0]:.3g})" if bounds else "0"
    p = bias.p if wanted and bias.name != "constant" else 0.0
    return Reason("bias", f"the biases are {bias.text}, not {law_of_biases}"), p
