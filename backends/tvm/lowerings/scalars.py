"""Scalar expressions, conversions and comparisons as TIR, with the IR's meaning.

TVM's simplifier assumes real arithmetic: it makes ``x == x`` true and ``not x < y`` the same as
``x >= y``, and the code of signed sums may assume that they do not overflow.  What is written here
means the same after it.  Transcendental functions are those of C's library, which CUDA has under
the same names; TVM's own are approximations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from tvm import tirx

from burnish.ir import DType, scalar

from ...expressions import MATH_FUNCTIONS, Number, render
from ..refusal import Refusal
from ..storage import relax_dtype as tir_dtype

Scalar = Any
"""A TIR expression (TVM has no types for checkers)."""

Value = tuple[Scalar, DType]
"""A TIR expression and what its bits mean."""


def constant(value: float | int | bool, dtype: DType) -> Scalar:
    """A literal; numbers out of range wrap, as the IR's literals do."""
    if dtype is DType.BOOL:
        return tirx.const(bool(value), "bool")
    typed = np.asarray(value).astype(dtype.numpy)
    if dtype.is_float:
        return tirx.const(float(typed), tir_dtype(dtype))
    number = int(typed)
    if number >= 1 << 63:
        # TVM's literals have 63 bits; a signed one would become one of 32 where a GPU's indices do.
        return tirx.bitwise_not(tirx.const((1 << 64) - 1 - number, "uint64"))
    return tirx.const(number, tir_dtype(dtype))


def cast(x: Scalar, dtype: DType) -> Scalar:
    """``x`` as the machine converts what lies within the range of ``dtype``."""
    return tirx.Cast(tir_dtype(dtype), x)


def reinterpret(name: str, x: Scalar) -> Scalar:
    """The bits of ``x`` as a number of another type of the same size, as TIR calls it.

    Those of literals are known now: CUDA has no address of one to read them from.
    """
    if isinstance(x, (tirx.FloatImm, tirx.IntImm)):
        bits = np.asarray(x.value).astype(str(x.ty.dtype)).view(name)
        number = bits.item()
        if not isinstance(number, int) or number < 1 << 63:
            return tirx.const(number, name)
    return tirx.reinterpret(name, x)


def select(condition: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """``x`` or ``y``, both computed."""
    return tirx.Select(condition, x, y)


def is_nan(x: Scalar, dtype: DType) -> Scalar:
    """Whether ``x`` is NaN, by its bits."""
    if not dtype.is_float:
        return tirx.const(False, "bool")
    return tirx.isnan(x)


def negation(x: Scalar) -> Scalar:
    """The complement of a truth value; of a comparison, it must not become the opposite one."""
    return tirx.Cast("int32", x) < 1


# Arithmetic ----------------------------------------------------------------------------------


def _wrapping(function: Callable[..., Scalar]) -> Callable[..., Scalar]:
    """Integers as signed ones of at least 32 bits.

    C would widen narrower ones, and TVM takes differences of unsigned ones for at least 0.
    """

    def apply(dtype: DType, *args: Scalar) -> Scalar:
        if dtype.is_float:
            return function(*args)
        wide = "int64" if dtype.bits == 64 else "int32"
        return tirx.Cast(tir_dtype(dtype), function(*(tirx.Cast(wide, x) for x in args)))

    return apply


def _negated(dtype: DType, x: Scalar) -> Scalar:
    if dtype.is_float:
        return tirx.Mul(x, constant(-1, dtype))
    return _BY_TYPE["sub"](dtype, constant(0, dtype), x)


def _absolute(dtype: DType, x: Scalar) -> Scalar:
    if dtype.is_float:
        return tirx.abs(x)
    return select(x < constant(0, dtype), _negated(dtype, x), x)


def _extreme(dtype: DType, x: Scalar, y: Scalar, *, larger: bool) -> Scalar:
    """The larger or the smaller, NaN if either is."""
    wins = x > y if larger else x < y
    if dtype.is_float:
        wins = tirx.Or(is_nan(x, dtype), wins)
    return select(wins, x, y)


def _safe(dtype: DType, y: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """A divisor that does not trap, whether ``y`` is 0, and whether it is -1."""
    zero = y.equal(constant(0, dtype))
    minus = y.equal(constant(-1, dtype)) if dtype.is_signed else tirx.const(False, "bool")
    return select(tirx.Or(zero, minus), constant(1, dtype), y), zero, minus


def _divided(dtype: DType, x: Scalar, y: Scalar) -> Scalar:
    if dtype.is_float:
        return tirx.div(x, y)
    divisor, zero, minus = _safe(dtype, y)
    quotient = select(minus, _negated(dtype, x), tirx.truncdiv(x, divisor))
    return select(zero, constant(0, dtype), quotient)


def _rest(dtype: DType, x: Scalar, y: Scalar) -> Scalar:
    """A remainder with the sign of the dividend."""
    if dtype.is_float:
        return _libm("fmod", dtype, x, y)
    return tirx.truncmod(x, _safe(dtype, y)[0])


def _remainder(dtype: DType, x: Scalar, y: Scalar, *, floor: bool) -> Scalar:
    """A remainder with the sign of the divisor (floor) or of the dividend; x mod ±1 is 0."""
    rest = _rest(dtype, x, y)
    if not floor:
        return rest
    zero = constant(0, dtype)
    wrong = tirx.Or(tirx.And(rest < zero, y > zero), tirx.And(rest > zero, y < zero))
    return select(wrong, rest + y, rest)


def _power(dtype: DType, x: Scalar, y: Scalar) -> Scalar:
    if not dtype.is_float:
        raise Refusal("powers of integers within an expression")
    return _libm("pow", dtype, x, y)


def _shifted(dtype: DType, x: Scalar, y: Scalar, *, left: bool) -> Scalar:
    """A shift; machines shift by less than the width, by more nothing is left but the sign."""
    zero = constant(0, dtype)
    beyond = y >= constant(dtype.bits, dtype)
    if dtype.is_signed:
        beyond = tirx.Or(beyond, y < zero)
    amount = select(beyond, zero, y)
    if left:
        return select(beyond, zero, _wrapping(tirx.shift_left)(dtype, x, amount))
    rest = select(x < zero, constant(-1, dtype), zero) if dtype.is_signed else zero
    return select(beyond, rest, tirx.shift_right(x, amount))


_C_NAMES: Mapping[str, str] = {
    **{name: name for name in MATH_FUNCTIONS if name != "sqrt"},
    "fmod": "fmod",
    "pow": "pow",
    "round_even": "rint",
}
"""Functions of C's library for floats; those for 32 bits have an f behind the name."""


def _libm(name: str, dtype: DType, *args: Scalar) -> Scalar:
    suffix = "f" if dtype is DType.F32 else ""
    return tirx.call_pure_extern(tir_dtype(dtype), _C_NAMES[name] + suffix, *args)


def _whole(dtype: DType, x: Scalar, *, name: str) -> Scalar:
    """Rounding to whole numbers, which integers are."""
    if dtype.is_integer:
        return x
    if name == "round_even":
        return _libm(name, dtype, x)
    function: Callable[[Scalar], Scalar] = getattr(tirx, name)
    return function(x)


def _differs(dtype: DType, x: Scalar, y: Scalar) -> Scalar:
    """NaN differs from all, itself too."""
    result = tirx.Cast("int32", x) != tirx.Cast("int32", y) if dtype is DType.BOOL else x != y
    if dtype.is_float:
        result = tirx.Or(result, tirx.Or(is_nan(x, dtype), is_nan(y, dtype)))
    return result


def _is_infinite(dtype: DType, x: Scalar) -> Scalar:
    infinity = constant(math.inf, dtype)
    return tirx.Or(x.equal(infinity), x.equal(constant(-math.inf, dtype)))


def _equal(dtype: DType, x: Scalar, y: Scalar) -> Scalar:
    if dtype is DType.BOOL:  # LLVM's comparison of these is that of floats
        x, y = tirx.Cast("int32", x), tirx.Cast("int32", y)
    return x.equal(y)


def _plain(function: Callable[..., Scalar]) -> Callable[..., Scalar]:
    return lambda dtype, *args: function(*args)


_BY_TYPE: Mapping[str, Callable[..., Scalar]] = {
    **{name: partial(_libm, name) for name in _C_NAMES},
    **{name: partial(_whole, name=name) for name in ("floor", "ceil", "trunc", "round_even")},
    "add": _wrapping(tirx.Add),
    "sub": _wrapping(tirx.Sub),
    "mul": _wrapping(tirx.Mul),
    "div": _divided,
    "floor_mod": partial(_remainder, floor=True),
    "truncated_mod": partial(_remainder, floor=False),
    "neg": _negated,
    "abs": _absolute,
    "min": partial(_extreme, larger=False),
    "max": partial(_extreme, larger=True),
    "pow": _power,
    "sqrt": _plain(tirx.sqrt),
    "lt": _plain(lambda x, y: x < y),
    "le": _plain(lambda x, y: x <= y),
    "gt": _plain(lambda x, y: x > y),
    "ge": _plain(lambda x, y: x >= y),
    "eq": _equal,
    "ne": _differs,
    "is_nan": lambda dtype, x: is_nan(x, dtype),
    "is_inf": _is_infinite,
    "logical_and": _plain(tirx.And),
    "logical_or": _plain(tirx.Or),
    "logical_xor": _plain(lambda x, y: tirx.Cast("int32", x) != tirx.Cast("int32", y)),
    "logical_not": _plain(negation),
    "bit_and": _plain(tirx.bitwise_and),
    "bit_or": _plain(tirx.bitwise_or),
    "bit_xor": _plain(tirx.bitwise_xor),
    "bit_not": _plain(tirx.bitwise_not),
    "shift_left": partial(_shifted, left=True),
    "shift_right": partial(_shifted, left=False),
    "select": _plain(select),
}
"""Primitives of scalar expressions; each is handed the type that arithmetic happens in."""


def primitive(name: str, dtype: DType, *args: Scalar) -> Scalar:
    """One primitive of scalar expressions on operands of ``dtype``."""
    return _BY_TYPE[name](dtype, *args)


class _Tir:
    """The language of TIR expressions."""

    def literal(self, value: Number, dtype: DType) -> Scalar:
        return constant(value, dtype)

    def primitive(self, name: str, arguments: Sequence[Scalar], dtype: DType) -> Scalar:
        return primitive(name, dtype, *arguments)


def expression(
    text: str | scalar.Expr, values: Mapping[str, Scalar | Number], dtype: DType
) -> Scalar:
    """A scalar expression over TIR expressions and numbers, with arithmetic in ``dtype``."""
    return render(text, values, dtype, _Tir())


# Conversions ---------------------------------------------------------------------------------


def converted(x: Scalar, source: DType, dtype: DType) -> Scalar:
    """``x`` in another element type, as burnish defines it; floats of 8 bits are tables.

    Floats become integers by truncating and saturating, NaN becomes 0; integers wrap; bool is
    x != 0; floats round to nearest, ties to even.
    """
    if source is dtype:
        return x
    if dtype is DType.BOOL:
        return _differs(source, x, constant(0, source))
    if source.is_float and dtype.is_integer:
        return _saturated(cast(x, source.compute), source.compute, dtype)
    if dtype.is_integer and dtype.bits < 8:
        return _wrapped(x, dtype)
    if source is DType.F64 and dtype is DType.BF16:
        return cast(_round_to_odd(x), dtype)
    if {source, dtype} == {DType.F64, DType.BF16} or (source.is_float and source.bits == 16):
        x = cast(x, DType.F32)
    return cast(x, dtype)


def _saturated(x: Scalar, source: DType, dtype: DType) -> Scalar:
    low, high = dtype.integer_range
    # The bounds of wide types are no floats, but those just outside are powers of two.
    over = x >= constant(float(high + 1), source)
    under = x <= constant(float(low - (low == 0)), source)
    insane = tirx.Or(tirx.Or(over, under), is_nan(x, source))
    y = cast(select(insane, constant(0, source), x), dtype)
    y = select(over, constant(high, dtype), y)
    return select(under, constant(low, dtype), y)


def _wrapped(x: Scalar, dtype: DType) -> Scalar:
    """The last bits of integers, the first of which is the sign of signed ones."""
    low, _ = dtype.integer_range
    bits = tirx.Cast("int32", x) - low
    return cast(tirx.bitwise_and(bits, tirx.const((1 << dtype.bits) - 1, "int32")) + low, dtype)


def _round_to_odd(x: Scalar) -> Scalar:
    """f64 as f32, inexact numbers rounded to the neighbour whose last bit is odd.

    Rounding that to a narrower float is rounding once (Boldo and Melquiond 2008).
    """
    nearest = tirx.Cast("float32", x)
    back = tirx.Cast("float64", nearest)
    bits = reinterpret("uint32", nearest)
    too_far = tirx.abs(back) > tirx.abs(x)
    odd = tirx.bitwise_or(bits - tirx.Cast("uint32", too_far), tirx.const(1, "uint32"))
    exact = tirx.Or(back.equal(x), is_nan(x, DType.F64))
    return select(exact, nearest, reinterpret("float32", odd))
