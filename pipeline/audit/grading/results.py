"""What a grade returns."""

from dataclasses import dataclass
from typing import NamedTuple

from pipeline.audit.results import AS_INTENDED


class Reason(NamedTuple):
    """What is wrong with a function."""

    cause: str  # a key of `audit.results.CAUSES` or `CAUSES`
    text: str


CAUSES = {  # beside those of an audit
    "raises": "the function raises an exception",
    "wrong_shape": "it returns something else than weights of the shape of the layer",
    "transposed": "it returns the transpose",
    "wrong_dtype": "it returns something else than an array of floating-point numbers",
    "mutates": "it changes its arguments",
    "ignores_generator": "its weights do not depend on the generator or seed that it is given",
    "global_state": "its weights depend on the global generator of np.random or random, although it is given one",
    "not_reproducible": "it returns other weights for the same generator or seed",
}


class OfShape(NamedTuple):
    """The weights of one shape."""

    fan_out: int
    fan_in: int
    n: int
    std: float  # root mean square
    expected_std: float  # NaN if a structure is expected
    laws: list[str]  # that explain the weights, most likely first
    p: float  # under the expected law, not corrected


@dataclass(frozen=True)
class Grade:
    """The grade of a function."""

    function: str  # such as own.example:mirrored
    called: str  # as mirrored(rng, fan_out, fan_in)
    expected: str
    state: str  # AS_INTENDED or ALARM
    level: float  # probability of an alarm for a function that draws what is expected
    reasons: list[Reason]
    p: float  # corrected for the number of tests; 0 if certain; NaN if nothing was tested
    laws: list[str]  # that explain the weights of all shapes
    n: int  # weights
    std_factor: float  # standard deviations wrong by this factor are detected with a probability of 95 %
    shapes: list[OfShape]
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the function draws what is expected."""
        return self.state == AS_INTENDED
