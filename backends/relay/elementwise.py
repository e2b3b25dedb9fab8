"""Elementwise ops from their scalar expressions, or by the operator Relay has for the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from burnish.ir import Array, DType, Layout, TensorType, scalar
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.erf import erf_expressions

from ..expressions import MATH_FUNCTIONS, Number, Spelling, render, spelled
from .builder import Refusal, Term
from .context import Context
from .storage import CARRIERS
from .storage_order import fitted, layout_of

_OPERATORS: Mapping[str, str] = {
    **MATH_FUNCTIONS,
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "neg": "negative",
    "abs": "abs",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "is_nan": "isnan",
    "is_inf": "isinf",
    "logical_and": "logical_and",
    "logical_or": "logical_or",
    "logical_xor": "logical_xor",
    "logical_not": "logical_not",
    "bit_and": "bitwise_and",
    "bit_or": "bitwise_or",
    "bit_xor": "bitwise_xor",
    "bit_not": "bitwise_not",
    "select": "where",
}
"""Primitives of scalar expressions that are Relay operators, but for those composed below."""

_WHOLE: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "math.relu": ("nn.relu", {}),
    "math.sigmoid": ("sigmoid", {}),
    "math.rsqrt": ("rsqrt", {}),
    "math.leaky_relu": ("nn.leaky_relu", {"alpha": "alpha"}),
    "math.clamp": ("clip", {"a_min": "low", "a_max": "high"}),
}
"""Ops on f32 that are one operator, whose attributes are those of the op."""

Rendered = Term | Number
Values = Mapping[str, Rendered]


def elementwise(c: Context) -> Term:
    """The calls of an elementwise op, in the type that arithmetic happens in."""
    definition = c.op.opdef
    assert isinstance(definition, ElementwiseOp)
    dtypes = [type_.dtype for type_ in c.op.operand_types if type_ is not None]
    whole = _whole(c)
    if whole is not None:
        return whole
    work = definition.work_dtype(dtypes).compute
    narrow = work in CARRIERS and c.op.name not in ("math.cast", "math.select")
    c.require(not narrow, f"arithmetic on {work}")
    values: dict[str, Rendered] = {
        name: value for name, value in c.a.items() if isinstance(value, (bool, int, float))
    }
    layout, rank = layout_of(c.op.result.type), c.op.result.type.rank
    for index, name in enumerate(definition.operands):
        values[name] = _in_layout(c, c.wide(index), c.type(index), layout, rank)
    result = expression(c, definition.expression, values, work)
    return c.cast(result, definition.result_dtype(c.a, dtypes))


def _in_layout(c: Context, term: Term, type_: TensorType, layout: Layout | None, rank: int) -> Term:
    """An operand as it broadcasts onto a result in a layout."""
    own = layout_of(type_)
    if own is None:
        return fitted(c, term, layout, rank)
    c.require(own == layout and type_.rank == rank, f"from {own} to another layout")
    return term


def _whole(c: Context) -> Term | None:
    if c.op.name not in _WHOLE or c.type().dtype is not DType.F32:
        return None
    operator, names = _WHOLE[c.op.name]
    attributes = {
        name: value
        for name, source in names.items()
        if isinstance(value := c.a[source], float) and np.isfinite(value)
    }
    if len(attributes) < len(names):
        return None
    if operator == "nn.leaky_relu" and attributes["alpha"] < 0:
        return None  # which TVM refuses
    if operator == "clip" and (c.choices.exact or attributes["a_min"] > attributes["a_max"]):
        return None  # it does not keep NaN, and where bounds cross the upper one must win
    return c.call(operator, c.input(0), **attributes)


def expression(c: Context, text: str | scalar.Expr, values: Values, work: DType) -> Term:
    """The calls of a scalar expression over terms and numbers, with arithmetic in ``work``."""
    return render(text, values, work, _Relay(c))


@dataclass(frozen=True)
class _Relay:
    """Relay as a language of scalar expressions."""

    c: Context

    def literal(self, value: Number, dtype: DType) -> Term:
        return self.c.scalar(value, dtype)

    def primitive(self, name: str, arguments: Sequence[Term], dtype: DType) -> Term:
        term = spelled(_SPELLINGS, name, self.c, arguments, self.c.call)
        if term is None:
            raise Refusal(f"Relay has nothing for {name}")
        return term


def _extreme(c: Context, x: Term, y: Term, *, operator: str) -> Term:
    """The larger or the smaller, NaN if either is.

    Machines compare the operands and give the second where that fails, as it does for NaN.
    """
    if y.constant is not None and x.constant is None:
        x, y = y, x
    result = c.call(operator, x, y)
    if not x.dtype.is_float or (x.constant is not None and not np.isnan(x.constant.array).any()):
        return result
    return c.where(c.call("isnan", x), x, result)


def _erf(c: Context, x: Term) -> Term:
    """Relay's operator is exact to f32."""
    if x.dtype is not DType.F64:
        return c.call("erf", x)
    m, result = c.call("abs", x), c.scalar(1, x.dtype)
    for end, z, text in reversed(erf_expressions()):
        values = {"m": m, "z": expression(c, z, {"m": m}, x.dtype)}
        below = c.call("less", m, c.scalar(end, x.dtype))
        result = c.where(below, expression(c, text, values, x.dtype), result)
    result = c.where(c.call("less", x, c.scalar(0, x.dtype)), c.call("negative", result), result)
    # What is not less than any is 1 or NaN; -0 is itself.
    itself = c.call("logical_or", c.call("isnan", x), c.call("equal", x, c.scalar(0, x.dtype)))
    return c.where(itself, x, result)


_SMALL = 0.02
"""Below, four terms of a series are exact to f32, and differences of numbers near 1 are not."""


def _expm1(c: Context, x: Term) -> Term:
    series = "x * (1 + x * (0.5 + x * (0.16666666666666666 + x * 0.041666666666666664)))"
    return _near_zero(c, x, series, "exp(x) - 1")


def _log1p(c: Context, x: Term) -> Term:
    series = "x * (1 - x * (0.5 - x * (0.3333333333333333 - x * 0.25)))"
    return _near_zero(c, x, series, "log(1 + x)")


def _near_zero(c: Context, x: Term, series: str, other: str) -> Term:
    """A function by its series where x is small, which f64 does not need."""
    text = other if x.dtype is DType.F64 else f"{series} if abs(x) < {_SMALL} else {other}"
    return expression(c, text, {"x": x}, x.dtype)


def round_even(c: Context, x: Term) -> Term:
    """The nearest integer, ties to even; Relay's ``round`` takes ties away from zero.

    2·round(x/2) is the nearest even integer.  Where it is no farther than 1/2 it is the result;
    elsewhere x is no tie.
    """
    two = c.scalar(2, x.dtype)
    half = c.call("round", c.call("multiply", x, c.scalar(0.5, x.dtype)))
    even = c.call("multiply", half, two)
    distance = c.call("abs", c.call("subtract", x, even))
    near = c.call("less_equal", distance, c.scalar(0.5, x.dtype))
    return c.where(near, even, c.call("round", x))


def _divide(c: Context, x: Term, y: Term) -> Term:
    """A quotient; of integers x / 0 is 0, and machines trap at that and at MIN / -1.

    TVM does not build a division by the number 0.  It is that of floats by an infinity inverted:
    x / 0 = x * inf, NaN for 0 and NaN.
    """
    if x.dtype.is_float and _is_zero(y):
        return c.call("multiply", x, c.array(np.copysign(np.inf, _array(y))))
    if x.dtype.is_float or _never(y, 0, -1):
        return c.call("divide", x, y)
    zero = c.scalar(0, x.dtype)
    quotient = c.call("divide", x, _safe(c, y))
    if x.dtype.is_signed:
        negated = c.call("equal", y, c.scalar(-1, x.dtype))
        quotient = c.where(negated, c.call("negative", x), quotient)
    return c.where(c.call("equal", y, zero), zero, quotient)


def _array(y: Term) -> Array:
    """The elements of a constant."""
    assert y.constant is not None
    return y.constant.array


def _is_zero(y: Term) -> bool:
    """Whether ``y`` is a constant of zeros."""
    return y.constant is not None and not _array(y).any()


def _safe(c: Context, y: Term) -> Term:
    """A divisor of integers, 1 in place of 0 and -1."""
    bad = c.call("equal", y, c.scalar(0, y.dtype))
    if y.dtype.is_signed:
        bad = c.call("logical_or", bad, c.call("equal", y, c.scalar(-1, y.dtype)))
    return c.where(bad, c.scalar(1, y.dtype), y)


def _never(y: Term, *values: int) -> bool:
    """Whether ``y`` is constant, and no element has one of these values."""
    return y.constant is not None and not np.isin(y.constant.array, values).any()


def _modulo(c: Context, x: Term, y: Term, *, floor: bool) -> Term:
    """A remainder; x mod ±1 is 0, as x mod 0 is defined to be for integers."""
    if x.dtype.is_integer:
        divisor = y if _never(y, 0, -1) else _safe(c, y)
        return c.call("floor_mod" if floor else "trunc_mod", x, divisor)
    if _is_zero(y):
        return c.call("multiply", x, c.scalar(np.nan, x.dtype))
    rest = c.call("mod", x, y)
    if not floor:
        return rest
    zero = c.scalar(0, x.dtype)
    other_side = c.call("not_equal", c.call("less", rest, zero), c.call("less", y, zero))
    wrong = c.call("logical_and", other_side, c.call("not_equal", rest, zero))
    return c.where(wrong, c.call("add", rest, y), rest)


def _power(c: Context, x: Term, y: Term) -> Term:
    """x ** y; of integers by squaring, bit by bit of the exponent, so that products wrap."""
    if x.dtype.is_float:
        return c.call("power", x, y)
    dtype, zero, one = x.dtype, c.scalar(0, x.dtype), c.scalar(1, x.dtype)
    result, square = one, x
    for bit in range(_exponent_bits(y)):
        shifted = c.call("right_shift", y, c.scalar(bit, dtype))
        odd = c.call("equal", c.call("bitwise_and", shifted, one), one)
        result = c.apart(c.where(odd, c.call("multiply", result, square), result))
        square = c.apart(c.call("multiply", square, square))
    if not dtype.is_signed or (y.constant is not None and (y.constant.array >= 0).all()):
        return result
    minus = c.scalar(-1, dtype)
    even = c.call("equal", c.call("bitwise_and", y, one), zero)
    inverse = c.where(c.call("equal", x, one), one, zero)
    inverse = c.where(c.call("equal", x, minus), c.where(even, one, minus), inverse)
    return c.where(c.call("less", y, zero), inverse, result)


def _exponent_bits(y: Term) -> int:
    """Bits of exponents that are not negative."""
    if y.constant is None or not y.constant.size:
        return y.dtype.bits - y.dtype.is_signed
    return max(0, int(y.constant.array.max())).bit_length()


def _shift(c: Context, x: Term, y: Term, *, left: bool) -> Term:
    """A shift; machines shift by less than the width, by more nothing is left but the sign."""
    zero, operator = c.scalar(0, x.dtype), "left_shift" if left else "right_shift"
    if y.constant is not None and (_amounts(y) < x.dtype.bits).all():
        return c.call(operator, x, y)
    beyond = c.call("greater_equal", y, c.scalar(x.dtype.bits, y.dtype))
    if y.dtype.is_signed:
        beyond = c.call("logical_or", beyond, c.call("less", y, c.scalar(0, y.dtype)))
    shifted = c.call(operator, x, c.where(beyond, c.scalar(0, y.dtype), y))
    rest = zero
    if not left and x.dtype.is_signed:
        rest = c.where(c.call("less", x, zero), c.scalar(-1, x.dtype), zero)
    return c.where(beyond, rest, shifted)


def _amounts(y: Term) -> Array:
    """Constant amounts to shift by, negative ones as the large numbers that they count as."""
    return _array(y).astype(np.uint64)


_SPELLINGS: Mapping[str, Spelling[Term]] = {
    **_OPERATORS,
    "div": _divide,
    "min": partial(_extreme, operator="minimum"),
    "max": partial(_extreme, operator="maximum"),
    "ne": Context.differs,
    "erf": _erf,
    "expm1": _expm1,
    "log1p": _log1p,
    "round_even": round_even,
    "floor_mod": partial(_modulo, floor=True),
    "truncated_mod": partial(_modulo, floor=False),
    "pow": _power,
    "shift_left": partial(_shift, left=True),
    "shift_right": partial(_shift, left=False),
}
"""How each primitive is written: some Relay has no operator for, or another one for integers."""
