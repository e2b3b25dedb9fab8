"""Softmax and its logarithm along one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir.dims import product

from ..code import Expr
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register


@register
class Softmax(KernelFamily):
    """One line along the axis at a time: its maximum, powers and their sum, the results.

    Powers are kept in scratch, so that each is computed once; of a line of -inf only, or with a
    NaN, everything is NaN.
    """

    name = "softmax"
    ops = ("nn.softmax", "nn.log_softmax")
    fusable = True
    computes_operands = True

    def emit(self, k: KernelBuilder) -> None:
        x, axis = k.operand("x"), k.attributes.axis
        work = x.dtype.compute
        length = x.shape[axis]
        is_log = k.op.name == "nn.log_softmax"
        line = k.scratch("line", work, (length,))
        with k.loops("i", (*x.shape[:axis], *x.shape[axis + 1 :]), parallel=True) as around:
            outer, inner = around[:axis], around[axis:]
            element = _line(k, x, outer, inner)
            k.comment("The largest element makes all powers at most 1.")
            top = k.variable("top", work, float("-inf"))
            with k.loop("j", length) as j:
                k.assign(top, k.value("max(a, x)", work, a=top, x=element(j)))
            total = k.variable("total", work, 0.0)
            with k.loop("j", length) as j:
                shifted = k.value("x - top", work, x=element(j), top=top)
                if is_log:
                    k.write(line, [j], shifted)
                    k.assign(total, k.value("a + exp(x)", work, a=total, x=k.load(line, [j])))
                else:
                    exact = k.value("exp(x)", work, x=shifted)
                    power = k.let("power", work, k.round(exact, x.dtype))
                    k.write(line, [j], power)
                    k.assign(total, k.value("a + x", work, a=total, x=power))
            if is_log:
                total = k.let("log_total", work, k.value("log(x)", work, x=total))
            elif x.dtype is not work:
                total = k.let("sum", work, k.round(total, x.dtype))
            with k.loop("j", length) as j:
                expression = "x - total" if is_log else "x / total"
                result = k.value(expression, work, x=k.load(line, [j]), total=total)
                k.store([*outer, j, *inner], result)


def _line(
    k: KernelBuilder, x: Buffer, outer: Sequence[Expr], inner: Sequence[Expr]
) -> Callable[[Expr], Expr]:
    """The elements of one line along the axis."""
    if x.source is not None:
        return lambda j: k.load(x, [*outer, j, *inner])
    steps = product(x.shape[len(outer) + 1 :])
    view = k.view("from", x, x.offset([*outer, 0, *inner]), (x.shape[len(outer)], steps))
    return lambda j: k.load(view, [j, 0])
