"""Sums in the order that they promise."""

import numpy as np
import pytest

from pipeline.numerics.sums import integer_sum, lane_sum, pad, sum_in_order


@pytest.mark.parametrize(("n", "padded"), [(0, 0), (1, 8), (7, 8), (8, 8), (9, 16)])
def test_rows_are_padded_with_zeros_to_a_multiple_of_eight(n: int, padded: int) -> None:
    x = np.arange(1.0, 2 * n + 1).reshape(2, n)
    assert pad(x).shape == (2, padded)
    assert pad(x)[:, :n].tolist() == x.tolist()
    assert not pad(x)[:, n:].any()


def test_lane_sum_adds_in_the_order_it_promises() -> None:
    x = pad(np.random.RandomState(0).randn(3, 1, 301) * 10.0 ** np.random.RandomState(1).randint(-9, 9, (3, 1, 301)))
    for row, total in zip(x[:, 0].tolist(), lane_sum(x)[:, 0].tolist(), strict=True):
        lanes = [0.0] * 8
        for i, value in enumerate(row):
            lanes[i % 8] += value
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        assert total == lanes[0]


def test_lane_sum_of_nothing_and_of_one_row() -> None:
    assert lane_sum(np.zeros((0, 8))).shape == (0,)
    assert lane_sum(np.full((1, 1, 8), 0.125)).tolist() == [[1.0]]


def test_integers_alone_are_summed() -> None:
    assert integer_sum([2**60, 1, True]) == 2**60 + 2
    assert integer_sum([]) == 0
    with pytest.raises(TypeError):
        integer_sum([1, 1.0])  # type: ignore[list-item]


def test_floats_are_added_in_order() -> None:
    values = [1e16, 1.0, 1.0, -1e16]  # each 1 is lost: compensated or exact, the sum would be 2
    assert sum_in_order(values) == 0.0
    assert sum_in_order(iter(values[::-1])) == 0.0
    assert sum_in_order([0.1] * 10) == 0.9999999999999999  # 0.1 ten times by hand
    assert sum_in_order([]) == 0.0
