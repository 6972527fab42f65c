"""The translation of functions to JavaScript, as text; tests/page/test_engine.py runs it in a browser."""

import re

import pytest

from pipeline.networks.activations import ACTIVATIONS
from pipeline.numerics import elementary
from pipeline.numerics.elementary import Operand, select
from pipeline.page import javascript


def half_of(x: Operand) -> Operand:
    """Half of x, and 0.1 below 0."""
    y = x * 0.5
    y = select(x < 0.0, 0.1, y - -1 / 3)
    return abs(y)


def test_a_function_is_translated_statement_by_statement() -> None:
    assert javascript.translate([half_of], {}).split("\n", 1)[1] == (
        "// Half of x, and 0.1 below 0.\n"
        "function half_of(x) {\n"
        "  let y = x * 0.5;\n"
        "  y = (x < 0.0 ? 0.1 : y - ((-1) / 3));\n"
        "  return Math.abs(y);\n"
        "}\n"
    )


def loop(x: Operand) -> Operand:
    for _ in range(3):
        x = x * x
    return x


def power(x: Operand) -> Operand:
    return x**2


squares = [lambda x: x * x]


@pytest.mark.parametrize("function", [loop, power, squares[0], abs])
def test_what_cannot_be_translated_is_an_error(function: object) -> None:
    with pytest.raises(ValueError, match=r"is not translated|its source cannot be read"):
        javascript.translate([function], {})


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_all_constants_are_those_of_the_pipeline_in_every_bit(name: str) -> None:
    text = javascript.functions_for([ACTIVATIONS[name]])
    constants = dict(re.findall(r"^const (\w+) = (.*);$", text, re.MULTILINE))
    assert {"LOG2_E", "LN2_HIGH", "LN2_LOW"} <= set(constants)
    for constant, value in constants.items():
        source = elementary if hasattr(elementary, constant) else javascript_globals(name)
        expected = getattr(source, constant)
        read = [float(number) for number in value.strip("[]").split(", ")]
        assert [number.hex() for number in read] == [
            number.hex() for number in (expected if isinstance(expected, tuple) else (expected,))
        ]


def javascript_globals(name: str) -> object:
    from pipeline.networks import activations

    assert name in activations.ACTIVATIONS
    return activations


def test_every_function_that_is_called_is_there() -> None:
    """Of all activations together: no name is left that neither the translation nor arithmetic.js defines."""
    text = javascript.functions_for(list(ACTIVATIONS.values()))
    defined = set(re.findall(r"^function (\w+)\(", text, re.MULTILINE)) | {"copysign", "power_of_two"}
    code = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    assert set(re.findall(r"(?<![.\w])(\w+)\(", code)) <= defined
