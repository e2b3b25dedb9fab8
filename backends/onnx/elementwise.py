"""Elementwise ops from their scalar expressions, where ONNX has no operator for the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from burnish.ir import Array, DType
from burnish.ir.elementwise import ElementwiseOp

from ..expressions import MATH_FUNCTIONS, Number, Spelling, render, spelled
from .context import Context, Refusal
from .graph import Edge

_OPERATORS: Mapping[str, str] = {
    **{name: name.capitalize() for name in MATH_FUNCTIONS},
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "neg": "Neg",
    "abs": "Abs",
    "min": "Min",
    "max": "Max",
    "pow": "Pow",
    "round_even": "Round",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "eq": "Equal",
    "is_nan": "IsNaN",
    "is_inf": "IsInf",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "logical_not": "Not",
    "bit_and": "BitwiseAnd",
    "bit_or": "BitwiseOr",
    "bit_xor": "BitwiseXor",
    "bit_not": "BitwiseNot",
    "select": "Where",
}
"""Primitives of scalar expressions that are ONNX operators, but for those composed below."""


def from_expression(c: Context) -> Edge:
    """The nodes of an elementwise op's expression, in the type that arithmetic happens in."""
    definition = c.op.opdef
    assert isinstance(definition, ElementwiseOp)
    dtypes = [type_.dtype for type_ in c.op.operand_types if type_ is not None]
    work = definition.work_dtype(dtypes).compute
    values: dict[str, Edge | Number] = {
        name: value for name, value in c.a.items() if isinstance(value, (bool, int, float))
    }
    for index, (name, dtype) in enumerate(zip(definition.operands, dtypes)):
        values[name] = c.cast(c.input(index), dtype.compute)
    result = render(definition.expression, values, work, _Onnx(c))
    return c.cast(result, definition.result_dtype(c.a, dtypes))


@dataclass(frozen=True)
class _Onnx:
    """ONNX as a language of scalar expressions."""

    c: Context

    def literal(self, value: Number, dtype: DType) -> Edge:
        return self.c.scalar(value, dtype)

    def primitive(self, name: str, arguments: Sequence[Edge], dtype: DType) -> Edge:
        edge = spelled(_SPELLINGS, name, self.c, arguments, self.c.node)
        if edge is None:
            raise Refusal(f"ONNX has nothing for {name}")
        return edge


def _differs(c: Context, x: Edge, y: Edge) -> Edge:
    return c.node("Not", c.node("Equal", x, y))


def _trunc(c: Context, x: Edge) -> Edge:
    return c.node("Mul", c.node("Sign", x), c.node("Floor", c.node("Abs", x)))


def _expm1(c: Context, x: Edge) -> Edge:
    """tanh(x/2) · (exp(x) + 1), which is exp(x) - 1 without the loss of digits near 0."""
    half = c.node("Tanh", c.node("Mul", x, c.scalar(0.5, x.dtype)))
    return c.node("Mul", half, c.node("Add", c.node("Exp", x), c.scalar(1, x.dtype)))


def _log1p(c: Context, x: Edge) -> Edge:
    """2 · atanh(x / (x + 2)) near 0, where log(x + 1) would lose digits."""
    ratio = c.node("Div", x, c.node("Add", x, c.scalar(2, x.dtype)))
    near = c.node("Mul", c.node("Atanh", ratio), c.scalar(2, x.dtype))
    far = c.node("Log", c.node("Add", x, c.scalar(1, x.dtype)))
    is_near = c.node("Less", c.node("Abs", x), c.scalar(0.5, x.dtype))
    return c.node("Where", is_near, near, far)


def modulo(c: Context, x: Edge, y: Edge, *, floor: bool) -> Edge:
    """A remainder; one of floats with the divisor's sign is made from that with the dividend's."""
    if not floor:
        return c.node("Mod", x, y, fmod=1)
    if x.dtype.is_integer:
        return c.node("Mod", x, y)
    rest = c.node("Mod", x, y, fmod=1)
    zero = c.scalar(0, x.dtype)
    other_side = c.node("Xor", c.node("Less", rest, zero), c.node("Less", y, zero))
    wrong = c.node("And", other_side, c.node("Not", c.node("Equal", rest, zero)))
    return c.node("Where", wrong, c.node("Add", rest, y), rest)


_UNSIGNED = {
    DType.I8: DType.U8,
    DType.I16: DType.U16,
    DType.I32: DType.U32,
    DType.I64: DType.U64,
}


def shift(c: Context, x: Edge, y: Edge, *, left: bool) -> Edge:
    """Shifts; ONNX has those of unsigned numbers, by less than the width."""
    unsigned = _UNSIGNED.get(x.dtype, x.dtype)
    amount, beyond = c.cast(y, unsigned), None
    if y.constant is None or (_amount_of(y) >= x.dtype.bits).any():
        beyond = c.node("GreaterOrEqual", amount, c.scalar(x.dtype.bits, unsigned))
        amount = c.node("Where", beyond, c.scalar(0, unsigned), amount)
    sign = c.scalar(0, x.dtype)
    if left:
        shifted = c.node("BitShift", c.cast(x, unsigned), amount, direction="LEFT")
        kept = c.cast(shifted, x.dtype)
        return kept if beyond is None else c.node("Where", beyond, sign, kept)
    if x.dtype.is_signed:
        # What is negative is complemented around the shift, so that ones come in.
        negative = c.node("Less", x, c.scalar(0, x.dtype))
        sign = c.node("Where", negative, c.scalar(-1, x.dtype), sign)
        x = c.node("BitwiseXor", x, sign)
    shifted = c.cast(c.node("BitShift", c.cast(x, unsigned), amount, direction="RIGHT"), sign.dtype)
    if sign.constant is None:
        shifted = c.node("BitwiseXor", shifted, sign)
    return shifted if beyond is None else c.node("Where", beyond, sign, shifted)


def _amount_of(y: Edge) -> Array:
    """Constant amounts to shift by, negative ones as the large numbers that they count as."""
    assert y.constant is not None
    return y.constant.array.astype(np.uint64)


_SPELLINGS: Mapping[str, Spelling[Edge]] = {
    **_OPERATORS,
    "ne": _differs,
    "expm1": _expm1,
    "log1p": _log1p,
    "trunc": _trunc,
    "floor_mod": partial(modulo, floor=True),
    "truncated_mod": partial(modulo, floor=False),
    "shift_left": partial(shift, left=True),
    "shift_right": partial(shift, left=False),
}
"""How each primitive is written."""
