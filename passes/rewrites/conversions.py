"""Casts and quantization that change nothing."""

from __future__ import annotations

from burnish.ir import DType, Kind, Op

from ..pattern import Match, Outcome, Refusal
from .algebra import filled_with
from .sets import CANONICAL

MANTISSA_BITS = {DType.F64: 53, DType.F32: 24, DType.F16: 11, DType.BF16: 8}
"""Integers of up to this many bits are floats of that type."""

WIDENED_FLOATS = {
    (DType.F16, DType.F32),
    (DType.F16, DType.F64),
    (DType.BF16, DType.F32),
    (DType.BF16, DType.F64),
    (DType.F32, DType.F64),
}


def is_lossless(source: DType, to: DType) -> bool:
    """Whether a cast keeps every value of ``source``."""
    if source is to or (source, to) in WIDENED_FLOATS:
        return True
    if source.kind is Kind.BOOL:
        return to.is_integer or to in MANTISSA_BITS
    if not source.is_integer:
        return False
    if to in MANTISSA_BITS:
        return source.bits <= MANTISSA_BITS[to]
    if not to.is_integer:
        return False
    low, high = source.integer_range
    return to.integer_range[0] <= low and high <= to.integer_range[1]


@CANONICAL.pattern("cast-to-same", "math.cast", benefit=2)
def cast_to_same(m: Match) -> Outcome:
    """cast(x) to the type of x is x."""
    x = m.operand(0)
    m.require(x.type == m.op.result.type, "the type changes")
    return x


@CANONICAL.pattern("cast-of-cast", "math.cast")
def cast_of_cast(m: Match) -> Outcome:
    """Two casts are one where the first loses nothing."""
    inner = m.producer(m.operand(0), "math.cast")
    x = m.needed(inner.operands[0])
    source, middle = x.type.dtype, m.operand(0).type.dtype
    m.require(is_lossless(source, middle), "the inner cast loses values", (source, middle))
    return m.build("math.cast", x, to=m.op.attributes.to)


@CANONICAL.pattern("quantize-of-dequantize", "quant.quantize")
def quantize_of_dequantize(m: Match) -> Outcome:
    """Dequantized and quantized again the same way: nothing happened.

    Exact for up to 16 bits: the product and the quotient by the scale round, but by far less
    than half a step.
    """
    inner = m.producer(m.operand(0), "quant.dequantize")
    x = m.needed(inner.operands[0])
    m.require(x.type == m.op.result.type, "the encodings differ")
    m.require(x.type.dtype.bits <= 16, "too many bits")
    m.require(inner.result.type.dtype in (DType.F32, DType.F64), "the float type is too narrow")
    return x


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
