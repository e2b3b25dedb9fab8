"""Convolutions by 3 x 3 with fewer products than taps: Winograd's minimal filtering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import Constant, Op

from ..isa import Isa
from .blocked import blocked
from .blocked_conv import conv_form, layout_refusal
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Preparation, Storage, register
from .unit import Unit
from .winograd import Filtering
from .winograd_shape import winograd_shape
from .winograd_writer import WinogradWriter


@dataclass(frozen=True)
class WinogradWeights(Preparation):
    """Weights [M, C, 3, 3] transformed, in blocks: [products, M / lanes, C / lanes, lanes, lanes].

    Output channels are innermost, and all blocks are filled up with zeros.
    """

    outputs: int
    lanes: int

    def __call__(self, *constants: Constant) -> Constant:
        (constant,) = constants
        transformed = Filtering(self.outputs).transformed(constant.array)
        size, _, m, c = transformed.shape
        blocks, planes = -(-m // self.lanes), -(-c // self.lanes)
        filled = np.zeros((size * size, blocks * self.lanes, planes * self.lanes), np.float32)
        filled[:, :m, :c] = transformed.reshape(size * size, m, c)
        split = filled.reshape(size * size, blocks, self.lanes, planes, self.lanes)
        return Constant(np.ascontiguousarray(split.transpose(0, 1, 3, 4, 2)))


@register
class WinogradConv(KernelFamily):
    """Tiles of 2 x 2 or 4 x 4 results, by 16 or 36 products in place of 36 or 144.

    Some tiles at a time are transformed into scratch memory; for each of their products there is
    one matrix product over the channels; and what comes out is transformed back, finished and
    stored.  Weights are transformed at compile time, in f64, so they have to be a constant: as an
    operand they stay in row-major order.
    """

    name = "winograd_conv"
    ops = ("nn.conv",)
    fusable = True
    storage = Storage.LAID_OUT

    def refusal(self, unit: Unit) -> str:
        if reason := layout_refusal(unit):
            return reason
        x, w = unit.main.inputs[:2]
        if w.type.layout is not None or unit.constant(w) is None:
            return "with weights that are no constant in row-major order"
        if x.type.layout != blocked(x.type.rank, unit.isa.lanes):
            return f"of an input in {x.type.layout}"
        return "" if winograd_shape(unit.main, unit.isa) else "of these sizes in a layout"

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        shape = winograd_shape(op, isa)
        if shape is None or op.inputs[1].constant is None:
            return ()
        return [conv_form(op, isa, blocked(4, isa.lanes), None, shape.cycles(isa))]

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = winograd_shape(unit.main, unit.isa)
        assert shape is not None
        outputs = shape.filtering.outputs
        return {
            "winograd": f"{outputs}x{outputs}",
            "chunk": shape.chunk,
            "tile": shape.product().tile(unit.isa),
        }

    def preparations(self, unit: Unit) -> Mapping[int, Preparation]:
        shape = winograd_shape(unit.main, unit.isa)
        assert shape is not None
        weights = WinogradWeights(shape.filtering.outputs, shape.lanes)
        return {unit.operands[unit.main.inputs[1]]: weights}

    def emit(self, k: KernelBuilder) -> None:
        shape = winograd_shape(k.op, k.isa)
        assert shape is not None
        WinogradWriter(k, shape).emit()
