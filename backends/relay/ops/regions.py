"""Pooling of boxes that data gives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from burnish.ir import DType
from burnish.ir.ops.regions import (
    ALIGN_BIN,
    ALIGN_PLACE,
    ALIGN_START,
    POOL_BIN,
    POOL_EDGE,
    POOL_HIGH,
    POOL_INSIDE,
    POOL_LOW,
)

from ..builder import Refusal, Term
from ..context import Context
from ..elementwise import Rendered, expression
from ..registry import lowering
from .indexing import positive
from .reduce import reduced


def _corner(c: Context, boxes: Term, column: int) -> Term:
    """A coordinate of every box [boxes, 1]."""
    return c.slice(boxes, 1, column, column + 1)


def _axis(c: Context, size: int, dtype: DType) -> Term:
    """0, 1, 2 … as numbers [1, size]."""
    return c.array(np.arange(size, dtype=dtype.numpy)[np.newaxis])


class _Samples(NamedTuple):
    """Elements below and above every sample along an axis [boxes, samples], and their weights."""

    elements: tuple[Term, Term]
    weights: tuple[Term, Term]


@lowering("nn.region_align")
def _region_align(c: Context) -> Term:
    """Four elements of each sample, taken by their number in ``x`` as [elements, channels]."""
    grid, (rows, columns) = c.a.samples, c.a.bins
    if grid == 0:
        raise Refusal("boxes whose numbers of samples only the data tells")
    x, boxes = c.wide(0), c.wide(1)
    batch, channels, height, width = x.shape
    count = boxes.shape[0]
    entry = c.reshape(positive(c, c.input(2), batch), (count, 1, 1))
    table = c.reshape(c.transpose(x, (0, 2, 3, 1)), (batch * height * width, channels))
    vertical = _samples(c, _corner(c, boxes, 1), _corner(c, boxes, 3), rows, height)
    horizontal = _samples(c, _corner(c, boxes, 0), _corner(c, boxes, 2), columns, width)
    terms = []
    for row, row_weight in zip(*vertical):
        for column, column_weight in zip(*horizontal):
            values: dict[str, Rendered] = {
                "entry": entry,
                "row": c.reshape(row, (count, rows * grid, 1)),
                "column": c.reshape(column, (count, 1, columns * grid)),
                "height": height,
                "width": width,
            }
            number = "(entry * height + row) * width + column"
            place = c.apart(expression(c, number, values, DType.I64))
            weight = c.call(
                "multiply",
                c.reshape(row_weight, (count, rows * grid, 1, 1)),
                c.reshape(column_weight, (count, 1, columns * grid, 1)),
            )
            found = c.call("take", table, place, axis=0)
            terms.append(c.apart(c.call("multiply", found, weight)))
    largest = c.a.mode == "max"
    first, second, third, fourth = terms
    values = {"a": first, "b": second, "c": third, "d": fourth}
    text = "max(max(a, b), max(c, d))" if largest else "a + b + c + d"
    y = c.apart(expression(c, text, values, x.dtype))
    y = c.reshape(y, (count, rows, grid, columns, grid, channels))
    y = reduced(c, "max" if largest else "sum", y, (2, 4), keep=False)
    if not largest:
        y = c.call("divide", y, c.scalar(grid * grid, x.dtype))
    return c.cast(c.transpose(y, (0, 3, 1, 2)), c.type().dtype)


def _samples(c: Context, low: Term, high: Term, bins: int, size: int) -> _Samples:
    """The samples of all bins along an axis; beyond one element outside they weigh nothing."""
    grid, work = c.a.samples, low.dtype
    values: dict[str, Rendered] = {
        "scale": c.a.scale,
        "offset": 0.5 if c.a.half_pixel else 0.0,
        "bins": bins,
        "grid": grid,
        "size": size,
        "p": c.array(np.repeat(np.arange(bins), grid).astype(work.numpy)[np.newaxis]),
        "i": c.array(np.tile(np.arange(grid), bins).astype(work.numpy)[np.newaxis]),
    }
    for name, corner in (("start", low), ("end", high)):
        values[name] = c.apart(expression(c, ALIGN_START, {**values, "a": corner}, work))
    values["bin"] = c.apart(expression(c, ALIGN_BIN[c.a.half_pixel], values, work))
    place = c.apart(expression(c, ALIGN_PLACE, values, work))
    values["place"] = place
    inside = c.apart(expression(c, "place >= -1 and place <= size", values, work))
    values["place"] = c.where(inside, place, c.scalar(0, work))
    place = c.apart(expression(c, "min(max(place, 0), size - 1)", values, work))
    below = c.call("floor", place)
    past = c.call("subtract", place, below)
    first = c.apart(c.plain_cast(below, DType.I64))
    second = expression(c, "min(first + 1, size - 1)", {"first": first, "size": size}, DType.I64)
    zero = c.scalar(0, work)
    weights = [
        c.apart(c.where(inside, expression(c, text, {"t": past}, work), zero))
        for text in ("1 - t", "t")
    ]
    return _Samples((first, c.apart(second)), (weights[0], weights[1]))


@lowering("nn.region_max_pool")
def _region_max_pool(c: Context) -> Term:
    """The largest of all elements, of which those outside the bin are the lowest there is."""
    x, boxes = c.wide(0), c.wide(1)
    batch, channels, height, width = x.shape
    count, (rows, columns) = boxes.shape[0], c.a.bins
    entry = c.cast(c.reshape(_corner(c, boxes, 0), (count,)), DType.I64)
    x = c.call("take", x, positive(c, entry, batch), axis=0)
    lowest = c.scalar(-np.inf, x.dtype)
    horizontal = _within(c, boxes, (1, 3), columns, width)
    mask = c.reshape(horizontal, (count, 1, 1, columns, width))
    x = c.reshape(x, (count, channels, height, 1, width))
    x = c.apart(reduced(c, "max", c.where(mask, x, lowest), (4,), keep=False))
    vertical = _within(c, boxes, (2, 4), rows, height)
    mask = c.reshape(vertical, (count, 1, rows, height, 1))
    x = c.reshape(x, (count, channels, 1, height, columns))
    y = c.apart(reduced(c, "max", c.where(mask, x, lowest), (3,), keep=False))
    some = [c.call("any", inside, axis=(2,), keepdims=False) for inside in (vertical, horizontal)]
    full = c.call(
        "logical_and",
        c.reshape(some[0], (count, 1, rows, 1)),
        c.reshape(some[1], (count, 1, 1, columns)),
    )
    return c.cast(c.where(full, y, c.scalar(0, y.dtype)), c.type().dtype)


def _within(c: Context, boxes: Term, corners: tuple[int, int], bins: int, size: int) -> Term:
    """Which elements of an axis each bin has: [boxes, bins, size]."""
    work, count = boxes.dtype, boxes.shape[0]
    values: dict[str, Rendered] = {
        "bins": bins,
        "scale": c.a.scale,
        "size": size,
        "p": _axis(c, bins, work),
    }
    for name, column in zip(("start", "end"), corners):
        corner = {**values, "a": _corner(c, boxes, column)}
        values[name] = c.apart(expression(c, POOL_EDGE, corner, work))
    values["bin"] = c.apart(expression(c, POOL_BIN, values, work))
    bounds = []
    for text in (POOL_LOW, POOL_HIGH):
        values["v"] = c.apart(expression(c, text, values, work))
        edge = c.apart(expression(c, POOL_INSIDE, values, work))
        bounds.append(c.reshape(edge, (count, bins, 1)))
    place = c.reshape(_axis(c, size, work), (1, 1, size))
    above = c.call("greater_equal", place, bounds[0])
    return c.apart(c.call("logical_and", above, c.call("less", place, bounds[1])))
