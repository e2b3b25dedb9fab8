"""Fusion: sets of ops that a backend computes as one become groups.

A group is grown from its last op backwards.  An op joins when :func:`refusal` has nothing to
say; the most important condition is that all its users are in the group already, so nothing is
ever computed twice, and a group can stand where its last op stood.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Block, Builder, Function, Location, Op, Rewriter, Trait, Value
from burnish.ir.clone import clone_op

from .base import FunctionPass, PassContext, register_pass
from .regions import blocks_inside_out
from .rewrites.movement import ANCHORS


@register_pass
@dataclass(frozen=True)
class Fuse(FunctionPass):
    """Make groups (``core.group``) of ops that are computed together, element by element.

    A group is at most one anchor (a convolution, matmul, pool or reduction) and elementwise ops,
    all with results of one shape: what is applied to the anchor's result, and what is computed
    beside it, such as the other branch of a residual addition.  Constants of one element go
    into the group; all else it reads are its operands.

    Options:
        max_inputs: operands a group may have.
        max_ops: ops it may hold, constants not counted.
    """

    name = "fuse"
    max_inputs: int = 8
    max_ops: int = 32

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Plan the groups of each block from its end, then make them."""
        rewriter = context.rewriter()
        for block in blocks_inside_out(function):
            if block.parent_op is not None and block.parent_op.name == "core.group":
                continue
            for plan in self._plans(block, context):
                if not context.may_rewrite:
                    break
                _make(plan, rewriter)
                anchor = plan.anchor.name if plan.anchor else "elementwise"
                context.count(f"fuse {anchor}", root=plan.tail)
        return rewriter.changes > 0

    def _plans(self, block: Block, context: PassContext) -> list[GroupPlan]:
        position = {op: index for index, op in enumerate(block)}
        taken: set[Op] = set()
        plans = []
        for tail in reversed(block):
            if tail in taken or not is_elementwise(tail):
                continue
            plan = GroupPlan(tail, self.max_inputs, self.max_ops)
            self._grow(plan, position, taken, context)
            if len(plan.members) > 1:
                taken.update(plan.members)
                plans.append(plan)
        return plans

    def _grow(
        self, plan: GroupPlan, position: dict[Op, int], taken: set[Op], context: PassContext
    ) -> None:
        """Let producers join, latest first: then all users of one are decided before it."""
        candidates: list[tuple[int, Op]] = []
        seen: set[Op] = set()

        def consider(op: Op) -> None:
            for value in op.inputs:
                producer = value.op
                if producer is not None and producer not in seen and producer not in taken:
                    seen.add(producer)
                    heapq.heappush(candidates, (-position[producer], producer))

        consider(plan.tail)
        while candidates:
            _, op = heapq.heappop(candidates)
            if Trait.CONSTANT in op.opdef.traits:
                continue
            reason = refusal(plan, op)
            if reason:
                context.refusals["fuse", reason] += 1
                continue
            plan.add(op)
            if op is not plan.anchor:
                consider(op)


class GroupPlan:
    """A group to be: its ops, from the last one backwards.

    Attributes:
        tail: the last op; its result is the group's.
        anchor: the convolution, matmul, pool or reduction in it, if there is one.
        members: all its ops, latest first.
        inputs: values it reads from outside, but constants that go inside.
        reads: how often its ops together read a value.
    """

    def __init__(self, tail: Op, max_inputs: int, max_ops: int) -> None:
        self.tail = tail
        self.max_inputs = max_inputs
        self.max_ops = max_ops
        self.anchor: Op | None = None
        self.members: dict[Op, None] = {tail: None}
        self.reads = Counter(tail.inputs)
        self.inputs: dict[Value, None] = dict.fromkeys(external_inputs(tail))

    def inputs_with(self, op: Op) -> dict[Value, None]:
        """What the group would read if ``op``, whose result it reads, joined."""
        joined = dict.fromkeys([*self.inputs, *external_inputs(op)])
        joined.pop(op.result, None)
        return joined

    def add(self, op: Op) -> None:
        """Let ``op`` join."""
        self.inputs = self.inputs_with(op)
        self.members[op] = None
        self.reads.update(op.inputs)
        if not is_elementwise(op):
            self.anchor = op


def is_elementwise(op: Op) -> bool:
    """Whether ``op`` computes each element of its one result from elements of its operands."""
    return Trait.ELEMENTWISE in op.opdef.traits and len(op.results) == 1


def goes_inside(op: Op, value: Value) -> bool:
    """Whether the operand ``value`` of ``op`` is a constant that becomes a literal of a group."""
    constant = value.constant
    return is_elementwise(op) and constant is not None and constant.size == 1


def external_inputs(op: Op) -> list[Value]:
    """Operands of ``op`` that a group of it alone would read."""
    return [value for value in op.inputs if not goes_inside(op, value)]


def refusal(plan: GroupPlan, op: Op) -> str:
    """Why ``op``, whose result the group reads, cannot join; empty when it can.

    This is all there is to the legality of fusion.  Where ``op`` stood among ops outside does
    not matter: it moves down to the group's last op, all its users with it, and what it reads
    was computed before.
    """
    if not is_elementwise(op):
        if op.name not in ANCHORS:
            return "not elementwise, and no anchor"
        if plan.anchor is not None:
            return "the group has an anchor"
    if op.result.type.shape != plan.tail.result.type.shape:
        return "the result has another shape"
    if plan.reads[op.result] != op.result.use_count:
        return "the result is used outside of the group"
    if plan.anchor is not None and op.result in plan.anchor.inputs:
        return "the anchor reads the result"
    if len(plan.members) >= plan.max_ops:
        return "the group has the most ops allowed"
    if len(plan.inputs_with(op)) > plan.max_inputs:
        return "the group would read too many tensors"
    return ""


def _make(plan: GroupPlan, rewriter: Rewriter) -> None:
    """Replace the planned ops by a group."""
    members = list(reversed(plan.members))
    if plan.anchor is not None:  # the group has nothing that it reads, so it can be first
        members.remove(plan.anchor)
        members.insert(0, plan.anchor)
    inputs = _reading_order(members, plan.inputs)
    body = _body(members, inputs, plan.tail)
    location = Location.join(*(op.location for op in members))
    builder = rewriter.before(plan.tail, location=location)
    group = builder.create("core.group", inputs, regions=[body])
    rewriter.replace(plan.tail, group.results)
    for op in plan.members:
        if op is not plan.tail:
            rewriter.erase(op)


def _reading_order(members: Sequence[Op], inputs: dict[Value, None]) -> list[Value]:
    order = dict.fromkeys(v for op in members for v in external_inputs(op) if v in inputs)
    return list(order)


def _body(members: Sequence[Op], inputs: Sequence[Value], tail: Op) -> Block:
    body = Block([value.type for value in inputs], [value.name for value in inputs])
    builder = Builder(body)
    values = dict(zip(inputs, body.args))
    inside: dict[Value, Value] = {}
    for op in members:
        for value in op.inputs:
            if goes_inside(op, value) and value not in inside and value.op is not None:
                constant = clone_op(value.op, {})
                builder.insert(constant)
                inside[value] = constant.result
        local = {**values, **inside} if is_elementwise(op) else values
        copy = clone_op(op, dict(local))
        builder.insert(copy)
        values[op.result] = copy.result
    builder.location = tail.location
    builder.yield_(values[tail.result])
    return body
