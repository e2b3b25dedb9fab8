"""Conversions of element types, as burnish defines them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from burnish.ir import DType, scalar

from ..codes import decoding, rounding
from .builder import Term, relay_dtype
from .storage import CARRIERS, carrier

if TYPE_CHECKING:
    from .context import Context


def converted(c: Context, term: Term, dtype: DType) -> Term:
    """``term`` in another element type.

    Floats become integers by truncating and saturating, NaN becomes 0; integers wrap; bool is
    x != 0; floats round to nearest, ties to even.
    """
    if term.dtype is dtype:
        return term
    if term.constant is not None:
        return c.array(scalar.convert(term.constant.array, dtype))
    if term.dtype in CARRIERS:
        return converted(c, _decoded(c, term), dtype)
    if dtype is DType.BOOL:
        return c.differs(term, c.scalar(0, term.dtype))
    if term.dtype.is_float and dtype.is_integer:
        return _saturated(c, term, dtype)
    if dtype in CARRIERS:
        encode = _as_bfloat if dtype is DType.BF16 else _encoded if dtype.is_float else _wrapped
        return replace(encode(c, term, dtype), dtype=dtype)
    return plain_cast(c, term, dtype)


def plain_cast(c: Context, term: Term, dtype: DType) -> Term:
    """``term`` as the machine converts what lies within the range of ``dtype``."""
    if term.dtype is dtype:
        return term
    if {term.dtype, dtype} == {DType.F16, DType.F64}:  # TVM's own conversion is wrong
        term = c.call("cast", term, dtype="float32")
    if term.tensor.dtype != relay_dtype(dtype):
        term = c.call("cast", term, dtype=relay_dtype(dtype))
    return replace(term, dtype=dtype)


def _saturated(c: Context, x: Term, dtype: DType) -> Term:
    x = converted(c, x, x.dtype.compute)
    low, high = dtype.integer_range
    # The bounds of wide types are no floats, but those just outside are powers of two.
    over = c.call("greater_equal", x, c.scalar(float(high + 1), x.dtype))
    under = c.call("less_equal", x, c.scalar(float(low - (low == 0)), x.dtype))
    inside = c.call("logical_not", c.call("logical_or", over, under))
    sane = c.call("logical_and", inside, c.call("equal", x, x))
    y = plain_cast(c, c.where(sane, x, c.scalar(0, x.dtype)), dtype)
    y = c.where(over, c.scalar(high, dtype), y)
    return replace(c.where(under, c.scalar(low, dtype), y), dtype=dtype)


def _decoded(c: Context, term: Term) -> Term:
    """The numbers kept in integers: narrow ones as they are, floats as f32."""
    kept = replace(term, dtype=carrier(term.dtype))
    if term.dtype.is_integer:
        return kept
    if term.dtype is DType.BF16:
        high = c.call("left_shift", plain_cast(c, kept, DType.U32), c.scalar(16, DType.U32))
        return c.call("reinterpret", high, dtype="float32")
    places = plain_cast(c, kept, DType.I32)
    return c.call("take", c.array(decoding(term.dtype)), places, axis=0)


def _wrapped(c: Context, x: Term, dtype: DType) -> Term:
    """The last bits of integers, the first of which is the sign of signed ones."""
    low, _ = dtype.integer_range
    work = DType.I32
    x = plain_cast(c, x, work)
    bits = c.call("subtract", x, c.scalar(low, work)) if low else x
    bits = c.call("bitwise_and", bits, c.scalar((1 << dtype.bits) - 1, work))
    bits = c.call("add", bits, c.scalar(low, work)) if low else bits
    return plain_cast(c, bits, carrier(dtype))


def _as_bfloat(c: Context, x: Term, dtype: DType) -> Term:
    """The upper half of an f32, rounded: half a step less one is added, one more if odd."""
    x = plain_cast(c, x, DType.F32)
    bits, work = c.call("reinterpret", x, dtype="uint32"), DType.U32
    upper = c.call("right_shift", bits, c.scalar(16, work))
    odd = c.call("bitwise_and", upper, c.scalar(1, work))
    rounded = c.call("add", c.call("add", bits, odd), c.scalar(0x7FFF, work))
    rounded = c.call("right_shift", rounded, c.scalar(16, work))
    rounded = c.where(c.call("isnan", x), c.scalar(0x7FC0, work), rounded)
    return plain_cast(c, rounded, carrier(dtype))


def _encoded(c: Context, x: Term, dtype: DType) -> Term:
    """The code of a float of at most 8 bits: how many bounds its magnitude exceeds."""
    x = x if x.dtype is DType.F64 else plain_cast(c, x, DType.F32)
    table = rounding(dtype, x.dtype)
    magnitude = c.reshape(c.call("abs", x), (*x.shape, 1))
    exceeded = plain_cast(c, c.call("greater", magnitude, c.array(table.bounds)), DType.I32)
    place = c.call("sum", exceeded, axis=(x.rank,), keepdims=False)
    positive, negative = (
        c.call("take", c.array(codes), place, axis=0) for codes in (table.positive, table.negative)
    )
    integer = {DType.F32: DType.I32, DType.F64: DType.I64}[x.dtype]
    bits = c.call("reinterpret", x, dtype=relay_dtype(integer))
    code = c.where(c.call("less", bits, c.scalar(0, integer)), negative, positive)
    return c.where(c.call("isnan", x), c.scalar(table.nan, carrier(dtype)), code)
