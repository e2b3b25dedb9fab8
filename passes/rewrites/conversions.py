"""Quantization of numbers that are quantized already, which a walk over moves has to show."""

from __future__ import annotations

from burnish.ir import DType, Op

from ..pattern import Match, Outcome, Refusal
from ..pattern.constants import filled_with
from .sets import CANONICAL

MOVES = frozenset(
    {
        "tensor.reshape",
        "tensor.transpose",
        "tensor.slice",
        "tensor.broadcast",
        "tensor.tile",
        "tensor.concat",
        "tensor.gather",
        "tensor.pad",
        "nn.max_pool",
    }
)
"""Ops whose result holds only elements of their operands, or zeros."""

MAX_MOVES = 16
"""How many moves to look through: chains in models are short."""


@CANONICAL.pattern("dequantize-of-quantize", "quant.dequantize")
def dequantize_of_quantize(m: Match) -> Outcome:
    """Quantizing numbers that are quantized that way already, and were only moved, keeps them.

    Exact, as in ``quantize-of-dequantize``.
    """
    quantize = m.producer(m.operand(0), "quant.quantize")
    x = m.needed(quantize.operands[0])
    encoding = m.operand(0).type.quantized
    if encoding is None or encoding.axis is not None:
        raise Refusal("not quantized as a whole")
    m.require(m.operand(0).type.dtype.bits <= 16, "too many bits")
    m.require(x.type.dtype in (DType.F32, DType.F64), "the float type is too narrow")
    storage = m.operand(0).type.dtype
    pending, seen = [x], 0
    while pending:
        value = pending.pop()
        seen += 1
        op = value.op
        if op is None or seen > MAX_MOVES:
            raise Refusal("the numbers come from elsewhere", value)
        if op.name == "quant.dequantize":
            source = m.needed(op.operands[0]).type
            same = source.quantized == encoding and source.dtype is storage
            m.require(same, "quantized differently before", value)
            continue
        moves = op.name in MOVES and (op.name != "tensor.pad" or _adds_zeros_or_copies(op))
        m.require(moves, "the numbers come from elsewhere", value)
        data = op.inputs if op.name == "tensor.concat" else op.inputs[:1]
        pending += data
    return x


def _adds_zeros_or_copies(pad: Op) -> bool:
    """Whether what a pad adds is 0 (which any quantization has), or elements of its operand."""
    return len(pad.inputs) < 2 or filled_with(pad.inputs[1], 0)
