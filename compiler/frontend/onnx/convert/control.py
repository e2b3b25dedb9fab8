"""Control flow."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Block, DType, TensorType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter


@converter("If")
def _if_(node: NodeContext) -> Sequence[Value]:
    """A branch that is known is taken at once; what the other one holds does not matter."""
    then, otherwise = node.body("then_branch"), node.body("else_branch")
    condition = node.input(0)
    known = node.emit.knowledge.content(condition)
    if known is not None and known.size == 1 and isinstance(known.item(), int):
        return node.inline(then if known.item() else otherwise)
    captured = node.captured([then, otherwise])
    regions = [node.region(body, [], captured) for body in (then, otherwise)]
    results = [[value.type for value in region.results] for region in regions]
    if results[0] != results[1]:
        shown = [", ".join(map(str, types)) for types in results]
        node.refuse(f"its branches give different types: {shown[0]} and {shown[1]}")
    operands = [node.reshape(condition, ()), *captured.values()]
    return node.results("control.if", operands, {}, regions)


@converter("Loop")
def _loop(node: NodeContext) -> Sequence[Value]:
    """Carried values keep their types; scan outputs need a constant number of iterations."""
    body = node.body("body")
    trip_count, condition = node.optional(0), node.optional(1)
    initial = [node.raw(node.input(index)) for index in range(2, len(node.operands))]
    if len(body.inputs) != len(initial) + 2 or len(body.outputs) < len(initial) + 1:
        raise ModelError("the body's inputs and outputs do not fit the node's")
    captured = node.captured([body])
    types = [TensorType((), DType.I64), TensorType((), DType.BOOL)]
    types += [value.type for value in initial]
    region = node.region(body, types, captured)
    yielded = [value.type for value in region.results]
    for position, (before, after) in enumerate(zip(types[1:], yielded, strict=False)):
        if before != after:
            node.refuse(f"carried value {position} changes its type from {before} to {after}")
    attributes: dict[str, object] = {"carried": len(initial)}
    if len(yielded) > len(initial) + 1:
        attributes["iterations"] = _iterations(node, region)
    operands = [
        None if trip_count is None else node.reshape(node.cast(trip_count, DType.I64), ()),
        None if condition is None else node.reshape(condition, ()),
        *initial,
        *captured.values(),
    ]
    return node.results("control.loop", operands, attributes, [region])


def _iterations(node: NodeContext, region: Block) -> int:
    """How often a loop with scan outputs runs.

    Only one whose condition stays what it was runs a known number of times.
    """
    again, condition = region.results[0], node.optional(1)
    always = again.constant is not None and bool(again.constant.array.all())
    if again is not region.args[1] and not always:
        node.refuse("it has scan outputs and a condition, so that its number of iterations varies")
    if condition is not None and not node.known_int(condition, "condition"):
        return 0
    if not node.has(0):
        node.refuse("it has scan outputs and no trip count")
    return max(0, node.known_int(node.input(0), "trip count"))
