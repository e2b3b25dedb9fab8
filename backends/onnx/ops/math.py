"""Elementwise ops: by name where ONNX has the operator, else from their scalar expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from burnish.ir import DType, scalar

from ..context import Context, Refusal
from ..elementwise import from_expression, modulo, shift
from ..graph import Edge
from ..registry import exporter

NAMES = {
    "math.abs": "Abs",
    "math.acos": "Acos",
    "math.acosh": "Acosh",
    "math.add": "Add",
    "math.asin": "Asin",
    "math.asinh": "Asinh",
    "math.atan": "Atan",
    "math.atanh": "Atanh",
    "math.bit_and": "BitwiseAnd",
    "math.bit_not": "BitwiseNot",
    "math.bit_or": "BitwiseOr",
    "math.bit_xor": "BitwiseXor",
    "math.ceil": "Ceil",
    "math.celu": "Celu",
    "math.cos": "Cos",
    "math.cosh": "Cosh",
    "math.div": "Div",
    "math.elu": "Elu",
    "math.equal": "Equal",
    "math.erf": "Erf",
    "math.exp": "Exp",
    "math.floor": "Floor",
    "math.gelu": "Gelu",
    "math.greater": "Greater",
    "math.greater_equal": "GreaterOrEqual",
    "math.hard_sigmoid": "HardSigmoid",
    "math.is_nan": "IsNaN",
    "math.leaky_relu": "LeakyRelu",
    "math.less": "Less",
    "math.less_equal": "LessOrEqual",
    "math.log": "Log",
    "math.logical_and": "And",
    "math.logical_not": "Not",
    "math.logical_or": "Or",
    "math.logical_xor": "Xor",
    "math.max": "Max",
    "math.min": "Min",
    "math.mish": "Mish",
    "math.mul": "Mul",
    "math.neg": "Neg",
    "math.pow": "Pow",
    "math.reciprocal": "Reciprocal",
    "math.relu": "Relu",
    "math.round": "Round",
    "math.selu": "Selu",
    "math.shrink": "Shrink",
    "math.sigmoid": "Sigmoid",
    "math.sign": "Sign",
    "math.silu": "Swish",
    "math.sin": "Sin",
    "math.sinh": "Sinh",
    "math.softplus": "Softplus",
    "math.softsign": "Softsign",
    "math.sqrt": "Sqrt",
    "math.sub": "Sub",
    "math.tan": "Tan",
    "math.tanh": "Tanh",
    "math.thresholded_relu": "ThresholdedRelu",
}
"""Ops that are one operator with the same operands and attributes."""


@exporter(*NAMES)
def _named(c: Context) -> Edge:
    """The operator, if the opset has it for the element type; else what the op means."""
    attributes: dict[str, Any] = {
        name: value for name, value in c.a.items() if isinstance(value, (int, float))
    }
    try:
        return c.node(NAMES[c.op.name], *c.inputs(), **attributes)
    except Refusal:
        return composed(c)


def composed(c: Context) -> Edge:
    """Nodes for what is no operator in the opset."""
    return _COMPOSED.get(c.op.name, from_expression)(c)


@exporter("math.select")
def _select(c: Context) -> Edge:
    """Runtimes have no Where for bools."""
    condition, x, y = (c.input(index) for index in range(3))
    if x.dtype is not DType.BOOL:
        return c.node("Where", condition, x, y)
    chosen = c.node("And", condition, x)
    return c.node("Or", chosen, c.node("And", c.node("Not", condition), y))


@exporter("math.gelu_tanh")
def _gelu_tanh(c: Context) -> Edge:
    if c.has("Gelu"):
        return c.node("Gelu", c.input(0), approximate="tanh")
    return from_expression(c)


@exporter("math.not_equal")
def _not_equal(c: Context) -> Edge:
    return c.node("Not", c.node("Equal", *c.inputs()))


@exporter("math.rsqrt")
def _reciprocal_square_root(c: Context) -> Edge:
    x = c.input(0)
    root = c.node("Sqrt", c.cast(x, x.dtype.compute))
    return c.cast(c.node("Reciprocal", root), x.dtype)


@exporter("math.is_inf")
def _is_inf(c: Context) -> Edge:
    return c.node(
        "IsInf",
        c.input(0),
        detect_negative=None if c.a.negative else 0,
        detect_positive=None if c.a.positive else 0,
    )


@exporter("math.hard_swish")
def _hard_swish(c: Context) -> Edge:
    """A sixth of single precision is part of HardSwish, and of HardSigmoid."""
    dtype = c.type().dtype
    if dtype is DType.F64:
        return from_expression(c)
    if c.has("HardSwish"):
        return c.node("HardSwish", c.input(0))
    x = c.cast(c.input(0), dtype.compute)
    return c.cast(c.node("Mul", x, c.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)), dtype)


@exporter("math.prelu")
def _prelu(c: Context) -> Edge:
    """The slope of PRelu broadcasts onto x, not the other way."""
    if c.type(0).shape != c.op.result.type.shape:
        return from_expression(c)
    return c.node("PRelu", *c.inputs())


@exporter("math.clamp")
def _clamp(c: Context) -> Edge:
    x, low, high = c.input(0), c.a.low, c.a.high
    if (low, high) == (0.0, math.inf):
        return c.node("Relu", x)
    if (low, high) == (-math.inf, math.inf):
        return x
    # An absent bound would be the largest finite number, not infinity, which narrow floats lack.
    work = x.dtype if c.allows("Clip", x.dtype) else x.dtype.compute
    bounds = (c.constant(scalar.convert(np.array(bound), work)) for bound in (low, high))
    return c.cast(c.node("Clip", c.cast(x, work), *bounds), x.dtype)


@exporter("math.floor_mod", "math.truncated_mod")
def _remainder(c: Context) -> Edge:
    x, y = c.input(0), c.input(1)
    wide = [c.cast(edge, edge.dtype.compute) for edge in (x, y)]
    return c.cast(modulo(c, *wide, floor=c.op.name == "math.floor_mod"), x.dtype)


@exporter("math.shift_left", "math.shift_right")
def _shifted(c: Context) -> Edge:
    return shift(c, c.input(0), c.input(1), left=c.op.name == "math.shift_left")


@exporter("math.cast")
def _cast(c: Context) -> Edge:
    return c.cast(c.input(0), c.a.to)


def _silu(c: Context) -> Edge:
    x = c.cast(c.input(0), c.input(0).dtype.compute)
    steep = x if c.a.alpha == 1 else c.node("Mul", x, c.scalar(c.a.alpha, x.dtype))
    return c.cast(c.node("Mul", x, c.node("Sigmoid", steep)), c.input(0).dtype)


_COMPOSED: dict[str, Callable[[Context], Edge]] = {"math.silu": _silu}
"""Shorter than the expression would be."""
