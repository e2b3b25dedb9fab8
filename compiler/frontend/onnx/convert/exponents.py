"""Casts to the element type that holds powers of two only (f8e8m0)."""

from __future__ import annotations

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext

_FRACTION, _HALF, _BELOW_HALF = 0x7FFFFF, 0x400000, 0x3FFFFF
_SPECIAL = 0xFF


def cast_to_exponent(node: NodeContext, x: Value) -> Value:
    """``x`` as f8e8m0: the exponent of the number as f32, its sign dropped.

    Attribute ``round_mode`` says what becomes of a fraction.  Beyond the largest power numbers
    stay there, or become NaN without ``saturate``; infinities are NaN.
    """
    mode = node.string("round_mode", "up")
    if mode not in ("up", "down", "nearest"):
        raise ModelError(f"attribute round_mode is {clip(repr(mode))}")
    bits = node.op("tensor.bitcast", node.cast(x, DType.F32), to=DType.U32)
    exponent = node.op("math.shift_right", bits, node.scalar(23, DType.U32))
    exponent = node.op("math.bit_and", exponent, node.scalar(_SPECIAL, DType.U32))
    if mode != "down":
        most = node.scalar(_SPECIAL - int(node.flag("saturate", True)), DType.U32)
        rounds = _has(node, bits, _FRACTION)
        if mode == "nearest":  # halves to even, where 0 alone is an even exponent
            is_power = node.op("math.greater", exponent, node.scalar(0, DType.U32))
            above = node.op("math.logical_or", _has(node, bits, _BELOW_HALF), is_power)
            rounds = node.op("math.logical_and", _has(node, bits, _HALF), above)
        rounds = node.op("math.logical_and", rounds, node.op("math.less", exponent, most))
        exponent = node.op("math.add", exponent, node.cast(rounds, DType.U32))
    return node.op("tensor.bitcast", node.cast(exponent, DType.U8), to=DType.F8E8M0)


def _has(node: NodeContext, bits: Value, mask: int) -> Value:
    """Whether any bit of ``mask`` is set."""
    found = node.op("math.bit_and", bits, node.scalar(mask, DType.U32))
    return node.op("math.not_equal", found, node.scalar(0, DType.U32))
