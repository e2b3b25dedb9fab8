"""Reductions along axes, cumulative sums, and selection of the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import DType

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from ..schemas import find_schema

_OPERATORS = {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "prod": "ReduceProd",
    "min": "ReduceMin",
    "max": "ReduceMax",
    "any": "ReduceMax",
    "all": "ReduceMin",
}
_GLOBAL_POOLS = {"mean": "GlobalAveragePool", "max": "GlobalMaxPool"}


@exporter("tensor.reduce")
def _reduce(c: Context) -> Edge:
    x, kind, axes = c.input(0), c.a.kind, c.a.axes
    if not axes:
        return c.identity(x)
    rank = c.type().rank
    pool = _GLOBAL_POOLS.get(kind)
    spatial = rank > 2 and axes == tuple(range(2, rank)) and c.a.keep_dims
    pooled = x.dtype in (DType.F16, DType.F32) and 0 not in c.type().shape
    if pool and spatial and pooled:
        return c.node(pool, x)
    if kind == "mean" and x.dtype.is_integer:
        return _integer_mean(c, x)
    if x.dtype is DType.BOOL:  # of nothing, runtimes know no extreme of bools
        x = c.cast(x, DType.U8) if 0 in c.type().shape else x
        return c.cast(reduced(c, _OPERATORS[kind], x, axes, keep=c.a.keep_dims), DType.BOOL)
    return reduced(c, _OPERATORS[kind], x, axes, keep=c.a.keep_dims)


def reduced(c: Context, op_type: str, x: Edge, axes: Sequence[int], *, keep: bool) -> Edge:
    """A reduction, whose axes are an operand or, in older opsets, an attribute."""
    schema = find_schema(op_type, c.opset)
    assert schema is not None
    keepdims = None if keep else 0
    if len(schema.inputs) > 1:
        return c.node(op_type, x, c.ints(axes), keepdims=keepdims)
    return c.node(op_type, x, axes=tuple(axes), keepdims=keepdims)


def _integer_mean(c: Context, x: Edge) -> Edge:
    """The sum, which wraps, divided by the count, truncated."""
    sizes = c.type().static_shape
    count = math.prod(sizes[axis] for axis in c.a.axes)
    total = reduced(c, "ReduceSum", x, c.a.axes, keep=c.a.keep_dims)
    if not count:
        return total
    widest = DType.I64 if x.dtype.is_signed else DType.U64
    mean = c.node("Div", c.cast(total, widest), c.scalar(count, widest))
    return c.cast(mean, x.dtype)


@exporter("tensor.arg_reduce")
def _arg_reduce(c: Context) -> Edge:
    return c.node(
        "ArgMin" if c.a.kind == "min" else "ArgMax",
        c.input(0),
        chooses=True,
        axis=c.a.axis,
        keepdims=int(c.a.keep_dims),
        select_last_index=int(c.a.last) or None,
    )


_CUMULATIVE = {"tensor.cumulative_sum": "CumSum", "tensor.cumulative_product": "CumProd"}


@exporter(*_CUMULATIVE)
def _cumulative(c: Context) -> Edge:
    return c.node(
        _CUMULATIVE[c.op.name],
        c.input(0),
        c.constant(np.array(c.a.axis, np.int64)),
        exclusive=int(c.a.exclusive) or None,
        reverse=int(c.a.reverse) or None,
    )


@exporter("tensor.top_k")
def _top_k(c: Context) -> Sequence[Edge]:
    return c.nodes(
        "TopK",
        c.input(0),
        c.ints([c.a.k]),
        outputs=(None, None),
        chooses=True,
        axis=c.a.axis,
        largest=int(c.a.largest),
        sorted=int(c.a.sorted),
    )
