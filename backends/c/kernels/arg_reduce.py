"""Positions of smallest and largest elements."""

from __future__ import annotations

from burnish.ir import DType

from ..code import cast
from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import split_at


@register
class ArgReduce(KernelFamily):
    """Keeps the best element seen and its position; NaN beats every number, as in NumPy."""

    name = "arg_reduce"
    ops = ("tensor.arg_reduce",)

    def emit(self, k: KernelBuilder) -> None:
        a, dtype = k.attributes, k.operand("x").dtype
        before, extent, after = split_at(k.operand("x").shape, a.axis)
        x = k.operand("x").reshaped((before, extent, after))
        y = k.result.reshaped((before, after))
        better = "x < best" if a.kind == "min" else "x > best"
        if a.last:
            better = "x <= best" if a.kind == "min" else "x >= best"
        if dtype.is_float and a.last:
            better += " or is_nan(x)"
        elif dtype.is_float:
            better += " or (is_nan(x) and not is_nan(best))"
        k.require(1, extent)
        with k.loops("i j", (before, after), parallel=True) as (i, j):
            best = k.variable("best", dtype, k.load(x, (i, 0, j)))
            position = k.index_variable("position", 0)
            with k.loop("n", extent, start=1) as n:
                value = k.let("v", dtype, k.load(x, (i, n, j)))
                with k.when(k.value(better, dtype, x=value, best=best)):
                    k.assign(best, value)
                    k.assign(position, n)
            k.write(y, (i, j), cast("int64_t", position) if y.dtype is DType.I64 else position)
