"""In which layouts the C backend can compute ops, and what each way costs.

Costs are cycles, by the roofline: arithmetic at the rate of the kernel that would be chosen, or
bytes at the rate of memory, whichever takes longer.  Kernels in blocks of channels estimate their
own cycles; the others' rates were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from burnish.ir import Layout, Op, TensorType, Trait, Value
from burnish.ir.cost import op_cost
from burnish.ir.dims import Dim
from burnish.passes.layout import LayoutModel, register_layouts
from burnish.passes.layout.offers import Layouts

from ..target import find_target
from .isa import ISAS, NATIVE, Isa, isa_of
from .kernels.blocked import (
    blocked,
    blocked_vector,
    channels_last,
    is_static_float,
    weight_layout,
)
from .kernels.blocked_conv import conv_shape
from .kernels.blocked_windows import BlockedDepthwise, depthwise_layout

BYTES_PER_CYCLE = 8.0
"""Of tensors that are read and written once."""

CONVERSION_BYTES_PER_CYCLE = 4.0
"""Of tensors that are stored anew: one side is not walked in its order."""

CALL_CYCLES = 50.0
"""What any kernel costs."""

_ROW_MAJOR_MACS = {"nn.conv": 4.0, "depthwise": 0.6}
"""Multiply-adds per cycle of the kernels that compute convolutions in row-major order."""


class CLayouts(LayoutModel):
    """The layouts that kernels for an instruction set work in; None: for this machine's."""

    def __init__(self, isa: Isa | None) -> None:
        self.given = isa

    @cached_property
    def isa(self) -> Isa:
        """The instruction set."""
        return self.given or isa_of(find_target("c"))

    def layouts(self, type_: TensorType) -> Sequence[Layout]:
        if not self.isa.has_vectors or type_.rank < 3 or not is_static_float(type_):
            return ()
        return (blocked(type_.rank, self.isa.lanes),)

    def of_op(self, op: Op) -> Sequence[tuple[Layouts, Layouts]]:
        find = {"nn.conv": self._conv}.get(op.name)
        return find(op) if find is not None and self.layouts(op.inputs[0].type) else ()

    def _conv(self, op: Op) -> list[tuple[Layouts, Layouts]]:
        x, rank, lanes = op.inputs[0], op.inputs[0].type.rank, self.isa.lanes
        result: Layouts = (blocked(rank, lanes),)
        bias: Layouts = (blocked_vector(lanes),) * (len(op.operands) - 2)
        found: list[tuple[Layouts, Layouts]] = []
        if BlockedDepthwise().shape(op, self.isa) is not None:
            found.append(((result[0], depthwise_layout(rank, lanes), *bias), result))
        inputs: list[Layout | None] = [None, blocked(rank, lanes)]
        if x.op is not None and x.op.name == "tensor.transpose":
            inputs.append(channels_last(rank))
        for layout in inputs:
            if conv_shape(op, x.type.with_layout(layout), self.isa) is not None:
                found.append(((layout, weight_layout(layout, rank, lanes), *bias), result))
        return found

    def cost(self, op: Op, operands: Layouts, results: Layouts) -> float:
        if op.is_terminator or Trait.CONSTANT in op.opdef.traits:
            return 0.0
        moved = _bytes(op, operands, results) / BYTES_PER_CYCLE
        if op.name == "tensor.transpose":
            return 0.0 if any(results) or any(operands) else moved
        if Trait.VIEW in op.opdef.traits:
            return 0.0
        return CALL_CYCLES + max(moved, self._arithmetic(op, operands, results))

    def _arithmetic(self, op: Op, operands: Layouts, results: Layouts) -> float:
        if op.name != "nn.conv":
            return 0.0
        if not any(results):
            w = op.inputs[1].type
            kind = "depthwise" if op.attributes.groups > 1 and w.shape[1] == 1 else op.name
            return _number(op_cost(op).macs) / _ROW_MAJOR_MACS[kind]
        if operands[1] == depthwise_layout(op.inputs[0].type.rank, self.isa.lanes) and operands[0]:
            shape = BlockedDepthwise().shape(op, self.isa)
            assert shape is not None
            return shape.cycles(self.isa, BlockedDepthwise.held)
        conv = conv_shape(op, op.inputs[0].type.with_layout(operands[0]), self.isa)
        assert conv is not None
        return conv.cycles(self.isa)

    def conversion(self, type_: TensorType, source: Layout | None, target: Layout | None) -> float:
        size = _number(type_.with_layout(source).bytes) + _number(type_.with_layout(target).bytes)
        return CALL_CYCLES + size / CONVERSION_BYTES_PER_CYCLE


def _bytes(op: Op, operands: Layouts, results: Layouts) -> float:
    """Bytes read and written."""
    pairs: list[tuple[Value | None, Layout | None]] = [*zip(op.operands, operands)]
    pairs += zip(op.results, results)
    return sum(_number(v.type.with_layout(layout).bytes) for v, layout in pairs if v is not None)


def _number(size: Dim) -> float:
    """A size; unknown ones, of which no choice depends, count as nothing."""
    return float(size) if isinstance(size, int) else 0.0


def _register_models() -> None:
    """Offer the layouts of each instruction set under its name."""
    for isa in ISAS.values():
        if isa.has_vectors:
            register_layouts(isa.name, CLayouts(isa))
    register_layouts(NATIVE, CLayouts(None))


_register_models()
