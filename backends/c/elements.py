"""Element types in C: how a tensor element is stored, computed with, and written as a literal.

Stored: floats narrower than f32 as their bits in an unsigned integer, sub-byte integers one per
byte in its low bits (the others do not count), bool as ``uint8_t`` 0 or 1.  Computed: what
:attr:`DType.compute` says, in the C type of :func:`value_type`; :mod:`.helpers` converts.
"""

from __future__ import annotations

import math

from burnish.ir.dtypes import DType, Kind

from .code import PRIMARY, UNARY, Expr, integer

_STORAGE: dict[DType, str] = {
    DType.F64: "double",
    DType.F32: "float",
    DType.F16: "uint16_t",
    DType.BF16: "uint16_t",
    DType.I64: "int64_t",
    DType.I32: "int32_t",
    DType.I16: "int16_t",
    DType.I8: "int8_t",
    DType.U64: "uint64_t",
    DType.U32: "uint32_t",
    DType.U16: "uint16_t",
    DType.BOOL: "uint8_t",
}

MINIMUM_LITERALS = {DType.I64: "INT64_MIN", DType.I32: "INT32_MIN"}


def is_supported(dtype: DType) -> bool:
    """Whether the C backend has the element type (complex numbers it has not)."""
    return dtype.kind is not Kind.COMPLEX


def storage_type(dtype: DType) -> str:
    """C type of an element in memory."""
    return _STORAGE.get(dtype, "uint8_t")


def value_type(dtype: DType) -> str:
    """C type of an element in an expression or local variable."""
    if is_narrow_integer(dtype) and dtype.is_signed:
        return "int8_t"
    return storage_type(dtype.compute)


def is_narrow_integer(dtype: DType) -> bool:
    """Whether only the low bits of the stored byte count."""
    return dtype.is_integer and dtype.bits < 8


def is_narrow_float(dtype: DType) -> bool:
    """Whether elements are stored as bits and computed with as ``float``."""
    return dtype.is_float and dtype.bits < 32


def literal(value: float | int | bool, dtype: DType) -> Expr:
    """``value`` as a literal of ``value_type(dtype)``; floats round-trip exactly."""
    if dtype.is_float:
        return _float_literal(float(value), dtype)
    number = int(value)
    if dtype in MINIMUM_LITERALS and number == dtype.integer_range[0]:
        return Expr(MINIMUM_LITERALS[dtype], PRIMARY, number)
    suffix = {DType.I64: "LL", DType.U64: "ULL", DType.U32: "U"}.get(dtype, "")
    if dtype is DType.I64 and abs(number) < 1 << 31:
        suffix = ""
    if not suffix:
        return integer(number)
    return Expr(f"{number}{suffix}", PRIMARY if number >= 0 else UNARY, number)


def _float_literal(value: float, dtype: DType) -> Expr:
    if math.isnan(value):
        return Expr("(double)NAN", UNARY) if dtype is DType.F64 else Expr("NAN")
    if math.isinf(value):
        name = "HUGE_VAL" if dtype is DType.F64 else "INFINITY"
        return Expr(name) if value > 0 else Expr(f"-{name}", UNARY)
    text = float_text(value, dtype)
    return Expr(text, UNARY if text.startswith("-") else PRIMARY)


def float_text(value: float, dtype: DType) -> str:
    """The shortest decimal text that reads back as exactly ``value``, with C's suffix."""
    if dtype is DType.F64:
        return repr(value)
    import numpy as np

    text = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    plain = np.format_float_positional(np.float32(value), unique=True, trim="0")
    if len(plain) <= 12:
        text = plain
    else:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return f"{text}f"
