"""Ops that move or repeat data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from burnish.ir import DType, Layout
from burnish.ir.ops.tensor import pad_source

from ..builder import Term, relay_dtype
from ..context import Context
from ..registry import lowering
from ..storage import carrier
from ..storage_order import layout_of, outer_axis, stored_anew


@lowering("tensor.reshape")
def _reshape(c: Context) -> Term:
    return c.reshape(c.input(0), c.shape())


@lowering("quant.reinterpret", layouts=True)
def _same(c: Context) -> Term:
    c.layout()
    return c.input(0)


@lowering("tensor.relayout", layouts=True)
def _relayout(c: Context) -> Term:
    old, new = c.type(), c.op.result.type
    return stored_anew(c, c.input(0), old.static_shape, layout_of(old), layout_of(new))


@lowering("tensor.transpose", layouts=True)
def _transpose(c: Context) -> Term:
    """The axes as they are stored, which may be in the order asked for already."""
    source, target = layout_of(c.type()), layout_of(c.op.result.type)
    tiles = any(layout is not None and layout.tiles for layout in (source, target))
    c.require(not tiles, f"from {source} to {target}")
    order = range(c.type().rank) if target is None else target.order
    return c.transpose(c.input(0), [outer_axis(source, c.a.permutation[axis]) for axis in order])


@lowering("tensor.broadcast")
def _broadcast(c: Context) -> Term:
    return c.broadcast(c.input(0), c.shape())


@lowering("tensor.tile")
def _tile(c: Context) -> Term:
    if not c.shape():
        return c.input(0)
    return c.call("tile", c.input(0), reps=tuple(c.a.repeats))


@lowering("tensor.concat", layouts=True)
def _concat(c: Context) -> Term:
    layout = c.layout()
    types = [value.type for value in c.op.inputs]
    c.require(all(layout_of(type_) == layout for type_ in types), "parts in different layouts")
    parts = [part for part in c.inputs() if 0 not in part.shape]
    return c.concat(parts, outer_axis(layout, c.a.axis))


@lowering("tensor.dimension")
def _dimension(c: Context) -> Term:
    return c.scalar(c.a.value, DType.I64)


@lowering("tensor.bitcast")
def _bitcast(c: Context) -> Term:
    x, to = c.input(0), c.a.to
    if DType.BOOL in (x.dtype, to):
        return c.cast(x, to)
    if to.bits >= 8:
        same = x.tensor.dtype == relay_dtype(to)
        return x if same else c.call("reinterpret", x, dtype=relay_dtype(to))
    # Below a byte, integers lie in the byte as numbers, floats as their bits.
    bits = c.plain_cast(replace(x, dtype=carrier(x.dtype)), DType.I32)
    bits = c.call("bitwise_and", bits, c.scalar((1 << to.bits) - 1, DType.I32))
    return c.cast(bits, to) if to.is_integer else c.plain_cast(bits, carrier(to))


@lowering("tensor.slice", layouts=True)
def _slice(c: Context) -> Term:
    """Only the axes that change are listed; an end before the first element is -(n + 1)."""
    extents, layout = c.type().static_shape, c.layout()
    changed = [
        (_whole_axis(c, layout, axis), start, _end(extent, start, count, step), step)
        for axis, (extent, start, count, step) in enumerate(
            zip(extents, c.a.starts, c.a.sizes, c.a.steps)
        )
        if (start, step, count) != (0, 1, extent)
    ]
    if not changed:
        return c.input(0)
    axes, begin, end, strides = zip(*changed)
    return c.call("strided_slice", c.input(0), begin=begin, end=end, strides=strides, axes=axes)


def _whole_axis(c: Context, layout: Layout | None, axis: int) -> int:
    """Where a logical axis lies that is in no blocks."""
    tiles = () if layout is None else layout.tiles
    c.require(axis not in dict(tiles), f"parts of the blocks of {layout}")
    return outer_axis(layout, axis)


def _end(extent: int, start: int, count: int, step: int) -> int:
    if count == 0:
        return start
    end = start + (count - 1) * step + (1 if step > 0 else -1)
    return end if end >= 0 else -(extent + 1)


_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect"}


@lowering("tensor.pad", layouts=True)
def _pad(c: Context) -> Term:
    """What wraps around, or mirrors more than once, is gathered."""
    x = c.input(0)
    if x.rank == 0:
        return x
    layout = c.layout()
    padded = {
        _whole_axis(c, layout, axis): width
        for axis, width in enumerate(zip(c.a.before, c.a.after))
        if any(width)
    }
    widths = tuple(padded.get(axis, (0, 0)) for axis in range(x.rank))
    far = any(max(w) > size - 1 for w, size in zip(widths, x.shape) if any(w))
    if c.a.mode == "wrap" or (c.a.mode == "reflect" and far):
        return _gathered(c, padded)
    value = c.optional(1)
    if value is None:
        value = c.scalar(0, x.dtype)
    return c.call("nn.pad", x, value, pad_width=widths, pad_mode=_MODES[c.a.mode])


def _gathered(c: Context, padded: Mapping[int, tuple[int, int]]) -> Term:
    x = c.input(0)
    for axis, (before, after) in padded.items():
        extent = x.shape[axis]
        places = pad_source(c.a.mode, np.arange(-before, extent + after), extent)
        x = c.call("take", x, c.ints(places), axis=axis)
    return x
