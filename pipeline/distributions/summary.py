"""The numbers of a weight matrix on which the tests depend, from one pass over it in pieces.

The bits are the same on every computer. At most PIECE values are in memory at a time as doubles, so that a file which
is mapped is never held as a whole.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sums import Array, lane_sum, pad

PIECE = 1 << 20  # values
COS_ROUNDING = 1e-11  # of a cosine of 1 in double precision
SAMPLE = 1 << 15  # values that the test of the shape sees
SIGNIFICAND = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}  # bits
SMALLEST = {"float64": -1074, "float32": -149, "float16": -24, "bfloat16": -133}  # exponent of the least number above 0


@dataclass(frozen=True)
class Summary:
    """Statistics of weights (units, fan_in)."""

    units: int
    fan_in: int
    dtype: str
    non_finite: int  # NaN and infinite values; if there are any, nothing else is defined
    zeros: int
    total: float
    squares: float  # sum of squares
    fourth: float  # sum of fourth powers
    sixth: float
    low: float
    high: float
    unit_totals: Array  # (units,)
    unit_squares: Array
    input_totals: Array  # (fan_in,)
    input_squares: Array
    sample: Array  # sorted, evenly spaced over the stored order

    @property
    def n(self) -> int:
        return self.units * self.fan_in

    @property
    def mean(self) -> float:
        return self.total / self.n

    @property
    def mean_square(self) -> float:
        return self.squares / self.n

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(-self.low, self.high)

    def half_spacing(self, x: float | Array) -> Array:
        """Half of the distance between neighbouring numbers of the stored format at x."""
        _, exponent = np.frexp(x)
        least = SMALLEST[self.dtype]
        return np.asarray(
            np.ldexp(0.5, np.where(x == 0.0, least, np.maximum(exponent - SIGNIFICAND[self.dtype], least)))
        )


def tolerance(dtype: str) -> float:
    """Relative rounding error of a number in this format, times 8."""
    return math.ldexp(8.0, -SIGNIFICAND[dtype])


def cosine_error(dtype: str) -> float:
    """The largest error of a cosine near 1 of vectors in this format."""
    return max(COS_ROUNDING, tolerance(dtype) * tolerance(dtype))


@np.errstate(over="ignore", invalid="ignore")
def summarize(matrix: NDArray[Any], dtype: str) -> Summary:
    """The statistics of a matrix (units, fan_in) that is stored as `dtype`."""
    swapped = matrix.strides[0] < matrix.strides[1]
    stored = matrix.T if swapped else matrix
    n_rows, n_columns = stored.shape
    height = max(1, PIECE // max(1, n_columns))
    step = _step(n_rows * n_columns, n_rows, n_columns)
    row_totals, row_squares = np.zeros(n_rows), np.zeros(n_rows)
    column_totals, column_squares = np.zeros(n_columns), np.zeros(n_columns)
    fourth, sixth, low, high, zeros, non_finite = 0.0, 0.0, math.inf, -math.inf, 0, 0
    samples = []
    for start in range(0, n_rows, height):
        piece = np.ascontiguousarray(stored[start : start + height], dtype=np.float64)
        rows = slice(start, start + len(piece))
        finite = np.isfinite(piece)
        if not finite.all():
            non_finite += piece.size - int(np.count_nonzero(finite))
            piece = np.where(finite, piece, 0.0)
        square = piece * piece
        row_totals[rows], row_squares[rows] = lane_sum(pad(piece)), lane_sum(pad(square))
        column_totals = column_totals + np.add.reduce(piece, axis=0, initial=0.0)
        column_squares = column_squares + np.add.reduce(square, axis=0, initial=0.0)
        power = square * square
        fourth += float(lane_sum(pad(lane_sum(pad(power)))))
        sixth += float(lane_sum(pad(lane_sum(pad(power * square)))))
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
        zeros += piece.size - int(np.count_nonzero(piece))
        first = -(start * n_columns) % step
        samples.append(piece.reshape(-1)[first::step].copy())  # a view would keep the whole piece in memory
    total, squares = float(lane_sum(pad(row_totals))), float(lane_sum(pad(row_squares)))
    units, inputs = (column_totals, row_totals) if swapped else (row_totals, column_totals)
    unit_squares, input_squares = (column_squares, row_squares) if swapped else (row_squares, column_squares)
    return Summary(
        units=len(units),
        fan_in=len(inputs),
        dtype=dtype if dtype in SIGNIFICAND else "float64",
        non_finite=non_finite,
        zeros=zeros,
        total=total,
        squares=squares,
        fourth=fourth,
        sixth=sixth,
        low=low,
        high=high,
        unit_totals=units,
        unit_squares=unit_squares,
        input_totals=inputs,
        input_squares=input_squares,
        sample=np.sort(np.concatenate(samples)),
    )


def _step(n: int, n_rows: int, n_columns: int) -> int:
    """The distance between sampled values: coprime to both sizes, so that all rows and columns are sampled."""
    step = max(1, n // SAMPLE)
    while step > 1 and (math.gcd(step, n_columns) > 1 or math.gcd(step, n_rows) > 1):
        step += 1
    return step
