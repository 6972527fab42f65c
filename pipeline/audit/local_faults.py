"""Faults of few weights or units: what is left out until a law explains the others."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.distributions.dependence import largest_cosine, largest_singular_value
from pipeline.distributions.explain import Explained, free_laws
from pipeline.distributions.families import UNIFORM
from pipeline.distributions.goodness import NOT_TESTED, TESTS, Dependence, combined, normal_quantile, p_values
from pipeline.distributions.laws import Law
from pipeline.distributions.structures import Structure
from pipeline.distributions.summary import Summary, summarize

NAMED = 0.01  # p-value above which a law is given as the cause
MOST_OUTLIERS = 3
MOST_UNEVEN = 0.1  # of the units, or inputs
LARGEST_REPAIRED = 1 << 21  # weights; of larger layers, no copies without the suspected units are made
MIN_INDEPENDENT = 64  # weights, to call them independent draws of an unknown distribution
ARRANGEMENT = ("units", "inputs", "unit_angle", "input_angle")  # the tests that depend on where weights stand
MIN_SCALED = 8  # units and inputs


class Weights(NamedTuple):
    """What was found out about a layer's weights."""

    summary: Summary
    dependence: Dependence
    structure: Structure
    found: list[Explained]  # laws, most likely first; empty if there is a structure or a value is not finite
    expected: list[Explained]
    p: float  # the largest over the expected laws; 1 if the expected structure is found, 0 if another one


def dependence(matrix: NDArray[Any]) -> Dependence:
    """What the tests of independence need of a matrix (units, fan_in)."""
    return Dependence(largest_cosine(matrix), largest_cosine(matrix.T), largest_singular_value(matrix))


def local_fault(weights: Weights, matrix: NDArray[Any], wanted: Law | None) -> tuple[str, str] | None:
    """The cause and the text if few weights or units are wrong and a law explains the others."""
    summary = weights.summary
    if summary.n > LARGEST_REPAIRED or min(matrix.shape) < 1 or not summary.mean_square < math.inf:
        return None
    W = np.asarray(matrix, dtype=np.float64)
    if (dependent := _dependent(W, weights, wanted)) is not None:
        return dependent
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
        # Mean squares of normal draws have the relative standard deviation sqrt(2 / size)
        bound = 1.0 + normal_quantile(NAMED / len(squares)) * math.sqrt(2.0 / size)
        n_uneven = int(np.count_nonzero(distance > bound))
        worst = np.argsort(-distance, kind="stable")
        most = max(1, int(MOST_UNEVEN * len(squares)))
        for n_worst in sorted({1, n_uneven}) if len(squares) > 2 else ():
            if not 1 <= n_worst <= most:
                continue
            removed = np.sort(worst[:n_worst])
            if _fits(np.delete(W, removed, axis=axis), summary.dtype, weights, wanted):
                factors = ", ".join(f"{math.sqrt(float(ratio[k])):.3g}" for k in removed[:3])
                which = places_text(what, removed)
                text = f"the weights of {which} have a standard deviation of {factors} times the others'"
                return "uneven_units", text
    return None


def _dependent(W: NDArray[Any], weights: Weights, wanted: Law | None) -> tuple[str, str] | None:
    """The cause and the text if a law explains the weights without one of the two closest units, or inputs."""
    tests = max((one.tests for one in weights.found), key=combined)
    pairs = weights.dependence
    for what, axis, pair in (("unit", 0, pairs.units), ("input", 1, pairs.inputs)):
        p = tests.get(f"{what}_angle", 1.0)
        if p * len(tests) < NAMED and _fits(
            np.delete(W, pair.second, axis=axis), weights.summary.dtype, weights, wanted
        ):
            return "dependent_units", f"{what}s {pair.first} and {pair.second} have a cosine of {pair.cosine:.3g}"
    return None


def _fits(W: NDArray[Any], dtype: str, weights: Weights, wanted: Law | None) -> bool:
    """Whether the expected law, or a family of any scale, explains weights of which some were replaced or left out."""
    summary = summarize(W, dtype)
    laws = [one.law for one in weights.found if not one.law.free] + ([wanted] if wanted else [])
    # Products of units take longer than the other tests, which most laws fail
    first = {law: min(p_values(summary, NOT_TESTED, law).values()) for law in [*laws, *free_laws(summary)]}
    laws = [law for law, p in first.items() if len(TESTS) * p > NAMED]
    pairs = dependence(W) if laws else NOT_TESTED
    return any(combined(p_values(summary, pairs, law)) > NAMED for law in laws)


def has_scaled_units(weights: Weights, matrix: NDArray[Any]) -> bool:
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
            return local_fault(weights, matrix, None) is None
    return False


def are_independent(weights: Weights, matrix: NDArray[Any]) -> bool:
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


def places_text(what: str, places: NDArray[np.int64]) -> str:
    if len(places) == 1:
        return f"{what} {places[0]}"
    shown = ", ".join(str(place) for place in places[:5])
    return f"{len(places)} {what}s ({shown}{', ...' if len(places) > 5 else ''})"
