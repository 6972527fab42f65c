"""The committed digests of functions and data, in this process; test_recipes.py and test_any_processor.py have the others."""

from itertools import takewhile

from tests.digests import cases
from tests.numerics.test_any_processor import DIGESTS


def test_functions_and_data_have_the_committed_bits() -> None:
    found = dict(takewhile(lambda case: case[0] != "zeros", cases()))  # which is the first recipe
    assert {"exp", "normal_cdf", "circles", "digits"} < set(found)
    assert found == {name: DIGESTS[name] for name in found}
