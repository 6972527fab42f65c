"""The committed digests of what is not trained, in this process; test_any_processor.py has the others."""

from itertools import takewhile

from tests.digests import cases
from tests.numerics.test_any_processor import DIGESTS


def test_functions_data_and_initial_parameters_have_the_committed_bits() -> None:
    found = dict(takewhile(lambda case: " std " not in case[0], cases()))  # from there on models are trained
    assert {"exp", "circles", "digits", "he_normal", "lsuv"} < set(found)
    assert found == {name: DIGESTS[name] for name in found}
