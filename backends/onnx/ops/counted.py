"""Ops that find elements.  How many are promised stands in the declared shapes."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import DType

from ..context import Context
from ..graph import Edge
from ..registry import exporter


@exporter("tensor.non_zero")
def _non_zero(c: Context) -> Edge:
    x = c.input(0)
    if c.type().rank == 0:  # of which ONNX wants no positions, but burnish one
        x = c.reshape(x, (1,))
    return c.node("NonZero", x)


@exporter("tensor.unique")
def _unique(c: Context) -> Sequence[Edge]:
    return c.nodes(
        "Unique",
        c.input(0),
        outputs=(None, DType.I64, DType.I64, DType.I64),
        axis=c.a.axis,
        sorted=int(c.a.sorted),
    )
