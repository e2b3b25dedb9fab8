"""Elementwise ops from their scalar expressions, where ONNX has no operator for the whole."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from burnish.ir import Array, DType, scalar
from burnish.ir.elementwise import ElementwiseOp

from .context import Context, Refusal
from .graph import Edge

_OPERATORS: Mapping[str, str] = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "neg": "Neg",
    "abs": "Abs",
    "min": "Min",
    "max": "Max",
    "pow": "Pow",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "tanh": "Tanh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "erf": "Erf",
    "floor": "Floor",
    "ceil": "Ceil",
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
"""Primitives of scalar expressions that are ONNX operators."""

Values = Mapping[str, Edge | float | int | bool]


def from_expression(c: Context) -> Edge:
    """The nodes of an elementwise op's expression, in the type that arithmetic happens in."""
    definition = c.op.opdef
    assert isinstance(definition, ElementwiseOp)
    dtypes = [type_.dtype for type_ in c.op.operand_types if type_ is not None]
    work = definition.work_dtype(dtypes).compute
    values: dict[str, Edge | float | int | bool] = {
        name: value for name, value in c.a.items() if isinstance(value, (bool, int, float))
    }
    for index, (name, dtype) in enumerate(zip(definition.operands, dtypes)):
        values[name] = c.cast(c.input(index), dtype.compute)
    result = _edge(c, _render(c, definition.expression, values, work), work)
    return c.cast(result, definition.result_dtype(c.a, dtypes))


Rendered = Edge | float | int | bool


def _render(c: Context, expr: scalar.Expr, values: Values, work: DType) -> Rendered:
    if isinstance(expr, scalar.Literal):
        return expr.value
    if isinstance(expr, scalar.Var):
        return values[expr.name]
    arguments = [_render(c, arg, values, work) for arg in expr.args]
    if not any(isinstance(arg, Edge) for arg in arguments):
        constants = {f"x{i}": arg for i, arg in enumerate(arguments) if not isinstance(arg, Edge)}
        call = scalar.call(expr.function, *map(scalar.Var, constants))
        folded: float | int | bool = scalar.evaluate(call, constants, work).item()
        return folded
    return _node(c, expr.function, [_edge(c, argument, work) for argument in arguments])


def _edge(c: Context, value: Rendered, work: DType) -> Edge:
    if isinstance(value, Edge):
        return value
    return c.scalar(value, DType.BOOL if isinstance(value, bool) else work)


def _node(c: Context, primitive: str, arguments: list[Edge]) -> Edge:
    """One primitive; those that ONNX lacks are composed."""
    if primitive in _OPERATORS:
        return c.node(_OPERATORS[primitive], *arguments)
    x = arguments[0]
    if primitive == "ne":
        return c.node("Not", c.node("Equal", *arguments))
    if primitive == "expm1":
        return _expm1(c, x)
    if primitive == "log1p":
        return _log1p(c, x)
    if primitive == "trunc":
        return c.node("Mul", c.node("Sign", x), c.node("Floor", c.node("Abs", x)))
    if primitive in ("floor_mod", "truncated_mod"):
        return modulo(c, *arguments, floor=primitive == "floor_mod")
    if primitive in ("shift_left", "shift_right"):
        return shift(c, *arguments, left=primitive == "shift_left")
    raise Refusal(f"ONNX has nothing for {primitive}")


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
