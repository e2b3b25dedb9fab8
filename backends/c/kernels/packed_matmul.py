"""Matrix products with packed weights, and of one row with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import Layout, Op, Value

from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import ChannelSteps, is_static_float
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register
from .packed_products import ProductShape, ProductWriter, Total
from .products import regroup, unravel
from .strided import static
from .unit import Unit
from .vector_store import Finished, VectorStore
from .windows import WindowAxis


def packed(op: Op, lanes: int) -> Layout:
    """How b is packed: columns in blocks, innermost, and before them the depth."""
    rank = op.inputs[1].type.rank
    *outer, rows, columns = range(rank)
    if op.attributes.transpose_b:
        rows, columns = columns, rows
    return Layout((*outer, columns, rows), ((columns, lanes),))


def packed_bias(rank: int, lanes: int) -> Layout:
    """One number per column, padded to whole blocks."""
    return Layout(tuple(range(rank)), ((rank - 1, lanes),))


def matmul_shape(op: Op) -> tuple[int, int, int] | None:
    """Rows, depth and columns of a product with one matrix b; None for other products."""
    a, b = op.inputs[:2]
    if op.attributes.transpose_a or not is_static_float(a.type, b.type, op.result.type):
        return None
    if math.prod(static(b.type.shape[:-2])) != 1 or a.type.rank < 2:
        return None
    *outer, columns = static(op.result.type.shape)
    if len(op.inputs) > 2:
        c = static(op.inputs[2].type.shape)
        if op.inputs[2].type.rank == 0 or math.prod(c[:-1]) != 1 or c[-1] != columns:
            return None
    return math.prod(outer), static(a.type.shape)[-1], columns


def product_shape(
    rows: int, depth: int, columns: int, lanes: int, step: int | None = None
) -> ProductShape:
    """A product as a convolution by 1 of a row of ``rows`` positions with ``depth`` channels.

    ``step`` is from one row to the next, where they do not lie side by side.
    """
    step = depth if step is None else step
    steps = ChannelSteps(1, depth, depth, 0, 1, rows * step, (step,))
    row = WindowAxis(rows, rows, 1, 1, 1, 0, 0)
    return ProductShape(1, 1, steps, 1, -(-columns // lanes), (row,), (step,), ())


@register
class PackedMatMul(KernelFamily):
    """Tiles of rows x blocks of columns; a row alone streams through the weights once.

    Only b (and c) have a layout: rows of a and of the result lie as they always do.
    """

    name = "packed_matmul"
    ops = ("nn.matmul",)
    fusable = True
    storage = Storage.LAID_OUT

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        sizes = matmul_shape(op)
        if sizes is None or op.inputs[1].constant is None:
            return ()
        bias = tuple(packed_bias(v.type.rank, isa.lanes) for v in op.inputs[2:])
        cycles = product_shape(*sizes, isa.lanes).cycles(isa)
        return [LaidOut((None, packed(op, isa.lanes), *bias), (None,), cycles)]

    def refusal(self, unit: Unit) -> str:
        op, lanes = unit.main, unit.isa.lanes
        if not unit.isa.has_vectors or op.inputs[1].type.layout != packed(op, lanes):
            return "with weights that are not packed"
        if matmul_shape(op) is None:
            return "of these sizes in a layout"
        others: list[tuple[Value, Layout | None]] = [(op.inputs[0], None), (op.result, None)]
        others += [(v, packed_bias(v.type.rank, lanes)) for v in op.inputs[2:]]
        wrong = next((v.type.layout for v, layout in others if v.type.layout != layout), None)
        return f"in {wrong}" if wrong else ""

    def parameters(self, unit: Unit) -> dict[str, object]:
        sizes = matmul_shape(unit.main)
        assert sizes is not None
        return {"tile": product_shape(*sizes, unit.isa.lanes).tile(unit.isa)}

    def emit(self, k: KernelBuilder) -> None:
        sizes = matmul_shape(k.op)
        assert sizes is not None
        rows, depth, columns = sizes
        lanes, outer = k.isa.lanes, static(k.space)[:-1]
        shape = product_shape(rows, depth, columns, lanes)
        store = VectorStore(k, VectorRenderer(lanes, k.helper))
        is_flat = store.by_storage and regroup(k, [len(outer), 1])
        whole = columns // lanes

        def finish(totals: Sequence[Total]) -> None:
            store.store_all(list(map(finished, totals)))

        def finished(total: Total) -> Finished:
            (row,) = total.windows
            at = [row] if is_flat else unravel(row, outer)
            last = total.block.value == whole
            count = columns % lanes if last else None
            return Finished([*at, total.block * lanes], total.value, count)

        a, b, c = k.operand("a"), k.operand("b"), k.optional("c")
        ProductWriter(k, shape, a, b, c, finish, ragged=columns % lanes != 0).emit()
