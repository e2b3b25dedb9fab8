"""Whether a replacement is worse than what goes away, where that is known without types.

Elementwise ops cost what their scalar expressions cost per element.  What goes away for certain is
the root and whatever ``once`` marks; where all of that and the whole replacement are elementwise
on one shape, the sums can be compared.  Anything else depends on shapes, and is not judged here;
nor is what replaces several ops by fewer ones, which move fewer bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from burnish.ir import scalar
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.opdef import lookup

from .errors import rule_error
from .replacement import template_key
from .syntax import (
    Expression,
    Literal,
    Operation,
    OpPattern,
    OpTemplate,
    Pattern,
    Rule,
    Template,
)

Named = Mapping[str, tuple[str, ...]]


def check_cost(rule: Rule, text: str) -> None:
    """Check one rule of the file ``text``.

    Raises:
        RuleError: its replacement takes more operations per element than what it replaces.
    """
    named: dict[str, tuple[str, ...]] = {}
    before = _pattern_cost(rule.pattern, named, goes=True)
    if before is None:
        return
    made: dict[object, int] = {}
    if not all(_template_cost(template, named, made) for template in rule.rewrite):
        return
    after = sum(made.values())
    if after > before and len(made) >= _count(rule.pattern):
        raise rule_error(
            f"the replacement takes {after} operations per element, what goes away took {before}",
            rule.rewrite[0].at,
            text,
            "write once where an op is to go away, or leave the ops as they are",
        )


def _count(node: Pattern) -> int:
    """How many ops a pattern shows."""
    return 1 + sum(map(_count, node.operands)) if isinstance(node, OpPattern) else 0


def _op_cost(names: tuple[str, ...]) -> int | None:
    """Operations per element of the dearest of several ops; None where that is not known."""
    definitions = [lookup(name) for name in names]
    costs = [
        max(1, scalar.cost(definition.expression))
        for definition in definitions
        if isinstance(definition, ElementwiseOp)
    ]
    return max(costs) if costs and len(costs) == len(names) else None


def _pattern_cost(node: Pattern, named: dict[str, tuple[str, ...]], *, goes: bool) -> int | None:
    """What disappears with ``node``: ops, of which each goes if its only user does."""
    if not isinstance(node, OpPattern):
        return 0
    if node.bind:
        named[node.bind] = node.ops
    own = _op_cost(node.ops)
    if own is None or node.each:
        return None
    total = own if goes else 0
    for operand in node.operands:
        once = isinstance(operand, OpPattern) and operand.once
        below = _pattern_cost(operand, named, goes=goes and once)
        if below is None:
            return None
        total += below
    return total


def _template_cost(template: Template, named: Named, made: dict[object, int]) -> bool:
    """Enter the costs of the ops that ``template`` makes, each once; False if one is not known."""
    if not isinstance(template, OpTemplate) or template.fold:
        return True
    cost = _op_cost(named.get(template.op, (template.op,)))
    if cost is None or template.each:
        return False
    cost -= sum(_is_no_bound(name, value) for name, value in template.attributes)
    made[template_key(template)] = cost
    return all(_template_cost(operand, named, made) for operand in template.operands)


def _is_no_bound(name: str, value: Expression) -> bool:
    """Whether an attribute is a bound that bounds nothing, and so costs nothing."""
    low = isinstance(value, Operation) and value.operator == "-" and name == "low"
    number = value.operands[0] if isinstance(value, Operation) and low else value
    infinite = isinstance(number, Literal) and number.value == math.inf
    return infinite and (low or name == "high")
