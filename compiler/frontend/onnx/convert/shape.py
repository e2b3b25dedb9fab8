"""Operators that make or reshape tensors without moving data, and those that compute shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from burnish.ir import Dim, DimExpr, DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError
from burnish.ir.types import TensorType

from ..constants import constant_value
from ..context import MAX_TABLE, NodeContext
from ..tensors import Array
from .choices import by_axes, without
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
    elif node.is_known(node.input(1)):
        target = node.dims(node.input(1), "shape")
    else:
        return _reshape_as_declared(node, x, node.input(1))
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


def _reshape_as_declared(node: NodeContext, x: Value, shape: Value) -> Value:
    """The declared shape, which the run-time one must mean: a 0 copies, a -1 is what is left."""
    wanted = node.declared_shape("shape")
    if len(wanted) != shape.type.shape[0]:
        raise ModelError(f"a shape of {shape.type.shape[0]} numbers, declared is {_shown(wanted)}")
    entries, expected = node.cast(shape, DType.I64), node.dims_value(wanted)
    if not node.flag("allowzero"):
        copied = node.dims_value([*x.type.shape, *[0] * len(wanted)][: len(wanted)])
        is_copy = node.op("math.equal", entries, node.scalar(0, DType.I64))
        entries = node.op("math.select", is_copy, copied, entries)
    is_rest = node.op("math.equal", entries, node.scalar(-1, DType.I64))
    entries = node.op("math.select", is_rest, expected, entries)
    return node.require(node.reshape(x, wanted), entries, wanted, "shape")


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
    if node.has(1) and not node.is_known(node.input(1)):
        return _squeeze_as_declared(node, x, node.input(1))
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


def _squeeze_as_declared(node: NodeContext, x: Value, axes: Value) -> Value:
    wanted, old = node.declared_shape("axes"), x.type.shape

    def possible(dropped: Sequence[int]) -> bool:
        return without(old, dropped) == wanted and all(old[axis] == 1 for axis in dropped)

    return by_axes(node, axes, len(old), possible, lambda _: node.reshape(x, wanted))


@converter("Unsqueeze")
def _unsqueeze(node: NodeContext) -> Value:
    x = node.input(0)
    if node.has(1) and not node.is_known(node.input(1)):
        return _unsqueeze_as_declared(node, x, node.input(1))
    axes = node.axes_of(13)
    if axes is None:
        raise ModelError("it does not say which axes to add")
    added = set(node.axes(axes, x.type.rank + len(axes)))
    rest = iter(x.type.shape)
    rank = x.type.rank + len(added)
    return node.reshape(x, [1 if axis in added else next(rest) for axis in range(rank)])


def _unsqueeze_as_declared(node: NodeContext, x: Value, axes: Value) -> Value:
    wanted = node.declared_shape("axes")

    def possible(added: Sequence[int]) -> bool:
        return without(wanted, added) == x.type.shape and all(wanted[axis] == 1 for axis in added)

    return by_axes(node, axes, len(wanted), possible, lambda _: node.reshape(x, wanted))


@converter("Expand")
def _expand(node: NodeContext) -> Value:
    """Both shapes broadcast: a 1 in the target keeps the operand's dimension."""
    x, shape = node.input(0), node.input(1)
    if not node.is_known(shape):
        return _expand_as_declared(node, x, shape)
    target = node.dims(shape, "shape")
    rank = max(x.type.rank, len(target))
    own = (1,) * (rank - x.type.rank) + x.type.shape
    wanted = (1,) * (rank - len(target)) + target
    return node.broadcast(x, [p if q == 1 else q for p, q in zip(own, wanted, strict=True)])


def _expand_as_declared(node: NodeContext, x: Value, shape: Value) -> Value:
    wanted = node.declared_shape("shape")
    (count,) = node.static(shape.type.shape, "shape")
    if max(count, x.type.rank) != len(wanted):
        raise ModelError(f"a shape of {count} numbers, declared is {_shown(wanted)}")
    entries = node.cast(shape, DType.I64)
    if count:
        own = node.dims_value(((1,) * count + x.type.shape)[-count:])
        keeps = node.op("math.equal", entries, node.scalar(1, DType.I64))
        entries = node.op("math.select", keeps, own, entries)
    checked = node.require(x, entries, wanted[len(wanted) - count :], "shape")
    return node.broadcast(checked, wanted)


@converter("ConstantOfShape")
def _constant_of_shape(node: NodeContext) -> Value:
    tensor = node.tensor("value")
    value = np.zeros((), np.float32)
    if tensor is not None:
        if tensor.dtype is None or tensor.elements != 1:
            raise ModelError("attribute value is not a single number")
        value = tensor.array.reshape(())
    filler, shape = node.constant(value), node.input(0)
    if node.is_known(shape):
        return node.broadcast(filler, node.dims(shape, "shape"))
    wanted = node.declared_shape("shape")
    if shape.type.shape != (len(wanted),):
        raise ModelError(f"its shape is {shape.type}, declared is {_shown(wanted)}")
    return node.broadcast(node.require(filler, shape, wanted, "shape"), wanted)


@converter("Range")
def _range_(node: NodeContext) -> Value:
    start, limit, delta = (node.reshape(value, ()) for value in node.inputs)
    dtype = start.type.dtype
    constants = [value.constant for value in (start, limit, delta)]
    numbers = [constant.array.item() for constant in constants if constant is not None]
    if len(numbers) == 3:
        return node.constant(_range_array(node, numbers, dtype))
    if not all(map(node.is_known, (start, limit, delta))):
        return _range_as_declared(node, start, limit, delta)
    first, last = node.dims(start, "start")[0], node.dims(limit, "limit")[0]
    step = node.known_int(delta, "delta")
    if step == 0:
        raise ModelError("a Range with delta 0 never ends")
    distance = last - first if step > 0 else first - last
    count = node.ranges.maximum(dimension.ceildiv(distance, abs(step)), 0)
    ones = node.broadcast(node.scalar(1, dtype), (count,))
    index = node.op("tensor.cumulative_sum", ones, axis=0, exclusive=True)
    return node.op("math.add", node.op("math.mul", index, delta), start)


def _range_as_declared(node: NodeContext, start: Value, limit: Value, delta: Value) -> Value:
    """As many numbers as declared; the count that the operands give is checked."""
    (count,) = _of_rank(node.declared_shape("limit"), 1)
    wide = [node.cast(value, DType.F64) for value in (start, limit, delta)]
    distance = node.op("math.sub", wide[1], wide[0])
    steps = node.op("math.ceil", node.op("math.div", distance, wide[2]))
    steps = node.cast(node.op("math.relu", steps), DType.I64)
    dtype = start.type.dtype
    ones = node.broadcast(node.scalar(1, dtype), (count,))
    index = node.op("tensor.cumulative_sum", ones, axis=0, exclusive=True)
    numbers = node.op("math.add", node.op("math.mul", index, delta), start)
    return node.require(numbers, steps, (count,), "number of elements")


def _of_rank(shape: tuple[Dim, ...], rank: int) -> tuple[Dim, ...]:
    """A declared shape that must have ``rank`` axes."""
    if len(shape) != rank:
        raise ModelError(f"its output is declared as {_shown(shape)}, which is not of rank {rank}")
    return shape


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
