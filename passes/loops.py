"""Loops: unrolling those that run a few times, and moving out what does not change in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.ir import Block, Function, Op, Rewriter, Trait, Value, defined_symbol
from burnish.ir.clone import clone_op
from burnish.ir.sizes import symbols_used

from .base import FunctionPass, PassContext, register_pass
from .regions import blocks_inside_out, captures, inline_region, is_pure, with_captured

LOOP = "control.loop"


@register_pass
@dataclass(frozen=True)
class UnrollLoops(FunctionPass):
    """Replace loops that run a known number of times by copies of their bodies.

    The trip count must be constant and the condition must hold throughout, or fail after the
    first iteration.  What each iteration scans out is concatenated.

    Options:
        max_ops: ops that the copies of one body may have together, constants not counted; a loop
            of one iteration is always unrolled.
    """

    name = "unroll-loops"
    max_ops: int = 64

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Inner loops first, so that an outer one counts what they became."""
        rewriter = context.rewriter()
        for loop in _loops(function, context):
            reason = self._refusal(loop)
            if reason:
                context.refusals[self.name, reason] += 1
                continue
            context.count("unroll-loop", root=loop)
            _unroll(rewriter, loop, known_iterations(loop) or 0)
        return rewriter.changes > 0

    def _refusal(self, loop: Op) -> str:
        """Why ``loop`` stays; empty when it can be unrolled."""
        count = known_iterations(loop)
        if count is None:
            return "the number of iterations is not known"
        declared = loop.attributes.iterations
        if len(loop.results) > loop.attributes.carried and declared != count:
            return "the loop does not run as often as declared"
        (body,) = loop.regions
        inner = [op for region_op in body for op in region_op.walk()]
        if any(defined_symbol(op) is not None for op in inner):
            return "the body finds the size of a dimension"
        ops = sum(Trait.CONSTANT not in op.opdef.traits for op in inner if not op.is_terminator)
        if count > 1 and count * ops > self.max_ops:
            return "the copies would have too many ops"
        return ""


def _loops(function: Function, context: PassContext) -> Iterator[Op]:
    """The loops of ``function``, inner ones first, for as long as rewrites are allowed."""
    for block in list(blocks_inside_out(function)):
        for op in block:
            if op.name == LOOP and context.may_rewrite:
                yield op


def known_iterations(loop: Op) -> int | None:
    """How often ``loop`` runs, if that is known at compile time."""
    trip_count, start = (*loop.operands, None, None)[:2]
    (body,) = loop.regions
    holds = True if start is None else _constant(start)
    if holds is None:
        return None
    count = None if trip_count is None else _constant(trip_count)
    if not holds or (count is not None and count <= 0):
        return 0
    again = body.results[0]
    stays = True if again is body.args[1] else _constant(again)
    if stays is not None and not stays:
        return 1
    if count is None:
        return None
    return int(count) if stays or count == 1 else None


def _constant(value: Value) -> int | None:
    return None if value.constant is None else int(value.constant.array)


def _unroll(rewriter: Rewriter, loop: Op, count: int) -> None:
    builder = rewriter.before(loop)
    (body,) = loop.regions
    carried = int(loop.attributes.carried)
    values = [value for value in loop.operands[2:] if value is not None]
    state, captured = values[:carried], values[carried:]
    scans: list[list[Value]] = [[] for _ in loop.results[carried:]]
    for iteration in range(count):
        flags = [builder.constant(np.array(iteration)), builder.constant(np.array(True))]
        _, *yielded = inline_region(rewriter, loop, body, [*flags, *state, *captured])
        state = yielded[:carried]
        for collected, value in zip(scans, yielded[carried:]):
            collected.append(builder("tensor.reshape", value, shape=(1, *value.type.shape)))
    stacked = [
        parts[0] if len(parts) == 1 else builder("tensor.concat", *parts, axis=0) for parts in scans
    ]
    rewriter.replace(loop, [*state, *stacked])


# Invariant code --------------------------------------------------------------------------


@register_pass
@dataclass(frozen=True)
class HoistInvariants(FunctionPass):
    """Move out of loops what every iteration computes alike.

    An op is invariant when all it reads are captured values, constants and other invariant ops.
    Of a loop that may run not at all only ops move that cannot fail.  Constants, views and
    broadcasts alone are not worth a captured value: they move with an op that reads them.
    """

    name = "hoist-invariants"

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Inner loops first: what they give up can leave the next one too."""
        rewriter = context.rewriter()
        for loop in _loops(function, context):
            if invariant := _invariant(loop):
                context.count("hoist-invariant", len(invariant), root=loop)
                _hoist(rewriter, loop, invariant)
        return rewriter.changes > 0


_TOTAL = frozenset(
    {"nn.conv", "nn.conv_transpose", "nn.matmul", "nn.max_pool", "nn.average_pool"}
    | {"nn.batch_norm", "nn.layer_norm", "nn.rms_norm", "nn.group_norm", "nn.softmax"}
    | {"nn.log_softmax", "nn.resize", "tensor.reduce", "tensor.transpose", "tensor.reshape"}
    | {"tensor.broadcast", "tensor.concat", "tensor.pad", "tensor.tile"}
    | {"quant.quantize", "quant.dequantize", "quant.reinterpret"}
)
"""Ops beside the elementwise ones that give a result for every operand: none is an error."""

_CHEAP = frozenset({"tensor.broadcast"})
"""Ops that make much of little: their result is not worth keeping."""


def _invariant(loop: Op) -> list[Op]:
    """The ops of the loop's body that are worth moving before it, in order."""
    (body,) = loop.regions
    _, first = captures(loop)
    known = set(body.args[first:])
    inner = [op for region_op in body for op in region_op.walk()]
    sizes = {defined_symbol(op) for op in inner} - {None}
    runs = (known_iterations(loop) or 0) > 0
    found: list[Op] = []
    for op in body:
        if op.is_terminator or not known.issuperset(op.inputs) or not is_pure(op):
            continue
        if defined_symbol(op) is not None or sizes & symbols_used(op):
            continue
        if not (runs or _cannot_fail(op)) or Trait.CHECK in op.opdef.traits:
            continue
        found.append(op)
        known.update(op.results)
    return _worth_moving(found, body)


def _cannot_fail(op: Op) -> bool:
    traits = op.opdef.traits
    return Trait.ELEMENTWISE in traits or Trait.CONSTANT in traits or op.name in _TOTAL


def _worth_moving(ops: Sequence[Op], body: Block) -> list[Op]:
    moving: dict[Op, None] = {}
    for op in reversed(ops):
        traits = op.opdef.traits
        free = Trait.CONSTANT in traits or Trait.VIEW in traits or op.name in _CHEAP
        if not free or any(user in moving for value in op.results for user in value.users):
            moving[op] = None
    return list(reversed(moving))


def _hoist(rewriter: Rewriter, loop: Op, invariant: Sequence[Op]) -> None:
    (body,) = loop.regions
    first_operand, first_arg = captures(loop)
    outside = [value for value in loop.operands[first_operand:] if value is not None]
    values = dict(zip(body.args[first_arg:], outside))
    builder = rewriter.before(loop)
    for op in invariant:
        builder.insert(clone_op(op, values))
    # Constants stay inside too: there they are free, and known.
    moved = [op for op in invariant if Trait.CONSTANT not in op.opdef.traits]
    with_captured(rewriter, loop, {op: [values[v] for v in op.results] for op in moved})
