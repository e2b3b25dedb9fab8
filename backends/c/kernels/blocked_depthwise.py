"""Convolutions of narrow groups in blocks of channels, depthwise ones among them.

Where several groups lie in one block of the result, a vector of the input is made that has the
same channel of each group beside one another, as often as the group has results.  Weights are
packed in the same order.
"""

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


def grouped_layout(rank: int, lanes: int) -> Layout:
    """How weights [M, C, kernel...] are packed."""
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
        packed = grouped_layout(rank, isa.lanes)
        cycles = shape.cycles(isa, self.held)
        return [conv_form(op, isa, blocked(rank, isa.lanes), packed, cycles)]

    def is_fit(self, op: Op, lanes: int) -> bool:
        """Whether groups are those that this family is for."""
        return self.group(op) == (1, 1)

    def shape(self, op: Op, isa: Isa) -> WindowShape | None:
        if not (is_static_float(op.inputs[1].type) and self.is_fit(op, isa.lanes)):
            return None
        return super().shape(op, isa)

    def group(self, op: Op) -> tuple[int, int]:
        filters, inputs = static(op.inputs[1].type.shape[:2])
        return inputs, filters // op.attributes.groups

    def refusal(self, unit: Unit) -> str:
        if reason := super().refusal(unit):
            return reason
        w = unit.main.inputs[1].type
        packed = w.layout == grouped_layout(w.rank, unit.isa.lanes)
        return "" if packed else "with weights that are not packed"

    def start(self, w: WindowWriter, block: Expr) -> Expr:
        bias = w.k.optional("b")
        if bias is None:
            return w.vectors.splat(Expr("0.0f"))
        return w.vectors.load(flat(bias).at([block * w.lanes]))

    def row(self, w: WindowWriter, tap: Expr, block: Expr, blocks: int, channel: int) -> None:
        weights = flat(w.k.operand("w"))
        taps, inputs = math.prod(self.kernel(w.k.op)), w.shape.inputs
        start = ((block * inputs + channel) * taps + tap) * w.lanes
        first = w.k.view("packed", weights, start, weights.shape)
        w.factors = [
            [
                w.vector(f"w{b}", w.vectors.load(first.at([index(number * w.lanes)])))
                for number in range(b * inputs * taps, b * inputs * taps + w.shape.taps)
            ]
            for b in range(blocks)
        ]

    def add(self, w: WindowWriter, total: Expr, x: Expr, tap: int, b: int) -> None:
        w.k.assign(total, w.vectors.fma(x, w.factors[b][tap], total))


@register
class BlockedGroups(BlockedDepthwise):
    """Convolution whose groups have few channels: a block of the result holds several groups."""

    name = "blocked_groups"

    def is_fit(self, op: Op, lanes: int) -> bool:
        inputs, outputs = self.group(op)
        if op.attributes.groups == 1 or inputs == 1 or lanes % outputs or inputs % outputs:
            return False
        # Otherwise the last block of the result would read beyond the last one of the input.
        return outputs < lanes and (inputs == outputs or op.result.type.shape[1] % lanes == 0)
