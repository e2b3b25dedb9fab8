"""Convolutions over packed weights, with all sums in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir import Layout, Op
from burnish.ir.types import TensorType

from ..code import Index
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import (
    blocked,
    blocked_vector,
    channel_steps,
    channels_last,
    is_static_float,
    weight_layout,
)
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register
from .packed_products import ProductShape, ProductWriter, Total
from .products import regroup
from .strided import static
from .unit import Unit
from .vector_store import Finished, VectorStore
from .windows import WindowAxis, window_axes

MAX_BODY = 1200
"""Products written out for one tile: every tap of a row of the kernel, for every sum."""

Shaped = Callable[[Op, TensorType, Isa], object]
"""Finds the sizes of an op's products for the type of its input; falsy where there are none."""


def layout_refusal(unit: Unit) -> str:
    """Why result and bias of a convolution do not lie in blocks; empty when they do."""
    op, isa = unit.main, unit.isa
    layout = op.result.type.layout
    if layout is None:
        return "in row-major order"
    if not isa.has_vectors:
        return f"in {layout}, without vectors"
    if layout != blocked(op.result.type.rank, isa.lanes):
        return f"in {layout}"
    if len(op.inputs) > 2 and op.inputs[2].type.layout != blocked_vector(isa.lanes):
        return "with a bias that is not in blocks"
    return ""


def packed_refusal(
    unit: Unit, packed: Callable[[Layout | None, int, int], Layout], shape: Shaped
) -> str:
    """Why a convolution cannot be computed in blocks; empty when it can.

    Args:
        packed: the layout of weights for an input's layout, its rank, and lanes.
        shape: finds the sizes of its products.
    """
    x, w = unit.main.inputs[:2]
    if reason := layout_refusal(unit):
        return reason
    if w.type.layout != packed(x.type.layout, x.type.rank, unit.isa.lanes):
        return "with weights that are not packed"
    return "" if shape(unit.main, x.type, unit.isa) else "of these sizes in a layout"


def conv_form(op: Op, isa: Isa, x: Layout | None, weights: Layout | None, cycles: float) -> LaidOut:
    """A convolution of ``x``, its weights stored in that layout, that writes blocks."""
    bias = (blocked_vector(isa.lanes),) * (len(op.operands) - 2)
    result = blocked(op.result.type.rank, isa.lanes)
    return LaidOut((x, weights, *bias), (result,), cycles)


@register
class BlockedConv(KernelFamily):
    """Tiles of neighbours along a row x blocks of channels, over packed weights.

    Reads its input in any of three layouts (row-major, NHWC, NCHWc) as it is.  Taps outside are
    never computed: rows have ranges of taps, and tiles at the border of a row are written out
    without those that meet nothing.
    """

    name = "blocked_conv"
    ops = ("nn.conv",)
    fusable = True
    storage = Storage.LAID_OUT

    def refusal(self, unit: Unit) -> str:
        return packed_refusal(unit, weight_layout, conv_shape)

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        x, rank = op.inputs[0], op.inputs[0].type.rank
        inputs = [None, blocked(rank, isa.lanes)]
        if x.op is not None and x.op.name == "tensor.transpose":
            inputs.append(channels_last(rank))
        found = []
        for layout in inputs:
            shape = conv_shape(op, x.type.with_layout(layout), isa)
            if shape is not None:
                weights = weight_layout(layout, rank, isa.lanes)
                found.append(conv_form(op, isa, layout, weights, shape.cycles(isa)))
        return found

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = conv_shape(unit.main, unit.main.inputs[0].type, unit.isa)
        assert shape is not None
        return {"tile": shape.tile(unit.isa)}

    def emit(self, k: KernelBuilder) -> None:
        shape = conv_shape(k.op, k.op.inputs[0].type, k.isa)
        assert shape is not None
        k_x, k_w, k_b = k.operand("x"), k.operand("w"), k.optional("b")
        store = VectorStore(k, VectorRenderer(k.isa.lanes, k.helper))
        rank = k.op.result.type.rank - 2
        # All positions are indexed by one axis, if the epilogue allows it.
        if not shape.kept and not (store.by_storage and regroup(k, [1, 1, rank, 1])):
            by_axes = _conv_shape(k.op, k.op.inputs[0].type, k.isa.lanes)
            assert by_axes is not None
            shape = by_axes
        kept = shape.kept

        def finish(totals: Sequence[Total]) -> None:
            store.store_all([Finished(place(total), total.value) for total in totals])

        def place(total: Total) -> list[Index]:
            at: list[Index] = [0] * rank if kept else [total.windows[0]]
            for axis, window in zip(kept, total.windows):
                at[axis] = window
            return [total.image, total.block, *at, 0]

        ProductWriter(k, shape, k_x, k_w, k_b, finish).emit()


def _conv_shape(op: Op, x: TensorType, lanes: int) -> ProductShape | None:
    """The sizes of ``op`` when it reads ``x`` as it is stored; None where that has no form."""
    a, w, y = op.attributes, op.operands[1], op.result.type
    assert w is not None
    if not is_static_float(x, w.type, y):
        return None
    inputs, groups = channel_steps(x), a.groups
    if inputs is None or (inputs.is_blocked and inputs.lanes != lanes):
        return None
    channels, filters = static(w.type.shape)[1], static(y.shape)[1] // groups
    if groups > 1 and (channels % inputs.lanes or filters % lanes or inputs.planes == 1):
        return None
    axes = window_axes(a, x.shape[2:], w.type.shape[2:], y.shape[2:])
    kept = [i for i, axis in enumerate(axes) if not _is_trivial(axis)] or [len(axes) - 1]
    return ProductShape(
        static(x.shape)[0],
        groups,
        inputs,
        -(-channels // inputs.lanes),
        -(-filters // lanes),
        tuple(axes[i] for i in kept),
        tuple(inputs.spatial[i] for i in kept),
        tuple(kept),
    )


def _is_trivial(axis: WindowAxis) -> bool:
    return axis.size == axis.count == axis.kernel == 1 and axis.is_inside


def conv_shape(op: Op, x: TensorType, isa: Isa) -> ProductShape | None:
    """The sizes of a convolution that reads ``x`` and writes blocks; None if it has no kernel."""
    shape = _conv_shape(op, x, isa.lanes)
    if shape is not None and shape.is_pointwise:
        shape = shape.flattened()
    if shape is not None and shape.body(isa) > MAX_BODY:
        shape = shape.with_taps_as_channels()
    return shape if shape is not None and shape.body(isa) <= MAX_BODY else None
