"""Dead-code elimination: ops nobody uses, and unused parts of the interfaces of regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Block, Function, Op, Rewriter, Value, is_unused

from .base import FunctionPass, PassContext, register_pass
from .regions import captures, rebuild_region


@register_pass
@dataclass(frozen=True)
class DeadCodeElimination(FunctionPass):
    """Erase ops whose results nobody uses, nor the size that they find.

    Of ``control.if`` also unused results and captured values that no branch reads; of
    ``control.loop`` captured values the body does not read and scan outputs nobody uses.
    """

    name = "dce"

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Sweep the function backwards; regions after the op around them is trimmed."""
        rewriter = context.rewriter()
        _sweep(function.body, rewriter, context)
        return rewriter.changes > 0


def _sweep(block: Block, rewriter: Rewriter, context: PassContext) -> None:
    op = block.last
    while op is not None and context.may_rewrite:
        preceding = op.prev
        if not op.is_terminator and is_unused(op):
            rewriter.erase(op)
            context.count("dead-op", root=op)
        elif op.regions:
            # Dead code inside may be all that reads a captured value, so inside goes first,
            # then results, whose computation inside is then dead, then captures.
            op = _trim_results(op, rewriter, context)
            for region in op.regions:
                _sweep(region, rewriter, context)
            op = _trim_captures(op, rewriter, context)
            preceding = op.prev
        op = preceding


def _trim_results(op: Op, rewriter: Rewriter, context: PassContext) -> Op:
    """``op`` without results nobody uses, where its definition allows that."""
    # A loop's region yields its condition before the results, and carried values must stay.
    if op.name == "control.if":
        skipped, fixed = 0, 0
    elif op.name == "control.loop":
        skipped, fixed = 1, int(op.attributes.carried)
    else:
        return op
    kept = [i for i, value in enumerate(op.results) if i < fixed or value.use_count]
    if len(kept) == len(op.results) or not context.may_rewrite:
        return op
    yields = [*range(skipped), *(skipped + i for i in kept)]
    regions = [rebuild_region(r, range(len(r.args)), yields) for r in op.regions]
    context.count("dead-region-result", len(op.results) - len(kept), root=op)
    return _replace(op, op.operands, regions, kept, rewriter)


def _trim_captures(op: Op, rewriter: Rewriter, context: PassContext) -> Op:
    """``op`` without captured operands that no region reads."""
    first_operand, first_arg = captures(op)
    offset = first_operand - first_arg
    captured = range(first_operand, len(op.operands))
    read = [i for i in captured if any(r.args[i - offset].use_count for r in op.regions)]
    if len(read) == len(captured) or not context.may_rewrite:
        return op
    operands: list[Value | None] = [op.operands[i] for i in (*range(first_operand), *read)]
    args = [*range(first_arg), *(i - offset for i in read)]
    regions = [rebuild_region(r, args, range(len(r.results))) for r in op.regions]
    context.count("dead-capture", len(captured) - len(read), root=op)
    return _replace(op, operands, regions, range(len(op.results)), rewriter)


def _replace(
    op: Op,
    operands: Sequence[Value | None],
    regions: Sequence[Block],
    kept: Sequence[int],
    rewriter: Rewriter,
) -> Op:
    """Put a copy of ``op`` with other regions in its place; it has the results ``kept``."""
    builder = rewriter.before(op)
    names = [op.results[i].name for i in kept]
    new = builder.create(op.name, operands, op.attributes, regions=regions, names=names)
    for index, value in zip(kept, new.results):
        rewriter.replace_all_uses(op.results[index], value)
    rewriter.erase(op)
    return new
