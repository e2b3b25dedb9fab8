"""Depthwise convolution in blocks of channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import Layout, Op

from ..code import Expr, index
from ..isa import Isa
from .blocked import blocked, flat, is_static_float
from .blocked_conv import conv_form
from .blocked_windows import BlockedWindows, WindowShape, WindowWriter
from .family import LaidOut, register
from .strided import static
from .unit import Unit


def depthwise_layout(rank: int, lanes: int) -> Layout:
    """How weights [C, 1, kernel...] are packed."""
    return Layout(tuple(range(rank)), ((0, lanes),))


@register
class BlockedDepthwise(BlockedWindows):
    """Depthwise convolution: every tap of a block of channels has a vector of weights."""

    name = "blocked_depthwise"
    ops = ("nn.conv",)
    held = 3

    def kernel(self, op: Op) -> tuple[int, ...]:
        return static(op.inputs[1].type.shape[2:])

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        shape = self.shape(op, isa)
        if shape is None:
            return ()
        rank = op.result.type.rank
        packed = depthwise_layout(rank, isa.lanes)
        cycles = shape.cycles(isa, self.held)
        return [conv_form(op, isa, blocked(rank, isa.lanes), packed, cycles)]

    def shape(self, op: Op, isa: Isa) -> WindowShape | None:
        w, x = op.inputs[1].type, op.inputs[0].type
        if not (is_static_float(w) and x.shape[1] == w.shape[0] == op.attributes.groups):
            return None
        return super().shape(op, isa)

    def refusal(self, unit: Unit) -> str:
        if reason := super().refusal(unit):
            return reason
        w = unit.main.inputs[1].type
        packed = w.layout == depthwise_layout(w.rank, unit.isa.lanes)
        return "" if packed else "with weights that are not packed"

    def start(self, w: WindowWriter, block: Expr) -> Expr:
        bias = w.k.optional("b")
        if bias is None:
            return w.vectors.splat(Expr("0.0f"))
        return w.vectors.load(flat(bias).at([block * w.lanes]))

    def row(self, w: WindowWriter, tap: Expr, block: Expr, blocks: int) -> None:
        weights = flat(w.k.operand("w"))
        taps = math.prod(self.kernel(w.k.op))
        first = w.k.view("packed", weights, (block * taps + tap) * w.lanes, weights.shape)
        w.factors = [
            [
                w.vector(f"w{b}", w.vectors.load(first.at([index((b * taps + t) * w.lanes)])))
                for t in range(w.shape.taps)
            ]
            for b in range(blocks)
        ]

    def add(self, w: WindowWriter, total: Expr, x: Expr, tap: int, b: int) -> None:
        w.k.assign(total, w.vectors.fma(x, w.factors[b][tap], total))
