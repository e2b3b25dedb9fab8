"""Resampling: Resize in all its versions, and Upsample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from burnish.ir import Dim, DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .registry import converter
from .resample import Filter, Resampler

_MODES = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "cubic": "cubic"}
_POLICIES = ("stretch", "not_larger", "not_smaller")


@converter("Upsample")
def _upsample_plane(node: NodeContext) -> Value:
    """Before version 7 only images grow, by a scale for each of their two axes."""
    rank = node.input(0).type.rank
    if rank != 4:
        raise ModelError(f"its input has rank {rank}, not 4")
    return _by_position(node, (1.0, 1.0, node.number("height_scale"), node.number("width_scale")))


@converter("Upsample", since=7)
def _upsample_by_attribute(node: NodeContext) -> Value:
    scales = node.numbers("scales")
    if scales is None:
        raise ModelError("it lacks the attribute scales")
    return _by_position(node, scales)


@converter("Upsample", since=9)
def _upsample(node: NodeContext) -> Value:
    return _by_scales(node)


@converter("Resize", since=10)
def _resize_by_position(node: NodeContext) -> Value:
    return _by_scales(node)


def _by_scales(node: NodeContext) -> Value:
    """Until version 10, by scales that are an input."""
    scales = node.input(1)
    if scales.constant is not None:
        return _by_position(node, _floats(node, 1, "scales"))
    rounding = "floor"
    if _mode(node) == "nearest":
        wanted = node.static(node.declared_shape("scales"), "shape")
        old = node.static(node.input(0).type.shape, "shape")
        changes = [_sign(new - dim) for dim, new in zip(old, wanted, strict=False)]
        if min(changes, default=0) < 0:
            if max(changes) > 0:
                node.refuse("nearest resizing that grows one axis and shrinks another")
            rounding = "ceil"
    how = Filter(_mode(node), "asymmetric", rounding, -0.75, False, False, 0.0)
    return _as_declared(node, range(node.input(0).type.rank), how)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _by_position(node: NodeContext, scales: Sequence[float]) -> Value:
    """Until version 10: position times scale; nearest takes the source element at or before
    it when growing, at or after it when shrinking, as onnxruntime does."""
    x = node.input(0)
    rounding = "floor"
    if min(scales, default=1.0) < 1.0:
        if max(scales) > 1.0 and _mode(node) == "nearest":
            node.refuse("nearest resizing that grows one axis and shrinks another")
        rounding = "ceil"
    shape = [_scaled(node, dim, scale) for dim, scale in _paired(x, scales)]
    return _resampled(node, shape, scales, {"coordinates": "asymmetric", "rounding": rounding})


@converter("Resize", since=11)
def _resize(node: NodeContext) -> Value:
    x = node.input(0)
    rank = x.type.rank
    axes = node.axes(node.integers("axes") or range(rank), rank)
    coordinates = node.string("coordinate_transformation_mode", "half_pixel")
    decisive = [node.input(index) for index in (1, 2, 3) if _is_given(node, index)]
    if coordinates != "tf_crop_and_resize" and _is_given(node, 1):
        decisive = decisive[1:]
    if any(value.constant is None and not node.is_known(value) for value in decisive):
        how = Filter(
            _mode(node),
            coordinates,
            node.string("nearest_mode", "round_prefer_floor"),
            node.number("cubic_coeff_a", -0.75),
            node.flag("exclude_outside"),
            node.flag("antialias") and _mode(node) != "nearest",
            node.number("extrapolation_value", 0.0),
        )
        return _as_declared(node, axes, how)
    shape: list[Dim] = list(x.type.shape)
    scales = [1.0] * rank
    roi = [0.0] * rank + [1.0] * rank
    if coordinates == "tf_crop_and_resize":
        given = _floats(node, 1, "region of interest")
        if len(given) != 2 * len(axes):
            raise ModelError(f"a region of {len(given)} numbers for {len(axes)} axes")
        for index, axis in enumerate(axes):
            roi[axis], roi[axis + rank] = given[index], given[index + len(axes)]
    if _is_given(node, 3):
        sizes = node.dims(node.input(3), "sizes")
        if len(sizes) != len(axes):
            raise ModelError(f"{len(sizes)} sizes for {len(axes)} axes")
        _by_sizes(node, axes, sizes, shape, scales)
    else:
        factors = _floats(node, 2, "scales")
        if len(factors) != len(axes):
            raise ModelError(f"{len(factors)} scales for {len(axes)} axes")
        for axis, factor in zip(axes, factors, strict=True):
            scales[axis] = factor
            shape[axis] = _scaled(node, shape[axis], factor * (roi[axis + rank] - roi[axis]))
    attributes: dict[str, object] = {
        "coordinates": coordinates,
        "rounding": node.string("nearest_mode", "round_prefer_floor"),
        "cubic_coefficient": node.number("cubic_coeff_a", -0.75),
        "exclude_outside": node.flag("exclude_outside"),
        "antialias": node.flag("antialias") and _mode(node) != "nearest",
        "extrapolation_value": node.number("extrapolation_value", 0.0),
    }
    if coordinates == "tf_crop_and_resize":
        attributes["roi"] = roi
    return _resampled(node, shape, scales, attributes)


def _as_declared(node: NodeContext, axes: Sequence[int], how: Filter) -> Value:
    """To the declared shape, by scales, sizes or a crop that are run-time data."""
    x = node.input(0)
    rank, f32 = x.type.rank, DType.F32
    new = node.static(node.declared_shape("scales, sizes or crop"), "shape")
    old = node.static(x.type.shape, "shape")
    if len(new) != rank or any(dim == 0 < size for dim, size in zip(old, new, strict=True)):
        raise ModelError(f"{x.type} cannot be resized to the declared shape {list(new)}")
    spread = _spread(node, axes, rank)
    roi = node.constant(np.array([0.0] * rank + [1.0] * rank, np.float32))
    if how.coordinates == "tf_crop_and_resize":
        given = node.cast(node.input(1), f32)
        count = len(axes)
        halves = [
            node.op("tensor.slice", given, starts=(start,), sizes=(count,), steps=(1,))
            for start in (0, count)
        ]
        roi = node.op("tensor.concat", spread(halves[0], 0.0), spread(halves[1], 1.0), axis=0)
    wide = node.constant(np.array(old, np.float32))
    if _is_given(node, 3):
        sizes = node.cast(node.input(3), f32)
        listed = node.constant(np.array([old[axis] for axis in axes], np.float32))
        scales = spread(_kept_aspect(node, node.op("math.div", sizes, listed)), 1.0)
        exact = node.op("math.add", node.op("math.mul", scales, wide), node.scalar(0.5, f32))
    else:
        scales = spread(node.cast(node.input(2 if node.version > 10 else 1), f32), 1.0)
        exact = node.op("math.mul", _with_crop(node, scales, roi, rank), wide)
    found = node.cast(node.op("math.floor", exact), DType.I64)
    resized = Resampler(node, how, new, scales, roi)(x)
    return node.require(resized, found, new, "shape")


def _spread(node: NodeContext, axes: Sequence[int], rank: int) -> Callable[[Value, float], Value]:
    """A function that makes numbers given for ``axes`` numbers for all, with a default."""

    def spread(numbers: Value, default: float) -> Value:
        padded = node.op(
            "tensor.concat", node.constant(np.array([default], np.float32)), numbers, axis=0
        )
        places = [axes.index(axis) + 1 if axis in axes else 0 for axis in range(rank)]
        return node.op("tensor.gather", padded, node.constant(np.array(places, np.int64)), axis=0)

    return spread


def _kept_aspect(node: NodeContext, ratios: Value) -> Value:
    """The scales of the axes, from the ratios of their sizes."""
    policy = _policy(node)
    if policy == "stretch":
        return ratios
    common = node.reduce(ratios, "min" if policy == "not_larger" else "max", (0,))
    return node.broadcast(common, ratios.type.shape)


def _with_crop(node: NodeContext, scales: Value, roi: Value, rank: int) -> Value:
    """The size of the crop times the scale, per axis."""
    starts, ends = (
        node.cast(
            node.op("tensor.slice", roi, starts=(start,), sizes=(rank,), steps=(1,)), DType.F64
        )
        for start in (0, rank)
    )
    share = node.op("math.sub", ends, starts)
    return node.cast(node.op("math.mul", node.cast(scales, DType.F64), share), DType.F32)


def _policy(node: NodeContext) -> str:
    policy = node.string("keep_aspect_ratio_policy", "stretch")
    if policy not in _POLICIES:
        raise ModelError(f"attribute keep_aspect_ratio_policy is {clip(repr(policy))}")
    return policy


def _is_given(node: NodeContext, index: int) -> bool:
    """Whether an input is there; an empty tensor stands for none."""
    value = node.optional(index)
    return value is not None and value.type.shape != (0,)


def _by_sizes(
    node: NodeContext,
    axes: Sequence[int],
    sizes: Sequence[Dim],
    shape: list[Dim],
    scales: list[float],
) -> None:
    """Fill in shape and scales from sizes, keeping the aspect ratio where asked to."""
    policy = _policy(node)
    old = [shape[axis] for axis in axes]
    ratios = [_ratio(node, size, dim) for size, dim in zip(sizes, old, strict=True)]
    if policy == "stretch":
        for axis, size, ratio in zip(axes, sizes, ratios, strict=True):
            shape[axis], scales[axis] = size, ratio
        return
    common = min(ratios) if policy == "not_larger" else max(ratios)
    for axis, dim in zip(axes, node.static(old, "shape"), strict=True):
        shape[axis] = math.floor(float(np.float32(common) * np.float32(dim)) + 0.5)
        scales[axis] = common


def _ratio(node: NodeContext, size: Dim, dim: Dim) -> float:
    if size == dim:
        return 1.0
    new, old = node.static([size, dim], "sizes")
    if old == 0:
        raise ModelError("it resizes an empty axis")
    return float(np.float32(new) / np.float32(old))


def _floats(node: NodeContext, index: int, what: str) -> tuple[float, ...]:
    array = node.array(node.input(index), what)
    return tuple(float(number) for number in array.reshape(-1))


def _paired(x: Value, scales: Sequence[float]) -> list[tuple[Dim, float]]:
    if len(scales) != x.type.rank:
        raise ModelError(f"{len(scales)} scales for a tensor of rank {x.type.rank}")
    return list(zip(x.type.shape, scales, strict=True))


def _scaled(node: NodeContext, dim: Dim, scale: float) -> Dim:
    """``floor(dim * scale)``, in single precision as onnxruntime computes it."""
    if not 0 < scale < math.inf:
        raise ModelError(f"a scale is {scale}")
    if isinstance(dim, int):
        return math.floor(float(np.float32(dim) * np.float32(scale)))
    if scale.is_integer():
        return dim * int(scale)
    if not (1 / scale).is_integer():
        node.refuse(f"it scales the dimension {clip(str(dim))} by {scale}; bind it")
    return dimension.floordiv(dim, int(1 / scale))


def _mode(node: NodeContext) -> str:
    mode = node.string("mode", "nearest")
    if mode not in _MODES:
        raise ModelError(f"attribute mode is {clip(repr(mode))}")
    return _MODES[mode]


def _resampled(
    node: NodeContext,
    shape: Sequence[Dim],
    scales: Sequence[float],
    attributes: Mapping[str, object],
) -> Value:
    x = node.input(0)
    if tuple(shape) == x.type.shape and set(scales) == {1.0} and "roi" not in attributes:
        return x
    return node.op("nn.resize", x, shape=shape, scales=scales, mode=_mode(node), **attributes)
