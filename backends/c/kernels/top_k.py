"""The k largest or smallest elements along an axis."""

from __future__ import annotations

from ..code import Expr, index
from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import split_at


@register
class TopK(KernelFamily):
    """A heap of the k best positions, kept in the result; then sorted in place.

    n·log k comparisons and no memory beyond the results.  Ties go to the lower position, so the
    order is total and the result does not depend on how the heap was built.
    """

    name = "top_k"
    ops = ("tensor.top_k",)

    def emit(self, k: KernelBuilder) -> None:
        a, x = k.attributes, k.operand("x")
        values, indices = k.results
        before, extent, after = split_at(x.shape, a.axis)
        if a.k == 0:
            return
        k.require(a.k, extent)
        x = x.reshaped((before, extent, after))
        values = values.reshaped((before, a.k, after))
        indices = indices.reshaped((before, a.k, after))
        order = "descending" if a.largest else "ascending"
        sift = k.helper(f"sift_{order}_{x.dtype}")
        follows = k.helper(f"after_{order}_{x.dtype.compute}")
        with k.loops("i j", (before, after)) as (i, j):
            line = f"{x.pointer} + {x.offset((i, 0, j))}"
            heap = f"{indices.pointer} + {indices.offset((i, 0, j))}"

            def at(n: Expr | int) -> Expr:
                return indices.at((i, n, j))

            def restore(root: Expr | int, size: Expr | int) -> None:
                if a.k > 1:
                    k.statement(f"{sift}({line}, {heap}, {index(after)}, {root}, {size})")

            def element(n: Expr) -> Expr:
                return k.load(x, (i, n, j))

            k.comment(f"A heap of the first {a.k} positions, the last in order at its root.")
            with k.loop("n", a.k) as n:
                k.statement(f"{at(n)} = {n}")
            with k.loop("root", a.k // 2) as root:
                restore(a.k // 2 - 1 - root, a.k)
            k.comment("Every further element that precedes the root takes its place.")
            with k.loop("n", extent, start=a.k) as n:
                worst = element(at(0))
                with k.when(Expr(f"{follows}({worst}, {at(0)}, {element(n)}, {n})")):
                    k.statement(f"{at(0)} = {n}")
                    restore(0, a.k)
            if a.k > 1:
                k.comment("Move the root behind the rest, until all are in order.")
            with k.loop("n", a.k - 1) as n:
                last = k.let_index("last", a.k - 1 - n)
                k.statement(f"const int64_t root = {at(0)}")
                k.statement(f"{at(0)} = {at(last)}")
                k.statement(f"{at(last)} = root")
                restore(0, last)
            with k.loop("n", a.k) as n:
                chosen = x.at((i, at(n), j))
                k.statement(f"{values.at((i, n, j))} = {chosen}")
