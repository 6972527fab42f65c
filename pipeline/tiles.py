"""The two inner loops of the kernel, for a tile of a matrix whose sums stay in registers.

Rows of a matrix of samples are vectors of eight lanes, one block of eight samples after another. Matrices are given by
the address of their first double and the distance, in doubles, from a row to the next. Each sum is formed one term
after another in the order of the reference; a tile only does several sums at a time, so its size changes no bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from pipeline.lanes import DOUBLES, lanes, spread
from pipeline.sums import LANES

INDEX = ir.IntType(64)
# Sums of a tile: as many as there are registers for, 32 of eight lanes with AVX-512, elsewhere 16 or 32 of fewer.
OTHER_PROCESSOR = (
    config.CPU_NAME or config.CPU_FEATURES is not None
)  # than this one is what Numba is told to compile for
TILE = (6, 4) if not OTHER_PROCESSOR and llvmlite.binding.get_host_cpu_features().get("avx512f") else (3, 2)


def constant(value: int) -> Any:
    return ir.Constant(INDEX, value)


def double_at(builder: Any, address: Any, offset: Any) -> Any:
    """A pointer to the double `offset` doubles after `address`."""
    return builder.gep(builder.inttoptr(address, ir.DoubleType().as_pointer()), [offset])


def load_lanes(builder: Any, address: Any, offset: Any) -> Any:
    vector = builder.load(builder.bitcast(double_at(builder, address, offset), DOUBLES.as_pointer()))
    vector.align = LANES  # bytes: that of a double; addresses need no more
    return vector


def store_lanes(builder: Any, vector: Any, address: Any, offset: Any) -> None:
    builder.store(vector, builder.bitcast(double_at(builder, address, offset), DOUBLES.as_pointer()), align=LANES)


@intrinsic
def load(typing_context: Any, address: Any, offset: Any) -> Any:
    """The lanes `offset` doubles after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return load_lanes(builder, *arguments)

    return lanes(types.intp, types.intp), codegen


@intrinsic
def store(typing_context: Any, value: Any, address: Any, offset: Any) -> Any:
    """Put lanes `offset` doubles after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        store_lanes(builder, *arguments)
        return context.get_dummy_value()

    return types.none(lanes, types.intp, types.intp), codegen


@intrinsic
def load_double(typing_context: Any, address: Any, offset: Any) -> Any:
    """The double `offset` doubles after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(double_at(builder, *arguments))

    return types.float64(types.intp, types.intp), codegen


@intrinsic
def store_double(typing_context: Any, value: Any, address: Any, offset: Any) -> Any:
    """Put a double `offset` doubles after `address`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, *place = arguments
        builder.store(value, double_at(builder, *place))
        return context.get_dummy_value()

    return types.none(types.float64, types.intp, types.intp), codegen


Emit = Callable[[Any, int, int, Sequence[Any]], None]


def for_each_size(emit: Emit, n_arguments: int) -> Any:
    """An intrinsic (n_rows, n_columns, *arguments) that runs what `emit` emits for a tile of that size."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        n_rows, n_columns, *rest = arguments
        end = builder.append_basic_block("end")
        size = builder.add(builder.mul(n_rows, constant(TILE[1] + 1)), n_columns)
        chosen = builder.switch(size, end)
        for rows in range(1, TILE[0] + 1):
            for columns in range(1, TILE[1] + 1):
                block = builder.append_basic_block(f"tile_{rows}_{columns}")
                chosen.add_case(constant(rows * (TILE[1] + 1) + columns), block)
                builder.position_at_end(block)
                emit(builder, rows, columns, rest)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    @intrinsic
    def tile(typing_context: Any, n_rows: Any, n_columns: Any, arguments: Any) -> Any:
        kinds = types.UniTuple(types.intp, n_arguments)

        def unpacked(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            *sizes, packed = values
            rest = [builder.extract_value(packed, index) for index in range(n_arguments)]
            return codegen(context, builder, signature, [*sizes, *rest])

        return types.none(types.intp, types.intp, kinds), unpacked

    return tile


def loop(
    builder: Any, start: Any, stop: Any, initial: Sequence[Any], body: Callable[[Any, Sequence[Any]], Sequence[Any]]
) -> list[Any]:
    """for index in range(start, stop): sums = body(index, sums); the sums at the end."""
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INDEX)
    sums = [builder.phi(DOUBLES) for _ in initial]
    builder.cbranch(builder.icmp_signed("<", index, stop), inside, after)
    builder.position_at_end(inside)
    new = body(index, sums)
    following = builder.add(index, constant(1))
    index.add_incoming(start, before)
    index.add_incoming(following, builder.block)
    for phi, first, next_ in zip(sums, initial, new, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return sums


def emit_product(scaled: bool) -> Emit:
    """Z[i, b] = W[i, 0] A[0, b] + W[i, 1] A[1, b] + ...; if `scaled`, times what stood in Z[i, b]."""

    def emit(builder: Any, rows: int, columns: int, arguments: Sequence[Any]) -> None:
        W, row_step, term_step, n_terms, A, A_step, Z, Z_step = arguments

        def terms(j: Any) -> list[Any]:
            place = builder.mul(j, A_step)
            a = [load_lanes(builder, A, builder.add(place, constant(LANES * b))) for b in range(columns)]
            place = builder.mul(j, term_step)
            made = []
            for i in range(rows):
                pointer = double_at(builder, W, builder.add(place, builder.mul(constant(i), row_step)))
                w = spread(builder, builder.load(pointer))
                made += [builder.fmul(w, x) for x in a]
            return made

        sums = loop(
            builder,
            constant(1),
            n_terms,
            terms(constant(0)),
            lambda j, sums: [builder.fadd(total, term) for total, term in zip(sums, terms(j), strict=True)],
        )
        for index, total in enumerate(sums):
            i, b = divmod(index, columns)
            place = builder.add(builder.mul(constant(i), Z_step), constant(LANES * b))
            value = builder.fmul(total, load_lanes(builder, Z, place)) if scaled else total
            store_lanes(builder, value, Z, place)

    return emit


def emit_lane_sums(builder: Any, rows: int, columns: int, arguments: Sequence[Any]) -> None:
    """G[i, j] += D[i, 0] A[j, 0] + D[i, 1] A[j, 1] + ..., lane by lane; G[i, j] are eight lanes."""
    D, D_step, A, A_step, n_blocks, G, G_step = arguments
    places = [
        builder.add(builder.mul(constant(i), G_step), constant(LANES * j)) for i in range(rows) for j in range(columns)
    ]

    def body(block: Any, sums: Sequence[Any]) -> list[Any]:
        place = builder.mul(block, constant(LANES))
        d, a = (
            [load_lanes(builder, M, builder.add(place, builder.mul(constant(i), step))) for i in range(n)]
            for M, step, n in ((D, D_step, rows), (A, A_step, columns))
        )
        terms = [builder.fmul(x, y) for x in d for y in a]
        return [builder.fadd(total, term) for total, term in zip(sums, terms, strict=True)]

    sums = loop(builder, constant(0), n_blocks, [load_lanes(builder, G, place) for place in places], body)
    for place, total in zip(places, sums, strict=True):
        store_lanes(builder, total, G, place)


product_tile = for_each_size(emit_product(scaled=False), 8)
scaled_product_tile = for_each_size(emit_product(scaled=True), 8)
lane_sums_tile = for_each_size(emit_lane_sums, 7)
