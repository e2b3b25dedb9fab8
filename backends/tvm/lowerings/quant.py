"""Between real numbers and their quantized storage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import tirx

from burnish.ir import Dim, DType, Quantized
from burnish.ir.ops.quant import largest_stored

from ..registry import Expr
from .context import Context, Tensor, compute, is_coded, te_lowering, widened
from .scalars import Scalar, cast, converted, expression


def _parameters(c: Context, q: Quantized, shape: Sequence[Dim], dtype: DType) -> list[Expr]:
    """Scale and zero point as vectors, or as tensors of one entry per block."""
    if q.axis is None:
        sizes: list[int] = [1]
    elif q.block:
        known = c.static(shape, "a quantization by blocks of a tensor")
        sizes = [-(-n // q.block) if axis == q.axis else n for axis, n in enumerate(known)]
    else:
        sizes = [len(q.scale)]
    return [
        c.constant(np.asarray(values, kind.numpy).reshape(sizes))
        for values, kind in ((q.scale, dtype), (q.zero_point, DType.I64))
    ]


def _parameter(x: Tensor, q: Quantized, index: Sequence[Scalar]) -> Scalar:
    """The parameter that is for an element."""
    if q.axis is None:
        return x(0)
    if q.block:
        own = [tirx.floordiv(at, q.block) if i == q.axis else at for i, at in enumerate(index)]
        return x(*own)
    return x(index[q.axis])


@te_lowering("quant.quantize")
def _quantize(c: Context) -> Expr:
    q: Quantized = c.a.encoding
    storage: DType = c.a.dtype
    work = c.type().dtype.compute
    scale, zero = _parameters(c, q, c.type().shape, work)
    if storage.is_float:
        limit = largest_stored(storage)

        def limited(x: Tensor, scale: Tensor) -> Tensor:
            def element(*index: Scalar) -> Scalar:
                values = {"x": x(*index), "s": _parameter(scale, q, index), "limit": limit}
                return expression("min(max(x / s, -limit), limit)", values, work)

            return compute(x.shape, element)

        return c.cast(c.te(limited, c.wide(0), scale), work, storage)

    def function(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            values = {"x": x(*index), "s": _parameter(scale, q, index)}
            text = "0 if is_nan(x / s) else round_even(x / s)"
            # f64 holds the sum exactly: rounded ratios and zero points are integers.
            rounded = cast(expression(text, values, work), DType.F64)
            offset = cast(_parameter(zero, q, index), DType.F64)
            low, high = storage.integer_range
            if storage.bits <= 16:
                total = tirx.max(tirx.min(rounded + offset, float(high)), float(low))
                return cast(cast(total, DType.I32), storage)
            return converted(rounded + offset, DType.F64, storage)

        return compute(x.shape, element)

    return c.te(function, c.wide(0), scale, zero)


@te_lowering("quant.dequantize")
def _dequantize(c: Context) -> Expr:
    type_ = c.type()
    q = type_.quantized
    assert q is not None
    work, dtype = q.dtype.compute, type_.dtype
    scale, zero = _parameters(c, q, type_.shape, work)
    known = dtype.compute if is_coded(dtype) else dtype
    x = c.wide(0) if is_coded(dtype) else c.input(0)

    def function(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            value = widened(x(*index), known)
            if not dtype.is_float:
                value = cast(value, DType.I64) - _parameter(zero, q, index)
            return cast(value, work) * _parameter(scale, q, index)

        return compute(x.shape, element)

    return c.cast(c.te(function, x, scale, zero), work, q.dtype)
