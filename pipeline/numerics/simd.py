"""Numba types for vectors of doubles, so that one source serves both NumPy and the compiled kernel.

`elementary` and `activations` use only the four arithmetic operators, comparisons, abs, and the primitives `select`,
`copysign` and `power_of_two`. This module implements these for LLVM's vectors, <8 x double> for the eight lanes of a
sum, which LLVM lowers to the vector width of the processor (eight, four, two lanes or one) with the same bits.
Operations carry no fast-math flag, so LLVM neither reorders nor fuses them. LLVM divides each operation on a wider
vector into several instructions that do not depend on each other, so that one need not wait for another's result.
"""

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_jitable, register_model

from pipeline.numerics import elementary
from pipeline.numerics.sums import LANES

DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


class Lanes(types.Type):
    """The Numba type of `count` float64 values."""

    def __init__(self, count: int) -> None:
        super().__init__(name=f"lanes{count}")
        self.count = count


class Mask(types.Type):
    """The Numba type of `count` truth values, the result of a comparison of lanes."""

    def __init__(self, count: int) -> None:
        super().__init__(name=f"mask{count}")
        self.count = count


PRIMITIVES = (elementary.select, elementary.copysign, elementary.power_of_two)

lanes = Lanes(LANES)


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.VectorType(ir.DoubleType(), fe_type.count))


@register_model(Mask)
class MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), fe_type.count))


def spread(builder: Any, scalar: Any, count: int = LANES) -> Any:
    """Emit a vector with the double `scalar` in each of `count` lanes."""
    undefined = ir.Constant(ir.VectorType(ir.DoubleType(), count), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))


def as_vector(context: Any, builder: Any, value: Any, kind: Any, count: int) -> Any:
    """Emit `value` of Numba type `kind` as a vector; a number is broadcast to `count` lanes."""
    if isinstance(kind, types.Number):
        return spread(builder, context.cast(builder, value, kind, types.float64), count)
    return value


def count_of(kinds: Sequence[Any]) -> int:
    """The number of lanes of the vectors among Numba types; eight if all are numbers."""
    return max((kind.count for kind in kinds if isinstance(kind, Lanes | Mask)), default=LANES)


def lanes_intrinsics(result: Any, emit: Callable[..., Any]) -> Any:
    """Intrinsics, by number of arguments (1 to 3), that convert these to lanes and emit `emit(builder, *vectors)`.

    `result` maps the argument types to the signature.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = count_of(signature.args)
        pairs = zip(arguments, signature.args, strict=True)
        return emit(builder, *(as_vector(context, builder, value, kind, count) for value, kind in pairs))

    # One function per number of arguments: Numba takes that number from the Python signature.
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


def llvm_function(name: str) -> Callable[..., Any]:
    """A function that emits a call of the LLVM intrinsic `name` for vectors of doubles."""

    def emit(builder: Any, *vectors: Any) -> Any:
        kind = vectors[0].type
        whole = f"llvm.{name}.v{kind.count}f64"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * len(vectors)), whole)
        return builder.call(function, vectors)

    return emit


def shift_to_exponent(builder: Any, vector: Any) -> Any:
    """Emit `elementary.power_of_two` for a vector."""
    count = vector.type.count
    bits = ir.VectorType(ir.IntType(64), count)
    exponent = builder.add(builder.bitcast(vector, bits), ir.Constant(bits, [1023] * count))
    return builder.bitcast(builder.shl(exponent, ir.Constant(bits, [52] * count)), vector.type)


def is_lanes(kind: Any) -> bool:
    """Whether a Numba type is `Lanes`."""
    return isinstance(kind, Lanes)


def unary(function: Any, emit: Callable[..., Any]) -> None:
    """Register the implementation of a function of one argument for lanes."""
    intrinsics = lanes_intrinsics(same_count(Lanes), emit)[1]

    @overload(function, strict=False)
    def of_lanes(x: Any) -> Any:
        return (lambda x: intrinsics(x)) if is_lanes(x) else None


def same_count(kind: Any) -> Callable[..., Any]:
    """The signatures whose result is of the class `kind`, with as many lanes as the arguments."""
    return lambda *kinds: kind(count_of(kinds))(*kinds)


def define_binary(function: Any, emit: Callable[..., Any], result: Any = Lanes) -> None:
    """Register the implementation of a function of two arguments, lanes or numbers, at least one of them lanes."""
    intrinsics = lanes_intrinsics(same_count(result), emit)[2]

    @overload(function, strict=False)
    def of_lanes(x: Any, y: Any) -> Any:
        numbers = all(is_lanes(kind) or isinstance(kind, types.Number) for kind in (x, y))
        return (lambda x, y: intrinsics(x, y)) if numbers and (is_lanes(x) or is_lanes(y)) else None


def sum_of_lanes(builder: Any, vector: Any) -> Any:
    """Emit the sum of the lanes by the tree of `sums.lane_sum`: pairs four lanes apart, then two, then one."""
    parts = [builder.extract_element(vector, ir.Constant(ir.IntType(32), lane)) for lane in range(LANES)]
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [builder.fadd(low, high) for low, high in zip(parts[:half], parts[half:], strict=True)]
    return parts[0]


def bits_of_significand(builder: Any, vector: Any) -> Any:
    """Emit the significand in [1/2, 1) of positive normal doubles: the exponent is replaced by that of 1/2."""
    bits = ir.VectorType(ir.IntType(64), vector.type.count)
    digits = builder.and_(builder.bitcast(vector, bits), ir.Constant(bits, [(1 << 52) - 1] * vector.type.count))
    return builder.bitcast(builder.or_(digits, ir.Constant(bits, [1022 << 52] * vector.type.count)), vector.type)


def bits_of_exponent(builder: Any, vector: Any) -> Any:
    """Emit the exponent, as a double, that belongs to `bits_of_significand`."""
    bits = ir.VectorType(ir.IntType(64), vector.type.count)
    shifted = builder.lshr(builder.bitcast(vector, bits), ir.Constant(bits, [52] * vector.type.count))
    return builder.sitofp(builder.sub(shifted, ir.Constant(bits, [1022] * vector.type.count)), vector.type)


significand = lanes_intrinsics(same_count(Lanes), bits_of_significand)[1]
exponent = lanes_intrinsics(same_count(Lanes), bits_of_exponent)[1]
square_root = lanes_intrinsics(same_count(Lanes), llvm_function("sqrt"))[1]
everywhere = lanes_intrinsics(lambda x: lanes(x), lambda builder, x: x)[1]
lane_total = lanes_intrinsics(lambda x: types.float64(x), sum_of_lanes)[1]


def compile_for_lanes(module: Any) -> None:
    """Let Numba compile the functions defined in a module, except the primitives, which are overloaded here."""
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and function not in PRIMITIVES:
            register_jitable(function)


def register_types() -> None:
    """Register operators, comparisons and primitives for lanes."""
    for sign, function in {
        "fadd": operator.add,
        "fsub": operator.sub,
        "fmul": operator.mul,
        "fdiv": operator.truediv,
    }.items():
        define_binary(function, lambda builder, x, y, sign=sign: getattr(builder, sign)(x, y))
    for sign, function in {"<": operator.lt, ">": operator.gt}.items():
        define_binary(function, lambda builder, x, y, sign=sign: builder.fcmp_ordered(sign, x, y), Mask)
    unary(operator.neg, lambda builder, x: builder.fneg(x))
    unary(abs, llvm_function("fabs"))
    unary(elementary.power_of_two, shift_to_exponent)
    define_binary(elementary.copysign, llvm_function("copysign"))

    choose = lanes_intrinsics(
        same_count(Lanes), lambda builder, condition, yes, no: builder.select(condition, yes, no)
    )[3]

    @overload(elementary.select, strict=False)
    def of_lanes(condition: Any, yes: Any, no: Any) -> Any:
        return (lambda condition, yes, no: choose(condition, yes, no)) if isinstance(condition, Mask) else None


register_types()
compile_for_lanes(elementary)
