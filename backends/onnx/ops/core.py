"""Groups, which ONNX has not: what is in them is written one after another."""

from __future__ import annotations

from collections.abc import Sequence

from ..context import Context
from ..graph import Edge
from ..registry import exporter


@exporter("core.group")
def _group(c: Context) -> Sequence[Edge]:
    captured = [edge for edge in c.inputs() if edge is not None]
    return c.inline(c.op.regions[0], captured)
