"""Pooling of regions of interest."""

from __future__ import annotations

from burnish.ir import Value
from burnish.ir.errors import ModelError, clip

from ..context import NodeContext
from .registry import converter

_MODES = {"avg": "mean", "max": "max"}
_HALF_PIXEL = {"half_pixel": True, "output_half_pixel": False}


@converter("RoiAlign", since=10)
def _region_align(node: NodeContext) -> Value:
    """Before version 16 coordinates are whole pixels."""
    mode = node.string("mode", "avg")
    default = "half_pixel" if node.version >= 16 else "output_half_pixel"
    coordinates = node.string("coordinate_transformation_mode", default)
    if mode not in _MODES or coordinates not in _HALF_PIXEL:
        shown = clip(repr(mode)), clip(repr(coordinates))
        raise ModelError(f"mode {shown[0]}, coordinate_transformation_mode {shown[1]}")
    return node.op(
        "nn.region_align",
        node.input(0),
        node.input(1),
        node.input(2),
        bins=(node.integer("output_height", 1), node.integer("output_width", 1)),
        scale=node.number("spatial_scale", 1.0),
        samples=max(0, node.integer("sampling_ratio", 0)),
        mode=_MODES[mode],
        half_pixel=_HALF_PIXEL[coordinates],
    )


@converter("MaxRoiPool")
def _region_max_pool(node: NodeContext) -> Value:
    bins = node.integers("pooled_shape")
    if bins is None:
        raise ModelError("it lacks the attribute pooled_shape")
    scale = node.number("spatial_scale", 1.0)
    return node.op("nn.region_max_pool", node.input(0), node.input(1), bins=bins, scale=scale)
