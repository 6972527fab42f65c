"""Eight doubles side by side as a Numba type, so that one source serves NumPy and the compiled kernel.

`elementary` and `activations` are written with the four operators, comparisons, abs, and the primitives `select`,
`copysign` and `power_of_two`. Here these are told how to act on the LLVM vector <8 x double>, which LLVM lowers to
whatever vectors the processor has: eight, four, two lanes or one at a time, with the same bits. Operations carry no
fast-math flag, so LLVM neither reorders nor fuses them.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_jitable, register_model

from pipeline.numerics import elementary
from pipeline.numerics.sums import LANES

DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
BITS = ir.VectorType(ir.IntType(64), LANES)


class Lanes(types.Type):
    """Eight float64."""


class Mask(types.Type):
    """Eight truth values, from a comparison."""


PRIMITIVES = (elementary.select, elementary.copysign, elementary.power_of_two)

lanes, mask = Lanes(name="lanes"), Mask(name="mask")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, DOUBLES)


@register_model(Mask)
class MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), LANES))


def spread(builder: Any, scalar: Any) -> Any:
    """A double in every lane."""
    first = builder.insert_element(ir.Constant(DOUBLES, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(DOUBLES, ir.Undefined), order)


def as_lanes(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """A value as <8 x double>: lanes as they are, a number spread."""
    return value if kind == lanes else spread(builder, context.cast(builder, value, kind, types.float64))


def emitted(result: Any, emit: Callable[..., Any]) -> Any:
    """An intrinsic that turns its arguments into lanes and emits `emit(builder, *vectors)`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = [
            value if kind == mask else as_lanes(context, builder, value, kind)
            for value, kind in zip(arguments, signature.args, strict=True)
        ]
        return emit(builder, *vectors)

    # Numba reads the number of arguments from the signature.
    @intrinsic
    def one(typing_context: Any, x: Any) -> Any:
        return result(x), codegen

    @intrinsic
    def two(typing_context: Any, x: Any, y: Any) -> Any:
        return result(x, y), codegen

    @intrinsic
    def three(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
        return result(x, y, z), codegen

    return {1: one, 2: two, 3: three}


def call(name: str) -> Callable[..., Any]:
    """The LLVM intrinsic function `name` of vectors."""

    def emit(builder: Any, *vectors: Any) -> Any:
        kind = ir.FunctionType(DOUBLES, [DOUBLES] * len(vectors))
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64")
        return builder.call(function, vectors)

    return emit


def shift_to_exponent(builder: Any, vector: Any) -> Any:
    """`elementary.power_of_two`."""
    bits = builder.bitcast(vector, BITS)
    exponent = builder.add(bits, ir.Constant(BITS, [1023] * LANES))
    return builder.bitcast(builder.shl(exponent, ir.Constant(BITS, [52] * LANES)), DOUBLES)


def is_lanes(kind: Any) -> bool:
    return isinstance(kind, Lanes)


def unary(function: Any, emit: Callable[..., Any]) -> None:
    """Tell Numba what a function does to lanes."""
    intrinsics = emitted(lanes, emit)[1]

    @overload(function, strict=False)
    def of_lanes(x: Any) -> Any:
        return (lambda x: intrinsics(x)) if is_lanes(x) else None


def binary(function: Any, emit: Callable[..., Any], result: Any = lanes) -> None:
    """Tell Numba what a function does to lanes and lanes, or lanes and a number."""
    intrinsics = emitted(result, emit)[2]

    @overload(function, strict=False)
    def of_lanes(x: Any, y: Any) -> Any:
        numbers = all(is_lanes(kind) or isinstance(kind, types.Number) for kind in (x, y))
        return (lambda x, y: intrinsics(x, y)) if numbers and (is_lanes(x) or is_lanes(y)) else None


def add_up(builder: Any, vector: Any) -> Any:
    """The sum of the lanes by the tree of `sums.lane_sum`: those four apart, then two, then one."""
    parts = [builder.extract_element(vector, ir.Constant(ir.IntType(32), lane)) for lane in range(LANES)]
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [builder.fadd(low, high) for low, high in zip(parts[:half], parts[half:], strict=True)]
    return parts[0]


everywhere = emitted(lambda x: lanes(x), lambda builder, x: x)[1]
lane_total = emitted(lambda x: types.float64(x), add_up)[1]


def compile_for_lanes(module: Any) -> None:
    """Let Numba compile the functions that a module defines, but for the primitives, which it has otherwise."""
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and function not in PRIMITIVES:
            register_jitable(function)


def install() -> None:
    for sign, function in {
        "fadd": operator.add,
        "fsub": operator.sub,
        "fmul": operator.mul,
        "fdiv": operator.truediv,
    }.items():
        binary(function, lambda builder, x, y, sign=sign: getattr(builder, sign)(x, y))
    for sign, function in {"<": operator.lt, ">": operator.gt}.items():
        binary(function, lambda builder, x, y, sign=sign: builder.fcmp_ordered(sign, x, y), mask)
    unary(operator.neg, lambda builder, x: builder.fneg(x))
    unary(abs, call("fabs"))
    unary(elementary.power_of_two, shift_to_exponent)
    binary(elementary.copysign, call("copysign"))

    choose = emitted(lanes, lambda builder, condition, yes, no: builder.select(condition, yes, no))[3]

    @overload(elementary.select, strict=False)
    def of_lanes(condition: Any, yes: Any, no: Any) -> Any:
        return (lambda condition, yes, no: choose(condition, yes, no)) if isinstance(condition, Mask) else None


install()
