"""The distribution of biases, and of the scales and shifts of normalization layers."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.distributions.explain import free_laws, log_likelihood
from pipeline.distributions.families import UNIFORM
from pipeline.distributions.goodness import NOT_TESTED, combined, p_values
from pipeline.distributions.laws import Law
from pipeline.distributions.summary import Summary, summarize

GATES = 4  # of an LSTM; a GRU has 3


class Bias(NamedTuple):
    """What biases are."""

    name: str  # "zeros", "constant", "gates", "default", "random", "other" or "non_finite"
    text: str  # such as "0", "all 0.1", "U(-0.125, 0.125)"
    p: float  # of the default law; 1 if they are constant
    std: float  # root mean square


def classify(values: NDArray[Any], dtype: str, bounds: tuple[float, ...]) -> Bias:
    """What biases (k,) are. `bounds` are those of the uniform distributions that a framework would use."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(flat).all():
        return Bias("non_finite", "NaN or infinite", 0.0, math.nan)
    summary = summarize(flat[None, :], dtype)
    std = math.sqrt(summary.mean_square)
    if summary.low == summary.high:
        value = summary.low
        return Bias("zeros", "0", 1.0, 0.0) if value == 0.0 else Bias("constant", f"all {value:.6g}", 1.0, std)
    if any(_constant_parts(flat, parts) for parts in (GATES, GATES - 1)):
        return Bias("gates", "constant for each gate", 1.0, std)
    laws = [Law(f"U(-{bound:.4g}, {bound:.4g})", UNIFORM, bound * bound / 3.0) for bound in bounds]
    tests = [(_p(summary, law), law.name) for law in laws]
    p, name = max(tests, default=(0.0, ""))
    if p > 1e-4:
        return Bias("default", name, p, std)
    free = [law for law in free_laws(summary) if law.mean == 0.0 and _p(summary, law) > 0.01]
    if free:
        law = max(free, key=lambda one: log_likelihood(summary, one))
        return Bias("random", law.name, p, std)
    return Bias("other", f"root mean square {std:.3g}", p, std)


def _p(summary: Summary, law: Law) -> float:
    return combined(p_values(summary, NOT_TESTED, law))


def _constant_parts(values: NDArray[Any], parts: int) -> bool:
    if len(values) % parts or len(values) < 2 * parts:
        return False
    blocks = values.reshape(parts, -1)
    return bool((blocks == blocks[:, :1]).all())
