"""Resizing by interpolation, with ONNX's coordinate arithmetic.

Interpolation is separable: along each axis every result position has a few source positions
(*taps*) with weights, :func:`axis_taps`, and the result is the weighted sum axis by axis.
Coordinates are computed in f32, in the order of operations of onnxruntime
(``upsamplebase.h``), because rounding decides which source element a nearest position takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import scalar
from ..attributes import BOOL, DIMS, FLOAT, Attributes, choice
from ..attributes import FLOATS as NUMBERS
from ..constants import Array
from ..dtypes import DType
from ..errors import TypeInferenceError
from ..opdef import Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import along, moved, require_length, require_minimum, unchanged_axes, widen
from .math import NUMERIC

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@dataclass(frozen=True)
class Taps:
    """How one axis is resized: result position i is Σ_t weights[i, t] · source[indices[i, t]].

    ``outside[i]`` marks positions beyond the source, which take the extrapolation value
    (in tf_crop_and_resize only).
    """

    indices: Array
    weights: Array
    outside: Array

    @property
    def is_identity(self) -> bool:
        """Whether the axis stays as it is (the caller knows that its size does)."""
        positions = np.arange(len(self.indices))[:, np.newaxis]
        hits = np.where(self.indices == positions, self.weights, 0).sum(axis=1)
        others = np.where(self.indices != positions, self.weights, 0)
        return bool((hits == 1).all() and not others.any() and not self.outside.any())


@register
class Resize(OpDef):
    """x resampled to ``shape`` by nearest, linear or cubic interpolation.  ONNX Resize.

    ``scales`` enter the coordinates and may differ from the ratio of the sizes.  Integers are
    interpolated in f32 and truncated towards zero.
    """

    name = "nn.resize"
    x = operand("the data", dtypes=NUMERIC)
    shape = attribute(DIMS, "shape of the result")
    scales = attribute(NUMBERS, "result size over source size, per axis, as coordinates use it")
    mode = attribute(choice("nearest", "linear", "cubic"), "interpolation")
    coordinates = attribute(
        choice(*COORDINATES), "how result positions map to the source", "half_pixel"
    )
    rounding = attribute(
        choice(*ROUNDINGS), "source position taken in mode nearest", "round_prefer_floor"
    )
    cubic_coefficient = attribute(FLOAT, "parameter a of cubic interpolation", -0.75)
    exclude_outside = attribute(BOOL, "give source positions outside no weight", False)
    antialias = attribute(BOOL, "widen the filter when shrinking", False)
    extrapolation_value = attribute(FLOAT, "value outside, in tf_crop_and_resize", 0.0)
    roi = attribute(NUMBERS, "starts, then ends of the crop relative to x, per axis", ())

    def infer(self, a: Attributes, x: TensorType) -> TensorType:
        require_length(a.shape, x.rank, "shape")
        require_length(a.scales, x.rank, "scales")
        require_minimum([d for d in a.shape if isinstance(d, int)], 0, "shape")
        if not all(0 < scale < math.inf for scale in a.scales):
            raise TypeInferenceError(f"scales {list(a.scales)} are not all positive")
        if a.coordinates == "tf_crop_and_resize":
            require_length(a.roi, 2 * x.rank, "roi")
        if a.antialias and a.mode == "nearest":
            raise TypeInferenceError("nearest interpolation has no antialias")
        for axis, (old, new) in enumerate(zip(x.shape, a.shape)):
            if old == 0 and new != 0:
                raise TypeInferenceError(f"axis {axis} is empty and cannot become {new}")
        if a.mode == "nearest":
            return moved(x, a.shape, unchanged_axes(x, a.shape))
        return TensorType(a.shape, x.dtype)

    def evaluate(self, a: Attributes, x: Array) -> Array:
        if 0 in a.shape:
            return np.zeros(a.shape, x.dtype)
        plans = [axis_taps(a, axis, old) for axis, old in enumerate(x.shape)]
        y = x if a.mode == "nearest" else _real(x)
        with np.errstate(all="ignore"):
            for axis, (plan, old) in enumerate(zip(plans, x.shape)):
                if old != a.shape[axis] or not plan.is_identity:
                    y = _resample(y, plan, axis, a.mode == "nearest")
        y = scalar.convert(y, DType.from_numpy(x.dtype))
        if any(plan.outside.any() for plan in plans):
            beyond = np.zeros(a.shape, bool)
            for axis, plan in enumerate(plans):
                beyond |= along(plan.outside, axis, y.ndim)
            filler = scalar.convert(
                np.asarray(a.extrapolation_value, np.float32), DType.from_numpy(x.dtype)
            )
            y = np.where(beyond, filler, y)
        return y

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        each = {"nearest": 0, "linear": 4, "cubic": 16}[a.mode]
        return Cost(macs=results[0].elements * each, **traffic(operands, results))


def _real(x: Array) -> Array:
    """``x`` in the type interpolation happens in."""
    return widen(x) if DType.from_numpy(x.dtype).is_float else x.astype(np.float32)


def _resample(x: Array, plan: Taps, axis: int, nearest: bool) -> Array:
    if nearest:
        return np.asarray(np.take(x, plan.indices[:, 0], axis))
    weights = plan.weights.astype(x.dtype)
    total: Array = np.take(x, plan.indices[:, 0], axis) * along(weights[:, 0], axis, x.ndim)
    for tap in range(1, weights.shape[1]):
        total += np.take(x, plan.indices[:, tap], axis) * along(weights[:, tap], axis, x.ndim)
    return total


def axis_taps(a: Attributes, axis: int, old: int) -> Taps:
    """Source positions and weights of every result position along ``axis`` of size ``old``."""
    source = _coordinates(a, axis, old)
    outside = np.zeros(len(source), bool)
    if a.coordinates == "tf_crop_and_resize":
        outside = (source < 0) | (source > old - 1)
    if a.mode == "nearest":
        indices = np.clip(_rounded(source, a.rounding), 0, old - 1).astype(np.intp)
        return Taps(indices[:, np.newaxis], np.ones((len(source), 1), np.float32), outside)
    with np.errstate(all="ignore"):  # regions of interest may be anything
        indices, weights = _filter(a, source, a.scales[axis])
    inside = (indices >= 0) & (indices < old)
    if a.exclude_outside:
        weights = np.where(inside, weights, 0)
    if a.exclude_outside or a.antialias:
        total = weights.sum(axis=1, keepdims=True)
        weights = weights / np.where(total == 0, 1, total)
    return Taps(np.clip(indices, 0, old - 1), weights.astype(np.float32), outside)


def _coordinates(a: Attributes, axis: int, old: int) -> Array:
    """The source coordinate of each result position, f32."""
    f = np.float32
    new: int = a.shape[axis]
    scale = f(a.scales[axis])
    position: Array = np.arange(new, dtype=f)
    source: Array = (position + f(0.5)) / scale - f(0.5)
    if a.coordinates == "asymmetric":
        source = position / scale
    elif a.coordinates in ("align_corners", "pytorch_half_pixel") and new == 1:
        source = np.zeros_like(position)
    elif a.coordinates == "align_corners":
        source = position * f(old - 1) / (_exact_size(scale, old, new) - f(1))
    elif a.coordinates == "half_pixel_symmetric":
        center = f(old / 2)
        offset = center * (f(1) - f(new) / (scale * f(old)))
        source = (offset + (position + 0.5).astype(np.float64) / scale - 0.5).astype(f)
    elif a.coordinates == "tf_crop_and_resize":
        start, end = f(a.roi[axis]), f(a.roi[axis + len(a.shape)])
        if new == 1:
            source = np.full(1, f(0.5) * (start + end) * f(old - 1))
        else:
            source = start * f(old - 1) + position * (end - start) * f(old - 1) / f(new - 1)
    return source


def _exact_size(scale: np.float32, old: int, new: int) -> np.float32:
    """The size of the result before it was rounded down: a fraction where the scale gives one.

    ONNX's own tests align corners by it; where the scale came from sizes it is ``new`` exactly.
    """
    exact = scale == np.float32(new / old)
    size: np.float32 = np.float32(new) if exact else scale * np.float32(old)
    return size


def _rounded(source: Array, rounding: str) -> Array:
    below = np.floor(source)
    rest = source - below
    up = {
        "floor": np.zeros_like(rest, bool),
        "ceil": rest > 0,
        "round_prefer_floor": rest > 0.5,
        "round_prefer_ceil": rest >= 0.5,
    }[rounding]
    return np.asarray(below + up)


def _filter(a: Attributes, source: Array, scale: float) -> tuple[Array, Array]:
    """Unclipped source positions and their weights, one row per result position."""
    shrink = min(scale, 1.0) if a.antialias else 1.0
    reach = _reach(a, scale)
    base = np.floor(source)
    offsets = np.arange(1 - reach, reach + 1)
    distance = (offsets - (source - base)[:, np.newaxis]) * np.float32(shrink)
    kernel = _triangle(distance) if a.mode == "linear" else _cubic(distance, a.cubic_coefficient)
    return base.astype(np.intp)[:, np.newaxis] + offsets, kernel


def _reach(a: Attributes, scale: float) -> int:
    """How many source positions a result position sees on either side."""
    radius = 1 if a.mode == "linear" else 2
    shrink = min(scale, 1.0) if a.antialias else 1.0
    return math.floor(radius / shrink) + (radius / shrink % 1 > 0) if a.antialias else radius


def tap_count(a: Attributes, axis: int) -> int:
    """How many taps each result position has along ``axis``."""
    return 1 if a.mode == "nearest" else 2 * _reach(a, a.scales[axis])


def _triangle(distance: Array) -> Array:
    return np.asarray(np.maximum(0, 1 - np.abs(distance)))


def _cubic(distance: Array, a: float) -> Array:
    """Keys' cubic convolution kernel with parameter ``a``."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
