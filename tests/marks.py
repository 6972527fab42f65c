"""Cases of a parametrized test that only `make test` runs."""

from typing import Any

import pytest


def slow(*cases: Any) -> list[Any]:
    """These cases, marked `slow`; a tuple holds the values of several parameters.

    `[1, *slow(10, 100)]` leaves only 1 to `make quick`.
    """
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow) for case in cases]
