"""Weights that are not independent draws: constant, orthogonal, sparse and the like, and units that are equal."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.distributions.dependence import Pair
from pipeline.distributions.goodness import Dependence
from pipeline.distributions.summary import Summary, cosine_error, tolerance
from pipeline.initializers.layerwise import RECIPES
from pipeline.numerics.elementary import log
from pipeline.numerics.sums import lane_sum, pad
from pipeline.numerics.tails import beta_tail

BY_CHANCE = 1e-9  # probability below which an observation is called certain
LOG_CHANCE = -13.8  # log of the probability, 1e-6, below which vectors are called orthogonal
SPARSE = 0.05  # smallest share of zeros in a sparse matrix
LARGEST_COMPARED = 1 << 22  # weights; larger matrices are not compared with a constructed one


class Structure(NamedTuple):
    """How weights are arranged, in the laboratory's name of the recipe, and what is particular, as a clause."""

    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name


RANDOM = Structure("random")


def structure(matrix: NDArray[Any], summary: Summary, dependence: Dependence) -> Structure:
    """The structure of weights (units, fan_in) without NaN or infinite values."""
    if summary.largest == 0.0:
        return Structure("zeros")
    if summary.low == summary.high and summary.n > 1:
        return Structure("constant", f"all {summary.low:.6g}")
    if summary.zeros and summary.n <= LARGEST_COMPARED:
        found = _with_zeros(matrix, summary)
        if found is not None:
            return found
    if _looks_linear(matrix, summary.dtype):
        return Structure("looks_linear")
    if _is_zero_init(matrix, summary):
        return Structure("zero_init")
    return _orthogonal(summary, dependence) or RANDOM


def equal_rows(pair: Pair, rows: NDArray[Any], summary: Summary) -> bool:
    """Whether the closest pair of rows is equal up to sign and scale in every element, and not by chance."""
    n, error = rows.shape[1], cosine_error(summary.dtype)
    if n < 2 or not pair.n_pairs or pair.cosine < 1.0 - error:
        return False
    if not pair.n_pairs * beta_tail(1.0 - 2.0 * error, 0.5, 0.5 * (n - 1)) < BY_CHANCE:
        return False
    first, second = (np.asarray(rows[k], dtype=np.float64) for k in (pair.first, pair.second))
    largest = int(np.argmax(np.abs(first)))
    if second[largest] == 0.0:
        return False
    ratio = float(first[largest]) / float(second[largest])
    least = float(summary.half_spacing(0.0)) * (2.0 + 2.0 * abs(ratio))
    return bool((np.abs(first - ratio * second) <= tolerance(summary.dtype) * np.abs(first) + least).all())


def count_equal(rows: NDArray[Any], index: int, dtype: str) -> int:
    """The number of rows that are equal up to sign and scale to the row with this index, itself included."""
    W = pad(np.asarray(rows, dtype=np.float64))
    squares = lane_sum(W * W)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.abs(lane_sum(W * W[index])) / np.sqrt(squares * squares[index])
    return int(np.count_nonzero(cosines >= 1.0 - cosine_error(dtype)))


def _with_zeros(matrix: NDArray[Any], summary: Summary) -> Structure | None:
    """The structure of a matrix with zeros, if its zeros follow a rule."""
    zero_inputs = summary.input_squares == 0.0
    used = np.flatnonzero(~zero_inputs)
    core = np.asarray(matrix[:, used], dtype=np.float64)
    taps = len(used) < summary.fan_in and summary.fan_in % len(used) == 0
    if _is_multiple_of_identity(core):
        value = f"{float(core[0, 0]):.6g}"
        whole = len(used) == summary.fan_in or not taps or bool((used == np.arange(len(used))).all())
        return Structure("identity" if whole else "dirac", "" if value == "1" else f"value {value}")
    if _is_zero_init(matrix, summary):
        return Structure("zero_init")
    if taps and summary.fan_in // len(used) >= 3 and _rows_orthogonal(core, summary.dtype):
        return Structure("delta_orthogonal", "orthogonal at one position of the kernel, zero elsewhere")
    counts = np.asarray(matrix != 0)
    per_unit, per_input = np.count_nonzero(counts, axis=1), np.count_nonzero(counts, axis=0)
    inner = counts[per_unit > 0][:, per_input > 0]
    if summary.zeros >= SPARSE * summary.n and not inner.all():  # else whole units or inputs are 0
        if (per_unit == per_unit[0]).all() and per_unit[0] > 1:
            return Structure("martens_sparse", f"{per_unit[0]} of {summary.fan_in} inputs of each unit")
        if (per_input == per_input[0]).all() and per_input[0] > 0 and summary.units > 2:
            share = 1.0 - per_input[0] / summary.units
            return Structure("sparse", f"{100 * share:.3g} % of the weights of each input are 0")
    return None


def _is_multiple_of_identity(W: NDArray[Any]) -> bool:
    return bool(W.size and W[0, 0] != 0.0 and (W == np.eye(*W.shape) * W[0, 0]).all())


def _is_zero_init(matrix: NDArray[Any], summary: Summary) -> bool:
    """Whether the weights are those of the recipe zero_init, to rounding; not for matrices of one row or column."""
    if summary.n > LARGEST_COMPARED or min(matrix.shape) < 2:
        return False
    made = RECIPES["zero_init"].factory()(np.random.RandomState(0), *matrix.shape)
    return bool((np.abs(np.asarray(matrix, dtype=np.float64) - made) <= tolerance(summary.dtype) * np.abs(made)).all())


def _looks_linear(matrix: NDArray[Any], dtype: str) -> bool:
    """Whether the matrix has the form [W; -W], [W -W] or [W -W; -W W] with orthogonal W, an odd row or column apart."""
    rows, columns = _second_half_opposite(matrix), _second_half_opposite(matrix.T)
    if not rows and not columns:
        return False
    W = matrix[: len(matrix) // 2] if rows else matrix
    W = W[:, : matrix.shape[1] // 2] if columns else W
    return min(W.shape) == 1 or _rows_orthogonal(np.asarray(W, dtype=np.float64), dtype)


def _second_half_opposite(W: NDArray[Any]) -> bool:
    half = len(W) // 2
    step = max(1, (1 << 18) // max(1, W.shape[1]))
    pieces = ((start, min(half, start + step)) for start in range(0, half, step))
    return half >= 2 and all((W[start:stop] == -W[half + start : half + stop]).all() for start, stop in pieces)


def _rows_orthogonal(W: NDArray[Any], dtype: str) -> bool:
    """Whether the rows or the columns of a small matrix, whichever are fewer, are orthogonal and of equal norm."""
    W = W if W.shape[0] <= W.shape[1] else W.T
    if len(W) < 2:
        return False
    R = pad(np.ascontiguousarray(W))
    squares = lane_sum(R * R)
    error = _orthogonality(dtype)
    if squares.min() <= 0.0 or squares.max() > squares.min() * (1.0 + error):
        return False
    return all(bool((np.abs(lane_sum(R[:i] * R[i])) <= error * squares[0]).all()) for i in range(1, min(len(R), 64)))


def _orthogonality(dtype: str) -> float:
    """The largest cosine and relative difference of squared norms of vectors that are stored as orthonormal ones."""
    return max(1e-5, 0.375 * tolerance(dtype))  # frameworks compute them in single precision


def may_be_orthogonal(summary: Summary, dependence: Dependence) -> bool:
    """Whether units or inputs, whichever are fewer, are orthogonal and of equal norm, maybe by chance."""
    by_units = summary.units <= summary.fan_in
    pair = dependence.units if by_units else dependence.inputs
    squares = summary.unit_squares if by_units else summary.input_squares
    error = _orthogonality(summary.dtype)
    return bool(squares.min() > 0.0 and pair.cosine <= error and squares.max() <= squares.min() * (1.0 + error))


def _orthogonal(summary: Summary, dependence: Dependence) -> Structure | None:
    """The structure of orthogonal units or inputs, whichever are fewer, of equal norm: W W^T = gain^2 I."""
    if not may_be_orthogonal(summary, dependence):
        return None
    n_vectors, n = sorted((summary.units, summary.fan_in))
    error = _orthogonality(summary.dtype)
    # Independent normal vectors: cosines have the law of `beta_tail`, relative squared norms a variance of 2 / n
    small_cosine = 1.0 - beta_tail(error * error, 0.5, 0.5 * (n - 1)) if n > 1 else 1.0
    equal_norm = min(1.0, error * math.sqrt(n / math.pi) / 2.0)
    chance = n_vectors * (n_vectors - 1) // 2 * float(log(np.float64(max(small_cosine, 1e-300))))
    chance += (n_vectors - 1) * float(log(np.float64(equal_norm)))
    if chance > LOG_CHANCE:
        return None
    gain = math.sqrt(float((summary.unit_squares if summary.units <= summary.fan_in else summary.input_squares)[0]))
    return Structure("orthogonal", "" if abs(gain - 1.0) < error else f"gain {gain:.4g}")
