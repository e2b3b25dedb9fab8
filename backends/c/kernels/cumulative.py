"""Running sums and products."""

from __future__ import annotations

from typing import ClassVar

from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import View, split_at


class _Cumulative(KernelFamily):
    """One running total per line along the axis, in float for narrow floats."""

    combine: ClassVar[str]
    """The total ``t`` with the next element ``x``."""
    neutral: ClassVar[int]

    def emit(self, k: KernelBuilder) -> None:
        a, dtype = k.attributes, k.operand("x").dtype
        before, extent, after = split_at(k.operand("x").shape, a.axis)
        x = View.of(k.operand("x"), (before, extent, after))
        y = View.of(k.result, (before, extent, after))
        if extent == 0:
            return
        if a.reverse:
            x, y = x.sliced(1, extent - 1, extent, -1), y.sliced(1, extent - 1, extent, -1)
        shift = int(a.exclusive)
        if a.exclusive:
            not_empty = k.when(k.less(0, extent))
            with not_empty, k.loops("i j", (before, after), parallel=True) as (i, j):
                k.write(y.flat, [y.place((i, 0, j))], k.literal(self.neutral, dtype))
        if extent == shift:
            return
        with (
            k.when(k.less(shift, extent)),
            k.loops("i j", (before, after), parallel=True) as (i, j),
        ):
            # Started with the first element, not 0: a sum of -0 alone must stay -0.
            total = k.variable("total", dtype, k.load(x.flat, [x.place((i, 0, j))]))
            k.write(y.flat, [y.place((i, shift, j))], total)
            with k.loop("n", extent, start=shift + 1) as n:
                term = k.load(x.flat, [x.place((i, n - shift, j))])
                k.assign(total, k.value(self.combine, dtype, t=total, x=term))
                k.write(y.flat, [y.place((i, n, j))], total)


@register
class CumulativeSum(_Cumulative):
    """Running sums."""

    name = "cumulative_sum"
    ops = ("tensor.cumulative_sum",)
    combine = "t + x"
    neutral = 0


@register
class CumulativeProduct(_Cumulative):
    """Running products."""

    name = "cumulative_product"
    ops = ("tensor.cumulative_product",)
    combine = "t * x"
    neutral = 1
