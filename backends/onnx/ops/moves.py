"""Movements of data that are one operator of ONNX and several ops here."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import Array, Dim, Op, Value

from ..context import Context
from ..forms import form, producer
from ..graph import Edge


@form("tensor.reshape")
def _entry(c: Context) -> Edge | None:
    """One entry of an axis, and the axis left out: Gather with a scalar index."""
    (value,) = c.op.inputs
    slice_ = producer(value, "tensor.slice")
    if slice_ is None:
        return None
    (x,) = slice_.inputs
    axes = _changed(slice_)
    if len(axes) != 1 or slice_.attributes.sizes[axes[0]] != 1:
        return None
    (axis,) = axes
    start: Dim = slice_.attributes.starts[axis]
    rest = (*x.type.shape[:axis], *x.type.shape[axis + 1 :])
    if rest != c.a.shape or not isinstance(start, int):
        return None
    return c.node("Gather", c.edge(x), c.constant(np.array(start, np.int64)), axis=axis)


def _changed(slice_: Op) -> list[int]:
    """The axes of which a slice does not take everything in order."""
    a, x = slice_.attributes, slice_.inputs[0].type
    return [
        axis
        for axis, (start, size, step) in enumerate(zip(a.starts, a.sizes, a.steps))
        if (start, size, step) != (0, x.shape[axis], 1)
    ]


@form("tensor.slice")
def _split(c: Context) -> Edge | None:
    """Slices that together take all of an axis: Split, whose outputs they are."""
    axes = _changed(c.op)
    if len(axes) != 1:
        return None
    (axis,) = axes
    (x,) = c.op.inputs
    pieces = _pieces(x, axis)
    starts = [start for start, _ in pieces]
    part = _part_of_shuffle(c, axis)
    if part is not None or c.a.starts[axis] not in starts or len(pieces) < 2:
        return part
    edges = c.several(
        ("split", x, axis),
        lambda: c.nodes(
            "Split",
            c.edge(x),
            c.ints(size for _, size in pieces),
            outputs=[None] * len(pieces),
            axis=axis,
        ),
    )
    return edges[starts.index(c.a.starts[axis])]


def _pieces(x: Value, axis: int) -> list[tuple[int, int]]:
    """Start and size of what slices take along an axis, when that is all of it, once; or none."""
    found: set[tuple[int, int]] = set()
    for op in x.users:
        if op.name != "tensor.slice" or _changed(op) != [axis]:
            continue
        a = op.attributes
        start, size = a.starts[axis], a.sizes[axis]
        if a.steps[axis] == 1 and isinstance(start, int) and isinstance(size, int) and size:
            found.add((start, size))
    end: Dim = 0
    pieces = sorted(found)
    for start, size in pieces:
        if start != end:
            return []
        end = start + size
    return pieces if end == x.type.shape[axis] else []


@form("tensor.reshape")
def _depth_to_space(c: Context) -> Edge | None:
    """Channels taken apart into blocks of the two spatial axes."""
    found = _rearranged(c, 6)
    if found is None:
        return None
    x, wide, order = found
    batch, channels, height, width = x.type.shape
    for mode, permutation, blocks, rest in (
        ("DCR", (0, 3, 4, 1, 5, 2), wide[1:3], wide[3]),
        ("CRD", (0, 1, 4, 2, 5, 3), wide[2:4], wide[1]),
    ):
        size = blocks[0]
        if order != permutation or blocks != (size, size) or not isinstance(size, int):
            continue
        expected = (batch, rest, height * size, width * size)
        if wide[4:] == (height, width) and rest * size * size == channels and c.a.shape == expected:
            return c.node("DepthToSpace", c.edge(x), blocksize=size, mode=mode)
    return None


@form("tensor.reshape")
def _space_to_depth(c: Context) -> Edge | None:
    """Blocks of the two spatial axes put into channels."""
    found = _rearranged(c, 6)
    if found is None:
        return None
    x, wide, order = found
    batch, channels, height, width = x.type.shape
    size = wide[3]
    if order != (0, 3, 5, 1, 2, 4) or not isinstance(size, int):
        return None
    outer = (wide[2], wide[4])
    fits = wide[:2] == (batch, channels) and wide[5] == size
    fits = fits and (outer[0] * size, outer[1] * size) == (height, width)
    if not fits or c.a.shape != (batch, channels * size * size, *outer):
        return None
    return c.node("SpaceToDepth", c.edge(x), blocksize=size)


def _rearranged(c: Context, rank: int) -> tuple[Value, tuple[Dim, ...], tuple[int, ...]] | None:
    """What is reshaped from rank 4 to ``rank``, transposed, and reshaped to rank 4."""
    transposed = producer(c.op.inputs[0], "tensor.transpose")
    first = None if transposed is None else producer(transposed.inputs[0], "tensor.reshape")
    if transposed is None or first is None or len(c.a.shape) != 4:
        return None
    (x,) = first.inputs
    if x.type.rank != 4 or len(first.attributes.shape) != rank:
        return None
    return x, first.attributes.shape, transposed.attributes.permutation


GATHERED = 4
"""Elements that a Gather must move at once, not to be slower than a Transpose."""


@form("tensor.reshape")
def _shuffle(c: Context) -> Edge | None:
    """An axis in another order, such as channels shuffled between groups: Gather."""
    found = _shuffled(c.op.result)
    if found is None:
        return None
    x, axis, order = found
    return c.node("Gather", c.edge(x), c.constant(order), axis=axis)


def _part_of_shuffle(c: Context, axis: int) -> Edge | None:
    """One of at most two slices of an axis in another order, which need not be made as a whole."""
    (value,) = c.op.inputs
    found = _shuffled(value)
    if found is None or found[1] != axis or len(value.users) > 2:
        return None
    if any(op.name != "tensor.slice" or _changed(op) != [axis] for op in value.users):
        return None
    x, _, order = found
    start, size, step = (numbers[axis] for numbers in (c.a.starts, c.a.sizes, c.a.steps))
    taken = order[start + step * np.arange(size)]
    return c.node("Gather", c.edge(x), c.constant(taken), axis=axis)


def _shuffled(value: Value) -> tuple[Value, int, Array] | None:
    """``(x, axis, order)`` where a value is x with an axis in another order.

    It is made by a reshape that splits the axis, a transpose of the parts, and a reshape back.
    """
    last = producer(value, "tensor.reshape")
    transposed = None if last is None else producer(last.inputs[0], "tensor.transpose")
    first = None if transposed is None else producer(transposed.inputs[0], "tensor.reshape")
    if transposed is None or first is None:
        return None
    (x,) = first.inputs
    split, permutation = first.attributes.shape, transposed.attributes.permutation
    axis = next((i for i, source in enumerate(permutation) if i != source), 0)
    behind = x.type.shape[axis + 1 :]
    parts = split[axis : len(split) - len(behind)]
    moved = permutation[axis : axis + len(parts)]
    inside = sorted(moved) == list(range(axis, axis + len(parts)))
    if (
        x.type.shape != value.type.shape
        or split != (*x.type.shape[:axis], *parts, *behind)
        or not inside
        or permutation[axis + len(parts) :] != tuple(range(axis + len(parts), len(split)))
    ):
        return None
    sizes = [part for part in parts if isinstance(part, int)]
    block = [dim for dim in behind if isinstance(dim, int)]
    if len(sizes) < len(parts) or len(block) < len(behind) or math.prod(block) < GATHERED:
        return None
    order = np.arange(math.prod(sizes)).reshape(sizes).transpose([i - axis for i in moved])
    return x, axis, order.reshape(-1)
