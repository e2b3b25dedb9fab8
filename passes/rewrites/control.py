"""Control flow that is decided at compile time."""

from __future__ import annotations

from burnish.ir import Value

from ..pattern import Match, Outcome
from ..pattern.constants import filled_with
from ..regions import captures, inline_region, rebuild_region
from .sets import CANONICAL


@CANONICAL.pattern("decided-if", "control.if", benefit=3)
def decided_if(m: Match) -> Outcome:
    """An if with a constant condition is the branch it takes."""
    condition = m.operand(0)
    taken = filled_with(condition, True)
    m.require(taken or filled_with(condition, False), "the condition is not constant")
    region = m.op.regions[0 if taken else 1]
    return inline_region(m.rewriter, m.op, region, m.op.inputs[1:])


@CANONICAL.pattern("constant-capture", "control.if", "control.loop", benefit=2)
def constant_capture(m: Match) -> Outcome:
    """Constants that a region captures are known inside too."""
    first_operand, first_arg = captures(m.op)
    offset = first_operand - first_arg
    constants: dict[int, Value] = {
        index - offset: value
        for index, value in enumerate(m.op.operands)
        if index >= first_operand and value is not None and value.constant is not None
    }
    m.require(bool(constants), "no captured value is constant")
    operands = [v for i, v in enumerate(m.op.operands) if i - offset not in constants]
    regions = []
    for region in m.op.regions:
        kept = [i for i in range(len(region.args)) if i not in constants]
        regions.append(rebuild_region(region, kept, range(len(region.results)), constants))
    new = m.builder.create(m.op.name, operands, m.op.attributes, regions=regions)
    return new.results
