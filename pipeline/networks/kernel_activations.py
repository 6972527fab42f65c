"""The activations of the kernel, compiled: phi and phi' of many vectors, and ReLU within matrix products.

Functions of single elements are computed on WIDE lanes at a time. The last of these may lie behind the end of an array,
where at least WIDE doubles are reserved and have no meaning.
"""

from typing import Any

from pipeline.networks import activations, losses
from pipeline.networks.activations import ACTIVATIONS, Activation, relu, relu_slope
from pipeline.numerics import simd
from pipeline.numerics.elementary import Operand
from pipeline.numerics.loops import product
from pipeline.numerics.simd import native
from pipeline.numerics.sums import LANES
from pipeline.numerics.tiles import WIDE, load_wide, store

for module in (activations, losses):
    simd.compile_for_lanes(module)


def dispatch(code: int, activation: Activation, otherwise: Any) -> Any:
    """A compiled function apply(given, Z, A, n): if given == code, A = phi(Z) over n vectors.

    If phi' needs z, also Z = phi'(Z). For any other code it calls `otherwise` with the same arguments.
    """
    phi, slope, needs_z = activation.phi, activation.slope, activation.slope_needs_z

    @native
    def apply(given: int, Z: int, A: int, n: int) -> None:
        if given != code:
            otherwise(given, Z, A, n)
            return
        for place in range(0, n * LANES, WIDE):
            z = load_wide(Z, place)
            a = phi(z)
            store(a, A, place)
            if needs_z:
                store(slope(z, a), Z, place)

    return apply


def dispatch_slope(code: int, activation: Activation, otherwise: Any) -> Any:
    """A compiled function apply(given, A, n): if given == code, A = phi'(Z), computed from A = phi(Z), over n vectors.

    For any other code it calls `otherwise` with the same arguments.
    """
    slope = activation.slope

    @native
    def apply(given: int, A: int, n: int) -> None:
        if given != code:
            otherwise(given, A, n)
            return
        for place in range(0, n * LANES, WIDE):
            a = load_wide(A, place)
            store(slope(a, a), A, place)

    return apply


@native
def unknown_code(given: int, Z: int, A: int, n: int) -> None:
    """The end of the chain of activations, which is never reached."""


@native
def no_code(given: int, A: int, n: int) -> None:
    """The end of the chain of slopes, reached by activations whose slope needs z: D has it already."""


def relu_slope_of(a: Operand) -> Operand:
    """The slope of ReLU, computed from a = relu(z)."""
    return relu_slope(a, a)


activate, derive = unknown_code, no_code
for code, activation in enumerate(ACTIVATIONS.values()):
    activate = dispatch(code, activation, activate)
    if not activation.slope_needs_z:
        derive = dispatch_slope(code, activation, derive)
RELU = list(ACTIVATIONS).index("relu")
relu_product = product(scaled=False, function=relu)
relu_scaled_product = product(scaled=True, function=relu_slope_of)
