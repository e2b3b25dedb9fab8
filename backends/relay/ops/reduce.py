"""Reductions along axes, cumulative sums, and selection of the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import DType

from ..builder import Term
from ..context import Context
from ..registry import lowering
from ..storage_order import layout_of, outer_axis, stored_anew


@lowering("tensor.reduce", layouts=True)
def _reduce(c: Context) -> Term:
    """Where axes go, what is left lies in order."""
    layout, sizes = layout_of(c.type()), c.type().static_shape
    if layout is None:
        return _reduction(c, c.a.axes, keep=c.a.keep_dims)
    if c.a.keep_dims:
        c.layout()
    c.require(not set(c.a.axes) & set(dict(layout.tiles)), f"sums over blocks of {layout}")
    y = _reduction(c, [outer_axis(layout, axis) for axis in c.a.axes], keep=True)
    if c.a.keep_dims:
        return y
    left = tuple(1 if axis in c.a.axes else size for axis, size in enumerate(sizes))
    return c.reshape(stored_anew(c, y, left, layout, None), c.shape())


def _reduction(c: Context, axes: Sequence[int], *, keep: bool) -> Term:
    """The reduction over the axes of what is stored."""
    x, kind = c.wide(0), c.a.kind
    if not axes:
        return c.input(0)
    count = math.prod(x.shape[axis] for axis in axes)
    if count == 0:
        return c.array(np.full(c.shape(), _neutral(kind, x.dtype), x.dtype.numpy))
    if kind == "mean" and x.dtype.is_integer:
        widest = DType.I64 if x.dtype.is_signed else DType.U64
        total = c.cast(reduced(c, "sum", x, axes, keep=keep), widest)
        return c.cast(c.call("divide", total, c.scalar(count, widest)), x.dtype)
    return c.cast(reduced(c, kind, x, axes, keep=keep), c.type().dtype)


def reduced(c: Context, kind: str, x: Term, axes: Sequence[int], *, keep: bool) -> Term:
    """A reduction.

    Relay's extremes of floats start from the last finite number: where there is nothing but
    infinities they would be that.  And they pass over NaN.
    """
    y = c.call(kind, x, axis=tuple(axes), keepdims=keep)
    if kind not in ("min", "max") or not x.dtype.is_float:
        return y
    limit = c.scalar(_neutral(kind, x.dtype), x.dtype)
    nothing = c.call("all", c.call("equal", x, limit), axis=tuple(axes), keepdims=keep)
    lost = c.call("any", c.call("isnan", x), axis=tuple(axes), keepdims=keep)
    return c.where(lost, c.scalar(math.nan, x.dtype), c.where(nothing, limit, y))


def _neutral(kind: str, dtype: DType) -> float | int | bool:
    """What the reduction of nothing gives."""
    if kind in ("any", "all", "sum", "prod"):
        return {"any": False, "all": True, "sum": 0, "prod": 1}[kind]
    if kind == "mean":
        return math.nan if dtype.is_float else 0
    if dtype.is_float:
        return math.inf if kind == "min" else -math.inf
    low, high = dtype.integer_range
    return high if kind == "min" else low


@lowering("tensor.arg_reduce")
def _arg_reduce(c: Context) -> Term:
    x, keep = c.wide(0), c.a.keep_dims

    def place_of(kind: str, term: Term) -> Term:
        return c.call(kind, term, axis=(c.a.axis,), keepdims=keep, select_last_index=c.a.last)

    place = place_of(f"arg{c.a.kind}", x)
    # TVM starts from the last number of the type, at no place.
    none = c.call("less", place, c.scalar(0, place.dtype))
    first = c.type().static_shape[c.a.axis] - 1 if c.a.last else 0
    place = c.where(none, c.scalar(first, place.dtype), place)
    if x.dtype.is_float:  # NaN is more extreme than any number, and TVM passes over it
        lost = c.call("isnan", x)
        some = c.call("any", lost, axis=(c.a.axis,), keepdims=keep)
        place = c.where(some, place_of("argmax", c.cast(lost, DType.I32)), place)
    return c.cast(place, DType.I64)


_CUMULATIVE = {"tensor.cumulative_sum": "cumsum", "tensor.cumulative_product": "cumprod"}


@lowering(*_CUMULATIVE)
def _cumulative(c: Context) -> Term:
    x = c.wide(0)
    x = c.call("reverse", x, axis=c.a.axis) if c.a.reverse else x
    y = c.call(
        _CUMULATIVE[c.op.name], x, axis=c.a.axis, dtype=x.tensor.dtype, exclusive=c.a.exclusive
    )
    y = c.call("reverse", y, axis=c.a.axis) if c.a.reverse else y
    return c.cast(y, c.type().dtype)


SORTED_INTEGERS = (DType.I8, DType.U8, DType.I32, DType.I64)
"""Types of integers that TVM's sort knows."""


@lowering("tensor.top_k")
def _top_k(c: Context) -> Sequence[Term]:
    """Relay's sort is stable, so that of equal elements those at lower positions come first."""
    x, sorted_ = c.input(0), c.wide(0)
    flip = None
    if x.dtype.is_integer and x.dtype not in SORTED_INTEGERS:
        sorted_ = c.plain_cast(x, DType.I64)
        if x.dtype is DType.U64:  # in the order of unsigned numbers once the first bit is turned
            flip = c.scalar(-(1 << 63), DType.I64)
            sorted_ = c.call("bitwise_xor", sorted_, flip)
    rising = not c.a.largest
    result = c.call(
        "topk", sorted_, k=c.a.k, axis=c.a.axis, ret_type="both", is_ascend=rising, dtype="int64"
    )
    values, places = c.project(result, 0), c.project(result, 1)
    if flip is not None:
        values = c.call("bitwise_xor", values, flip)
    convert = c.plain_cast if x.dtype.is_integer else c.cast
    return [convert(values, x.dtype), places]
