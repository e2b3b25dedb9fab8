"""Quantized storage: encodings of types become scales and zero points beside the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import DType, Quantized, TensorType

from ..context import Context
from ..graph import Edge
from ..registry import exporter


def parameters(
    c: Context, q: Quantized, storage: DType, type_: TensorType
) -> tuple[Edge, Edge | None, dict[str, Any]]:
    """Scale, zero point, and the attributes that say how they vary over a tensor of ``type_``."""
    shape: tuple[int, ...] = () if q.axis is None else (len(q.scale),)
    attributes: dict[str, Any] = {} if q.axis is None else {"axis": q.axis}
    if q.block and q.axis is not None:
        sizes = type_.static_shape
        shape = tuple(-(-n // q.block) if i == q.axis else n for i, n in enumerate(sizes))
        attributes["block_size"] = q.block
    scale = c.constant(np.array(q.scale, q.dtype.numpy).reshape(shape))
    points = np.array(q.zero_point, np.int64).reshape(shape).astype(storage.numpy)
    # Of 32 bits only the absent zero point is in all opsets, and means the same.
    if storage is DType.I32 and not points.any():
        return scale, None, attributes
    return scale, c.constant(points), attributes


@exporter("quant.quantize")
def _quantize(c: Context) -> Edge:
    q: Quantized = c.a.encoding
    scale, point, attributes = parameters(c, q, c.a.dtype, c.type())
    return c.node("QuantizeLinear", c.input(0), scale, point, dtype=c.a.dtype, **attributes)


@exporter("quant.dequantize")
def _dequantize(c: Context) -> Edge:
    type_ = c.type()
    q = type_.quantized
    assert q is not None
    scale, point, attributes = parameters(c, q, type_.dtype, type_)
    return c.node("DequantizeLinear", c.input(0), scale, point, dtype=q.dtype, **attributes)


@exporter("quant.reinterpret")
def _reinterpret(c: Context) -> Edge:
    """The same storage; what it means stands at the nodes that use it."""
    return c.input(0)
