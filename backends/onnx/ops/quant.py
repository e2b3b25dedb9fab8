"""Quantized storage: encodings of types become scales and zero points beside the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.ir import DType, Quantized, TensorType
from burnish.ir.ops.quant import largest_stored, spread

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from ..schemas import allowed_dtypes, find_schema, work_dtype


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


def _has_operator(c: Context, op_type: str, q: Quantized, storage: DType, real: str) -> bool:
    """Whether the operator takes the storage, the real numbers and the blocks.

    ``real`` and ``stored`` are the type variables of both, which have moved between opsets.
    """
    schema = find_schema(op_type, c.opset)
    assert schema is not None
    variables = {formal.name: formal.type_str for formal in (*schema.inputs, *schema.outputs)}
    stored = "y" if real == "x" else "x"
    takes = {name: allowed_dtypes(op_type, c.opset, "", variables[name]) for name in (real, stored)}
    return (
        storage in takes[stored]
        and work_dtype(q.dtype, takes[real]) is not None
        and (not q.block or "block_size" in schema.attributes)
    )


@exporter("quant.quantize")
def _quantize(c: Context) -> Edge:
    q: Quantized = c.a.encoding
    storage: DType = c.a.dtype
    if _has_operator(c, "QuantizeLinear", q, storage, "x"):
        scale, point, attributes = parameters(c, q, storage, c.type())
        return c.node("QuantizeLinear", c.input(0), scale, point, dtype=storage, **attributes)
    work = c.type().dtype.compute
    ratio = c.node("Div", c.cast(c.input(0), work), _spread(c, q.scale, q, work))
    if storage.is_float:
        limit = largest_stored(storage)
        return c.cast(c.node("Clip", ratio, c.scalar(-limit, work), c.scalar(limit, work)), storage)
    point = _spread(c, q.zero_point, q, DType.F64)
    stored = c.node("Add", c.cast(c.node("Round", ratio), DType.F64), point)
    stored = c.node("Where", c.node("IsNaN", ratio), point, stored)
    low, high = (c.scalar(bound, DType.F64) for bound in storage.integer_range)
    return c.cast(c.node("Clip", stored, low, high), storage)


@exporter("quant.dequantize")
def _dequantize(c: Context) -> Edge:
    type_ = c.type()
    q = type_.quantized
    assert q is not None
    if _has_operator(c, "DequantizeLinear", q, type_.dtype, "y"):
        scale, point, attributes = parameters(c, q, type_.dtype, type_)
        return c.node("DequantizeLinear", c.input(0), scale, point, dtype=q.dtype, **attributes)
    work = q.dtype.compute
    stored = c.input(0)
    if type_.dtype.is_integer and any(q.zero_point):
        point = _spread(c, q.zero_point, q, DType.I64)
        stored = c.node("Sub", c.cast(stored, DType.I64), point)
    product = c.node("Mul", c.cast(stored, work), _spread(c, q.scale, q, work))
    return c.cast(product, q.dtype)


def _spread(
    c: Context, values: tuple[float, ...] | tuple[int, ...], q: Quantized, dtype: DType
) -> Edge:
    """Scales or zero points as a constant that broadcasts onto the operand."""
    shape = c.type().static_shape if q.block else (1,) * c.type().rank
    return c.constant(np.array(spread(values, q, shape, dtype)))


@exporter("quant.reinterpret")
def _reinterpret(c: Context) -> Edge:
    """The same storage; what it means stands at the nodes that use it."""
    return c.input(0)
