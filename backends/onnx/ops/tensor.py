"""Ops that move or repeat data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.ir import Dim
from burnish.ir.ops.tensor import pad_source

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from ..sizes import shape, size

_FAR = np.iinfo(np.int64).max
"""A position behind the end of every axis."""


@exporter("tensor.reshape")
def _reshape(c: Context) -> Edge:
    new = c.a.shape
    source = c.op.inputs[0].op
    if source is not None and source.name == "tensor.dimension" and tuple(new) == (1,):
        return size(c, source.attributes.value)  # a size made a list: how it is computed anyway
    return reshaped(c, c.input(0), c.type().shape, new)


def reshaped(c: Context, x: Edge, old: Sequence[Dim], new: Sequence[Dim]) -> Edge:
    """``x`` of shape ``old`` in another shape, with as few sizes computed as possible."""
    static = [dim for dim in new if isinstance(dim, int)]
    if len(static) == len(new):
        return c.reshape(x, static)
    if 0 in new:
        return c.node("Reshape", x, shape(c, new), allowzero=1)
    listed = [
        dim if isinstance(dim, int) else 0 if axis < len(old) and old[axis] == dim else None
        for axis, dim in enumerate(new)
    ]
    if listed.count(None) > 1:
        return c.node("Reshape", x, shape(c, new))
    return c.node("Reshape", x, c.ints(-1 if entry is None else entry for entry in listed))


def expanded(c: Context, x: Edge, old: Sequence[Dim], new: Sequence[Dim]) -> Edge:
    """``x`` of shape ``old`` broadcast to another shape, once for all that want the same.

    A constant that only gains axes of size 1 is such a constant.
    """
    if list(old) == list(new):
        return x
    added = len(new) - len(old)
    if x.constant is not None and [1] * added + list(old) == list(new):
        return c.reshape(x, [*[1] * added, *x.constant.shape])
    return c.once(("expand", x, tuple(new)), lambda: c.node("Expand", x, shape(c, new)))


@exporter("tensor.dimension")
def _dimension(c: Context) -> Edge:
    return c.node("Squeeze", size(c, c.a.value), c.ints([0]))


@exporter("tensor.transpose")
def _transpose(c: Context) -> Edge:
    return c.transpose(c.input(0), c.a.permutation)


@exporter("tensor.broadcast")
def _broadcast(c: Context) -> Edge:
    """Sizes that x has already need not be computed: Expand broadcasts both ways."""
    old = (*[None] * (len(c.a.shape) - c.type().rank), *c.type().shape)
    wanted = [
        1 if dim == before and not isinstance(dim, int) else dim
        for before, dim in zip(old, c.a.shape)
    ]
    return c.node("Expand", c.input(0), shape(c, wanted))


@exporter("tensor.tile")
def _tile(c: Context) -> Edge:
    return c.node("Tile", c.input(0), c.ints(c.a.repeats))


@exporter("tensor.slice")
def _slice_(c: Context) -> Edge:
    """Only the axes that change are listed."""
    extents = c.type().shape
    starts: list[Dim] = []
    ends: list[Dim] = []
    axes: list[int] = []
    steps: list[int] = []
    for axis, (extent, start, count, step) in enumerate(
        zip(extents, c.a.starts, c.a.sizes, c.a.steps)
    ):
        if start == 0 and step == 1 and count == extent:
            continue
        axes.append(axis)
        starts.append(start)
        ends.append(_end(extent, start, count, step))
        steps.append(step)
    if not axes:
        return c.input(0)
    stride = None if set(steps) == {1} else c.ints(steps)
    return c.node("Slice", c.input(0), shape(c, starts), shape(c, ends), c.ints(axes), stride)


def _end(extent: Dim, start: Dim, count: Dim, step: int) -> Dim:
    """The position after the last element, as Slice has it."""
    if count == 0:
        return start
    if step == 1 and start + count == extent:
        return _FAR
    end = start + (count - 1) * step + (1 if step > 0 else -1)
    return -_FAR if isinstance(end, int) and end < 0 else end


@exporter("tensor.concat")
def _concat(c: Context) -> Edge:
    return c.node("Concat", *c.inputs(), axis=c.a.axis)


@exporter("tensor.pad")
def _pad(c: Context) -> Edge:
    """Runtimes mirror and wrap around once; what needs more is gathered."""
    if any(map(_is_too_far, c.type().shape, c.a.before, c.a.after, [c.a.mode] * c.type().rank)):
        return _gathered(c)
    amounts = c.ints((*c.a.before, *c.a.after))
    return c.node("Pad", c.input(0), amounts, c.optional(1), mode=c.a.mode)


def _is_too_far(extent: Dim, before: int, after: int, mode: str) -> bool:
    once = {"reflect": 1, "wrap": 0}
    far = max(before, after)
    return mode in once and isinstance(extent, int) and far > extent - once[mode]


def _gathered(c: Context) -> Edge:
    x = c.input(0)
    for axis, (extent, before, after) in enumerate(zip(c.type().shape, c.a.before, c.a.after)):
        if before or after:
            if not isinstance(extent, int):
                raise Refusal(f"padding by {c.a.mode} that may be larger than the axis")
            places = np.arange(-before, extent + after)
            x = c.node("Gather", x, c.ints(pad_source(c.a.mode, places, extent)), axis=axis)
    return x
