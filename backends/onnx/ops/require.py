"""Checks at run time, of which ONNX has none: an index out of range stands for a failure."""

from __future__ import annotations

from burnish.ir import DType

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from ..sizes import shape
from .reduce import reduced


@exporter("control.require")
def _require(c: Context) -> Edge:
    """x as the only entry of a list, at the index of how many numbers differ: 0, or an error."""
    x, actual = c.input(0), c.input(1)
    agrees = c.node("Equal", actual, shape(c, c.a.expected))
    differs = c.cast(c.node("Not", agrees), DType.I64)
    count = reduced(c, "ReduceSum", differs, (0,), keep=False)
    entries = c.node("Unsqueeze", x, c.ints([0]))
    return c.node("Gather", entries, count, axis=0)
