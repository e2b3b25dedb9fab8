"""Control flow: regions become graphs, which see the values around them."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Block

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from ..sizes import shape


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
    """The number of iterations is checked where nothing but the data says it."""
    (body,) = c.op.regions
    trip_count, cond = c.optional(0), c.optional(1)
    values = [edge for edge in c.inputs()[2:] if edge is not None]
    carried = c.a.carried
    arguments = [Edge(arg.type.dtype, arg.name or "", None, arg.type) for arg in body.args]
    graph = c.region(body, arguments[: 2 + carried], values[carried:])
    results = c.nodes(
        "Loop",
        trip_count,
        cond,
        *values[:carried],
        outputs=[type_.dtype for type_ in c.op.result_types],
        graphs={"body": graph},
    )
    if len(results) > carried and not _is_certain(c, body):
        results[carried:] = [
            c.node("Reshape", edge, shape(c, type_.shape))
            for edge, type_ in zip(results[carried:], c.op.result_types[carried:])
        ]
    return results


def _is_certain(c: Context, body: Block) -> bool:
    """Whether the loop runs as often as its attribute ``iterations`` says, whatever the data."""
    again = body.results[0]
    always = again.constant is not None and bool(again.constant.array.all())
    starts = [c.op.operands[index] for index in (0, 1)]
    if starts[1] is not None and (
        starts[1].constant is None or not bool(starts[1].constant.array.all())
    ):
        return False
    if not always and again is not body.args[1]:
        return False
    count = starts[0]
    if count is None:
        return False
    if count.constant is not None:
        return bool(count.constant.array == c.a.iterations)
    op = count.op
    return (
        op is not None and op.name == "tensor.dimension" and op.attributes.value == c.a.iterations
    )
