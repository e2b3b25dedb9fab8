"""Pooling: the maximum or the mean of sliding windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..attributes import BOOL, INTS, Attributes
from ..constants import Array
from ..dims import Dim
from ..dtypes import DType
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import along, moved, narrow, widen
from .math import NUMERIC
from .windows import check_windows, meeting, pad_spatial, static, taps, window_counts

_LISTS = ("kernel", "strides", "pads", "dilations", "overhang")


class _Pool(OpDef):
    kernel = attribute(INTS, "size of a window, per spatial axis")
    strides = attribute(INTS, "step between windows, per spatial axis")
    pads = attribute(INTS, "padding: all begins, then all ends")
    dilations = attribute(INTS, "distance between elements of a window, per spatial axis")
    overhang = attribute(
        INTS, "further padding at the end that rounding the result up needs, per spatial axis"
    )

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        flops = results[0].elements * math.prod(a.kernel)
        return Cost(flops=flops, **traffic(operands, results))


def _counts(a: Attributes, extents: Sequence[Dim]) -> list[Dim]:
    return window_counts(extents, a.kernel, a.strides, a.pads, a.dilations, a.overhang)


def _rules(a: Attributes, sizes: Sequence[int], counts: Sequence[int]) -> tuple[Any, ...]:
    """What :func:`taps` wants to know; padding never changes a result."""
    return a.kernel, a.strides, a.dilations, counts, meeting(a, sizes, counts)


@register
class MaxPool(_Pool):
    """The largest element of each window of x [N, C, ...].  ONNX MaxPool, first result.

    Padding never wins: it counts as -inf, or the type's smallest integer.  NaN propagates.
    """

    name = "nn.max_pool"
    x = operand("input [N, C, spatial...], at least one spatial axis", dtypes=NUMERIC)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        spatial = check_windows(a, x, _LISTS)
        shape = [*x.shape[:2], *_counts(a, x.shape[2:])]
        return moved(x, shape, [0, 1, *[None] * spatial])

    def evaluate(self, a: Attributes, x: Array) -> Array:
        counts = static(_counts(a, x.shape[2:]))
        wide = widen(x)
        dtype = DType.from_numpy(wide.dtype)
        lowest = -math.inf if dtype.is_float else dtype.integer_range[0]
        padded = pad_spatial(wide, a.pads, a.overhang, lowest)
        y = np.full((*x.shape[:2], *counts), lowest, wide.dtype)
        rules = _rules(a, x.shape[2:], counts)
        for _, seen in taps(padded, *rules):
            np.maximum(y, seen, out=y)
        return narrow(y, x.dtype)


@register
class ArgMaxPool(_Pool):
    """Where the largest element of each window of x [N, C, ...] lies.  ONNX MaxPool, second
    result, but counted within the volume of one channel, in row-major order.

    Of equal elements the first wins, and the first NaN beats everything.  A window wholly
    outside gives -1.
    """

    name = "nn.arg_max_pool"
    x = operand("input [N, C, spatial...], at least one spatial axis", dtypes=NUMERIC)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        check_windows(a, x, _LISTS)
        return TensorType((*x.shape[:2], *_counts(a, x.shape[2:])), DType.I64)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        sizes = x.shape[2:]
        counts = static(_counts(a, sizes))
        places = np.arange(math.prod(sizes), dtype=np.int64).reshape(1, 1, *sizes)
        padded = pad_spatial(widen(x), a.pads, a.overhang, 0)
        numbered = pad_spatial(places, a.pads, a.overhang, -1)
        best = np.zeros((*x.shape[:2], *counts), padded.dtype)
        y = np.full(best.shape, -1, np.int64)
        rules = _rules(a, sizes, counts)
        for (_, seen), (_, place) in zip(taps(padded, *rules), taps(numbered, *rules)):
            better = (seen > best) | (np.isnan(seen) & ~np.isnan(best))
            better = (place >= 0) & (better | (y < 0))
            best, y = np.where(better, seen, best), np.where(better, place, y)
        return y


@register
class AveragePool(_Pool):
    """The mean of each window of x [N, C, ...].  ONNX AveragePool.

    Elements outside x count as 0.  The divisor is the number of elements of the window inside
    x; with ``count_include_pad`` those in the padding count too, those in the overhang never.
    A window wholly outside gives NaN.
    """

    name = "nn.average_pool"
    x = operand("input [N, C, spatial...], at least one spatial axis", dtypes=FLOATS)
    count_include_pad = attribute(BOOL, "whether padding counts in the divisor", False)

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        check_windows(a, x, _LISTS)
        return TensorType((*x.shape[:2], *_counts(a, x.shape[2:])), x.dtype)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        counts = static(_counts(a, x.shape[2:]))
        padded = pad_spatial(widen(x), a.pads, a.overhang, 0)
        y = np.zeros((*x.shape[:2], *counts), padded.dtype)
        rules = _rules(a, x.shape[2:], counts)
        with np.errstate(all="ignore"):
            for _, seen in taps(padded, *rules):
                y += seen
            for axis, (extent, count) in enumerate(zip(x.shape[2:], counts)):
                divisor = average_divisor(a, axis, extent, count)
                y /= along(divisor.astype(y.dtype), axis, len(counts))
        return narrow(y, x.dtype)


def average_divisor(a: Attributes, axis: int, extent: int, count: int) -> Array:
    """How many elements of each of ``count`` windows count along a spatial axis of ``extent``.

    Divisors are the products over the axes.  Backends tabulate them, so that a window's divisor
    is not counted at run time.
    """
    first = np.arange(count) * a.strides[axis] - a.pads[axis]
    low, high = 0, extent
    if a.count_include_pad:
        low, high = -a.pads[axis], high + a.pads[axis + len(a.strides)]
    # Taps before each end; in closed form, because kernels can be as large as padding.
    before_low, before_high = (
        np.clip(-((first - end) // a.dilations[axis]), 0, a.kernel[axis]) for end in (low, high)
    )
    counted: Array = before_high - before_low
    return counted
