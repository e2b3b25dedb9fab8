"""Control flow, and groups."""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import Term
from ..context import Context
from ..registry import lowering


@lowering("core.group")
def _group(c: Context) -> Sequence[Term]:
    """Relay fuses by itself."""
    return c.inline(c.op.regions[0], c.inputs())


@lowering("control.if")
def _if(c: Context) -> Sequence[Term]:
    condition, *captured = c.inputs()
    then, otherwise = (c.body(region, captured) for region in c.op.regions)
    result = c.builder.branch(c.reshape(condition, ()), then, otherwise)
    count = len(c.op.results)
    return [result] if count == 1 else [c.project(result, index) for index in range(count)]


@lowering("control.require")
def _require(c: Context) -> Term:
    """x; whether the numbers are those expected is one more result of the model."""
    agrees = c.call("equal", c.input(1), c.ints(c.a.expected))
    c.check(c.call("all", agrees))
    return c.input(0)
