"""Slices and paddings whose bounds are known only when the model runs.

The declared shape fixes how many elements there are along every axis; where they come from is
arithmetic on the bounds, and each axis is gathered at positions computed from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.ir import Dim, DType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext

_I64 = DType.I64


def sliced_as_declared(
    node: NodeContext,
    x: Value,
    starts: Value,
    ends: Value,
    axes: Value | None,
    steps: Value | None,
) -> Value:
    """``x`` sliced as ONNX Slice does, to the declared shape."""
    wanted, spread = _declared(node, x, "starts"), _PerAxis(node, starts, axes, x.type.rank)
    extent, zero, one = node.dims_value(x.type.shape), _number(node, 0), _number(node, 1)
    step = one if steps is None else spread(steps, one)
    forward = node.op("math.greater", step, zero)
    last = node.op("math.sub", extent, one)
    highest = node.op("math.select", forward, extent, last)
    first = _position(node, spread(starts, None), extent)
    # Without a bound of its own an axis is taken whole: its step is 1.
    start = node.op("math.select", spread.named, _clamped(node, first, zero, highest), zero)
    stop = _position(node, spread(ends, None), extent)
    lowest = node.op("math.select", forward, zero, _number(node, -1))
    end = node.op("math.select", spread.named, _clamped(node, stop, lowest, highest), extent)
    distance = node.cast(node.op("math.sub", end, start), DType.F64)
    sizes = node.op("math.ceil", node.op("math.div", distance, node.cast(step, DType.F64)))
    sizes = node.cast(node.op("math.relu", sizes), _I64)
    x = spread.checked(node.require(x, sizes, wanted, "shape"))
    for axis, size in enumerate(node.static(wanted, "shape")):
        origin, stride = _entry(node, start, axis), _entry(node, step, axis)
        steps_taken = node.op("math.mul", node.arange(size, 0, 1), stride)
        positions = node.op("math.add", steps_taken, origin)
        x = node.op("tensor.gather", x, positions, axis=axis)
    return x


def padded_as_declared(
    node: NodeContext, x: Value, amounts: Value, axes: Value | None, value: Value | None, mode: str
) -> Value:
    """``x`` padded as ONNX Pad does, to the declared shape; negative amounts crop."""
    wanted = _declared(node, x, "pads")
    count = node.static(amounts.type.shape, "pads")[0] // 2
    rank = x.type.rank
    halves = [
        node.op("tensor.slice", amounts, starts=(start,), sizes=(count,), steps=(1,))
        for start in (0, count)
    ]
    spread = _PerAxis(node, halves[0], axes, rank)
    zero = _number(node, 0)
    before, after = (spread(half, zero) for half in halves)
    extent = node.dims_value(x.type.shape)
    sizes = node.op("math.add", node.op("math.add", before, extent), after)
    x = spread.checked(node.require(x, sizes, wanted, "shape"))
    filler = node.scalar(0, x.type.dtype) if value is None else value
    if mode == "constant" and 0 in x.type.shape:
        return node.broadcast(node.require(filler, sizes, wanted, "shape"), wanted)
    inside: Value | None = None
    old = node.static(x.type.shape, "shape")
    for axis, size in enumerate(node.static(wanted, "shape")):
        positions = node.op("math.sub", node.arange(size, 0, 1), _entry(node, before, axis))
        x = node.op("tensor.gather", x, _source(node, positions, old[axis], mode), axis=axis)
        if mode == "constant":
            there = node.op("math.greater_equal", positions, zero)
            there = node.op(
                "math.logical_and", there, node.op("math.less", positions, _number(node, old[axis]))
            )
            there = node.reshape(there, [size if i == axis else 1 for i in range(rank)])
            inside = there if inside is None else node.op("math.logical_and", inside, there)
    return x if inside is None else node.op("math.select", inside, x, filler)


def _source(node: NodeContext, positions: Value, extent: int, mode: str) -> Value:
    """Where on the axis the element at each position comes from."""
    last = _number(node, max(extent - 1, 0))
    if mode == "wrap":
        return node.op("math.floor_mod", positions, _number(node, extent))
    if mode == "reflect" and extent > 1:
        period = _number(node, 2 * (extent - 1))
        folded = node.op("math.floor_mod", positions, period)
        return node.op("math.min", folded, node.op("math.sub", period, folded))
    return _clamped(node, positions, _number(node, 0), last)


class _PerAxis:
    """Lists of numbers for some axes (all of them in order, when none are named), spread over
    all axes of a tensor.  ``named`` tells which axes have a number."""

    def __init__(self, node: NodeContext, like: Value, axes: Value | None, rank: int) -> None:
        self._node = node
        (self._count,) = node.static(like.type.shape, "number of axes")
        listed = node.arange(self._count, 0, 1) if axes is None else node.cast(axes, _I64)
        if listed.type.shape != (self._count,):
            raise ModelError(f"{listed.type.elements} axes for {self._count} numbers")
        listed = node.reshape(listed, (self._count, 1))
        negative = node.op("math.less", listed, _number(node, 0))
        counted = node.op("math.add", listed, _number(node, rank))
        normal = node.op("math.select", negative, counted, listed)
        self._hits = node.op("math.equal", normal, node.arange(rank, 1, 2))
        self.named = node.reduce(self._hits, "any", (0,), keep_dims=False)

    def __call__(self, numbers: Value, default: Value | None) -> Value:
        """The numbers per axis; ``default`` (else 0) where an axis has none."""
        node = self._node
        column = node.reshape(node.cast(numbers, _I64), (self._count, 1))
        zero = _number(node, 0)
        each = node.op("math.select", self._hits, column, zero)
        total = node.reduce(each, "sum", (0,), keep_dims=False)
        return total if default is None else node.op("math.select", self.named, total, default)

    def checked(self, x: Value) -> Value:
        """``x``, after a check that every listed axis exists and is listed once."""
        node = self._node
        distinct = node.reduce(node.cast(self.named, _I64), "sum", (0,))
        return node.require(x, distinct, (self._count,), "number of axes")


def _declared(node: NodeContext, x: Value, what: str) -> tuple[Dim, ...]:
    wanted = node.declared_shape(what)
    if len(wanted) != x.type.rank:
        shown: Sequence[str] = [str(dim) for dim in wanted]
        raise ModelError(f"its output is declared as [{', '.join(shown)}], its input is {x.type}")
    return wanted


def _position(node: NodeContext, bound: Value, extent: Value) -> Value:
    """A bound counted from the front."""
    negative = node.op("math.less", bound, _number(node, 0))
    return node.op("math.select", negative, node.op("math.add", bound, extent), bound)


def _clamped(node: NodeContext, value: Value, low: Value, high: Value) -> Value:
    return node.op("math.min", node.op("math.max", value, low), high)


def _entry(node: NodeContext, values: Value, index: int) -> Value:
    if values.type.rank == 0:
        return values
    return node.op("tensor.gather", values, node.scalar(index, _I64), axis=0)


def _number(node: NodeContext, value: int) -> Value:
    return node.constant(np.asarray(value, np.int64))
