"""Control flow."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Block, DType, TensorType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext, UndecidedError
from ..items import Item, form, rebuild
from .registry import converter

MAX_UNROLLED = 1 << 10
"""Loops that carry sequences are unrolled up to so many iterations."""


@converter("If")
def _if_(node: NodeContext) -> Sequence[Item]:
    """A branch that is known is taken at once; what the other one holds does not matter."""
    then, otherwise = node.body("then_branch"), node.body("else_branch")
    condition = node.input(0)
    known = node.emit.knowledge.content(condition)
    if known is not None and known.size == 1 and isinstance(known.item(), int):
        return node.inline(then if known.item() else otherwise)
    captured = node.captured([then, otherwise])
    branches = [node.region(body, [], captured) for body in (then, otherwise)]
    shown = [", ".join(form(items)) for _, items in branches]
    if shown[0] != shown[1]:
        raise UndecidedError(f"its branches give different types: {shown[0]} and {shown[1]}")
    operands = [node.reshape(condition, ()), *captured.values()]
    values = node.results("control.if", operands, {}, [region for region, _ in branches])
    remaining = iter(values)
    return [rebuild(item, remaining) for item in branches[0][1]]


@converter("Loop")
def _loop(node: NodeContext) -> Sequence[Item]:
    """Carried values keep their types; scan outputs need a constant number of iterations.

    A loop that carries sequences, which may grow, is unrolled.
    """
    body = node.body("body")
    trip_count, condition = node.optional(0), node.optional(1)
    carried = len(node.items) - 2
    if len(body.inputs) != carried + 2 or len(body.outputs) < carried + 1:
        raise ModelError("the body's inputs and outputs do not fit the node's")
    if not all(isinstance(item, Value) for item in node.items[2:]):
        return _unrolled(node)
    initial = [node.raw(node.input(index)) for index in range(2, len(node.items))]
    captured = node.captured([body])
    types = [TensorType((), DType.I64), TensorType((), DType.BOOL)]
    types += [value.type for value in initial]
    region, items = node.region(body, types, captured)
    if not all(isinstance(item, Value) for item in items):
        node.refuse("its body gives sequences or optionals")
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


def _unrolled(node: NodeContext) -> Sequence[Item]:
    """The body once for each iteration, of which there must be a known number."""
    body, carried = node.body("body"), len(node.items) - 2
    count = _known_trip_count(node)
    state: list[Item] = [_given(node, index) for index in range(2, len(node.items))]
    scans: list[list[Value]] = [[] for _ in body.outputs[carried + 1 :]]
    for iteration in range(count):
        counter = node.scalar(iteration, DType.I64)
        again, *results = node.inline(body, [counter, node.scalar(True, DType.BOOL), *state])
        state = results[:carried]
        for collected, item in zip(scans, results[carried:], strict=True):
            if not isinstance(item, Value):
                raise ModelError("a scan output is no tensor")
            collected.append(node.reshape(item, (1, *item.type.shape)))
        known = node.emit.knowledge.content(again) if isinstance(again, Value) else None
        if known is None or known.size != 1:
            node.refuse("it carries sequences, and when it ends depends on run-time data")
        if not known.item():
            break
    if any(not collected for collected in scans):
        node.refuse("it has scan outputs of no iteration")
    return [*state, *(node.op("tensor.concat", *collected, axis=0) for collected in scans)]


def _given(node: NodeContext, index: int) -> Item:
    item = node.item(index)
    return node.input(index) if item is None else item


def _known_trip_count(node: NodeContext) -> int:
    """Iterations of a loop to be unrolled.

    Raises:
        UnsupportedError: it is run-time data, or there are too many.
    """
    if node.has(1) and not node.known_int(node.input(1), "condition"):
        return 0
    if not node.has(0):
        node.refuse("it carries sequences and has no trip count")
    count = max(0, node.known_int(node.input(0), "trip count"))
    if count > MAX_UNROLLED:
        node.refuse(f"it carries sequences through {count} iterations (limit {MAX_UNROLLED})")
    return count


def _iterations(node: NodeContext, region: Block) -> int:
    """How often a loop with scan outputs runs: known now, or as declared and checked when it runs.

    Only one whose condition stays what it was runs a known number of times.
    """
    again = region.results[0]
    always = again.constant is not None and bool(again.constant.array.all())
    decisive = [node.optional(index) for index in (0, 1)]
    known = all(value is None or node.is_known(value) for value in decisive)
    if not known or (again is not region.args[1] and not always):
        first_scan = len(node.items) - 2
        declared = node.declared_shape("number of iterations", first_scan)
        return node.static(declared[:1], "number of iterations")[0]
    if node.has(1) and not node.known_int(node.input(1), "condition"):
        return 0
    if not node.has(0):
        node.refuse("it has scan outputs and no trip count")
    return max(0, node.known_int(node.input(0), "trip count"))
