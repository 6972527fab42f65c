"""The committed digests of functions and data, in this process; test_recipes.py and test_any_processor.py have the others."""

from itertools import takewhile

import pytest

from pipeline.networks.activations import ACTIVATIONS
from tests import digests
from tests.digests import cases
from tests.numerics.test_any_processor import DIGESTS


def test_functions_and_data_have_the_committed_bits() -> None:
    found = dict(takewhile(lambda case: case[0] != "zeros", cases()))  # which is the first recipe
    assert {"exp", "normal_cdf", "circles", "digits"} < set(found)
    assert found == {name: DIGESTS[name] for name in found}


def test_missing_digests_are_printed_ready_to_paste() -> None:
    """Of an activation from N(0, 10^2) first, as activation_cases has them, whatever the order in which they come."""
    found = {"softsign std 1.0": "b", "softsign std 10.0": "a", "relu std 10.0": "c", "relu std 1.0": "d", "moons": "e"}
    known = {"relu std 10.0": "other", "relu std 1.0": "d"}  # a wrong digest is not a missing one
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ACTIVATIONS, "softsign", ACTIVATIONS["relu"])
        assert digests.missing(found, known) == '"softsign": ("a", "b")\n"moons": "e"'
        empty = {"softsign std 10.0": "", "softsign std 1.0": "", "moons": "e", **known}
        assert digests.missing(found, empty) == '"softsign": ("a", "b")'
    assert digests.missing(found, found) == ""
