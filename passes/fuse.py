"""Fusion: sets of ops that a backend computes as one become groups.

A group is grown from its last op backwards.  An op joins when :func:`refusal` has nothing to
say; the most important condition is that its users are in the group already or come after it, so
nothing is ever computed twice, and a group can stand where its last op stood.  What users outside
read is stored beside the last result.  Of the ops that an anchor reads the results of, those join
that :func:`prologue_refusal` has nothing to say of.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Block, Builder, Dim, Function, Location, Op, Rewriter, Trait, Value
from burnish.ir.clone import clone_op

from .base import FunctionPass, PassContext, register_pass
from .fusion_cost import is_expensive, saved_by_prologue, saved_bytes
from .regions import blocks_inside_out

ANCHORS = frozenset(
    {"nn.conv", "nn.conv_transpose", "nn.matmul", "nn.max_pool", "nn.average_pool"}
    | {"nn.sparse_product"}
    | {"nn.layer_norm", "nn.rms_norm", "nn.group_norm", "nn.lrn", "nn.softmax", "nn.log_softmax"}
    | {"nn.attention", "nn.batch_norm", "nn.resize"}
    | {"tensor.reduce", "tensor.concat", "tensor.slice"}
)
"""Ops that a group may hold one of: each element of their result is computed, or fetched, once."""

COMPUTED_OPERANDS = frozenset(
    {"nn.max_pool", "nn.average_pool", "nn.softmax", "nn.log_softmax"}
    | {"tensor.reduce", "tensor.concat"}
)
"""Anchors whose operands may be computed where they read them, which is once or twice for each
element.  Convolutions and products read elements again and again, for every tile."""


@register_pass
@dataclass(frozen=True)
class Fuse(FunctionPass):
    """Make groups (``core.group``) of ops that are computed together, element by element.

    A group is at most one anchor (a convolution, matmul, pool, reduction, normalization, softmax,
    concat or slice) and elementwise ops, all with results of one shape: what is applied to the
    anchor's result, and what is computed beside it, such as the other branch of a residual
    addition.  Anchors that read each element about once may have elementwise ops before them, too.
    Constants of one element go into the group; all else it reads are its operands.

    Options:
        max_inputs: operands a group may have beside those of its anchor.
        max_ops: ops it may hold, constants not counted.
        prologues: whether elementwise ops may come before an anchor.
    """

    name = "fuse"
    max_inputs: int = 8
    max_ops: int = 32
    prologues: bool = True

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Plan the groups of each block from its end, then make them."""
        rewriter = context.rewriter()
        for block in blocks_inside_out(function):
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
            if tail in taken or not (is_elementwise(tail) or tail.name in COMPUTED_OPERANDS):
                continue
            plan = GroupPlan(tail, position, self.max_inputs, self.max_ops)
            if is_elementwise(tail):
                self._grow(plan, position, taken, context)
            if self.prologues and plan.anchor and plan.anchor.name in COMPUTED_OPERANDS:
                for operand in dict.fromkeys(plan.anchor.inputs):
                    self._precede(plan, operand, taken, context)
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

    def _precede(
        self, plan: GroupPlan, operand: Value, taken: set[Op], context: PassContext
    ) -> None:
        """Let all ops join that can compute an operand of the anchor, if that is a gain."""
        assert plan.anchor is not None
        chain: dict[Op, None] = {}
        candidates = [operand.op]
        while candidates:
            op = candidates.pop()
            if op is None or op in chain or Trait.CONSTANT in op.opdef.traits:
                continue
            reason = (
                "in another group" if op in taken else prologue_refusal(plan, chain, op, operand)
            )
            if reason:
                context.refusals["fuse", f"before {plan.anchor.name}: {reason}"] += 1
                continue
            chain[op] = None
            candidates += [value.op for value in op.inputs]
        if chain and not _is_gain(saved_by_prologue(plan.anchor, operand, chain, ANCHORS) - 1):
            context.refusals["fuse", f"before {plan.anchor.name}: no fewer bytes would move"] += 1
        elif chain:
            plan.precede(chain)


class GroupPlan:
    """A group to be: its ops, from the last one backwards.

    Attributes:
        tail: the last op; its result is the group's first.
        position: where each op of the block stands.
        anchor: the op in it that is not elementwise, if there is one.
        members: all its ops, latest first.
        inputs: values it reads from outside, but constants that go inside.
        reads: how often its ops together read a value.
        stored: members whose results are results of the group too.
        prologue: members that compute what the anchor reads.
    """

    def __init__(self, tail: Op, position: Mapping[Op, int], max_inputs: int, max_ops: int) -> None:
        self.tail = tail
        self.position = position
        self.max_inputs = max_inputs
        self.max_ops = max_ops
        self.anchor = None if is_elementwise(tail) else tail
        self.members: dict[Op, None] = {tail: None}
        self.reads = Counter(tail.inputs)
        self.inputs: dict[Value, None] = dict.fromkeys(external_inputs(tail))
        self.stored: dict[Op, None] = {}
        self.prologue: dict[Op, None] = {}

    def is_read_outside(self, op: Op) -> bool:
        """Whether ops that are not in the group read ``op``'s result."""
        return self.reads[op.result] != op.result.use_count

    def ends_before(self, op: Op) -> bool:
        """Whether the ops outside that read ``op``'s result come after the group."""
        end = self.position[self.tail]
        outside = (user for user in op.result.users if user not in self.members)
        return all(self.position.get(user, end) > end for user in outside)

    def inputs_with(self, op: Op) -> dict[Value, None]:
        """What the group would read if ``op``, whose result it reads, joined."""
        joined = dict.fromkeys([*self.inputs, *external_inputs(op)])
        joined.pop(op.result, None)
        return joined

    @property
    def epilogue(self) -> list[Op]:
        """Members that come after the anchor, latest first."""
        return [op for op in self.members if op is not self.anchor and op not in self.prologue]

    def add(self, op: Op) -> None:
        """Let ``op`` join."""
        self.inputs = self.inputs_with(op)
        if self.is_read_outside(op):
            self.stored[op] = None
        self.members[op] = None
        self.reads.update(op.inputs)
        if not is_elementwise(op):
            self.anchor = op

    def precede(self, chain: Mapping[Op, None]) -> None:
        """Let ops join that compute an operand of the anchor, users before producers."""
        for op in chain:
            self.inputs = self.inputs_with(op)
            self.members[op] = None
            self.prologue[op] = None
            self.reads.update(op.inputs)


def is_elementwise(op: Op) -> bool:
    """Whether ``op`` computes each element of its one result from elements of its operands."""
    return op.is_pointwise and len(op.results) == 1


def goes_inside(op: Op, value: Value) -> bool:
    """Whether the operand ``value`` of ``op`` is a constant that becomes a literal of a group."""
    constant = value.constant
    return is_elementwise(op) and constant is not None and constant.size == 1


def external_inputs(op: Op) -> list[Value]:
    """Operands of ``op`` that a group of it alone would read."""
    return [value for value in op.inputs if not goes_inside(op, value)]


def refusal(plan: GroupPlan, op: Op) -> str:
    """Why ``op``, whose result the group reads, cannot join; empty when it can.

    With :func:`prologue_refusal` this is all there is to the legality of fusion.  Where ``op``
    stood among ops outside does not matter: it moves down to the group's last op, all its users
    with it, and what it reads was computed before.
    """
    if not is_elementwise(op):
        if op.name not in ANCHORS:
            return "not elementwise, and no anchor"
        if plan.anchor is not None:
            return "the group has an anchor"
    if len(op.results) != 1 or op.result.type.shape != plan.tail.result.type.shape:
        return "the result has another shape"
    stored = plan.is_read_outside(op)
    if stored and not plan.ends_before(op):
        return "the result is used before the group ends"
    if not _is_gain(saved_bytes(op, ANCHORS, stored=stored)):
        return "the group would move more bytes"
    if plan.anchor is not None and op.result in plan.anchor.inputs:
        return "the anchor reads the result"
    if len(plan.members) >= plan.max_ops:
        return "the group has the most ops allowed"
    anchor = plan.anchor if is_elementwise(op) else op
    own = set(anchor.inputs) if anchor is not None else set()
    if len(plan.inputs_with(op).keys() - own) > plan.max_inputs:
        return "the group would read too many tensors"
    return ""


def prologue_refusal(plan: GroupPlan, chain: Mapping[Op, None], op: Op, operand: Value) -> str:
    """Why ``op`` cannot be computed where the anchor reads ``operand``; empty when it can.

    ``chain`` are the ops that can.  Nothing of it is stored, so nobody else may read it; what
    its values are computed from is found by the indices of the operand, and what the epilogue reads
    by those of the result.
    """
    if not is_elementwise(op):
        return "not elementwise"
    if op.result.type.shape != operand.type.shape:
        return "the result has another shape"
    if any(value.type.layout is not None for value in (op.result, *op.inputs)):
        return "in a layout"
    if is_expensive(op):
        return "expensive"
    if any(user is not plan.anchor and user not in chain for user in op.result.users):
        return "the result is used elsewhere"
    if len(plan.members) + len(chain) >= plan.max_ops:
        return "the group has the most ops allowed"
    outside = [value for value in external_inputs(op) if value.op not in chain]
    after = {value for member in plan.epilogue for value in member.inputs}
    if not after.isdisjoint(outside):
        return "the epilogue reads an operand"
    if len({*plan.inputs, *outside}) > plan.max_inputs:
        return "the group would read too many tensors"
    return ""


def _is_gain(saved: Dim) -> bool:
    """Whether bytes are saved; of sizes known at run time only that is taken for granted."""
    return not isinstance(saved, int) or saved >= 0


def _make(plan: GroupPlan, rewriter: Rewriter) -> None:
    """Replace the planned ops by a group."""
    # What the group has of what the anchor reads is its prologue, so both can come first.
    before = sorted(plan.prologue, key=plan.position.__getitem__)
    first = [*before, *([] if plan.anchor is None else [plan.anchor])]
    members = [*first, *(op for op in reversed(plan.epilogue))]
    inputs = _reading_order(members, plan.inputs)
    kept = [plan.tail, *(op for op in members if op in plan.stored)]
    body = _body(members, inputs, kept)
    location = Location.join(*(op.location for op in members))
    builder = rewriter.before(plan.tail, location=location)
    names = [op.result.name for op in kept]
    group = builder.create("core.group", inputs, regions=[body], names=names)
    for op, result in zip(kept, group.results):
        rewriter.replace_all_uses(op.result, result)
    for op in plan.members:
        rewriter.erase(op)


def _reading_order(members: Sequence[Op], inputs: dict[Value, None]) -> list[Value]:
    order = dict.fromkeys(v for op in members for v in external_inputs(op) if v in inputs)
    return list(order)


def _body(members: Sequence[Op], inputs: Sequence[Value], kept: Sequence[Op]) -> Block:
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
    builder.location = kept[0].location
    builder.yield_(*(values[op.result] for op in kept))
    return body
