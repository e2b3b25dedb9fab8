"""Ops that move or repeat data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from burnish.ir import DType
from burnish.ir.ops.tensor import pad_source

from ..builder import Term, relay_dtype
from ..context import Context
from ..registry import lowering
from ..storage import carrier


@lowering("tensor.reshape")
def _reshape(c: Context) -> Term:
    return c.reshape(c.input(0), c.shape())


@lowering("tensor.relayout", "quant.reinterpret")
def _same(c: Context) -> Term:
    """What is stored, and in which order, stays for Relay to decide."""
    return c.input(0)


@lowering("tensor.transpose")
def _transpose(c: Context) -> Term:
    return c.transpose(c.input(0), c.a.permutation)


@lowering("tensor.broadcast")
def _broadcast(c: Context) -> Term:
    return c.broadcast(c.input(0), c.shape())


@lowering("tensor.tile")
def _tile(c: Context) -> Term:
    if not c.shape():
        return c.input(0)
    return c.call("tile", c.input(0), reps=tuple(c.a.repeats))


@lowering("tensor.concat")
def _concat(c: Context) -> Term:
    return c.concat([part for part in c.inputs() if 0 not in part.shape], c.a.axis)


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


@lowering("tensor.slice")
def _slice(c: Context) -> Term:
    """Only the axes that change are listed; an end before the first element is -(n + 1)."""
    extents = c.type().static_shape
    changed = [
        (axis, start, _end(extent, start, count, step), step)
        for axis, (extent, start, count, step) in enumerate(
            zip(extents, c.a.starts, c.a.sizes, c.a.steps)
        )
        if (start, step, count) != (0, 1, extent)
    ]
    if not changed:
        return c.input(0)
    axes, begin, end, strides = zip(*changed)
    return c.call("strided_slice", c.input(0), begin=begin, end=end, strides=strides, axes=axes)


def _end(extent: int, start: int, count: int, step: int) -> int:
    if count == 0:
        return start
    end = start + (count - 1) * step + (1 if step > 0 else -1)
    return end if end >= 0 else -(extent + 1)


_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect"}


@lowering("tensor.pad")
def _pad(c: Context) -> Term:
    """What wraps around, or mirrors more than once, is gathered."""
    x = c.input(0)
    if x.rank == 0:
        return x
    widths = tuple(zip(c.a.before, c.a.after))
    far = any(max(w) > size - 1 for w, size in zip(widths, x.shape) if any(w))
    if c.a.mode == "wrap" or (c.a.mode == "reflect" and far):
        return _gathered(c)
    value = c.optional(1)
    if value is None:
        value = c.scalar(0, x.dtype)
    return c.call("nn.pad", x, value, pad_width=widths, pad_mode=_MODES[c.a.mode])


def _gathered(c: Context) -> Term:
    x = c.input(0)
    for axis, (extent, before, after) in enumerate(zip(x.shape, c.a.before, c.a.after)):
        if before or after:
            places = pad_source(c.a.mode, np.arange(-before, extent + after), extent)
            x = c.call("take", x, c.ints(places), axis=axis)
    return x
