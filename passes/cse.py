"""Common-subexpression elimination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from burnish.ir import Block, Function, Op, Trait, Value

from .base import FunctionPass, PassContext, register_pass
from .regions import blocks_inside_out, is_pure


@register_pass
@dataclass(frozen=True)
class CommonSubexpressionElimination(FunctionPass):
    """Compute equal things once: ops with equal operands, attributes and regions are merged.

    Constants are equal when their data is.  Operands of commutative ops may be swapped.  Every
    region is searched for itself; impure ops are left alone.
    """

    name = "cse"

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Number the values of every block in one forward sweep each."""
        rewriter = context.rewriter()
        for block in blocks_inside_out(function):
            seen: dict[Hashable, Op] = {}
            alike = Counter(op.result.type for op in block if _is_constant(op))
            for op in block:
                if not context.may_rewrite:
                    break
                if op.is_terminator or not is_pure(op):
                    continue
                if _is_constant(op) and alike[op.result.type] == 1:
                    continue  # most weights: their data need not be read
                first = seen.setdefault(_key(op), op)
                if first is not op:
                    rewriter.replace(op, first.results)
                    context.count("common-subexpression", root=op)
        return rewriter.changes > 0


def _is_constant(op: Op) -> bool:
    return Trait.CONSTANT in op.opdef.traits


def _key(op: Op) -> Hashable:
    """Equal for ops of one block that compute the same."""
    if _is_constant(op):
        # Handles of one type hash alike; digests keep a table of thousands of them fast.
        handle = op.result.constant
        assert handle is not None
        return (op.name, op.result.type, handle.digest)
    operands: list[Hashable] = list(op.operands)
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
