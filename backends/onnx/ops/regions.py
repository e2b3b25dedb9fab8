"""Pooling of regions of interest."""

from __future__ import annotations

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter


@exporter("nn.region_align")
def _region_align(c: Context) -> Edge:
    x, boxes, batch = (c.input(index) for index in range(3))
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
        spatial_scale=c.a.scale,
        coordinate_transformation_mode=aligned if c.opset >= 16 else None,
    )


@exporter("nn.region_max_pool")
def _region_max_pool(c: Context) -> Edge:
    x, boxes = c.input(0), c.input(1)
    return c.node("MaxRoiPool", x, boxes, pooled_shape=c.a.bins, spatial_scale=c.a.scale)
