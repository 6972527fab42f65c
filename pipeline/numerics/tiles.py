"""The two inner loops of the kernel, each for a tile of a matrix whose sums stay in registers.

A row of a matrix of samples is a sequence of vectors of eight lanes, one vector per block of eight samples. A matrix is
given by the address of its first double and its row stride in doubles. Each sum is formed term by term in the order of
the reference; a tile only interleaves several sums, so its size does not affect the bits.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from pipeline.numerics.simd import DOUBLES, Lanes, lanes, spread
from pipeline.numerics.sums import DOUBLE, LANES

INDEX = ir.IntType(64)
OTHER_PROCESSOR = config.CPU_NAME or config.CPU_FEATURES is not None  # Numba compiles for another processor than this
# Rows and columns of a tile, whose sums fill the registers: 32 of eight lanes with AVX-512, otherwise 16 or 32 shorter.
LARGE = not OTHER_PROCESSOR and llvmlite.binding.get_host_cpu_features().get("avx512f")
TILE = (6, 4) if LARGE else (3, 2)
WIDE = 8 * LANES if LARGE else 2 * LANES  # lanes of a vector on which activations are computed


def ir_constant(value: int) -> Any:
    """An LLVM constant of type INDEX."""
    return ir.Constant(INDEX, value)


def double_at(builder: Any, address: Any, offset: Any) -> Any:
    """Emit a pointer to the double `offset` doubles after `address`."""
    return builder.gep(builder.inttoptr(address, ir.DoubleType().as_pointer()), [offset])


def load_lanes(builder: Any, address: Any, offset: Any, count: int = LANES) -> Any:
    """Emit a load of the `count` doubles `offset` doubles after `address`."""
    kind = ir.VectorType(ir.DoubleType(), count)
    vector = builder.load(builder.bitcast(double_at(builder, address, offset), kind.as_pointer()))
    vector.align = DOUBLE
    return vector


def store_lanes(builder: Any, vector: Any, address: Any, offset: Any) -> None:
    """Emit a store of a vector `offset` doubles after `address`."""
    builder.store(vector, builder.bitcast(double_at(builder, address, offset), vector.type.as_pointer()), align=DOUBLE)


def loader(count: int) -> Any:
    """An intrinsic (address, offset) that loads the `count` lanes `offset` doubles after `address`."""

    @intrinsic
    def load(typing_context: Any, address: Any, offset: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return load_lanes(builder, arguments[0], arguments[1], count)

        return Lanes(count)(types.intp, types.intp), codegen

    return load


load_vector, load_wide = loader(LANES), loader(WIDE)


@intrinsic
def store(typing_context: Any, value: Any, address: Any, offset: Any) -> Any:
    """Store lanes, a double or an integer of 64 bits `offset` doubles after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        store_lanes(builder, *arguments)
        return context.get_dummy_value()

    return types.none(value, types.intp, types.intp), codegen


@intrinsic
def load_integer(typing_context: Any, address: Any, offset: Any) -> Any:
    """Load the integer of 64 bits `offset` integers after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, offset = arguments
        return builder.load(builder.gep(builder.inttoptr(address, INDEX.as_pointer()), [offset]))

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def load_double(typing_context: Any, address: Any, offset: Any) -> Any:
    """Load the double `offset` doubles after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(double_at(builder, *arguments))

    return types.float64(types.intp, types.intp), codegen


@intrinsic
def eight_totals(typing_context: Any, address: Any, offset: Any) -> Any:
    """The sums over the lanes of eight consecutive vectors, each by the tree of `sums.lane_sum`, as one vector.

    Halves of pairs of vectors are combined into one vector and added, until one vector of eight sums is left.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, offset = arguments
        vectors = [load_lanes(builder, address, builder.add(offset, ir_constant(LANES * k))) for k in range(LANES)]
        width = LANES
        while width > 1:  # a vector holds parts of LANES // width sums, `width` lanes each
            low = [i for i in range(2 * LANES) if i % width < width // 2]
            high = [i + width // 2 for i in low]
            vectors = [
                builder.fadd(*(builder.shuffle_vector(x, y, lane_numbers(order)) for order in (low, high)))
                for x, y in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            width //= 2
        return vectors[0]

    return lanes(types.intp, types.intp), codegen


def lane_numbers(order: Sequence[int]) -> Any:
    """An LLVM constant of eight lane numbers, the mask of a shuffle."""
    return ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(order))


Emit = Callable[[Any, Any, int, int, Any, Sequence[Any]], None]


def strip(emit: Emit, n_arguments: int, emit_last: Emit | None = None, width: int = TILE[1]) -> Any:
    """An intrinsic (n_rows, n_columns, arguments) for a strip of tiles of `width` columns, at most TILE[0] rows high.

    `emit(context, builder, rows, columns, start, arguments)` emits one tile, whose first column is `start`. If
    `emit_last` is given, it emits the last tile, which has fewer columns than others, possibly none.
    """

    def strip_function(context: Any, module: Any, rows: int) -> Any:
        """A function of LLVM (n_columns, *arguments) for a strip of `rows` rows.

        It is not inlined: each call would compute the addresses for the strips of all heights and store them.
        """
        kind = ir.FunctionType(ir.VoidType(), [INDEX] * (1 + n_arguments))
        function = ir.Function(module, kind, module.get_unique_name(f"strip_{rows}"))
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        n_columns, *arguments = function.args
        n_whole = builder.udiv(n_columns, ir_constant(width))
        rest = builder.mul(n_whole, ir_constant(width))

        def whole(tile: Any, sums: Sequence[Any]) -> list[Any]:
            emit(context, builder, rows, width, builder.mul(tile, ir_constant(width)), arguments)
            return []

        loop(builder, ir_constant(0), n_whole, [], whole)
        for columns in switch_cases(builder, builder.sub(n_columns, rest), range(0 if emit_last else 1, width)):
            (emit_last or emit)(context, builder, rows, columns, rest, arguments)
        builder.ret_void()
        return function

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        n_rows, n_columns, packed = values
        arguments = [builder.extract_value(packed, index) for index in range(n_arguments)]
        for rows in switch_cases(builder, n_rows, range(1, TILE[0] + 1)):
            builder.call(strip_function(context, builder.module, rows), [n_columns, *arguments])
        return context.get_dummy_value()

    @intrinsic
    def tiles(typing_context: Any, n_rows: Any, n_columns: Any, arguments: Any) -> Any:
        return types.none(types.intp, types.intp, types.UniTuple(types.intp, n_arguments)), codegen

    return tiles


def switch_cases(builder: Any, number: Any, cases: Sequence[int]) -> Iterator[int]:
    """Emit a switch: code emitted while the iterator yields k, one of `cases`, runs if `number` equals k."""
    end = builder.append_basic_block("end")
    chosen = builder.switch(number, end)
    for case in cases:
        block = builder.append_basic_block(f"case_{case}")
        chosen.add_case(ir_constant(case), block)
        builder.position_at_end(block)
        yield case
        builder.branch(end)
    builder.position_at_end(end)


def loop(
    builder: Any, start: Any, stop: Any, initial: Sequence[Any], body: Callable[[Any, Sequence[Any]], Sequence[Any]]
) -> list[Any]:
    """Emit `for index in range(start, stop): sums = body(index, sums)` from `initial` sums; returns the final sums.

    LLVM does not unroll the loop: a tile has enough independent sums.
    """
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INDEX)
    sums = [builder.phi(DOUBLES) for _ in initial]
    builder.cbranch(builder.icmp_signed("<", index, stop), inside, after)
    builder.position_at_end(inside)
    new = body(index, sums)
    following = builder.add(index, ir_constant(1))
    index.add_incoming(start, before)
    index.add_incoming(following, builder.block)
    for phi, first, next_ in zip(sums, initial, new, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, builder.block)
    module, latch = builder.module, builder.branch(head)
    option = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    name = module.add_metadata([ir.MetaDataString(module, module.get_unique_name("loop"))])
    name.operands = (name, option)  # LLVM identifies a loop by a node that refers to itself
    latch.set_metadata("llvm.loop", name)
    builder.position_at_end(after)
    return sums


def apply(context: Any, builder: Any, function: Any, *values: Any) -> Any:
    """Emit a call of a function of vectors of eight lanes, which returns one; the first of `values` if it is None."""
    if function is None:
        return values[0]
    kind = lanes(*[lanes] * len(values))
    compiled = context.compile_subroutine(builder, function, kind)
    return context.call_internal_no_propagate(builder, compiled.fndesc, kind, values)[1]


def emit_product(scaled: bool, function: Any = None) -> Emit:
    """A function that emits Z[i, b] = W[i, 0] A[0, b] + W[i, 1] A[1, b] + ... over n terms for one tile.

    If `scaled`, the sum is multiplied by the previous Z[i, b], or its `function`; otherwise the bias W[i, n] is added,
    and Z is the `function` of this. A function has one argument, eight lanes, and returns as many.
    """

    def emit(context: Any, builder: Any, rows: int, columns: int, start: Any, arguments: Sequence[Any]) -> None:
        W, row_step, term_step, n_terms, A, A_step, Z, Z_step = arguments
        first = builder.mul(start, ir_constant(LANES))

        def weights(j: Any) -> list[Any]:
            place = builder.mul(j, term_step)
            places = [builder.add(place, builder.mul(ir_constant(i), row_step)) for i in range(rows)]
            return [spread(builder, builder.load(double_at(builder, W, place))) for place in places]

        def terms(j: Any) -> list[Any]:
            place = builder.add(first, builder.mul(j, A_step))
            a = [load_lanes(builder, A, builder.add(place, ir_constant(LANES * b))) for b in range(columns)]
            return [builder.fmul(w, x) for w in weights(j) for x in a]

        sums = loop(
            builder,
            ir_constant(1),
            n_terms,
            terms(ir_constant(0)),
            lambda j, sums: [builder.fadd(total, term) for total, term in zip(sums, terms(j), strict=True)],
        )
        biases = [] if scaled else weights(n_terms)
        for index, total in enumerate(sums):
            i, b = divmod(index, columns)
            place = builder.add(builder.add(first, builder.mul(ir_constant(i), Z_step)), ir_constant(LANES * b))
            if scaled:
                value = builder.fmul(total, apply(context, builder, function, load_lanes(builder, Z, place)))
            else:
                value = apply(context, builder, function, builder.fadd(total, biases[i]))
            store_lanes(builder, value, Z, place)

    return emit


def emit_lane_sums(with_bias: bool) -> Emit:
    """A function that emits G[i, j] += D[i, 0] A[j, 0] + D[i, 1] A[j, 1] + ... for one tile, lane by lane.

    G[i, j] has eight lanes, and begins at 0 unless the last argument, `continued`, is 1. If `with_bias`, the column
    after those of the tile is the sum of D[i, 0], D[i, 1], ...
    """

    def emit(context: Any, builder: Any, rows: int, columns: int, start: Any, arguments: Sequence[Any]) -> None:
        D, D_step, A, A_step, n_blocks, G, G_step, continued = arguments
        keep, zero = builder.trunc(continued, ir.IntType(1)), ir.Constant(DOUBLES, [0.0] * LANES)
        first = builder.mul(start, ir_constant(LANES))
        places = [
            builder.add(builder.add(first, builder.mul(ir_constant(i), G_step)), ir_constant(LANES * j))
            for i in range(rows)
            for j in range(columns + with_bias)
        ]

        def body(block: Any, sums: Sequence[Any]) -> list[Any]:
            place = builder.mul(block, ir_constant(LANES))
            a_rows = [builder.add(start, ir_constant(j)) for j in range(columns)]
            d = [load_lanes(builder, D, builder.add(place, builder.mul(ir_constant(i), D_step))) for i in range(rows)]
            a = [load_lanes(builder, A, builder.add(place, builder.mul(row, A_step))) for row in a_rows]
            terms = [term for x in d for term in [*(builder.fmul(x, y) for y in a), *([x] if with_bias else [])]]
            return [builder.fadd(total, term) for total, term in zip(sums, terms, strict=True)]

        initial = [builder.select(keep, load_lanes(builder, G, place), zero) for place in places]
        sums = loop(builder, ir_constant(0), n_blocks, initial, body)
        for place, total in zip(places, sums, strict=True):
            store_lanes(builder, total, G, place)

    return emit
