"""Reading the same bits as another element type."""

from __future__ import annotations

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from ..schemas import ELEMENT_CODES


@exporter("tensor.bitcast")
def _bitcast(c: Context) -> Edge:
    return c.node("BitCast", c.input(0), dtype=c.a.to, to=ELEMENT_CODES[c.a.to])
