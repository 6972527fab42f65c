"""Why weights are not distributed as expected: the mistake in the formula or in the choice of the draws.

A mistake is a formula for the standard deviation other than sqrt(s / n), s being the scale of the law and n its fan. It
is named if it agrees with what was measured for layers of all shapes, within the sampling error.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

SIGMAS = 4.5  # standard errors that a formula may be off: 1e-5 for normal draws, in each of a few shapes
ROOT_3 = math.sqrt(3.0)  # limit over standard deviation of a uniform distribution
CUT = 0.8796256610342398  # standard deviation of N(0, 1) truncated to [-2, 2]
HALF_NORMAL = 0.7978845608028654 / 0.6028102749890869  # mean over standard deviation of |N(0, 1)|
FEW = 0.01  # distinct values over weights, below which the draws are not continuous


class Measured(NamedTuple):
    """The weights of one shape."""

    fan_out: int
    fan_in: int
    n: int  # weights
    mean: float
    std: float  # about the mean
    smallest: float
    distinct: int  # values among `looked_at`
    looked_at: int
    expected: float  # standard deviation of the expected law


Formula = Callable[[float, float], float]  # of s and n

MISTAKES: tuple[tuple[str, str, Formula], ...] = (  # instead of sqrt(s/n)
    ("{s}/{n}", "the square root is missing", lambda s, n: s / n),
    ("sqrt({s})/{n}", "the square root does not include {n}", lambda s, n: math.sqrt(s) / n),
    ("{s}/sqrt({n})", "the square root does not include {s}", lambda s, n: s / math.sqrt(n)),
    ("sqrt({n}/{s})", "the fraction is inverted", lambda s, n: math.sqrt(n / s)),
    ("sqrt({s}*{n})", "it is multiplied by {n} instead of divided", lambda s, n: math.sqrt(s * n)),
    ("sqrt({s})*{n}", "it is multiplied by {n} instead of divided", lambda s, n: math.sqrt(s) * n),
    ("({s}/{n})**2", "it is squared instead of its square root taken", lambda s, n: s / n * (s / n)),
    ("1", "the draws are not scaled", lambda s, n: 1.0),
    ("sqrt({s})", "it is not divided by sqrt({n})", lambda s, n: math.sqrt(s)),
    ("{s}", "it is not divided by {n}", lambda s, n: s),
)
SCALES = {"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0, "6": 6.0, "1/2": 0.5, "1/3": 1.0 / 3.0, "2/3": 2.0 / 3.0}
FANS: dict[str, Callable[[float, float], float]] = {  # of fan_out and fan_in
    "fan_in": lambda fan_out, fan_in: fan_in,
    "fan_out": lambda fan_out, fan_in: fan_out,
    "(fan_in + fan_out)": lambda fan_out, fan_in: fan_in + fan_out,
    "(fan_in * fan_out)": lambda fan_out, fan_in: fan_in * fan_out,
    "sqrt(fan_in * fan_out)": lambda fan_out, fan_in: math.sqrt(fan_in * fan_out),
    "max(fan_in, fan_out)": lambda fan_out, fan_in: max(fan_in, fan_out),
    "min(fan_in, fan_out)": lambda fan_out, fan_in: min(fan_in, fan_out),
}
FACTORS = (  # of a standard deviation, its formula, the families for which the mistake is possible, and the mistake
    (1.0 / ROOT_3, "{}/sqrt(3)", ("uniform",), "U(-a, a) has the standard deviation a/sqrt(3), so a must be larger"),
    (ROOT_3, "sqrt(3)*{}", ("normal", "truncated"), "the factor sqrt(3) is for the limits of uniform draws"),
    (CUT, "0.88*{}", ("truncated",), "cutting at 2 standard deviations reduces the standard deviation to 0.88"),
    (1.0 / CUT, "{}/0.88", ("normal", "uniform"), "the correction is for draws that are cut at 2 standard deviations"),
)


def of_mean(measured: Sequence[Measured], expected: float) -> str:
    """Why the mean is not the expected one."""
    ratios = [each.mean / each.std for each in measured if each.std > 0.0]
    errors = [SIGMAS * 2.0 / math.sqrt(each.n) for each in measured if each.std > 0.0]
    size = ", ".join(f"{each.mean:.2g}" for each in measured[:1])
    if expected == 0.0 and ratios and all(each.smallest >= 0.0 for each in measured):
        what = "no weight is negative"
        for ratio, why in (
            (ROOT_3, "draws from [0, 1), as by np.random.rand, are not centred"),
            (HALF_NORMAL, "absolute values?"),
        ):
            if all(abs(each - ratio) < error for each, error in zip(ratios, errors, strict=True)):
                what = f"{what}: {why}"
        return f"the mean is {size}, not 0: {what}"
    return f"the mean is {size}, not {expected:.3g}"


def of_std(measured: Sequence[Measured], family: str, kurtosis: float) -> str:
    """Why the standard deviation is not the expected one: a mistake if one agrees with all shapes, else the ratios.

    `family` is that of the draws, "" if it is not known; `kurtosis` is their fourth standardized moment, on which the
    sampling error depends.
    """
    law = scale_and_fan(measured)
    right = formula_of(measured, law)
    for formula, why, stds in _mistakes(measured, law, family):
        if agree(measured, stds, kurtosis):
            return f"the standard deviation is {formula} where {right} was expected: {why}"
    std = _pooled(measured, [each.std for each in measured])
    if len(measured) > 1 and law and agree(measured, [std] * len(measured), kurtosis):
        return f"the standard deviation is {std:.2g} for layers of every shape where {right} was expected"
    ratios = [each.std / each.expected if each.expected else math.inf for each in measured]
    ratio = _pooled(measured, ratios)
    if agree(measured, [ratio * each.expected for each in measured], kurtosis):
        return f"the standard deviation is {ratio:.2f} times the expected {right}"
    shapes = ", ".join(
        f"{one:.2g} for {each.fan_out}x{each.fan_in}" for one, each in zip(ratios, measured, strict=True)
    )
    return f"the standard deviation is another multiple of the expected {right} for each shape: {shapes}"


def formula_of(measured: Sequence[Measured], law: tuple[str, str] | None) -> str:
    """The expected standard deviation as a formula."""
    return f"sqrt({law[0]}/{law[1]})" if law else f"{measured[0].expected:.3g}"


def _pooled(measured: Sequence[Measured], values: Sequence[float]) -> float:
    """The mean of values of the shapes, weighted with the numbers of weights."""
    n = math.fsum(each.n for each in measured)
    return math.fsum(value * each.n / n for value, each in zip(values, measured, strict=True))


def of_family(measured: Sequence[Measured], expected: str, found: str) -> str:
    """Why the family is not the expected one; `found` is the family of the draws, "" if it is none of the three."""
    if any(each.distinct < max(3.0, FEW * each.looked_at) for each in measured):
        n = min(each.distinct for each in measured)
        return f"the weights take only {n} different values: the draws are not continuous"
    if found:
        return f"the draws are {found}, where {expected} ones were expected"
    return f"the draws are not {expected}, although their standard deviation is right"


def scale_and_fan(measured: Sequence[Measured]) -> tuple[str, str] | None:
    """(s, n) as text such that the expected standard deviations are sqrt(s/n); None if it is not of this form."""
    for fan, size in FANS.items():
        scales = [each.expected * each.expected * size(each.fan_out, each.fan_in) for each in measured]
        if all(abs(scale - scales[0]) < 1e-9 * scales[0] for scale in scales):
            words = next((name for name, value in SCALES.items() if abs(value - scales[0]) < 1e-9), f"{scales[0]:.4g}")
            return words, fan
    return None


def _mistakes(
    measured: Sequence[Measured], law: tuple[str, str] | None, family: str
) -> Iterator[tuple[str, str, list[float]]]:
    """(formula, reason, standard deviations of the shapes) of mistakes in the order in which they are tried."""
    if law:
        s, fan = law
        scale = SCALES.get(s, 0.0) or float(s)
        sizes = [FANS[fan](each.fan_out, each.fan_in) for each in measured]
        for formula, why, std in MISTAKES:
            yield formula.format(s=s, n=fan), why.format(s=s, n=fan), [std(scale, n) for n in sizes]
        for other, size in FANS.items():
            if other != fan:
                stds = [math.sqrt(scale / size(each.fan_out, each.fan_in)) for each in measured]
                yield f"sqrt({s}/{other})", f"it uses {other} instead of {fan}", stds
    right = formula_of(measured, law)
    for factor, formula, families, why in FACTORS:
        if family in families:
            yield formula.format(right), why, [factor * each.expected for each in measured]
    if law:
        for words, value in SCALES.items():
            why = f"the {s} is missing" if words == "1" else f"{words} instead of {s}"
            yield f"sqrt({words}/{fan})", why, [math.sqrt(value / n) for n in sizes]
        for other, size in FANS.items():
            for words, value in SCALES.items():
                stds = [math.sqrt(value / size(each.fan_out, each.fan_in)) for each in measured]
                yield f"sqrt({words}/{other})", "that is another rule", stds


def agree(measured: Sequence[Measured], stds: Sequence[float], kurtosis: float) -> bool:
    """Whether the measured standard deviations are these, within `SIGMAS` standard errors."""
    return all(
        std > 0.0 and abs(each.std / std - 1.0) < SIGMAS * math.sqrt(max(kurtosis - 1.0, 0.5) / (4.0 * each.n))
        for each, std in zip(measured, stds, strict=True)
    )
