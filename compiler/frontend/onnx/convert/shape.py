"""Operators that make or reshape tensors without moving data, and those that compute shapes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from burnish.ir import Dim, DimExpr, DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError
from burnish.ir.types import TensorType

from ..constants import constant_value
from ..context import MAX_TABLE, NodeContext
from ..tensors import Array
from .registry import converter


@converter("Constant")
def _constant(node: NodeContext) -> Value:
    array = constant_value(node.node)
    if array.dtype == object:
        node.refuse("a constant of strings")
    return node.constant(array)


@converter("Shape")
def _shape(node: NodeContext) -> Value:
    type_ = node.input(0).type
    start, end = node.integer("start", 0), node.integer("end", type_.rank)
    kept = TensorType(type_.shape[slice(*slice(start, end).indices(type_.rank))], type_.dtype)
    if kept.is_static:
        return node.constant(np.array(kept.static_shape, np.int64))
    return node.op("tensor.concat", *node.shape_of(kept), axis=0)


@converter("Size")
def _size(node: NodeContext) -> Value:
    return node.op("tensor.dimension", value=node.input(0).type.elements)


@converter("Reshape")
def _reshape(node: NodeContext) -> Value:
    x = node.input(0)
    if node.version < 5:
        target: tuple[Dim, ...] = node.integers("shape") or ()
    else:
        target = node.dims(node.input(1), "shape")
    keeps_zero = node.flag("allowzero")
    result: list[Dim] = list(target)
    for axis, dim in enumerate(target):
        if dim == 0 and not keeps_zero:
            if axis >= x.type.rank:
                raise ModelError(f"shape {_shown(target)} copies axis {axis} of {x.type}")
            result[axis] = x.type.shape[axis]
    inferred = [axis for axis, dim in enumerate(target) if dim == -1]
    if len(inferred) > 1:
        raise ModelError(f"shape {_shown(target)} has several -1")
    for axis in inferred:
        others = dimension.product(dim for i, dim in enumerate(result) if i != axis)
        if others == 0:
            raise ModelError(f"the -1 in shape {_shown(target)} can be anything")
        result[axis] = _quotient(x.type, others, target)
    return node.reshape(x, result)


def _quotient(type_: TensorType, others: Dim, target: tuple[Dim, ...]) -> Dim:
    elements = type_.elements
    if isinstance(elements, int) and isinstance(others, int) and elements % others:
        raise ModelError(f"{type_} cannot be reshaped to {_shown(target)}")
    return dimension.floordiv(elements, others)


def _shown(dims: tuple[Dim, ...]) -> str:
    return f"[{', '.join(map(str, dims))}]"


@converter("Flatten")
def _flatten(node: NodeContext) -> Value:
    x = node.input(0)
    rank = x.type.rank
    axis = node.integer("axis", 1)
    if not -rank <= axis <= rank:
        raise ModelError(f"axis {axis} is out of range for a tensor of rank {rank}")
    split = axis + rank if axis < 0 else axis
    shape = x.type.shape
    return node.reshape(x, (dimension.product(shape[:split]), dimension.product(shape[split:])))


@converter("Squeeze")
def _squeeze(node: NodeContext) -> Value:
    x = node.input(0)
    axes = node.axes_of(13)
    if axes is None:
        dropped = {axis for axis, dim in enumerate(x.type.shape) if dim == 1}
    else:
        dropped = set(node.axes(axes, x.type.rank))
    for axis in dropped:
        dim = x.type.shape[axis]
        if isinstance(dim, DimExpr):
            node.refuse(f"axis {axis} of size {dim} is squeezed; bind the dimension")
        if dim != 1:
            raise ModelError(f"axis {axis} of {x.type} is not of size 1")
    return node.reshape(x, [d for axis, d in enumerate(x.type.shape) if axis not in dropped])


@converter("Unsqueeze")
def _unsqueeze(node: NodeContext) -> Value:
    x = node.input(0)
    axes = node.axes_of(13)
    if axes is None:
        raise ModelError("it does not say which axes to add")
    added = set(node.axes(axes, x.type.rank + len(axes)))
    rest = iter(x.type.shape)
    rank = x.type.rank + len(added)
    return node.reshape(x, [1 if axis in added else next(rest) for axis in range(rank)])


@converter("Expand")
def _expand(node: NodeContext) -> Value:
    """Both shapes broadcast: a 1 in the target keeps the operand's dimension."""
    x, target = node.input(0), node.dims(node.input(1), "shape")
    rank = max(x.type.rank, len(target))
    own = (1,) * (rank - x.type.rank) + x.type.shape
    wanted = (1,) * (rank - len(target)) + target
    shape = [p if q == 1 else q for p, q in zip(own, wanted, strict=True)]
    return node.broadcast(x, shape)


@converter("ConstantOfShape")
def _constant_of_shape(node: NodeContext) -> Value:
    tensor = node.tensor("value")
    value = np.zeros((), np.float32)
    if tensor is not None:
        if tensor.dtype is None or tensor.elements != 1:
            raise ModelError("attribute value is not a single number")
        value = tensor.array.reshape(())
    return node.broadcast(node.constant(value), node.dims(node.input(0), "shape"))


@converter("Range")
def _range_(node: NodeContext) -> Value:
    start, limit, delta = (node.reshape(value, ()) for value in node.inputs)
    dtype = start.type.dtype
    constants = [value.constant for value in (start, limit, delta)]
    numbers = [constant.array.item() for constant in constants if constant is not None]
    if len(numbers) == 3:
        return node.constant(_range_array(node, numbers, dtype))
    first, last = node.dims(start, "start")[0], node.dims(limit, "limit")[0]
    step = node.known_int(delta, "delta")
    if step == 0:
        raise ModelError("a Range with delta 0 never ends")
    distance = last - first if step > 0 else first - last
    count = node.ranges.maximum(dimension.ceildiv(distance, abs(step)), 0)
    ones = node.broadcast(node.scalar(1, dtype), (count,))
    index = node.op("tensor.cumulative_sum", ones, axis=0, exclusive=True)
    return node.op("math.add", node.op("math.mul", index, delta), start)


def _range_array(node: NodeContext, numbers: list[float], dtype: DType) -> Array:
    """The elements of a Range of constants, each ``start + i * delta``."""
    start, limit, delta = numbers
    if delta == 0 or not np.all(np.isfinite(np.array(numbers, np.float64))):
        raise ModelError(f"Range from {start} to {limit} in steps of {delta} never ends")
    if dtype.is_float:
        count, kind = int(np.ceil(min((limit - start) / delta, MAX_TABLE + 1))), np.dtype("f8")
    else:
        # Integers of Python for the count; the elements fit, so that wrapping sums are right.
        count, kind = math.ceil(Fraction(limit - start) / Fraction(delta)), dtype.numpy
    first, step = np.array(start).astype(kind), np.array(delta).astype(kind)
    array: Array = node.table(max(0, count)).astype(kind) * step + first
    return array.astype(dtype.numpy)


@converter("EyeLike")
def _eye_like(node: NodeContext) -> Value:
    x = node.input(0)
    if x.type.rank != 2:
        raise ModelError(f"its input is {x.type}, not a matrix")
    rows, columns = node.static(x.type.shape, "shape")
    dtype = node.dtype("dtype", x.type.dtype)
    row, column = node.arange(rows, 0, 2), node.arange(columns, 0, 1)
    offset = node.scalar(node.integer("k", 0), DType.I64)
    diagonal = node.op("math.equal", column, node.op("math.add", row, offset))
    return node.cast(diagonal, dtype)
