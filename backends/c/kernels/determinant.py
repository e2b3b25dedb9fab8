"""Determinants."""

from __future__ import annotations

from ..code import Expr, conditional, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register


@register
class Determinant(KernelFamily):
    """Elimination with row pivots in a copy of each matrix; a pivot of 0 gives 0, as LAPACK has it
    even where NaN is elsewhere.  What the pivots multiply to never leaves the range of floats
    where the determinant itself does not."""

    name = "determinant"
    ops = ("nn.determinant",)

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        work = x.dtype.compute
        *batch, size, _ = k.op.inputs[0].type.shape
        m = k.scratch("m", work, (size, size))
        with k.loops("n", batch) as n:
            with k.loops("i j", (size, size)) as (i, j):
                k.write(m, [i, j], k.load(x, [*n, i, j]))
            det = k.variable("det", work, 1.0)
            singular = k.index_variable("singular", 0)
            with k.loop("p", size) as p:
                _bring_up_pivot(k, m, p, det)
                pivot = k.let("pivot", work, k.load(m, [p, p]))
                with k.branch(k.value("a == 0", work, a=pivot)) as (is_zero, is_not):
                    with is_zero:
                        k.assign(singular, index(1))
                    with is_not:
                        _eliminate(k, m, p, pivot)
            _multiply_pivots(k, m, det)
            k.store(n, conditional(singular.differs(0), k.literal(0, work), det))


def _eliminate(k: KernelBuilder, m: Buffer, p: Expr, pivot: Expr) -> None:
    """Take multiples of row ``p`` off the rows below, so that column ``p`` could become 0."""
    work, size = m.dtype, m.shape[0]
    with k.loop("i", size, start=p + 1) as i:
        factor = k.let("factor", work, k.value("a / b", work, a=k.load(m, [i, p]), b=pivot))
        with k.loop("j", size, start=p + 1) as j:
            known = {"a": k.load(m, [i, j]), "b": k.load(m, [p, j]), "f": factor}
            k.write(m, [i, j], k.value("a - f * b", work, **known))


def _bring_up_pivot(k: KernelBuilder, m: Buffer, p: Expr, det: Expr) -> None:
    """Swap the row with the largest element of column ``p`` into row ``p``."""
    work, size = m.dtype, m.shape[0]
    best = k.index_variable("best", p)
    with k.loop("i", size, start=p + 1) as i:
        known = {"a": k.load(m, [i, p]), "b": k.load(m, [best, p])}
        with k.when(k.value("abs(a) > abs(b)", work, **known)):
            k.assign(best, i)
    with k.when(best.differs(p)):
        with k.loop("j", size) as j:
            held = k.let("held", work, k.load(m, [p, j]))
            k.write(m, [p, j], k.load(m, [best, j]))
            k.write(m, [best, j], held)
        k.assign(det, k.value("-a", work, a=det))


def _multiply_pivots(k: KernelBuilder, m: Buffer, det: Expr) -> None:
    """Multiply ``det`` by the diagonal of ``m``: by the least of what is left while it is above 1,
    else by the largest, so that no product on the way is further from 1 than the last or a pivot
    is."""
    work, size = m.dtype, m.shape[0]
    with k.loop("p", size) as p:
        best = k.index_variable("best", p)
        with k.branch(k.value("abs(a) > 1", work, a=det)) as (is_large, is_small):
            for side, nearer in ((is_large, "abs(a) < abs(b)"), (is_small, "abs(a) > abs(b)")):
                with side, k.loop("i", size, start=p + 1) as i:
                    known = {"a": k.load(m, [i, i]), "b": k.load(m, [best, best])}
                    with k.when(k.value(nearer, work, **known)):
                        k.assign(best, i)
        k.assign(det, k.value("a * b", work, a=det, b=k.load(m, [best, best])))
        k.write(m, [best, best], k.load(m, [p, p]))
