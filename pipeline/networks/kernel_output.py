"""The compiled functions of `kernel_passes` for a last layer with one output, a fifth of a small network's step.

They compute what the general functions compute, term by term in the same order.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pipeline.networks.kernel_activations import relu_slope_of
from pipeline.numerics.elementary import EXPM1, Operand, exp_of_reduced, reduced, select
from pipeline.numerics.loops import strip_height
from pipeline.numerics.simd import DOUBLES, native, spread
from pipeline.numerics.sums import BLOCK, DOUBLE, LANES
from pipeline.numerics.tiles import (
    INDEX,
    LARGE,
    apply,
    double_at,
    ir_constant,
    load_lanes,
    loop,
    store_lanes,
    strip,
)

# Vectors for which the sigmoid is computed at a time. The steps of its polynomial depend on each other: 13 vectors
# are needed to occupy a processor with AVX-512 meanwhile, whose 32 registers hold their terms and sums.
MANY, FEW = (13, 8) if LARGE else (2, 2)


def remainder(x: Operand) -> Operand:
    """The argument of the polynomial in e**-|x|."""
    _, r = reduced(-abs(x))
    return r


def sigmoid_of_polynomial(x: Operand, r: Operand, q: Operand) -> Operand:
    """The sigmoid of x from the remainder r and the sum q of the polynomial."""
    shifted, _ = reduced(-abs(x))
    e = exp_of_reduced(shifted, r + (r * r) * q)
    return select(x < 0.0, e, 1.0) / (e + 1.0)


def logistic_slopes(count: int) -> Any:
    """An intrinsic (Z, Y, weight, place): Z = (sigmoid(Z) - Y) * weight for `count` vectors from `place` on.

    The polynomial is a loop over its coefficients: of the instructions of all terms, LLVM would change the order until
    the registers do not suffice.
    """

    def function(context: Any, module: Any) -> Any:
        """A function of LLVM (Z, Y, weight, place), not inlined: the code for one `count` would impair another's."""
        kind = ir.FunctionType(ir.VoidType(), [INDEX] * 4)
        function = ir.Function(module, kind, module.get_unique_name(f"logistic_slopes_{count}"))
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        Z, Y, weight, place = function.args
        places = [builder.add(place, ir_constant(LANES * v)) for v in range(count)]
        r = [apply(context, builder, remainder, load_lanes(builder, Z, here)) for here in places]
        kind = ir.ArrayType(ir.DoubleType(), len(EXPM1))
        table = cgutils.global_constant(builder, "expm1", ir.Constant(kind, list(EXPM1)))

        def next_term(k: Any, q: Sequence[Any]) -> list[Any]:
            coefficient = spread(builder, builder.load(builder.gep(table, [ir_constant(0), k])))
            return [builder.fadd(builder.fmul(total, x), coefficient) for total, x in zip(q, r, strict=True)]

        first = [ir.Constant(DOUBLES, [EXPM1[0]] * LANES)] * count
        q = loop(builder, ir_constant(1), ir_constant(len(EXPM1)), first, next_term)
        for here, x, total in zip(places, r, q, strict=True):
            probability = apply(context, builder, sigmoid_of_polynomial, load_lanes(builder, Z, here), x, total)
            difference = builder.fsub(probability, load_lanes(builder, Y, here))
            store_lanes(builder, builder.fmul(difference, load_lanes(builder, weight, here)), Z, here)
        builder.ret_void()
        return function

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.call(function(context, builder.module), arguments)
        return context.get_dummy_value()

    @intrinsic
    def slopes(typing_context: Any, Z: Any, Y: Any, weight: Any, place: Any) -> Any:
        return types.none(types.intp, types.intp, types.intp, types.intp), codegen

    return slopes


slopes_of_many, slopes_of_few = logistic_slopes(MANY), logistic_slopes(FEW)


@native
def logistic_output_slopes(Z: int, n_blocks: int, Y: int, weight: int) -> None:
    """Replace Z of one output by (sigmoid(Z) - Y) * weight. Vectors behind n_blocks are computed as well."""
    block = 0
    while block + FEW < n_blocks:
        slopes_of_many(Z, Y, weight, block * LANES)
        block += MANY
    while block < n_blocks:
        slopes_of_few(Z, Y, weight, block * LANES)
        block += FEW


def emit_single_output(
    context: Any, builder: Any, rows: int, columns: int, start: Any, arguments: Sequence[Any]
) -> None:
    """Emit G[i] += D A[i], lane by lane, then A[i] = (W[i] D) relu'(A[i]), for `rows` inputs of the last layer.

    If `with_bias` is 1, G_bias += D. The sums begin at 0 unless the last argument, `continued`, is 1.
    """
    W, D, A, A_step, n_blocks, G, G_bias, with_bias, continued = arguments
    keep, zero = builder.trunc(continued, ir.IntType(1)), ir.Constant(DOUBLES, [0.0] * LANES)
    places = [(G, ir_constant(LANES * i)) for i in range(rows)]
    w = [spread(builder, builder.load(double_at(builder, W, ir_constant(i)))) for i in range(rows)]

    def body(block: Any, sums: Sequence[Any]) -> list[Any]:
        here = builder.mul(block, ir_constant(LANES))
        d, new = load_lanes(builder, D, here), []
        for i in range(rows):
            place = builder.add(here, builder.mul(ir_constant(i), A_step))
            a = load_lanes(builder, A, place)
            new.append(builder.fadd(sums[i], builder.fmul(d, a)))
            slope = apply(context, builder, relu_slope_of, a)
            store_lanes(builder, builder.fmul(builder.fmul(w[i], d), slope), A, place)
        return [*new, builder.fadd(sums[rows], d)]

    bias = G_bias, ir_constant(0)
    initial = [builder.select(keep, load_lanes(builder, *place), zero) for place in [*places, bias]]
    *sums, bias_sum = loop(builder, ir_constant(0), n_blocks, initial, body)
    for place, total in zip(places, sums, strict=True):
        store_lanes(builder, total, *place)
    with builder.if_then(builder.trunc(with_bias, ir.IntType(1))):
        store_lanes(builder, bias_sum, *bias)


single_output = strip(emit_single_output, 9, width=1)


@native
def relu_single_output(
    W: int, n_inputs: int, D: int, A: int, A_step: int, n_blocks: int, G: int, continued: bool
) -> None:
    """The sums over samples of the last layer, and dZ of the layer before, which replaces its output A = relu(Z).

    D is dZ of the last layer, whose weights and bias are W (n_inputs + 1). G (n_inputs + 1, 8) is replaced unless
    `continued`.
    """
    height = strip_height(n_inputs)
    for i in range(0, n_inputs, height):
        w, a, g, bias = W + DOUBLE * i, A + DOUBLE * i * A_step, G + BLOCK * i, G + BLOCK * n_inputs
        flags = int(i + height >= n_inputs), int(continued)
        single_output(min(height, n_inputs - i), 1, (w, D, a, A_step, n_blocks, g, bias, *flags))
