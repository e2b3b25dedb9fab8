"""Padding into the ops that pad by themselves.  All exact."""

from __future__ import annotations

import math

from burnish.ir import Op, Value

from ..pattern import Match, Outcome
from .algebra import filled_with
from .sets import PADS


def _spatial_pads(m: Match, pad: Op) -> list[int]:
    """Pads of the root with those of ``pad``, which must pad spatial axes by a constant."""
    a = pad.attributes
    m.require(a.mode == "constant", "not constant padding")
    m.require(not any((*a.before[:2], *a.after[:2])), "batch or channels are padded")
    added = [*a.before[2:], *a.after[2:]]
    return [p + q for p, q in zip(m.op.attributes.pads, added)]


def _pads_with(pad: Op, number: float) -> bool:
    if len(pad.operands) < 2 or pad.operands[1] is None:
        return number == 0
    return filled_with(pad.operands[1], number)


@PADS.pattern("pad-into-conv", "nn.conv")
def pad_into_conv(m: Match) -> Outcome:
    """Zeros around a convolution's input."""
    pad = m.producer(m.operand(0), "tensor.pad")
    m.require(_pads_with(pad, 0), "padded with another number")
    pads = _spatial_pads(m, pad)
    return m.rebuild(m.op, [pad.operands[0], *m.op.operands[1:]], pads=pads)


@PADS.pattern("pad-into-average-pool", "nn.average_pool")
def pad_into_average_pool(m: Match) -> Outcome:
    """Zeros around the input of a mean that counts them."""
    pad = m.producer(m.operand(0), "tensor.pad")
    m.require(_pads_with(pad, 0), "padded with another number")
    a = m.op.attributes
    m.require(a.count_include_pad or not any(a.pads), "the pool's own padding does not count")
    pads = _spatial_pads(m, pad)
    return m.rebuild(m.op, [pad.operands[0]], pads=pads, count_include_pad=True)


@PADS.pattern("pad-into-max-pool", "nn.max_pool")
def pad_into_max_pool(m: Match) -> Outcome:
    """-inf around the input of a maximum; or 0 if no element is negative."""
    pad = m.producer(m.operand(0), "tensor.pad")
    x = m.needed(pad.operands[0])
    pads = _spatial_pads(m, pad)
    if not (x.type.dtype.is_float and _pads_with(pad, -math.inf)):
        m.require(_pads_with(pad, 0) and _not_negative(x), "the padding may be the maximum")
        m.require(_every_window_meets_input(m, pads), "a window may lie in the padding")
    return m.rebuild(m.op, [x], pads=pads)


def _not_negative(value: Value) -> bool:
    op = value.op
    if op is None:
        return False
    return op.name == "math.relu" or (op.name == "math.clamp" and op.attributes.low >= 0)


def _every_window_meets_input(m: Match, pads: list[int]) -> bool:
    a = m.op.attributes
    spatial = len(a.kernel)
    return all(
        a.dilations[i] == 1
        and pads[i] < a.kernel[i]
        and pads[i + spatial] + a.overhang[i] < a.kernel[i]
        for i in range(spatial)
    )
