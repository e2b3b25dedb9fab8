"""Reductions along axes, cumulative sums, and selection of the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .. import scalar
from ..attributes import BOOL, INT, INTS, Attributes, choice
from ..constants import Array
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import (
    Cost,
    OpDef,
    OperandTypes,
    attribute,
    once_per_element,
    operand,
    register,
    traffic,
)
from ..types import TensorType
from .checks import narrow, require_axis, show, widen
from .math import NUMERIC

KINDS = ("sum", "mean", "prod", "min", "max", "any", "all")


def reduced_shape(x: TensorType, axes: Sequence[int], keep_dims: bool) -> TensorType:
    """The type of ``x`` with ``axes`` reduced, without encoding."""
    shape = [1 if i in axes else dim for i, dim in enumerate(x.shape) if keep_dims or i not in axes]
    return TensorType(tuple(shape), x.dtype)


@register
class Reduce(OpDef):
    """Sum, mean, product, minimum, maximum, any or all along axes.  ONNX ReduceSum and others.

    No axes reduce nothing.  Integers wrap, and their mean is truncated towards zero; narrow
    floats reduce in f32.  NaN propagates.  Nothing gives the neutral element: 0, 1, ±inf or
    the type's extreme, NaN for the mean of no floats and 0 for that of no integers.
    """

    name = "tensor.reduce"
    x = operand("the data; bool for any and all", dtypes=NUMERIC | {DType.BOOL})
    kind = attribute(choice(*KINDS), "what to compute")
    axes = attribute(INTS, "axes to reduce, ascending")
    keep_dims = attribute(BOOL, "keep reduced axes with size 1", False)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        if (x.dtype is DType.BOOL) != (a.kind in ("any", "all")):
            raise TypeInferenceError(f"{a.kind} is not defined for {x.dtype}")
        if list(a.axes) != sorted(set(a.axes)):
            raise TypeInferenceError(f"axes {show(a.axes)} are not ascending")
        for axis in a.axes:
            require_axis(axis, x.rank)
        return reduced_shape(x, a.axes, a.keep_dims)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        wide = widen(x)
        with np.errstate(all="ignore"):
            return narrow(np.asarray(_reduce(a.kind, wide, a.axes, a.keep_dims)), x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return once_per_element(operands, results)


def _reduce(kind: str, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    dtype = DType.from_numpy(x.dtype)
    if kind in ("any", "all"):
        reduced = np.any if kind == "any" else np.all
        return np.asarray(reduced(x, axis=axes, keepdims=keep))
    if kind == "prod":
        return np.asarray(np.prod(x, axis=axes, keepdims=keep, dtype=x.dtype))
    if kind in ("min", "max"):
        low, high = (-math.inf, math.inf) if dtype.is_float else dtype.integer_range
        if kind == "min":
            return np.asarray(np.min(x, axis=axes, keepdims=keep, initial=high))
        return np.asarray(np.max(x, axis=axes, keepdims=keep, initial=low))
    total = np.asarray(np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype))
    if kind == "sum":
        return total
    count = math.prod(x.shape[axis] for axis in axes)
    if dtype.is_float:
        return np.asarray(total / np.asarray(count, x.dtype))
    widest = np.int64 if dtype.is_signed else np.uint64  # the count may not fit the type
    divide = scalar.PRIMITIVES["div"].numpy
    return np.asarray(divide(total.astype(widest), widest(count))).astype(x.dtype)


@register
class ArgReduce(OpDef):
    """Position of the smallest or largest element along an axis.  ONNX ArgMin, ArgMax.

    Of equal elements the first (or last) is meant.  NaN counts as extreme, as in NumPy.
    """

    name = "tensor.arg_reduce"
    x = operand("the data", dtypes=NUMERIC)
    kind = attribute(choice("min", "max"), "which element to find")
    axis = attribute(INT, "axis to search, 0 <= axis < rank")
    keep_dims = attribute(BOOL, "keep the axis with size 1", False)
    last = attribute(BOOL, "of equal elements take the last instead of the first", False)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_axis(a.axis, x.rank)
        if x.shape[a.axis] == 0:
            raise TypeInferenceError(f"axis {a.axis} is empty and has no {a.kind}imum")
        return reduced_shape(x, (a.axis,), a.keep_dims).with_dtype(DType.I64)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        if x.shape[a.axis] == 0:
            raise InputError(f"axis {a.axis} is empty and has no {a.kind}imum")
        wide = widen(x)
        if a.last:
            wide = np.flip(wide, a.axis)
        find = np.argmin if a.kind == "min" else np.argmax
        found = find(wide, axis=a.axis, keepdims=a.keep_dims)
        return np.asarray(x.shape[a.axis] - 1 - found if a.last else found, np.int64)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return once_per_element(operands, results)


class _Cumulative(OpDef):
    x = operand("the data", dtypes=NUMERIC)
    axis = attribute(INT, "axis to run along, 0 <= axis < rank")
    exclusive = attribute(BOOL, "leave the element itself out", False)
    reverse = attribute(BOOL, "start from the end", False)
    combine: ClassVar[np.ufunc]
    neutral: ClassVar[int]
    """What nothing combines to."""

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_axis(a.axis, x.rank)
        return x.logical

    def evaluate(self, a: Attributes, x: Array) -> Array:
        wide = np.moveaxis(widen(x), a.axis, -1)
        if a.reverse:
            wide = wide[..., ::-1]
        with np.errstate(all="ignore"):
            total = self.combine.accumulate(wide, axis=-1, dtype=wide.dtype)
        if a.exclusive and total.shape[-1]:
            first = np.full_like(total[..., :1], self.neutral)
            total = np.concatenate([first, total[..., :-1]], axis=-1)
        if a.reverse:
            total = total[..., ::-1]
        return narrow(np.moveaxis(total, -1, a.axis), x.dtype)


@register
class CumulativeSum(_Cumulative):
    """Running sum along an axis.  ONNX CumSum.

    Integers wrap; narrow floats add in f32 and are rounded once.
    """

    name = "tensor.cumulative_sum"
    combine = np.add
    neutral = 0


@register
class CumulativeProduct(_Cumulative):
    """Running product along an axis.  ONNX CumProd.

    Integers wrap; narrow floats multiply in f32 and are rounded once.
    """

    name = "tensor.cumulative_product"
    combine = np.multiply
    neutral = 1


@register
class TopK(OpDef):
    """The k largest or smallest elements along an axis and their positions.  ONNX TopK.

    Of equal elements those at lower positions come first.  NaN counts as larger than all
    numbers.  Unsorted results may come in any order; here they are sorted too.
    """

    name = "tensor.top_k"
    result_names = ("values", "indices")
    x = operand("the data", dtypes=NUMERIC)
    axis = attribute(INT, "axis to search, 0 <= axis < rank")
    k = attribute(INT, "how many elements, at most the size of the axis")
    largest = attribute(BOOL, "the largest, else the smallest", True)
    sorted_ = attribute(BOOL, "whether the order of the results matters", True)

    def infer(self, a: Attributes, x: TensorType) -> list[TensorType]:
        require_axis(a.axis, x.rank)
        extent = x.shape[a.axis]
        if a.k < 0 or (isinstance(extent, int) and a.k > extent):
            raise TypeInferenceError(f"k is {a.k}, but axis {a.axis} has {extent} elements")
        shape = (*x.shape[: a.axis], a.k, *x.shape[a.axis + 1 :])
        return [TensorType(shape, x.dtype), TensorType(shape, DType.I64)]

    def evaluate(self, a: Attributes, x: Array) -> list[Array]:
        extent = x.shape[a.axis]
        if a.k > extent:
            raise InputError(f"k is {a.k}, but the axis has {extent} elements")
        wide = np.moveaxis(widen(x), a.axis, -1)
        if a.largest:
            # A stable ascending sort of the reversed axis, reversed: equal ones by position.
            order = np.argsort(wide[..., ::-1], axis=-1, kind="stable")[..., ::-1]
            order = extent - 1 - order
        else:
            order = np.argsort(wide, axis=-1, kind="stable")
        order = np.moveaxis(order[..., : a.k], -1, a.axis)
        return [np.take_along_axis(x, order, a.axis), order.astype(np.int64)]

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        x = operands[0]
        assert x is not None
        return Cost(flops=x.elements * max(1, a.k.bit_length()), **traffic(operands, results))
