"""What an audit returns."""

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.model_files.layers import Layer

AS_INTENDED, ALARM, NOT_INITIAL, NOT_CHECKED = "as intended", "alarm", "not at initialization", "not checked"

# Identifier of a cause -> what it is, in a clause. Faults first that are certain, without a p-value.
CAUSES: dict[str, str] = {
    "non_finite": "values that are NaN or infinite",
    "zeros": "all weights are 0",
    "constant": "all weights are equal",
    "equal_units": "several units have the same weights, or the same up to sign or scale",
    "zero_unit": "a unit, or an input, whose weights are all 0",
    "zero_weights": "single weights are exactly 0: masked, or too small for the number format",
    "same_draws": "two layers hold the same random draws",
    "wrong_law": "the weights follow another law than expected, which is named",
    "wrong_scale": "the weights follow no law of the catalogue, but a family with a wrong standard deviation",
    "wrong_family": "the standard deviation is right, the shape of the distribution is not",
    "shifted_mean": "the mean of the weights is not 0",
    "outliers": "single weights are too large",
    "uneven_units": "a unit's weights, or those of an input, are larger or smaller than the others'",
    "dependent_units": "two units' weights are more strongly correlated than independent draws",
    "bias": "biases follow another law than expected",
    "normalization": "scale or shift of a normalization layer is not at its initial value",
    "data_dependent": "the weights depend on the data",
    "not_initial": "the weights follow no distribution of an initializer: they are trained, or were set by hand",
    "unsuitable": "weights as drawn from a known law, with which a network of this depth and activation does not train",
}


class Candidate(NamedTuple):
    """A law that explains a layer's weights."""

    law: str  # such as "he_normal"; laws that are equal for this layer are joined by " = "
    p: float  # the smallest of its tests' p-values, corrected for their number
    share: float  # likelihood relative to the sum over all laws of the catalogue, in [0, 1]


class Finding(NamedTuple):
    """Something wrong in a layer, or between layers."""

    layer: str  # its name; the later one of two; "" for the whole network
    cause: str  # one of CAUSES
    text: str  # a sentence with the numbers
    p: float  # corrected for all layers and tests of the network; 0 if certain, NaN if predicted by theory
    fix: str = ""  # a line of code for the framework


class Power(NamedTuple):
    """What could have been detected in a layer with 95 % probability at the level of the audit."""

    std_factor: float  # standard deviations wrong by this factor or its inverse
    separates: tuple[tuple[str, str], ...]  # pairs of families that so many weights distinguish


@dataclass(frozen=True)
class LayerAudit:
    """The audit of one layer."""

    layer: Layer
    n: int  # weights
    mean: float
    std: float  # root mean square
    largest: float  # absolute value
    structure: (
        str  # "random", or "zeros", "constant", "orthogonal", "identity", "sparse", "zero_init", "looks_linear", ...
    )
    candidates: list[Candidate]  # most likely first
    expected: list[str]  # the laws of which one should explain the weights
    p: float  # the largest p over the expected laws, not corrected for the number of layers
    findings: list[Finding]
    power: Power


@dataclass(frozen=True)
class Suitability:
    """The prediction for training with the measured variances, from theory and a batch of data if there is one."""

    activation: str
    label: str  # of `diagnostics.labels`, or "healthy"
    reason: str
    signal: list[float]  # mean square of the pre-activations per layer: theory, for inputs of mean square 1
    gradient: list[float]  # mean square of the gradient per layer relative to the last layer: theory
    trainable_depth: float  # layers, 6 xi_c; infinite if critical, NaN if not defined
    measured_signal: list[float] = field(default_factory=list)  # of the batch
    measured_gradient: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Audit:
    """The audit of a model."""

    source: str
    framework: str
    state: str  # AS_INTENDED, ALARM, NOT_INITIAL or NOT_CHECKED
    level: float  # family-wise probability of an alarm for a network that is initialized as expected
    layers: list[LayerAudit]
    findings: list[Finding]  # of all layers and of pairs, most certain first
    suitability: Suitability | None = None
    notes: list[str] = field(default_factory=list)  # what was not checked, and why

    @property
    def ok(self) -> bool:
        """Whether the model is initialized as intended."""
        return self.state == AS_INTENDED
