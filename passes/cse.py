"""Common-subexpression elimination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Block, Function, Op, Trait, Value

from .base import FunctionPass, PassContext, register_pass
from .regions import blocks_inside_out, captures, is_pure, with_captured


@register_pass
@dataclass(frozen=True)
class CommonSubexpressionElimination(FunctionPass):
    """Compute equal things once: ops with equal operands, attributes and regions are merged.

    Constants are equal when their data is.  Operands of commutative ops may be swapped.  What a
    region computes from captured values alone and the block around it has computed before is
    captured instead.  Impure ops are left alone.
    """

    name = "cse"

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Number the values of every block in one forward sweep each."""
        rewriter = context.rewriter()
        for block in list(blocks_inside_out(function)):
            seen: dict[Hashable, Op] = {}
            alike = Counter(op.result.type for op in block if _is_constant(op))
            for op in block:
                if not context.may_rewrite:
                    break
                if op.is_terminator or not is_pure(op):
                    continue
                if _is_constant(op) and alike[op.result.type] == 1:
                    continue  # most weights: their data need not be read
                if op.name in CONTROL and (known := _known_outside(op, seen)):
                    extended = with_captured(rewriter, op, known)
                    context.count("captured-subexpression", len(known), root=extended)
                    continue  # what is left of it may equal another: next time
                first = seen.setdefault(_key(op), op)
                if first is not op:
                    rewriter.replace(op, first.results)
                    context.count("common-subexpression", root=op)
        return rewriter.changes > 0


CONTROL = frozenset({"control.if", "control.loop"})
"""Ops whose regions capture values."""


def _known_outside(op: Op, seen: Mapping[Hashable, Op]) -> dict[Op, Sequence[Value]]:
    """Ops of the regions of ``op`` that compute what ops before it have, and those results.

    Constants do not count: they are free inside, and known.
    """
    found: dict[Op, Sequence[Value]] = {}
    first_operand, first_arg = captures(op)
    for region in op.regions:
        captured = [value for value in op.operands[first_operand:] if value is not None]
        outside = dict(zip(region.args[first_arg:], captured))
        for inner in region:
            if inner.is_terminator or not outside.keys() >= set(inner.inputs):
                continue
            if is_pure(inner) and (equal := seen.get(_key(inner, outside))) is not None:
                outside.update(zip(inner.results, equal.results))
                if not _is_constant(inner):
                    found[inner] = equal.results
    return found


def _is_constant(op: Op) -> bool:
    return Trait.CONSTANT in op.opdef.traits


def _key(op: Op, outside: Mapping[Value, Value] | None = None) -> Hashable:
    """Equal for ops of one block that compute the same.

    For an op of a region, ``outside`` gives the values around it that its operands stand for.
    """
    if _is_constant(op):
        # Handles of one type hash alike; digests keep a table of thousands of them fast.
        handle = op.result.constant
        assert handle is not None
        return (op.name, op.result.type, handle.digest)
    operands = list(op.operands)
    if outside is not None:
        operands = [None if value is None else outside[value] for value in operands]
    if Trait.COMMUTATIVE in op.opdef.traits:
        operands[:2] = sorted(operands[:2], key=id)
    regions = tuple(map(_region_key, op.regions))
    return (op.name, op.attributes, tuple(operands), tuple(op.result_types), regions)


def _region_key(block: Block) -> Hashable:
    """Equal for regions that do the same: values are numbered in order of definition."""
    numbers: dict[Value, int] = {}
    for arg in block.args:
        numbers[arg] = len(numbers)
    keys: list[Hashable] = [tuple(arg.type for arg in block.args)]
    for op in block:
        operands = tuple(None if v is None else numbers[v] for v in op.operands)
        regions = tuple(map(_region_key, op.regions))
        keys.append((op.name, op.attributes, operands, tuple(op.result_types), regions))
        for result in op.results:
            numbers[result] = len(numbers)
    return tuple(keys)
