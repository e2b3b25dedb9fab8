"""Reading and writing at positions given by data."""

from __future__ import annotations

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter

_REDUCTION_OPSETS = {"none": 0, "add": 16, "mul": 16, "min": 18, "max": 18}
"""The opset since when a scatter combines so; schemas do not list values of attributes."""


@exporter("tensor.gather")
def _gather(c: Context) -> Edge:
    return c.node("Gather", *c.inputs(), axis=c.a.axis)


@exporter("tensor.gather_elements")
def _gather_elements(c: Context) -> Edge:
    return c.node("GatherElements", *c.inputs(), axis=c.a.axis)


@exporter("tensor.gather_nd")
def _gather_nd(c: Context) -> Edge:
    return c.node("GatherND", *c.inputs(), batch_dims=c.a.batch_dims or None)


@exporter("tensor.scatter_elements")
def _scatter_elements(c: Context) -> Edge:
    return c.node("ScatterElements", *c.inputs(), axis=c.a.axis, reduction=_reduction(c))


@exporter("tensor.scatter_nd")
def _scatter_nd(c: Context) -> Edge:
    return c.node("ScatterND", *c.inputs(), reduction=_reduction(c))


def _reduction(c: Context) -> str | None:
    how: str = c.a.reduction
    since = _REDUCTION_OPSETS[how]
    if c.opset < since:
        raise Refusal(f"updates cannot be combined by {how}", since)
    return None if how == "none" else how
