"""Pooling of regions of interest."""

from __future__ import annotations

import numpy as np

from burnish.ir import DType

from ..context import Context, Refusal, is_rounded
from ..graph import Edge
from ..registry import exporter


@exporter("nn.region_align")
def _region_align(c: Context) -> Edge:
    x, batch = c.input(0), c.input(2)
    boxes, scale = _scaled(c, 0)
    aligned = "half_pixel" if c.a.half_pixel else "output_half_pixel"
    if not c.has("RoiAlign") or (c.opset < 16 and c.a.half_pixel):
        raise Refusal("RoiAlign has no half pixels", 16)
    return c.node(
        "RoiAlign",
        x,
        boxes,
        batch,
        mode="avg" if c.a.mode == "mean" else "max",
        output_height=c.a.bins[0],
        output_width=c.a.bins[1],
        sampling_ratio=c.a.samples,
        spatial_scale=scale,
        coordinate_transformation_mode=aligned if c.opset >= 16 else None,
    )


@exporter("nn.region_max_pool")
def _region_max_pool(c: Context) -> Edge:
    boxes, scale = _scaled(c, 1)
    return c.node("MaxRoiPool", c.input(0), boxes, pooled_shape=c.a.bins, spatial_scale=scale)


def _scaled(c: Context, before: int) -> tuple[Edge, float]:
    """Boxes and their scale; one that is no attribute is multiplied by corners.

    ``before`` is how many columns come before the corners.
    """
    boxes, scale = c.input(1), c.a.scale
    if boxes.dtype is not DType.F64 or not is_rounded(scale):
        return boxes, scale
    factors = c.constant(np.array([1.0] * before + [scale] * 4, np.float64))
    return c.node("Mul", boxes, factors), 1.0
