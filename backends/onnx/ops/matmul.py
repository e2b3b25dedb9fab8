"""Matrix products."""

from __future__ import annotations

from typing import Any

from burnish.ir import TensorType

from ..context import Context
from ..graph import Edge
from ..registry import exporter


@exporter("nn.matmul")
def _matmul(c: Context) -> Edge:
    """One Gemm for matrices with transposes or an addend; else MatMul with nodes around it."""
    a, b, addend = c.input(0), c.input(1), c.optional(2)
    flags = c.a.transpose_a, c.a.transpose_b
    if c.type(0).rank == c.type(1).rank == 2 and (addend is not None or any(flags)):
        names = ("transA", "transB")
        transposes: dict[str, Any] = {name: 1 for name, flag in zip(names, flags) if flag}
        return c.node("Gemm", a, b, addend, **transposes)
    a, b = (
        _transposed(c, edge, c.type(index)) if flag else edge
        for index, (edge, flag) in enumerate(zip((a, b), flags))
    )
    product = c.node("MatMul", a, b)
    return product if addend is None else c.node("Add", product, addend)


def _transposed(c: Context, edge: Edge, type_: TensorType) -> Edge:
    """The last two axes exchanged."""
    rank = type_.rank
    return c.transpose(edge, (*range(rank - 2), rank - 1, rank - 2))
