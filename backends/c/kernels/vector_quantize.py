"""Quantization within vectors of f32: the same results as element by element, bit for bit.

A stored number is held as a float, less the zero point: whole numbers of up to 17 bits are exact,
and so is their difference.  What is stored is converted when it is written.
"""

from __future__ import annotations

import numpy as np

from burnish.ir import DType, Op, Quantized, TensorType
from burnish.ir.errors import InternalError

from ..code import Expr, binary
from ..elements import literal
from ..vectors import VectorRenderer


def is_vector_storage(type_: TensorType) -> bool:
    """Whether vectors hold stored numbers of this type: small integers with one zero point."""
    q, dtype = type_.quantized, type_.dtype
    return (
        q is not None
        and q.axis is None
        and q.dtype is DType.F32
        and dtype.is_integer
        and dtype.bits in (8, 16)
        and _lowest(type_) >= -(1 << 17)
        and _highest(type_) <= 1 << 17
    )


def is_vector_quantizing(op: Op) -> bool:
    """Whether :func:`quantizing` computes ``op``."""
    if op.name == "quant.quantize":
        return is_vector_storage(op.result.type)
    return op.name == "quant.dequantize" and is_vector_storage(op.inputs[0].type)


def quantizing(vectors: VectorRenderer, op: Op, value: Expr) -> Expr:
    """The result of ``op``, from the variable or number that its operand is."""
    if op.name == "quant.dequantize":
        return binary("*", value, _scale(op.inputs[0].type))
    stored = op.result.type
    ratio = binary("/", value, _scale(stored))
    return vectors.rounded(ratio, _number(_lowest(stored)), _number(_highest(stored)))


def load(vectors: VectorRenderer, type_: TensorType, place: Expr) -> Expr:
    """The vector that begins with the stored number at an lvalue."""
    return _shifted("-", vectors.load_integers(place, str(type_.dtype)), type_)


def splat(vectors: VectorRenderer, type_: TensorType, number: Expr) -> Expr:
    """A vector of one stored number."""
    return _shifted("-", vectors.splat(number), type_)


def store(vectors: VectorRenderer, type_: TensorType, place: Expr, value: Expr) -> str:
    """The statement that writes a vector to where the stored number at an lvalue is the first."""
    return vectors.store_integers(place, str(type_.dtype), _shifted("+", value, type_))


def _shifted(operator: str, value: Expr, type_: TensorType) -> Expr:
    zero_point = _encoding(type_).zero_point[0]
    return value if zero_point == 0 else binary(operator, value, _number(zero_point))


def _scale(type_: TensorType) -> Expr:
    return _number(np.float32(_encoding(type_).scale[0]).item())


def _number(value: float) -> Expr:
    return literal(float(value), DType.F32)


def _lowest(type_: TensorType) -> int:
    return type_.dtype.integer_range[0] - _encoding(type_).zero_point[0]


def _highest(type_: TensorType) -> int:
    return type_.dtype.integer_range[1] - _encoding(type_).zero_point[0]


def _encoding(type_: TensorType) -> Quantized:
    if type_.quantized is None:
        raise InternalError(f"{type_} is not quantized")
    return type_.quantized
