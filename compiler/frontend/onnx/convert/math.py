"""Elementwise operators."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from ..items import Item
from ..tensors import ELEMENT_TYPES, Array
from .exponents import cast_to_exponent
from .registry import Converter, converter

LARGEST_FLOAT = {
    DType.F8E4M3FN: 448.0,
    DType.F8E4M3FNUZ: 240.0,
    DType.F8E5M2: 57344.0,
    DType.F8E5M2FNUZ: 57344.0,
    DType.F4E2M1: 6.0,
}
"""The largest finite number of narrow float types, to which conversions saturate."""

_UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh",
    "Atan": "atan", "Atanh": "atanh", "BitwiseNot": "bit_not", "Ceil": "ceil", "Cos": "cos",
    "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor", "HardSwish": "hard_swish",
    "IsNaN": "is_nan", "Log": "log", "Mish": "mish", "Neg": "neg", "Not": "logical_not",
    "Reciprocal": "reciprocal", "Relu": "relu", "Round": "round", "Sigmoid": "sigmoid",
    "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Softplus": "softplus", "Softsign": "softsign",
    "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip

_BINARY = {
    "Add": "add", "And": "logical_and", "BitwiseAnd": "bit_and", "BitwiseOr": "bit_or",
    "BitwiseXor": "bit_xor", "Div": "div", "Equal": "equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal",
    "Mul": "mul", "Or": "logical_or", "Sub": "sub", "Xor": "logical_xor",
}  # fmt: skip

_VARIADIC = {"Max": "max", "Min": "min", "Sum": "add"}

_WITH_FLOATS: dict[str, tuple[str, dict[str, float]]] = {
    "Celu": ("celu", {"alpha": 1.0}),
    "Elu": ("elu", {"alpha": 1.0}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": ("leaky_relu", {"alpha": 0.01}),
    "Selu": (
        "selu",
        {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    ),
    "Shrink": ("shrink", {"lambd": 0.5, "bias": 0.0}),
    "ThresholdedRelu": ("thresholded_relu", {"alpha": 1.0}),
}
"""Operators with float attributes of the same names as the op's, and their defaults."""


def _unary(op: str) -> Converter:
    return lambda node: node.op(op, node.input(0))


def _binary(op: str) -> Converter:
    return lambda node: node.op(op, node.input(0), _aligned(node))


def _aligned(node: NodeContext) -> Value:
    """Input 1, to be broadcast onto input 0.

    Before version 7 its axes start at the attribute ``axis``, and trail only by default.
    """
    x, y = node.input(0), node.input(1)
    if node.version >= 7 or node.attribute("axis") is None:
        return y
    axis = node.axis(node.integer("axis"), x.type.rank)
    return node.reshape(y, (*y.type.shape, *[1] * (x.type.rank - axis - y.type.rank)))


def _variadic(op: str) -> Converter:
    return lambda node: functools.reduce(lambda x, y: node.op(op, x, y), node.inputs)


def _with_floats(op: str, defaults: dict[str, float]) -> Converter:
    def convert(node: NodeContext) -> Value:
        values = {name: node.number(name, default) for name, default in defaults.items()}
        return node.op(op, node.input(0), **values)

    return convert


def _register_tables() -> None:
    tables: list[tuple[dict[str, str], Callable[[str], Converter]]] = [
        (_UNARY, _unary),
        (_BINARY, _binary),
        (_VARIADIC, _variadic),
    ]
    for table, make in tables:
        for op_type, op in table.items():
            converter(op_type)(make(f"math.{op}"))
    for op_type, (op, defaults) in _WITH_FLOATS.items():
        converter(op_type)(_with_floats(f"math.{op}", defaults))


_register_tables()


@converter("Mean")
def _mean(node: NodeContext) -> Value:
    total = functools.reduce(lambda x, y: node.op("math.add", x, y), node.inputs)
    return node.op("math.div", total, node.scalar(len(node.inputs), total.type.dtype))


@converter("Pow")
def _power(node: NodeContext) -> Value:
    """The exponent may have another type than the base, whose type the result has."""
    base, exponent = node.input(0), _aligned(node)
    dtype = base.type.dtype
    if exponent.type.dtype.is_float and not dtype.is_float:
        wide = node.op("math.pow", node.cast(base, DType.F64), node.cast(exponent, DType.F64))
        return node.cast(wide, dtype)
    return node.op("math.pow", base, node.cast(exponent, dtype))


@converter("Mod")
def _modulo(node: NodeContext) -> Value:
    op = "math.truncated_mod" if node.flag("fmod") else "math.floor_mod"
    return node.op(op, node.input(0), node.input(1))


@converter("BitShift")
def _bit_shift(node: NodeContext) -> Value:
    direction = node.string("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise ModelError(f"attribute direction is {direction!r}, not LEFT or RIGHT")
    return node.op(f"math.shift_{direction.lower()}", node.input(0), node.input(1))


@converter("IsInf")
def _is_inf(node: NodeContext) -> Value:
    return node.op(
        "math.is_inf",
        node.input(0),
        negative=node.flag("detect_negative", True),
        positive=node.flag("detect_positive", True),
    )


@converter("Gelu")
def _gelu(node: NodeContext) -> Value:
    forms = {"none": "math.gelu", "tanh": "math.gelu_tanh"}
    form = node.string("approximate", "none")
    if form not in forms:
        raise ModelError(f"attribute approximate is {form!r}, not none or tanh")
    return node.op(forms[form], node.input(0))


@converter("Swish")
def _swish(node: NodeContext) -> Value:
    return node.op("math.silu", node.input(0), alpha=node.number("alpha", 1.0))


@converter("PRelu")
def _parametric_relu(node: NodeContext) -> Value:
    x, slope = node.input(0), node.input(1)
    if node.version < 7 and slope.type.rank == 1:  # one slope per channel
        slope = node.reshape(slope, (*slope.type.shape, *[1] * (x.type.rank - 2)))
    result = node.op("math.prelu", x, slope)
    if result.type.shape != x.type.shape:
        raise ModelError(f"a slope of type {slope.type} does not broadcast to {x.type}")
    return result


@converter("Where")
def _where(node: NodeContext) -> Value:
    return node.op("math.select", node.input(0), node.input(1), node.input(2))


@converter("Clip")
def _clip_by_attributes(node: NodeContext) -> Value:
    return _clamp(node, node.number("min", -math.inf), node.number("max", math.inf))


@converter("Clip", since=11)
def _clip(node: NodeContext) -> Value:
    x, low, high = node.input(0), node.optional(1), node.optional(2)
    constants = [None if bound is None else bound.constant for bound in (low, high)]
    known = all(
        bound is None or constant is not None
        for bound, constant in zip((low, high), constants, strict=True)
    )
    if x.type.dtype.is_float and known:
        bounds = [
            default if constant is None else _single(constant.array)
            for constant, default in zip(constants, (-math.inf, math.inf), strict=True)
        ]
        if not any(map(math.isnan, bounds)):
            return _clamp(node, bounds[0], bounds[1])
    if low is not None:
        x = node.op("math.max", x, node.reshape(low, ()))
    if high is not None:
        x = node.op("math.min", x, node.reshape(high, ()))
    return x


def _clamp(node: NodeContext, low: float, high: float) -> Value:
    x = node.input(0)
    if (low, high) == (-math.inf, math.inf):
        return x
    return node.op("math.clamp", x, low=low, high=high)


def _single(array: Array) -> float:
    if array.size != 1:
        raise ModelError(f"a bound has {array.size} elements, not one")
    return float(array.reshape(-1)[0])


@converter("Cast")
def _cast_by_name(node: NodeContext) -> Value:
    """Before version 6 the type is given by its name."""
    name = node.string("to")
    row = next((row for row in ELEMENT_TYPES.values() if row.name == name), None)
    if row is None:
        raise ModelError(f"attribute to = {clip(name)!r} is no element type of ONNX")
    if row.dtype is None:
        node.refuse(f"element type {row.name}")
    return _cast_to(node, row.dtype)


@converter("Cast", since=6)
def _cast(node: NodeContext) -> Value:
    return _cast_to(node, node.dtype("to"))


@converter("CastLike")
def _cast_like(node: NodeContext) -> Value:
    return _cast_to(node, node.input(1).type.dtype)


@converter("BitCast")
def _bit_cast(node: NodeContext) -> Value:
    return node.op("tensor.bitcast", node.raw(node.input(0)), to=node.dtype("to"))


def _cast_to(node: NodeContext, dtype: DType) -> Value:
    """A cast; to eight-bit floats it saturates unless the node says otherwise."""
    x = node.input(0)
    if dtype is DType.F8E8M0 and x.type.dtype is not dtype:
        return cast_to_exponent(node, x)
    if dtype.is_integer and dtype.bits < 8 and x.type.dtype.is_float:
        x = node.cast(x, DType.I32)  # the low bits of the integer part: it wraps
    narrow = dtype in LARGEST_FLOAT
    is_new = x.type.dtype.is_float and x.type.dtype is not dtype
    if narrow and is_new and node.flag("saturate", True):
        largest = LARGEST_FLOAT[dtype]
        x = node.op("math.clamp", x, low=-largest, high=largest)
    return node.cast(x, dtype)


@converter("Identity")
def _identity(node: NodeContext) -> Item:
    item = node.item(0)
    return node.input(0) if item is None else item


@converter("Dropout")
def _dropout(node: NodeContext) -> list[Value | None]:
    """Inference passes everything through: the mask is all true."""
    x = node.input(0)
    if node.has(2) and node.known_int(node.input(2), "training_mode"):
        node.refuse("training mode")
    mask = None
    if node.wants(1):
        dtype = DType.BOOL if node.version >= 10 else x.type.dtype
        mask = node.broadcast(node.scalar(True, dtype), x.type.shape)
    return [x, mask]
