"""Resizing by scales or a crop that are known only when the model runs.

The declared shape fixes the size of every axis; source positions and weights are computed from
the scales, with the arithmetic of the op ``nn.resize``, and every axis is gathered and weighted
in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import DType, Value

from ..context import NodeContext

_F32, _I64 = DType.F32, DType.I64


@dataclass(frozen=True)
class Filter:
    """How a result element is made of source elements; see the attributes of ``nn.resize``."""

    mode: str
    coordinates: str
    rounding: str
    cubic_coefficient: float
    exclude_outside: bool
    antialias: bool
    extrapolation_value: float


class Resampler:
    """Resizes the operand of ``node`` to ``shape``.

    ``scales``, f32[rank], enter the coordinates; ``roi``, f32[2 * rank], holds starts, then ends
    of the crop, for ``tf_crop_and_resize`` only.
    """

    def __init__(
        self, node: NodeContext, how: Filter, shape: Sequence[int], scales: Value, roi: Value
    ) -> None:
        self._node = node
        self._op = node.op
        self._how = how
        self._new = tuple(shape)
        self._scales = scales
        self._roi = roi

    def __call__(self, x: Value) -> Value:
        """``x`` resized."""
        node, how = self._node, self._how
        dtype, old = x.type.dtype, node.static(x.type.shape, "shape")
        if 0 in self._new:
            return node.broadcast(node.scalar(0, dtype), self._new)
        y = x
        if how.mode != "nearest" and dtype is not DType.F64:
            y = node.cast(x, _F32)
        outside: Value | None = None
        for axis, size in enumerate(old):
            source = self._coordinates(axis, size)
            if how.mode == "nearest":
                y = self._op("tensor.gather", y, self._nearest(source, size), axis=axis)
            else:
                y = self._weighted(y, axis, size, source)
            if how.coordinates == "tf_crop_and_resize":
                beyond = self._along(self._beyond(source, size), axis)
                if outside is not None:
                    beyond = self._op("math.logical_or", outside, beyond)
                outside = beyond
        y = node.cast(y, dtype)
        if outside is None:
            return y
        filler = node.cast(self._number(how.extrapolation_value), dtype)
        return self._op("math.select", outside, filler, y)

    # Coordinates -------------------------------------------------------------------------

    def _coordinates(self, axis: int, old: int) -> Value:
        """The source coordinate of each result position, f32[new]."""
        new, kind = self._new[axis], self._how.coordinates
        position = self._node.constant(np.arange(new, dtype=np.float32))
        scale = self._entry(self._scales, axis)
        if kind == "asymmetric":
            return self._op("math.div", position, scale)
        if kind in ("align_corners", "pytorch_half_pixel") and new == 1:
            return self._node.constant(np.zeros(new, np.float32))
        if kind == "align_corners":
            steps = self._op("math.sub", self._exact_size(scale, old, new), self._number(1))
            return self._op(
                "math.div", self._op("math.mul", position, self._number(old - 1)), steps
            )
        if kind == "half_pixel_symmetric":
            return self._symmetric(scale, old, new)
        if kind == "tf_crop_and_resize":
            return self._cropped(axis, old, new)
        half = self._number(0.5)
        centered = self._op("math.div", self._op("math.add", position, half), scale)
        return self._op("math.sub", centered, half)

    def _exact_size(self, scale: Value, old: int, new: int) -> Value:
        """The size before it was rounded down: a fraction where the scale gives one."""
        exact = self._op("math.equal", scale, self._number(float(np.float32(new / old))))
        product = self._op("math.mul", scale, self._number(old))
        return self._op("math.select", exact, self._number(new), product)

    def _symmetric(self, scale: Value, old: int, new: int) -> Value:
        stretched = self._op("math.mul", scale, self._number(old))
        rest = self._op("math.div", self._number(new), stretched)
        rest = self._op("math.sub", self._number(1), rest)
        offset = self._op("math.mul", self._number(old / 2), rest)
        wide = DType.F64
        centers = self._node.constant((np.arange(new, dtype=np.float32) + 0.5).astype(np.float64))
        source = self._op("math.div", centers, self._node.cast(scale, wide))
        source = self._op("math.add", self._node.cast(offset, wide), source)
        return self._node.cast(self._op("math.sub", source, self._node.scalar(0.5, wide)), _F32)

    def _cropped(self, axis: int, old: int, new: int) -> Value:
        start = self._entry(self._roi, axis)
        end = self._entry(self._roi, axis + len(self._new))
        last = self._number(old - 1)
        if new == 1:
            middle = self._op("math.mul", self._number(0.5), self._op("math.add", start, end))
            return self._node.reshape(self._op("math.mul", middle, last), (1,))
        position = self._node.constant(np.arange(new, dtype=np.float32))
        step = self._op("math.mul", position, self._op("math.sub", end, start))
        step = self._op("math.div", self._op("math.mul", step, last), self._number(new - 1))
        return self._op("math.add", self._op("math.mul", start, last), step)

    def _beyond(self, source: Value, old: int) -> Value:
        below = self._op("math.less", source, self._number(0))
        above = self._op("math.greater", source, self._number(old - 1))
        return self._op("math.logical_or", below, above)

    # Positions and weights ---------------------------------------------------------------

    def _nearest(self, source: Value, old: int) -> Value:
        below = self._op("math.floor", source)
        rounding = self._how.rounding
        if rounding == "ceil":
            below = self._op("math.ceil", source)
        elif rounding != "floor":
            rest = self._op("math.sub", source, below)
            test = "math.greater" if rounding == "round_prefer_floor" else "math.greater_equal"
            up = self._op(test, rest, self._number(0.5))
            below = self._op("math.add", below, self._node.cast(up, _F32))
        return self._inside(self._node.cast(below, _I64), old)

    def _weighted(self, y: Value, axis: int, old: int, source: Value) -> Value:
        indices, weights = self._taps(axis, old, source)
        total: Value | None = None
        for index, weight in zip(indices, weights):
            taken = self._op("tensor.gather", y, self._inside(index, old), axis=axis)
            factor = self._along(self._node.cast(weight, y.type.dtype), axis)
            term = self._op("math.mul", taken, factor)
            total = term if total is None else self._op("math.add", total, term)
        assert total is not None
        return total

    def _taps(self, axis: int, old: int, source: Value) -> tuple[list[Value], list[Value]]:
        """Source positions, i64[new] each, and their weights, f32[new] each."""
        how = self._how
        radius = 1 if how.mode == "linear" else 2
        shrink = self._number(1)
        reach = radius
        if how.antialias:
            shrink = self._op("math.min", self._entry(self._scales, axis), shrink)
            # The scale is at least new / old; further taps have no weight.
            reach = math.ceil(radius * max(1.0, old / self._new[axis]))
        base = self._op("math.floor", source)
        rest = self._op("math.sub", source, base)
        indices, weights = [], []
        for offset in range(1 - reach, reach + 1):
            index = self._op(
                "math.add", self._node.cast(base, _I64), self._node.scalar(offset, _I64)
            )
            distance = self._op("math.sub", self._number(offset), rest)
            weight = self._kernel(self._op("math.mul", distance, shrink))
            if how.exclude_outside:
                clipped = self._op("math.equal", index, self._inside(index, old))
                weight = self._op("math.select", clipped, weight, self._number(0))
            indices.append(index)
            weights.append(weight)
        if how.exclude_outside or how.antialias:
            total = weights[0]
            for weight in weights[1:]:
                total = self._op("math.add", total, weight)
            none = self._op("math.equal", total, self._number(0))
            total = self._op("math.select", none, self._number(1), total)
            weights = [self._op("math.div", weight, total) for weight in weights]
        return indices, weights

    def _kernel(self, distance: Value) -> Value:
        """The weight of a source element at a distance: a triangle, or Keys' cubic."""
        d = self._op("math.abs", distance)
        if self._how.mode == "linear":
            return self._op("math.relu", self._op("math.sub", self._number(1), d))
        a = self._how.cubic_coefficient
        near = self._polynomial(d, (a + 2, -(a + 3), 0, 1))
        far = self._polynomial(d, (a, -5 * a, 8 * a, -4 * a))
        beyond = self._op("math.less", d, self._number(2))
        far = self._op("math.select", beyond, far, self._number(0))
        is_near = self._op("math.less_equal", d, self._number(1))
        return self._op("math.select", is_near, near, far)

    def _polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        total = self._number(coefficients[0])
        for coefficient in coefficients[1:]:
            scaled = self._op("math.mul", total, x)
            total = self._op("math.add", scaled, self._number(coefficient))
        return total

    # Small things ------------------------------------------------------------------------

    def _inside(self, index: Value, old: int) -> Value:
        low, high = self._node.scalar(0, _I64), self._node.scalar(old - 1, _I64)
        return self._op("math.min", self._op("math.max", index, low), high)

    def _along(self, values: Value, axis: int) -> Value:
        shape = [size if i == axis else 1 for i, size in enumerate(self._new)]
        return self._node.reshape(values, shape)

    def _entry(self, values: Value, index: int) -> Value:
        return self._op("tensor.gather", values, self._node.scalar(index, _I64), axis=0)

    def _number(self, value: float) -> Value:
        return self._node.scalar(value, _F32)
