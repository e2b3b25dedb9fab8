"""Ops that find elements."""

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
    return counted(c, c.node("NonZero", x))


@exporter("tensor.unique")
def _unique(c: Context) -> Sequence[Edge]:
    values, *places = c.nodes(
        "Unique",
        c.input(0),
        outputs=(None, DType.I64, DType.I64, DType.I64),
        axis=c.a.axis,
        sorted=int(c.a.sorted),
    )
    return [counted(c, values), *places]


def counted(c: Context, edge: Edge) -> Edge:
    """The first result of the op, which fails when there are not as many as was promised."""
    if not isinstance(c.a.size, int):
        return edge
    return c.reshape(edge, c.op.result_types[0].static_shape)
