"""Gathering and scattering."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from burnish.ir import DType

from ..builder import Refusal, Term
from ..context import Context
from ..registry import lowering

_MOST_STEPS = 256
"""How many updates are written one after another, where Relay cannot combine them."""


def positive(c: Context, indices: Term, size: int) -> Term:
    """Indices below ``size``, of which negative ones count from the end, all counted from 0."""
    if indices.constant is not None:
        array = indices.constant.array
        return c.ints(np.where(array < 0, array + size, array))
    indices = c.cast(indices, DType.I64)
    shifted = c.call("add", indices, c.scalar(size, indices.dtype))
    negative = c.call("less", indices, c.scalar(0, indices.dtype))
    return c.where(negative, shifted, indices)


@lowering("tensor.gather")
def _gather(c: Context) -> Term:
    x = c.input(0)
    return c.call("take", x, positive(c, c.input(1), x.shape[c.a.axis]), axis=c.a.axis)


@lowering("tensor.gather_elements")
def _gather_elements(c: Context) -> Term:
    """Along other axes, x is cut to the size of the indices, as Relay wants it."""
    x, axis = c.input(0), c.a.axis
    indices = positive(c, c.input(1), x.shape[axis])
    return c.call("gather", _cut(c, x, indices.shape, axis), indices, axis=axis)


def _cut(c: Context, x: Term, shape: tuple[int, ...], kept: int) -> Term:
    for axis, size in enumerate(shape):
        if axis != kept:
            x = c.slice(x, axis, 0, size)
    return x


def _tuples(c: Context, indices: Term, sizes: tuple[int, ...]) -> Term:
    """Index tuples, all counted from 0, along the first axis, where Relay has them."""
    last = indices.rank - 1
    if indices.constant is not None:
        array = indices.constant.array
        return c.moved(c.ints(np.where(array < 0, array + np.array(sizes), array)), last, 0)
    indices = c.cast(indices, DType.I64)
    extents = c.ints(sizes)
    negative = c.call("less", indices, c.scalar(0, DType.I64))
    return c.moved(c.where(negative, c.call("add", indices, extents), indices), last, 0)


@lowering("tensor.gather_nd")
def _gather_nd(c: Context) -> Term:
    x, batch = c.input(0), c.a.batch_dims
    depth = c.type(1).static_shape[-1]
    indices = _tuples(c, c.input(1), x.shape[batch : batch + depth])
    return c.call("gather_nd", x, indices, batch_dims=batch, index_rank=depth)


_REDUCTIONS = {"none": "update", "add": "add", "mul": "mul", "min": "min", "max": "max"}
_COMBINE = {"add": "add", "mul": "multiply", "min": "minimum", "max": "maximum"}


@lowering("tensor.scatter_elements")
def _scatter_elements(c: Context) -> Term:
    axis = c.a.axis
    indices = positive(c, c.input(1), c.shape()[axis])
    return _in_scattered_type(c, lambda x, updates: _scattered(c, x, indices, updates))


def _in_scattered_type(c: Context, scatter: Callable[[Term, Term], Term]) -> Term:
    """Scattering in a type that TVM has it for: integers are i32 or i64.

    Those of u64 keep their bits; with the first one turned they are in the order of i64.
    """
    x, updates = c.wide(0), c.wide(2)
    if x.dtype.is_float:
        return c.cast(scatter(x, updates), c.type().dtype)
    work = DType.I32 if x.dtype.bits < 32 or x.dtype is DType.I32 else DType.I64
    x, updates = c.cast(x, work), c.cast(updates, work)
    if c.type().dtype is not DType.U64 or c.a.reduction not in ("min", "max"):
        return c.cast(scatter(x, updates), c.type().dtype)
    flip = c.scalar(-(1 << 63), work)
    x, updates = (c.call("bitwise_xor", term, flip) for term in (x, updates))
    return c.cast(c.call("bitwise_xor", scatter(x, updates), flip), c.type().dtype)


def _scattered(c: Context, x: Term, indices: Term, updates: Term) -> Term:
    axis, kind = c.a.axis, c.a.reduction
    if 0 in indices.shape:
        return x
    if c.builder.version != "0.10":
        return c.call(
            "scatter_elements", x, indices, updates, axis=axis, reduction=_REDUCTIONS[kind]
        )
    if kind in ("none", "add"):
        operator = "scatter" if kind == "none" else "scatter_add"
        return _scatter(c, operator, x, indices, updates)
    # Of one slice along the axis no two updates meet.
    steps = indices.shape[axis]
    c.require(steps <= _MOST_STEPS, f"{steps} updates combined by {kind}")
    for step in range(steps):
        place, update = (c.slice(term, axis, step, step + 1) for term in (indices, updates))
        old = c.call("gather", _cut(c, x, place.shape, axis), place, axis=axis)
        update = c.call(_COMBINE[kind], old, update)
        x = _scatter(c, "scatter", x, place, update)
    return x


_SCATTERED_AXES = 4
"""TVM's scatter along an axis takes no tensors of more."""


def _scatter(c: Context, operator: str, x: Term, indices: Term, updates: Term) -> Term:
    """Scattering along the axis; tensors of many axes in one, at the elements' positions there."""
    axis, shape = c.a.axis, x.shape
    if x.rank <= _SCATTERED_AXES:
        return c.call(operator, x, indices, updates, axis=axis)
    steps = [math.prod(shape[i + 1 :]) for i in range(x.rank)]
    grid = np.indices(indices.shape, sparse=True)
    others = sum(g * step for i, (g, step) in enumerate(zip(grid, steps)) if i != axis)
    offsets = c.ints(np.broadcast_to(others, indices.shape), indices.dtype)
    step = c.scalar(steps[axis], indices.dtype)
    places = c.call("add", c.call("multiply", indices, step), offsets)
    flat = (c.reshape(term, (math.prod(term.shape),)) for term in (x, places, updates))
    return c.reshape(c.call(operator, *flat, axis=0), shape)


@lowering("tensor.scatter_nd")
def _scatter_nd(c: Context) -> Term:
    depth = c.type(1).static_shape[-1]
    if 0 in c.type(1).shape[:-1]:
        return c.input(0)
    c.require(depth > 0, "scattering whole tensors")
    # TVM takes indices in a row; those in several axes its type checker confuses.
    count = math.prod(c.type(1).static_shape[:-1])
    indices = c.reshape(_tuples(c, c.input(1), c.shape()[:depth]), (depth, count))
    return _in_scattered_type(c, lambda x, updates: _scattered_tuples(c, x, indices, updates))


def _scattered_tuples(c: Context, x: Term, indices: Term, updates: Term) -> Term:
    (depth, count), kind = indices.shape, c.a.reduction
    updates = c.reshape(updates, (count, *x.shape[depth:]))
    if kind in ("none", "add") or c.builder.version != "0.10":
        return c.call("scatter_nd", x, indices, updates, mode=_REDUCTIONS[kind])
    if count > _MOST_STEPS:
        raise Refusal(f"{count} updates combined by {kind}")
    for step in range(count):
        place, update = c.slice(indices, 1, step, step + 1), c.slice(updates, 0, step, step + 1)
        old = c.call("gather_nd", x, place, index_rank=depth)
        update = c.call(_COMBINE[kind], old, update)
        x = c.call("scatter_nd", x, place, update, mode="update")
    return x
