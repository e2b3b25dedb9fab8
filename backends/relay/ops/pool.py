"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import DType
from burnish.ir.ops.pool import average_divisor

from ..builder import Refusal, Term
from ..context import Context
from ..registry import lowering
from ..storage_order import data_letters, fitted, layout_name
from .conv import zero_padded


def _lowest(dtype: DType) -> float | int:
    return -math.inf if dtype.is_float else dtype.integer_range[0]


def _pads(c: Context) -> list[int]:
    """All begins, then all ends with the overhang."""
    half = len(c.a.kernel)
    return [*c.a.pads[:half], *(p + o for p, o in zip(c.a.pads[half:], c.a.overhang))]


def _pooled(c: Context, kind: str, x: Term, pads: Sequence[int], **more: bool) -> Term:
    spatial, layout = c.type().rank - 2, c.layout()
    if spatial not in (1, 2, 3):
        raise Refusal(f"pooling over {spatial} axes")
    letters = data_letters(c.type().rank)
    order = {} if layout is None else {"layout": layout_name(layout, letters)}
    return c.call(
        f"nn.{kind}_pool{spatial}d",
        x,
        pool_size=tuple(c.a.kernel),
        strides=tuple(c.a.strides),
        dilation=tuple(c.a.dilations),
        padding=tuple(pads),
        **order,
        **more,
    )


def _fits(c: Context, pads: Sequence[int]) -> bool:
    """Whether every window meets more than padding."""
    return all(pad < size for pad, size in zip(pads, (*c.a.kernel, *c.a.kernel)))


@lowering("nn.max_pool", layouts=True)
def _max_pool(c: Context) -> Term:
    x, pads = c.wide(0), _pads(c)
    if not _fits(c, pads):
        x, pads = zero_padded(c, x, pads, _lowest(x.dtype), c.layout()), [0] * len(pads)
    return c.cast(_pooled(c, "max", x, pads), c.type().dtype)


@lowering("nn.average_pool", layouts=True)
def _average_pool(c: Context) -> Term:
    """Relay's own where it counts elements as ONNX does; else sums over tabulated divisors."""
    x, pads = c.wide(0), _pads(c)
    if not any(c.a.overhang) and _fits(c, pads) and set(c.a.dilations) == {1}:
        y = _pooled(c, "avg", x, pads, count_include_pad=c.a.count_include_pad)
        return c.cast(y, c.type().dtype)
    x = zero_padded(c, x, pads, layout=c.layout())
    mean = _pooled(c, "avg", x, [0] * len(pads), count_include_pad=True)
    with np.errstate(all="ignore"):
        factor = c.array(_share(c).astype(x.dtype.numpy))
    factor = fitted(c, factor, c.layout(), c.type().rank)
    return c.cast(c.call("multiply", mean, factor), c.type().dtype)


def _share(c: Context) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Elements of a window over those that count, for all windows."""
    share = np.ones(c.shape()[2:])
    for axis, (extent, count) in enumerate(zip(c.type().static_shape[2:], c.shape()[2:])):
        divisor = average_divisor(c.a, axis, extent, count)
        share = share * (c.a.kernel[axis] / divisor).reshape(-1, *[1] * (share.ndim - axis - 1))
    return share


@lowering("nn.arg_max_pool")
def _arg_max_pool(c: Context) -> Term:
    """The best so far, and where it lies, over all positions in the window."""
    x, pads = c.wide(0), _pads(c)
    sizes = x.shape[2:]
    inside = np.zeros((1, 1, *sizes), np.int64) + np.arange(math.prod(sizes)).reshape(sizes)
    padded = zero_padded(c, x, pads, _lowest(x.dtype))
    places = zero_padded(c, c.array(inside), pads, -1)
    best = place = None
    for tap in np.ndindex(*c.a.kernel):
        value, where = (_tap(c, term, tap) for term in (padded, places))
        if best is None or place is None:
            best, place = value, where
            continue
        outside = c.call("less", place, c.scalar(0, DType.I64))
        exists = c.call("greater_equal", where, c.scalar(0, DType.I64))
        better = c.call("logical_or", _greater(c, value, best), outside)
        better = c.call("logical_and", better, exists)
        best = c.apart(c.where(better, value, best))
        place = c.apart(c.where(better, where, place))
    assert place is not None
    return c.broadcast(place, c.shape())


def _greater(c: Context, value: Term, best: Term) -> Term:
    """Whether ``value`` is greater than ``best``; NaN is greater than numbers."""
    greater = c.call("greater", value, best)
    if not value.dtype.is_float:
        return greater
    lost = c.call("logical_and", c.call("isnan", value), c.call("equal", best, best))
    return c.call("logical_or", greater, lost)


def _tap(c: Context, x: Term, tap: tuple[int, ...]) -> Term:
    """What all windows see at one position."""
    for axis, (position, count) in enumerate(zip(tap, c.shape()[2:])):
        start = position * c.a.dilations[axis]
        stop = start + (count - 1) * c.a.strides[axis] + 1
        x = c.slice(x, axis + 2, start, stop, c.a.strides[axis])
    return x
