"""Softmax and its logarithm."""

from __future__ import annotations

import math

from tvm import te

from burnish.ir import DType

from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .reduce import reduce_over
from .scalars import constant, primitive


@te_lowering("nn.softmax", "nn.log_softmax")
def _softmax(c: Context) -> Expr:
    dtype = c.type().dtype
    logarithm = c.op.name == "nn.log_softmax"
    y = softmax(c, c.wide(0), dtype.compute, c.a.axis, logarithm=logarithm)
    return c.cast(y, dtype.compute, dtype)


def softmax(c: Context, x: Expr, dtype: DType, axis: int, *, logarithm: bool = False) -> Expr:
    """e^x / Σ e^x along an axis, or its logarithm.

    TVM's maximum loses NaN and begins at the least finite number.  That does no harm: a row with
    NaN or +inf has NaN among its powers; one of -inf only has powers of 0, and 0 / 0 is NaN.
    """

    def function(x: Tensor) -> Tensor:
        lowest = constant(-math.inf, dtype)
        top = reduce_over(x, [axis], True, te.max, lambda v: v, lowest, "top")

        def at(index: tuple[object, ...]) -> list[object]:
            return [*index[:axis], 0, *index[axis + 1 :]]

        def shifted(*index: object) -> object:
            return x(*index) - top(*at(index))

        if logarithm:
            centered = compute(x.shape, shifted, "centered")
            total = reduce_over(
                centered,
                [axis],
                True,
                te.sum,
                lambda v: primitive("exp", dtype, v),
                constant(0, dtype),
                "total",
            )
            return compute(
                x.shape,
                lambda *index: centered(*index) - primitive("log", dtype, total(*at(index))),
            )
        powers = compute(x.shape, lambda *i: primitive("exp", dtype, shifted(*i)), "powers")
        zero = constant(0, dtype)
        total = reduce_over(powers, [axis], True, te.sum, lambda v: v, zero, "total")
        return compute(x.shape, lambda *i: powers(*i) / total(*at(i)))

    return c.te(function, x)
