"""Casts and quantization that change nothing."""

from __future__ import annotations

from burnish.ir import DType, Kind

from ..pattern import Match, Outcome
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
