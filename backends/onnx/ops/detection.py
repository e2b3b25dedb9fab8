"""Suppression of boxes that overlap."""

from __future__ import annotations

from ..context import Context
from ..graph import Edge
from ..registry import exporter


@exporter("nn.non_max_suppression")
def _non_max_suppression(c: Context) -> Edge:
    boxes, scores, *limits = c.inputs()
    return c.node(
        "NonMaxSuppression",
        boxes,
        scores,
        *(None if edge is None else c.reshape(edge, (1,)) for edge in limits),
        center_point_box=int(c.a.centered),
    )
