"""Quantized storage: encodings of types become scales and zero points beside the data."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from burnish.ir import Array, DType, Quantized

from ..builder import Term, relay_dtype
from ..context import Context
from ..elementwise import expression, round_even
from ..registry import lowering

_STORAGE = (DType.I8, DType.U8, DType.I32)
"""Storage that Relay's quantized operators take."""


def _is_native(q: Quantized, storage: DType) -> bool:
    """Whether Relay's operators know the encoding: one of 32-bit floats, without blocks."""
    return q.dtype is DType.F32 and not q.block and storage in _STORAGE


def _spread(values: Any, q: Quantized, shape: tuple[int, ...], dtype: DType) -> Array:
    """Parameters as an array that broadcasts onto a tensor of ``shape``."""
    array = np.asarray(values, dtype.numpy)
    if q.axis is None:
        return array.reshape(())
    if not q.block:
        return array.reshape([-1 if axis == q.axis else 1 for axis in range(len(shape))])
    sizes = [-(-n // q.block) if axis == q.axis else n for axis, n in enumerate(shape)]
    repeated = np.repeat(array.reshape(sizes), q.block, axis=q.axis)
    return repeated[tuple(slice(n) for n in shape)]


def _parameters(c: Context, q: Quantized) -> tuple[Term, Term, dict[str, int]]:
    """Scale, zero point and axis as Relay's quantized operators take them."""
    shape = () if q.axis is None else (len(q.scale),)
    scale = c.array(np.array(q.scale, np.float32).reshape(shape))
    zero = c.array(np.array(q.zero_point, np.int32).reshape(shape))
    return scale, zero, {} if q.axis is None else {"axis": q.axis}


@lowering("quant.quantize", layouts=True)
def _quantize(c: Context) -> Term:
    """``qnn.quantize`` takes ties away from zero: where that matters, it is written out."""
    q: Quantized = c.a.encoding
    c.require(q.axis is None or c.layout() is None, "scales along an axis of a layout")
    storage: DType = c.a.dtype
    if not c.choices.exact and _is_native(q, storage):
        scale, zero, axis = _parameters(c, q)
        return c.call(
            "qnn.quantize", c.input(0), scale, zero, out_dtype=relay_dtype(storage), **axis
        )
    x = c.wide(0)
    ratio = c.call("divide", x, c.array(_spread(q.scale, q, x.shape, x.dtype)))
    if storage.is_float:
        finfo: Any = ml_dtypes.finfo
        limit = c.scalar(float(finfo(storage.numpy).max), x.dtype)
        values = {"x": ratio, "limit": limit}
        return c.cast(expression(c, "min(max(x, -limit), limit)", values, x.dtype), storage)
    if storage.bits > 16:
        rounded = c.cast(round_even(c, c.apart(ratio)), DType.F64)
        zero = c.array(_spread(q.zero_point, q, x.shape, DType.F64))
        return c.cast(c.call("add", rounded, zero), storage)
    whole = _rounded(c, ratio)
    if any(q.zero_point):
        whole = c.call("add", whole, c.array(_spread(q.zero_point, q, x.shape, whole.dtype)))
    low, high = storage.integer_range
    return c.plain_cast(c.call("clip", whole, a_min=float(low), a_max=float(high)), storage)


_ROUNDING = {DType.F32: (DType.I32, 23), DType.F64: (DType.I64, 52)}
"""Integers as wide as floats, and the bits of their mantissas."""


def _rounded(c: Context, x: Term) -> Term:
    """The nearest integers, ties to even, of what is within ±2¹⁷; else something beyond that.

    A number n around 1.5·2^m, m the mantissa's bits, has no fraction: adding rounds, and the bits
    of the sum, read as an integer, are n more than those of 1.5·2^m.  TVM would leave out a
    subtraction of floats that undoes the addition.
    """
    integer, bits = _ROUNDING[x.dtype]
    magic = np.array(1.5 * 2.0**bits, x.dtype.numpy)
    x = c.call("clip", x, a_min=-float(1 << 17), a_max=float(1 << 17))
    total = c.call("add", x, c.array(magic))
    read = c.call("reinterpret", total, dtype=relay_dtype(integer))
    return c.call("subtract", read, c.array(magic.view(integer.numpy)))


@lowering("quant.dequantize", layouts=True)
def _dequantize(c: Context) -> Term:
    type_ = c.type()
    q, x = type_.quantized, c.input(0)
    assert q is not None
    c.require(q.axis is None or c.layout() is None, "scales along an axis of a layout")
    if _is_native(q, type_.dtype):
        scale, zero, axis = _parameters(c, q)
        more = {} if c.builder.version == "0.10" else {"out_dtype": "float32"}
        return c.call("qnn.dequantize", x, scale, zero, **axis, **more)
    if type_.dtype.is_float:
        difference = c.cast(x, q.dtype.compute)
    else:
        zero = c.array(_spread(q.zero_point, q, x.shape, DType.I64))
        difference = c.call("subtract", c.cast(x, DType.I64), zero)
        difference = c.cast(difference, q.dtype.compute)
    scale = c.array(_spread(q.scale, q, x.shape, q.dtype.compute))
    return c.cast(c.call("multiply", difference, scale), q.dtype)
