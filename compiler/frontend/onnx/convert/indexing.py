"""Operators that read or write at positions given by data."""

from __future__ import annotations

from burnish.ir import DType, Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .registry import converter

_REDUCTIONS = ("none", "add", "mul", "min", "max")


@converter("Gather")
def _gather(node: NodeContext) -> Value:
    x = node.input(0)
    axis = node.axis(node.integer("axis", 0), x.type.rank)
    return node.op("tensor.gather", x, node.input(1), axis=axis)


@converter("GatherElements")
def _gather_elements(node: NodeContext) -> Value:
    x = node.input(0)
    axis = node.axis(node.integer("axis", 0), x.type.rank)
    return node.op("tensor.gather_elements", x, node.input(1), axis=axis)


@converter("GatherND")
def _gather_nd(node: NodeContext) -> Value:
    batch_dims = node.integer("batch_dims", 0)
    return node.op("tensor.gather_nd", node.input(0), node.input(1), batch_dims=batch_dims)


@converter("Scatter", "ScatterElements")
def _scatter_elements(node: NodeContext) -> Value:
    x = node.input(0)
    return node.op(
        "tensor.scatter_elements",
        x,
        node.input(1),
        node.input(2),
        axis=node.axis(node.integer("axis", 0), x.type.rank),
        reduction=_reduction(node),
    )


@converter("ScatterND")
def _scatter_nd(node: NodeContext) -> Value:
    operands = node.input(0), node.input(1), node.input(2)
    return node.op("tensor.scatter_nd", *operands, reduction=_reduction(node))


def _reduction(node: NodeContext) -> str:
    reduction = node.string("reduction", "none")
    if reduction not in _REDUCTIONS:
        raise ModelError(f"attribute reduction is {clip(repr(reduction))}")
    return reduction


@converter("TensorScatter", since=24)
def _tensor_scatter(node: NodeContext) -> Value:
    """A run of entries along an axis replaced, from a place on that each batch entry has."""
    x, updates = node.input(0), node.input(1)
    rank = x.type.rank
    axis = node.axis(node.integer("axis", -2), rank)
    mode = node.string("mode", "linear")
    if axis == 0 or updates.type.rank != rank or mode not in ("linear", "circular"):
        raise ModelError(f"mode {clip(repr(mode))}, axis {axis} of {x.type} and {updates.type}")
    batch, most = node.static((x.type.shape[0], x.type.shape[axis]), "shape")
    (count,) = node.static((updates.type.shape[axis],), "shape")
    entry, place = node.arange(batch, 0, 2), node.arange(count, 1, 2)
    if node.has(2):
        start = node.reshape(node.cast(node.input(2), DType.I64), (batch, 1))
        place = node.op("math.add", start, place)
    if mode == "circular":
        place = node.op("math.floor_mod", place, node.scalar(most, DType.I64))
    pairs = [
        node.reshape(node.broadcast(index, (batch, count)), (batch, count, 1))
        for index in (entry, place)
    ]
    order = [0, axis, *(i for i in range(1, rank) if i != axis)]
    y = node.op(
        "tensor.scatter_nd",
        node.transpose(x, order),
        node.op("tensor.concat", *pairs, axis=2),
        node.transpose(updates, order),
    )
    return node.transpose(y, [order.index(i) for i in range(rank)])


@converter("OneHot")
def _one_hot(node: NodeContext) -> Value:
    """``values[1]`` where the index is, else ``values[0]``; indices outside have no place."""
    indices, values = node.cast(node.input(0), DType.I64), node.input(2)
    rank = indices.type.rank
    axis = node.axis(node.integer("axis", -1), rank + 1)
    if node.is_known(node.input(1)):
        depth = node.known_int(node.input(1), "depth")
    else:
        (depth,) = node.static(node.declared_shape("depth")[axis : axis + 1], "depth")
        indices = node.require(indices, node.input(1), (depth,), "depth")
    zero, extent = node.scalar(0, DType.I64), node.scalar(depth, DType.I64)
    negative = node.op("math.less", indices, zero)
    wrapped = node.op("math.select", negative, node.op("math.add", indices, extent), indices)
    shape = list(indices.type.shape)
    wrapped = node.reshape(wrapped, [*shape[:axis], 1, *shape[axis:]])
    hot = node.op("math.equal", wrapped, node.arange(depth, axis, rank + 1))
    off, on = (
        node.op("tensor.gather", values, node.scalar(index, DType.I64), axis=0) for index in (0, 1)
    )
    return node.op("math.select", hot, on, off)
