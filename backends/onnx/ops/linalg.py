"""Linear algebra."""

from __future__ import annotations

from ..context import Context
from ..graph import Edge
from ..registry import exporter


@exporter("nn.determinant")
def _determinant(c: Context) -> Edge:
    return c.node("Det", c.input(0))
