"""Scalar expressions: the one definition of what an elementwise op computes.

An elementwise op is declared by an expression over its operands and attributes, such as
``"x / (1 + exp(-x))"``.  NumPy semantics come from :func:`evaluate`; C and TVM text come from
tables in the backends that render the same primitives.  Expressions are written in Python
syntax (``+ - * /``, comparisons, ``and or not``, ``a if c else b``, calls of primitives).

Typing is simple: all operands of one element type ``T`` make arithmetic in ``T.compute``
(f16, bf16 and narrower floats compute in f32 and are rounded once, at the op's result);
literals and attributes take that type; comparisons give bool.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .constants import Array
from .dtypes import DType
from .erf import erf


@dataclass(frozen=True, slots=True)
class Var:
    """An operand or attribute, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A number that takes the type of its context, or a bool."""

    value: float | int | bool


@dataclass(frozen=True, slots=True)
class Call:
    """A primitive applied to arguments."""

    function: str
    args: tuple[Expr, ...]


Expr = Var | Literal | Call


@dataclass(frozen=True, slots=True)
class Primitive:
    """A scalar function every backend knows how to render.

    ``result`` is ``"same"`` (type of the arguments) or ``"bool"``; ``arguments`` is ``"same"``,
    ``"bool"``, or ``"select"`` (first bool, the others alike).
    """

    arity: int
    numpy: Callable[..., Any]
    result: str = "same"
    arguments: str = "same"
    cost: int = 1
    """Rough cost in additions, for the cost model."""


def _truncated_divide(x: Array, y: Array) -> Array:
    """Integer division towards zero; x / 0 is 0 and MIN / -1 wraps, as burnish defines it."""
    if np.issubdtype(x.dtype, np.floating):
        return np.asarray(x / y)
    safe = np.where(y == 0, np.ones_like(y), y)
    quotient = x // safe
    if np.issubdtype(x.dtype, np.signedinteger):
        remainder = x - quotient * safe
        quotient = quotient + ((remainder != 0) & ((x < 0) != (safe < 0)))
    return np.where(y == 0, np.zeros_like(quotient), quotient).astype(x.dtype)


def _floor_mod(x: Array, y: Array) -> Array:
    """Remainder with the sign of the divisor; x mod 0 is 0 for integers."""
    if np.issubdtype(x.dtype, np.floating):
        return np.asarray(np.mod(x, y))
    safe = np.where(y == 0, np.ones_like(y), y)
    return np.where(y == 0, np.zeros_like(x), np.mod(x, safe))


def _truncated_mod(x: Array, y: Array) -> Array:
    """Remainder with the sign of the dividend (C's fmod and %); x rem 0 is 0 for integers."""
    if np.issubdtype(x.dtype, np.floating):
        return np.asarray(np.fmod(x, y))
    safe = np.where(y == 0, np.ones_like(y), y)
    return np.where(y == 0, np.zeros_like(x), np.fmod(x, safe))


def _power(x: Array, y: Array) -> Array:
    """x ** y; a negative exponent of integers gives 0, or ±1 for a base of ±1."""
    if np.issubdtype(x.dtype, np.floating):
        return np.asarray(np.power(x, y))
    # All of x's type: NumPy would mix i64 and u64 into f64.
    zero, one = np.zeros_like(x), np.ones_like(x)
    inverse = np.where(x == one, one, zero)
    if np.issubdtype(x.dtype, np.signedinteger):
        inverse = np.where(x == -one, np.where(y % 2 == 0, one, -one), inverse)
    positive = np.power(x, np.maximum(y, 0))
    return np.asarray(np.where(y < 0, inverse, positive)).astype(x.dtype)


def _shift(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """Shifts by the width or more give 0 (or -1 for right shifts of negative numbers)."""

    def shift(x: Array, y: Array) -> Array:
        width = x.dtype.itemsize * 8
        amount = np.minimum(y.astype(np.uint64), width - 1).astype(x.dtype)
        shifted = function(x, amount)
        beyond = y.astype(np.uint64) >= width
        if function is np.right_shift:
            return np.where(beyond & (x >= 0), np.zeros_like(x), shifted)
        return np.where(beyond, np.zeros_like(x), shifted)

    return shift


def _nan_minimum(x: Array, y: Array) -> Array:
    return np.asarray(np.minimum(x, y))


def _nan_maximum(x: Array, y: Array) -> Array:
    return np.asarray(np.maximum(x, y))


PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive(2, np.add),
    "sub": Primitive(2, np.subtract),
    "mul": Primitive(2, np.multiply),
    "div": Primitive(2, _truncated_divide, cost=4),
    "floor_mod": Primitive(2, _floor_mod, cost=8),
    "truncated_mod": Primitive(2, _truncated_mod, cost=8),
    "neg": Primitive(1, np.negative),
    "abs": Primitive(1, np.abs),
    "min": Primitive(2, _nan_minimum),
    "max": Primitive(2, _nan_maximum),
    "pow": Primitive(2, _power, cost=40),
    "exp": Primitive(1, np.exp, cost=15),
    "expm1": Primitive(1, np.expm1, cost=20),
    "log": Primitive(1, np.log, cost=15),
    "log1p": Primitive(1, np.log1p, cost=20),
    "sqrt": Primitive(1, np.sqrt, cost=6),
    "sin": Primitive(1, np.sin, cost=20),
    "cos": Primitive(1, np.cos, cost=20),
    "tan": Primitive(1, np.tan, cost=25),
    "asin": Primitive(1, np.arcsin, cost=25),
    "acos": Primitive(1, np.arccos, cost=25),
    "atan": Primitive(1, np.arctan, cost=25),
    "sinh": Primitive(1, np.sinh, cost=25),
    "cosh": Primitive(1, np.cosh, cost=25),
    "tanh": Primitive(1, np.tanh, cost=20),
    "asinh": Primitive(1, np.arcsinh, cost=30),
    "acosh": Primitive(1, np.arccosh, cost=30),
    "atanh": Primitive(1, np.arctanh, cost=30),
    "erf": Primitive(1, erf, cost=25),
    "floor": Primitive(1, np.floor),
    "ceil": Primitive(1, np.ceil),
    "trunc": Primitive(1, np.trunc),
    "round_even": Primitive(1, np.rint),
    "lt": Primitive(2, np.less, "bool"),
    "le": Primitive(2, np.less_equal, "bool"),
    "gt": Primitive(2, np.greater, "bool"),
    "ge": Primitive(2, np.greater_equal, "bool"),
    "eq": Primitive(2, np.equal, "bool"),
    "ne": Primitive(2, np.not_equal, "bool"),
    "is_nan": Primitive(1, np.isnan, "bool"),
    "is_inf": Primitive(1, np.isinf, "bool"),
    "logical_and": Primitive(2, np.logical_and, "bool", "bool"),
    "logical_or": Primitive(2, np.logical_or, "bool", "bool"),
    "logical_xor": Primitive(2, np.logical_xor, "bool", "bool"),
    "logical_not": Primitive(1, np.logical_not, "bool", "bool"),
    "bit_and": Primitive(2, np.bitwise_and),
    "bit_or": Primitive(2, np.bitwise_or),
    "bit_xor": Primitive(2, np.bitwise_xor),
    "bit_not": Primitive(1, np.bitwise_not),
    "shift_left": Primitive(2, _shift(np.left_shift)),
    "shift_right": Primitive(2, _shift(np.right_shift)),
    "select": Primitive(3, np.where, "same", "select"),
}
"""``min`` and ``max`` propagate NaN.  ``div`` of integers truncates towards zero."""

_BINARY: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_UNARY: dict[type, str] = {ast.USub: "neg", ast.Not: "logical_not", ast.Invert: "bit_not"}
_COMPARE: dict[type, str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
_BOOLEAN: dict[type, str] = {ast.And: "logical_and", ast.Or: "logical_or"}


def parse(text: str) -> Expr:
    """The expression written in ``text``.

    Raises:
        ValueError: bad syntax, unknown primitive, or wrong number of arguments.
    """
    return _convert(ast.parse(text, mode="eval").body)


def _convert(node: ast.expr) -> Expr:
    if isinstance(node, ast.Name):
        return Literal(math.inf) if node.id == "inf" else Var(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        return Literal(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return call(_BINARY[type(node.op)], _convert(node.left), _convert(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        operand = _convert(node.operand)
        if isinstance(operand, Literal) and isinstance(node.op, ast.USub):
            return Literal(-operand.value)
        return call(_UNARY[type(node.op)], operand)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = _convert(node.left), _convert(node.comparators[0])
        return call(_COMPARE[type(node.ops[0])], left, right)
    if isinstance(node, ast.BoolOp):
        first, *rest = map(_convert, node.values)
        for item in rest:
            first = call(_BOOLEAN[type(node.op)], first, item)
        return first
    if isinstance(node, ast.IfExp):
        return call("select", _convert(node.test), _convert(node.body), _convert(node.orelse))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return call(node.func.id, *map(_convert, node.args))
    raise ValueError(f"not a scalar expression: {ast.unparse(node)}")


def call(function: str, *args: Expr) -> Call:
    """``function(*args)`` after checking name and arity."""
    primitive = PRIMITIVES.get(function)
    if primitive is None:
        raise ValueError(f"unknown primitive {function}")
    if primitive.arity != len(args):
        raise ValueError(f"{function} takes {primitive.arity} arguments, got {len(args)}")
    return Call(function, args)


def variables(expr: Expr) -> list[str]:
    """Names of the variables, in order of first appearance."""
    found: dict[str, None] = {}

    def visit(node: Expr) -> None:
        if isinstance(node, Var):
            found[node.name] = None
        elif isinstance(node, Call):
            for arg in node.args:
                visit(arg)

    visit(expr)
    return list(found)


def cost(expr: Expr) -> int:
    """Rough cost of one evaluation, in additions."""
    if not isinstance(expr, Call):
        return 0
    return PRIMITIVES[expr.function].cost + sum(map(cost, expr.args))


def substitute(expr: Expr, replacement: Mapping[str, Expr]) -> Expr:
    """``expr`` with variables replaced."""
    if isinstance(expr, Var):
        return replacement.get(expr.name, expr)
    if isinstance(expr, Call):
        return Call(expr.function, tuple(substitute(arg, replacement) for arg in expr.args))
    return expr


def evaluate(expr: Expr, values: Mapping[str, Array | float | int | bool], dtype: DType) -> Array:
    """The value of ``expr`` with arithmetic in ``dtype`` (the operands' ``compute`` type).

    Arrays broadcast.  Literals and scalar attributes take ``dtype``.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_evaluate(expr, values, dtype.numpy))


def _evaluate(expr: Expr, values: Mapping[str, Any], dtype: np.dtype[Any]) -> Any:
    if isinstance(expr, Var):
        value = values[expr.name]
        return value if isinstance(value, np.ndarray) else _typed(value, dtype)
    if isinstance(expr, Literal):
        return _typed(expr.value, dtype)
    args = [_evaluate(arg, values, dtype) for arg in expr.args]
    return PRIMITIVES[expr.function].numpy(*args)


def _typed(value: float | int | bool, dtype: np.dtype[Any]) -> Array:
    # astype, not a constructor: -1 among unsigned numbers is their largest, as in C.
    return np.asarray(value).astype(np.bool_ if isinstance(value, bool) else dtype)


def convert(array: Array, dtype: DType) -> Array:
    """``array`` as ``dtype``, with the conversion every burnish backend implements.

    Float to integer truncates towards zero and saturates, NaN becomes 0; integer to integer
    wraps modulo 2^bits; anything to bool is ``!= 0``; to a narrower float rounds to nearest
    even (overflow gives what the type has: infinity, or NaN).
    """
    source = DType.from_numpy(array.dtype)
    if source is dtype:
        return array
    with np.errstate(all="ignore"):
        if dtype is DType.BOOL:
            return np.asarray(array != 0)
        if source.is_float and dtype.is_integer:
            return _saturate(array, dtype)
        if source.is_integer and source.bits < 8:
            array = array.astype(np.int8)  # ml_dtypes converts these to wider integers only
        if source.is_float and source.bits < 16 and dtype.is_float:
            return array.astype(np.float32).astype(dtype.numpy)
        if source is DType.F64 and dtype.is_float and dtype.bits < 32 and dtype is not DType.F16:
            return _round_to_odd(array).astype(dtype.numpy)
        if dtype.bits < 8 and dtype.is_integer:
            # NumPy's sub-byte integers do not wrap reliably: reduce to the bits first.
            low, _ = dtype.integer_range
            wide = array.astype(np.int64)
            return (((wide - low) & ((1 << dtype.bits) - 1)) + low).astype(dtype.numpy)
        return array.astype(dtype.numpy)


def _round_to_odd(array: Array) -> Array:
    """f64 as f32, inexact numbers rounded to the neighbour with an odd last bit.

    Rounding that to a narrower float equals rounding the f64 at once (Boldo and Melquiond,
    "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008),
    which ml_dtypes, going through a plain f32, does not.
    """
    nearest = np.asarray(array.astype(np.float32))
    inexact = (nearest.astype(np.float64) != array) & ~np.isnan(array)
    too_far = inexact & (np.abs(nearest.astype(np.float64)) > np.abs(array))
    truncated = np.where(too_far, np.nextafter(nearest, np.float32(0)), nearest)
    odd = (truncated.astype(np.float32).view(np.uint32) | np.uint32(1)).view(np.float32)
    return np.where(inexact, odd, nearest).astype(np.float32)


def _saturate(array: Array, dtype: DType) -> Array:
    low, high = dtype.integer_range
    wide = np.trunc(array.astype(np.float64))
    wide = np.where(np.isnan(wide), 0.0, wide)
    # 2^63 and 2^64 are exact doubles, one beyond the range: compare before converting.
    over, under = wide >= float(high), wide <= float(low)
    safe = np.where(over | under, 0.0, wide)
    carrier = np.uint64 if dtype.kind.value == "uint" else np.int64
    result = safe.astype(carrier)
    result = np.where(over, carrier(high), np.where(under, carrier(low), result))
    return result.astype(dtype.numpy)
