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
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_jitable, register_model

from pipeline.numerics import elementary
from pipeline.numerics.sums import LANES

DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
# The decorator of functions that only compiled functions may call: Numba makes no wrappers for calls from Python and C
native = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)


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


def lowering(emit: Callable[..., Any]) -> Callable[..., Any]:
    """The function with which Numba emits a call: it converts all arguments to lanes for `emit(builder, *vectors)`."""

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = count_of(signature.args)
        pairs = zip(arguments, signature.args, strict=True)
        return emit(builder, *(as_vector(context, builder, value, kind, count) for value, kind in pairs))

    return lower


def lanes_intrinsic(result: Callable[[Any], Any], emit: Callable[..., Any]) -> Any:
    """A function x for compiled code, emitted by `emit(builder, vector)`; `result` is the type of x -> that of f(x)."""

    @intrinsic
    def function(typing_context: Any, x: Any) -> Any:
        return result(x)(x), lowering(emit)

    return function


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


UNARY = [(Lanes,)]
BINARY = [(Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)]
SELECT = [(Mask, *each) for each in (*BINARY, (types.Number, types.Number))]


def define(function: Any, arguments: Sequence[tuple[Any, ...]], emit: Callable[..., Any], result: Any = Lanes) -> None:
    """Register `emit` as the implementation of a function or operator for arguments of these classes of types.

    The result is of the class `result`, with as many lanes as the arguments.
    """

    @infer_global(function)
    class Signature(AbstractTemplate):
        def generic(self, kinds: Any, keywords: Any) -> Any:
            known = any(len(kinds) == len(each) and all(map(isinstance, kinds, each)) for each in arguments)
            return result(count_of(kinds))(*kinds) if known else None

    for each in arguments:
        lower_builtin(function, *each)(lowering(emit))


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


significand = lanes_intrinsic(lambda x: x, bits_of_significand)
exponent = lanes_intrinsic(lambda x: x, bits_of_exponent)
square_root = lanes_intrinsic(lambda x: x, llvm_function("sqrt"))
everywhere = lanes_intrinsic(lambda x: lanes, lambda builder, x: x)
lane_total = lanes_intrinsic(lambda x: types.float64, sum_of_lanes)


def compile_for_lanes(module: Any) -> None:
    """Let Numba compile the functions defined in a module, except the primitives, which are overloaded here."""
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and function not in PRIMITIVES:
            register_jitable(function)


def register_types() -> None:
    """Register operators, comparisons and primitives for lanes."""
    for name, function in {
        "fadd": operator.add,
        "fsub": operator.sub,
        "fmul": operator.mul,
        "fdiv": operator.truediv,
    }.items():
        define(function, BINARY, lambda builder, x, y, name=name: getattr(builder, name)(x, y))
    for sign, function in {"<": operator.lt, ">": operator.gt}.items():
        define(function, BINARY, lambda builder, x, y, sign=sign: builder.fcmp_ordered(sign, x, y), Mask)
    define(operator.neg, UNARY, lambda builder, x: builder.fneg(x))
    define(abs, UNARY, llvm_function("fabs"))
    define(elementary.power_of_two, UNARY, shift_to_exponent)
    define(elementary.copysign, BINARY, llvm_function("copysign"))
    define(elementary.select, SELECT, lambda builder, condition, yes, no: builder.select(condition, yes, no))


register_types()
compile_for_lanes(elementary)
