"""Ops that read or write at positions given by data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..attributes import INT, Attributes, choice
from ..constants import Array
from ..errors import InputError, TypeInferenceError
from ..opdef import INDICES, OpDef, attribute, operand, register
from ..types import TensorType
from .checks import (
    along,
    moved,
    narrow,
    require_axis,
    require_equal,
    require_shape,
    show,
    widen,
)
from .math import NUMERIC

REDUCTION = choice("none", "add", "mul", "min", "max")


def positions_within(indices: Array, extent: int) -> Array:
    """``indices`` into an axis of size ``extent``, negative ones counted from its end.

    Raises:
        InputError: an index is outside [-extent, extent).
    """
    bad = (indices < -extent) | (indices >= extent)
    if bad.any():
        raise InputError(f"index {indices[bad].flat[0]} is outside an axis of size {extent}")
    return np.where(indices < 0, indices + extent, indices).astype(np.intp)


@register
class Gather(OpDef):
    """Slices of x at ``indices`` along an axis.  ONNX Gather.

    The indices' shape replaces the axis.  Negative indices count from the end; an index
    outside is an error at run time.
    """

    name = "tensor.gather"
    x = operand("the data, rank >= 1")
    indices = operand("which slices", dtypes=INDICES)
    axis = attribute(INT, "axis to index, 0 <= axis < rank", 0)

    def infer(self, a: Attributes, x: TensorType, indices: TensorType) -> TensorType:
        require_axis(a.axis, x.rank)
        shape = [*x.shape[: a.axis], *indices.shape, *x.shape[a.axis + 1 :]]
        shift = indices.rank - 1
        axes = [i if i < a.axis else i + shift if i > a.axis else None for i in range(x.rank)]
        return moved(x, shape, axes)

    def evaluate(self, a: Attributes, x: Array, indices: Array) -> Array:
        return np.take(x, positions_within(indices, x.shape[a.axis]), axis=a.axis)


@register
class GatherElements(OpDef):
    """y[.., i, ..] = x[.., indices[.., i, ..], ..] along an axis.  ONNX GatherElements."""

    name = "tensor.gather_elements"
    x = operand("the data, rank >= 1")
    indices = operand("rank of x; not larger than x along the other axes", dtypes=INDICES)
    axis = attribute(INT, "axis to index, 0 <= axis < rank", 0)

    def infer(self, a: Attributes, x: TensorType, indices: TensorType) -> TensorType:
        require_axis(a.axis, x.rank)
        _require_inside(indices, x, a.axis)
        return moved(x, indices.shape, [None] * x.rank)

    def evaluate(self, a: Attributes, x: Array, indices: Array) -> Array:
        return np.asarray(x[_element_positions(x, indices, a.axis)])


def _require_inside(indices: TensorType, x: TensorType, axis: int) -> None:
    require_equal(indices.rank, x.rank, "rank of indices")
    for i, (count, extent) in enumerate(zip(indices.shape, x.shape)):
        excess = count - extent
        if i != axis and isinstance(excess, int) and excess > 0:
            raise TypeInferenceError(
                f"indices {show(indices.shape)} is larger than x {show(x.shape)} along axis {i}"
            )


def _element_positions(x: Array, indices: Array, axis: int) -> tuple[Array, ...]:
    grid: list[Array] = list(np.indices(indices.shape, sparse=True))
    grid[axis] = positions_within(indices, x.shape[axis])
    return tuple(grid)


@register
class GatherND(OpDef):
    """Slices of x at index tuples, the last axis of ``indices``.  ONNX GatherND."""

    name = "tensor.gather_nd"
    x = operand("the data, rank >= 1")
    indices = operand("index tuples along the last axis, rank >= 1", dtypes=INDICES)
    batch_dims = attribute(INT, "leading axes that x and indices share", 0)

    def infer(self, a: Attributes, x: TensorType, indices: TensorType) -> TensorType:
        batch: int = a.batch_dims
        width = _tuple_width(indices)
        if not 0 <= batch < min(indices.rank, x.rank) or batch + width > x.rank:
            raise TypeInferenceError(
                f"tuples of {width} after {batch} batch axes do not index a tensor of rank {x.rank}"
            )
        for axis in range(batch):
            require_equal(indices.shape[axis], x.shape[axis], f"batch axis {axis} of indices")
        shape = [*indices.shape[:-1], *x.shape[batch + width :]]
        return moved(x, shape, [None] * x.rank)

    def evaluate(self, a: Attributes, x: Array, indices: Array) -> Array:
        batch: int = a.batch_dims
        lead = indices.ndim - 1
        grid = [along(np.arange(n), axis, lead) for axis, n in enumerate(indices.shape[:batch])]
        width = indices.shape[-1]
        tuples = [positions_within(indices[..., i], x.shape[batch + i]) for i in range(width)]
        if not grid and not tuples:
            return np.broadcast_to(x, (*indices.shape[:-1], *x.shape))
        if width == 0:  # whole batch entries, repeated over the remaining axes of indices
            grid = [np.broadcast_to(i, indices.shape[:-1]) for i in grid]
        return x[tuple(grid + tuples)]


def _tuple_width(indices: TensorType) -> int:
    if indices.rank == 0:
        raise TypeInferenceError("indices need rank 1 at least")
    width = indices.shape[-1]
    if not isinstance(width, int):
        raise TypeInferenceError(f"the last axis of indices is {width}, but must be static")
    return width


def _update(y: Array, where: tuple[Array, ...], updates: Array, reduction: str) -> None:
    """Write ``updates`` into ``y``; of several at one place the last one wins, or all combine."""
    if reduction == "none":
        y[where] = updates
        return
    ufuncs: dict[str, Callable[..., Any]] = {
        "add": np.add.at,
        "mul": np.multiply.at,
        "min": np.minimum.at,
        "max": np.maximum.at,
    }
    ufuncs[reduction](y, where, updates)


class _Scatter(OpDef):
    x = operand("the data", group="T")
    indices = operand("where to write", dtypes=INDICES)
    updates = operand("what to write", group="T")
    reduction = attribute(REDUCTION, "how an update combines with what is there", "none")

    def _result(self, a: Attributes, x: TensorType) -> TensorType:
        if a.reduction != "none" and x.dtype not in NUMERIC:
            raise TypeInferenceError(f"reduction {a.reduction} is not defined for {x.dtype}")
        return x.with_encoding(x.quantized)

    def _written(self, a: Attributes, x: Array, where: tuple[Array, ...], updates: Array) -> Array:
        combine = a.reduction != "none"
        y: Array = (widen(x) if combine else x).copy()
        with np.errstate(all="ignore"):
            _update(y, where, widen(updates) if combine else updates, a.reduction)
        return narrow(y, x.dtype)


@register
class ScatterElements(_Scatter):
    """x with elements replaced or combined: y[.., indices[.., i, ..], ..] = updates[.., i, ..].

    ONNX ScatterElements.  Of several updates of one element the last in row-major order
    wins; with a reduction they combine in that order, narrow floats in f32.
    """

    name = "tensor.scatter_elements"
    axis = attribute(INT, "axis to index, 0 <= axis < rank", 0)

    def infer(
        self, a: Attributes, x: TensorType, indices: TensorType, updates: TensorType
    ) -> TensorType:
        require_axis(a.axis, x.rank)
        _require_inside(indices, x, a.axis)
        require_shape(updates, indices.shape, "updates")
        return self._result(a, x)

    def evaluate(self, a: Attributes, x: Array, indices: Array, updates: Array) -> Array:
        return self._written(a, x, _element_positions(x, indices, a.axis), updates)


@register
class ScatterND(_Scatter):
    """x with slices replaced or combined at index tuples.  ONNX ScatterND.

    The last axis of ``indices`` holds index tuples into the first axes of x.  Of several
    updates of one place the last in row-major order wins; with a reduction they combine.
    """

    name = "tensor.scatter_nd"

    def infer(
        self, a: Attributes, x: TensorType, indices: TensorType, updates: TensorType
    ) -> TensorType:
        width = _tuple_width(indices)
        if width > x.rank:
            raise TypeInferenceError(f"tuples of {width} do not index a tensor of rank {x.rank}")
        require_shape(updates, [*indices.shape[:-1], *x.shape[width:]], "updates")
        return self._result(a, x)

    def evaluate(self, a: Attributes, x: Array, indices: Array, updates: Array) -> Array:
        width = indices.shape[-1]
        where = tuple(positions_within(indices[..., i], x.shape[i]) for i in range(width))
        if width == 0:  # each update is of the whole tensor
            stacked = x[np.newaxis]
            zeros = np.zeros(indices.shape[:-1], np.intp)
            return np.asarray(self._written(a, stacked, (zeros,), updates)[0])
        return self._written(a, x, where, updates)
