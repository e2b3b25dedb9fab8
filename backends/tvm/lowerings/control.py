"""Control flow, and groups."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx

from burnish.ir import Op

from ..lowering import Lowering
from ..refusal import Refusal
from ..registry import Expr, lowering
from .context import Context, Tensor, compute, te_lowering


@lowering("core.group")
def _group(lowering: Lowering, op: Op, operands: Sequence[Expr]) -> Sequence[Expr]:
    """TVM fuses by itself."""
    return lowering.inline(op.regions[0], operands)


@te_lowering("control.if")
def _if(c: Context) -> list[Expr]:
    """Both branches, and a choice among their results: a function that is compiled for a GPU does
    not wait for what the processor decides."""
    captured = [c.input(index) for index in range(1, len(c.op.operands))]
    checks = len(c.lowering.checks)
    then, otherwise = (c.lowering.inline(region, captured) for region in c.op.regions)
    if len(c.lowering.checks) > checks:
        raise Refusal("a check at run time in a branch")
    return [_chosen(c, x, y) for x, y in zip(then, otherwise)]


def _chosen(c: Context, x: Expr, y: Expr) -> Expr:
    zeros = [0] * len(c.type().shape)

    def function(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return compute(x.shape, lambda *i: tirx.if_then_else(condition(*zeros), x(*i), y(*i)))

    return c.te(function, c.input(0), x, y)


@te_lowering("control.require")
def _require(c: Context) -> Expr:
    """x; whether the numbers are those expected is checked when the model has run."""
    expected = c.sizes(c.a.expected)

    def function(actual: Tensor, expected: Sequence[object]) -> Tensor:
        zero = [0] * (len(actual.shape) - 1)
        values = [actual(*zero, i) if actual.shape else actual() for i in range(len(expected))]
        return compute((), lambda: tirx.all(*(v.equal(e) for v, e in zip(values, expected)), True))

    c.lowering.check(c.te(function, c.input(1), expected))
    return c.input(0)
