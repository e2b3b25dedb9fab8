"""Ops that move or repeat data without computing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import dims
from ..attributes import DIM, DIMS, INT, INTS, Attributes, choice
from ..constants import Array
from ..dims import Dim
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import Cost, OpDef, OperandTypes, Trait, attribute, operand, register
from ..types import TensorType, broadcast_shapes
from .checks import (
    moved,
    require_axis,
    require_equal,
    require_length,
    require_minimum,
    show,
    unchanged_axes,
)


@register
class Reshape(OpDef):
    """The same elements in row-major order under another shape.  ONNX Reshape, Flatten, Squeeze,
    Unsqueeze.

    The element counts must be equal for every value of the symbols.  One exception serves
    ONNX's -1: a dimension that is the quotient of the element count by the other dimensions
    is taken to be exact.
    """

    name = "tensor.reshape"
    traits = frozenset({Trait.VIEW})
    x = operand("the data")
    shape = attribute(DIMS, "shape of the result")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_minimum([d for d in a.shape if isinstance(d, int)], 0, "shape")
        if not _same_elements(x.shape, a.shape):
            raise TypeInferenceError(
                f"cannot reshape {show(x.shape)} ({x.elements} elements) to {show(a.shape)} "
                f"({dims.product(a.shape)} elements)"
            )
        return moved(x, a.shape, _surviving_axes(x.shape, a.shape))

    def evaluate(self, a: Attributes, x: Array) -> Array:
        return np.reshape(x, a.shape)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost()


def _same_elements(old: Sequence[Dim], new: Sequence[Dim]) -> bool:
    count = dims.product(old)
    if count == dims.product(new):
        return True
    for axis, dim in enumerate(new):
        others = dims.product([*new[:axis], *new[axis + 1 :]])
        if not isinstance(dim, int) and others != 0 and dim == dims.floordiv(count, others):
            return True
    return False


def _surviving_axes(old: Sequence[Dim], new: Sequence[Dim]) -> list[int | None]:
    """Where each old axis is found again: same extent, same number of elements before it."""
    positions = {
        (dims.product(new[:axis]), dim): axis for axis, dim in reversed(list(enumerate(new)))
    }
    return [positions.get((dims.product(old[:axis]), dim)) for axis, dim in enumerate(old)]


@register
class Transpose(OpDef):
    """Axes in another order: axis i of the result is axis permutation[i] of x.  ONNX Transpose."""

    name = "tensor.transpose"
    x = operand("the data")
    permutation = attribute(INTS, "each axis of x once")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if sorted(a.permutation) != list(range(x.rank)):
            raise TypeInferenceError(
                f"{show(a.permutation)} is not a permutation of the axes of a tensor of "
                f"rank {x.rank}"
            )
        targets: list[int | None] = [a.permutation.index(axis) for axis in range(x.rank)]
        return moved(x, [x.shape[axis] for axis in a.permutation], targets)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        return np.transpose(x, a.permutation)


@register
class Broadcast(OpDef):
    """x repeated along new and size-1 axes to exactly ``shape``, as NumPy does.  ONNX Expand."""

    name = "tensor.broadcast"
    x = operand("the data")
    shape = attribute(DIMS, "shape of the result")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if broadcast_shapes(x.shape, a.shape) != a.shape:
            raise TypeInferenceError(f"{show(x.shape)} does not broadcast to {show(a.shape)}")
        added = len(a.shape) - x.rank
        survives = [i + added if x.shape[i] == a.shape[i + added] else None for i in range(x.rank)]
        return moved(x, a.shape, survives)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        return np.broadcast_to(x, a.shape)


@register
class Slice(OpDef):
    """Equally spaced elements: y[i] = x[starts + i·steps] along every axis.  ONNX Slice.

    All axes are listed and nothing is clamped: every element taken must exist.
    """

    name = "tensor.slice"
    x = operand("the data")
    starts = attribute(DIMS, "first element taken, per axis, counted from the front")
    sizes = attribute(DIMS, "shape of the result")
    steps = attribute(INTS, "distance between elements, per axis; may be negative, not 0")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        for values, what in ((a.starts, "starts"), (a.sizes, "sizes"), (a.steps, "steps")):
            require_length(values, x.rank, what)
        if 0 in a.steps:
            raise TypeInferenceError(f"steps {show(a.steps)} has a 0")
        for axis, (extent, start, size, step) in enumerate(
            zip(x.shape, a.starts, a.sizes, a.steps)
        ):
            last = start + (size - 1) * step
            if isinstance(size, int) and size <= 0:
                require_minimum([size], 0, "size")
            elif any(_negative(d) for d in (start, last, extent - 1 - start, extent - 1 - last)):
                raise TypeInferenceError(
                    f"elements {start} to {last} of axis {axis} of size {extent} do not all exist"
                )
        return moved(x, a.sizes, unchanged_axes(x, a.sizes))

    def evaluate(self, a: Attributes, x: Array) -> Array:
        ranges = []
        for extent, start, size, step in zip(x.shape, a.starts, a.sizes, a.steps):
            last = start + (size - 1) * step
            if size > 0 and not (0 <= start < extent and 0 <= last < extent):
                raise InputError(f"elements {start} to {last} of an axis of size {extent}")
            stop = last + (1 if step > 0 else -1)
            ranges.append(
                slice(0, 0) if size == 0 else slice(start, stop if stop >= 0 else None, step)
            )
        return x[tuple(ranges)]


def _negative(dim: Dim) -> bool:
    return isinstance(dim, int) and dim < 0


@register
class Concat(OpDef):
    """Tensors one after another along an axis.  ONNX Concat."""

    name = "tensor.concat"
    xs = operand("at least one tensor; shapes differ along the axis only", variadic=True, group="T")
    axis = attribute(INT, "axis to join along, 0 <= axis < rank")

    def infer(self, a: Attributes, *xs: TensorType) -> TensorType:
        if not xs:
            raise TypeInferenceError("needs at least one operand")
        first = xs[0]
        require_axis(a.axis, first.rank)
        extent: Dim = 0
        for index, x in enumerate(xs):
            if x.rank != first.rank or any(
                p != q for i, (p, q) in enumerate(zip(x.shape, first.shape)) if i != a.axis
            ):
                raise TypeInferenceError(
                    f"operand {index} has shape {show(x.shape)}, the first {show(first.shape)}; "
                    f"they may differ along axis {a.axis} only"
                )
            extent = extent + x.shape[a.axis]
        shape = [*first.shape[: a.axis], extent, *first.shape[a.axis + 1 :]]
        if any(x.encoding != first.encoding for x in xs):
            if any(x.quantized for x in xs):
                raise TypeInferenceError("the operands are quantized differently")
            return TensorType(tuple(shape), first.dtype)
        return moved(first, shape, [i if i != a.axis else None for i in range(first.rank)])

    def evaluate(self, a: Attributes, *xs: Array) -> Array:
        return np.concatenate(xs, axis=a.axis)


@register
class Pad(OpDef):
    """Elements added before and after, per axis.  ONNX Pad.

    ``constant`` adds the operand value (0 when absent); ``edge`` repeats the outermost
    element; ``reflect`` mirrors without repeating it, back and forth as often as needed;
    ``wrap`` continues at the other end.
    """

    name = "tensor.pad"
    x = operand("the data", group="T")
    value = operand(
        "what to add in mode constant, rank 0; 0 when absent", rank=0, optional=True, group="T"
    )
    before = attribute(INTS, "elements to add in front, per axis, >= 0")
    after = attribute(INTS, "elements to add behind, per axis, >= 0")
    mode = attribute(choice("constant", "reflect", "edge", "wrap"), "what is added", "constant")

    def infer(self, a: Attributes, x: TensorType, value: TensorType | None) -> TensorType:
        for amounts, what in ((a.before, "before"), (a.after, "after")):
            require_length(amounts, x.rank, what)
            require_minimum(amounts, 0, what)
        if value is not None and a.mode != "constant":
            raise TypeInferenceError(f"mode {a.mode} takes no value")
        for axis, extent in enumerate(x.shape):
            if a.mode != "constant" and extent == 0 and (a.before[axis] or a.after[axis]):
                raise TypeInferenceError(f"axis {axis} is empty and cannot be padded by {a.mode}")
        shape = [n + p + q for n, p, q in zip(x.shape, a.before, a.after)]
        return moved(x, shape, unchanged_axes(x, shape))

    def evaluate(self, a: Attributes, x: Array, value: Array | None) -> Array:
        shape = [n + p + q for n, p, q in zip(x.shape, a.before, a.after)]
        if a.mode == "constant":
            y = np.full(shape, np.zeros((), x.dtype) if value is None else value, x.dtype)
            y[tuple(slice(p, p + n) for n, p in zip(x.shape, a.before))] = x
            return y
        for axis, (old, new) in enumerate(zip(x.shape, shape)):
            if old != new:
                x = np.take(x, pad_source(a.mode, np.arange(new) - a.before[axis], old), axis)
        return x


def pad_source(mode: str, position: Array, extent: int) -> Array:
    """The element of an axis that stands at each ``position``, inside or outside of it."""
    if mode == "edge":
        return np.clip(position, 0, extent - 1)
    if mode == "wrap":
        return np.mod(position, extent)
    period = max(2 * (extent - 1), 1)
    folded = np.mod(position, period)
    return np.minimum(folded, period - folded) if extent > 1 else np.zeros_like(position)


@register
class Tile(OpDef):
    """x repeated ``repeats`` times along each axis.  ONNX Tile."""

    name = "tensor.tile"
    x = operand("the data")
    repeats = attribute(INTS, "copies per axis, >= 0")

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_length(a.repeats, x.rank, "repeats")
        require_minimum(a.repeats, 0, "repeats")
        shape = [n * count for n, count in zip(x.shape, a.repeats)]
        return moved(x, shape, unchanged_axes(x, shape))

    def evaluate(self, a: Attributes, x: Array) -> Array:
        return np.tile(x, a.repeats)


@register
class Dimension(OpDef):
    """The run-time value of a dimension, as a rank-0 i64.  Part of ONNX Shape."""

    name = "tensor.dimension"
    value = attribute(DIM, "the dimension; it folds to a constant when it has no symbols")

    def infer(self, a: Attributes) -> TensorType:
        return TensorType((), DType.I64)

    def evaluate(self, a: Attributes) -> Array:
        require_equal(a.value, int(a.value), "value")
        return np.asarray(a.value, np.int64)
