"""Control flow: regions become graphs, which see the values around them."""

from __future__ import annotations

from collections.abc import Sequence

from ..context import Context
from ..graph import Edge
from ..registry import exporter


@exporter("control.if")
def _if_(c: Context) -> Sequence[Edge]:
    cond, *captured = (edge for edge in c.inputs() if edge is not None)
    then, otherwise = (c.region(region, [], captured) for region in c.op.regions)
    return c.nodes(
        "If",
        cond,
        outputs=[type_.dtype for type_ in c.op.result_types],
        graphs={"then_branch": then, "else_branch": otherwise},
    )


@exporter("control.loop")
def _loop(c: Context) -> Sequence[Edge]:
    """How often it runs, where that is known, stands in the declared shapes of its scans."""
    (body,) = c.op.regions
    trip_count, cond = c.optional(0), c.optional(1)
    values = [edge for edge in c.inputs()[2:] if edge is not None]
    carried = c.a.carried
    arguments = [Edge(arg.type.dtype, arg.name or "", None, arg.type) for arg in body.args]
    graph = c.region(body, arguments[: 2 + carried], values[carried:])
    return c.nodes(
        "Loop",
        trip_count,
        cond,
        *values[:carried],
        outputs=[type_.dtype for type_ in c.op.result_types],
        graphs={"body": graph},
    )
