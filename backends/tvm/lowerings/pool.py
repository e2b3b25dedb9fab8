"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm import te, tirx

from ..registry import Expr
from .context import Context, Tensor, compute, each, te_lowering
from .reduce import key, key_dtype, some_axis, unkey
from .scalars import Scalar, cast, constant, select


def _over_windows(
    c: Context,
    x: Tensor,
    shape: Sequence[Scalar],
    reducer: Callable[..., Scalar],
    element: Callable[[Sequence[Scalar], Sequence[Scalar]], Scalar],
    outside: Scalar,
) -> Tensor:
    """``reducer`` over the elements of every window, ``outside`` where there are none.

    ``element`` is handed the index of an element of ``x``, and that of the window.
    """
    taps = [
        some_axis(tirx.IntImm("int64", size), f"k{axis}") for axis, size in enumerate(c.a.kernel)
    ]

    def total(n: Scalar, channel: Scalar, *out: Scalar) -> Scalar:
        places, inside = [], []
        for axis, (o, k) in enumerate(zip(out, taps)):
            at = o * c.a.strides[axis] + k * c.a.dilations[axis] - c.a.pads[axis]
            places.append(at)
            inside += [at >= 0, at < x.shape[2 + axis]]
        value = element([n, channel, *places], [n, channel, *out])
        return reducer(tirx.if_then_else(tirx.all(*inside), value, outside), axis=taps)

    return compute(shape, total, "pooled")


@te_lowering("nn.max_pool")
def _max_pool(c: Context) -> Expr:
    dtype = c.type().dtype
    work = dtype.compute
    low = -math.inf if work.is_float else work.integer_range[0]
    outside = key(constant(low, work), work)

    def function(x: Tensor, shape: Sequence[Scalar]) -> Tensor:
        found = _over_windows(c, x, shape, te.max, lambda source, _: key(x(*source), work), outside)
        return each(found, lambda v: unkey(v, work)) if work.is_float else found

    y = c.te(function, c.wide(0), c.sizes(c.result().shape))
    return c.cast(y, work, dtype)


@te_lowering("nn.average_pool")
def _average_pool(c: Context) -> Expr:
    dtype = c.type().dtype
    work = dtype.compute

    def function(x: Tensor, shape: Sequence[Scalar]) -> Tensor:
        total = _over_windows(c, x, shape, te.sum, lambda source, _: x(*source), constant(0, work))

        def mean(*index: Scalar) -> Scalar:
            y = total(*index)
            for axis, (o, size) in enumerate(zip(index[2:], x.shape[2:])):
                y = tirx.div(y, cast(_counted(c, axis, o, size), work))
            return y

        return compute(shape, mean)

    y = c.te(function, c.wide(0), c.sizes(c.result().shape))
    return c.cast(y, work, dtype)


def _counted(c: Context, axis: int, window: Scalar, size: Scalar) -> Scalar:
    """How many elements of a window count along an axis: those before each end, subtracted."""
    a = c.a
    first = window * a.strides[axis] - a.pads[axis]
    low, high = tirx.IntImm("int64", 0), size
    if a.count_include_pad:
        low, high = low - a.pads[axis], high + a.pads[axis + len(a.strides)]

    def before(end: Scalar) -> Scalar:
        step = a.dilations[axis]
        count = tirx.floordiv(end - first + (step - 1), step)
        return tirx.max(tirx.min(count, a.kernel[axis]), 0)

    return before(high) - before(low)


@te_lowering("nn.arg_max_pool")
def _arg_max_pool(c: Context) -> Expr:
    """The largest key of each window, then the first place in it that has it."""
    work = c.type().dtype.compute
    integer = key_dtype(work)
    lowest = constant(integer.integer_range[0], integer)
    none = tirx.IntImm("int64", (1 << 62))

    def function(x: Tensor, shape: Sequence[Scalar]) -> Tensor:
        best = _over_windows(c, x, shape, te.max, lambda s, _: key(x(*s), work), lowest)

        def place(source: Sequence[Scalar], window: Sequence[Scalar]) -> Scalar:
            at = tirx.IntImm("int64", 0)
            for position, size in zip(source[2:], x.shape[2:]):
                at = at * size + position
            return select(key(x(*source), work).equal(best(*window)), at, none)

        found = _over_windows(c, x, shape, te.min, place, none)
        return each(found, lambda v: select(v.equal(none), tirx.IntImm("int64", -1), v))

    return c.te(function, c.wide(0), c.sizes(c.result().shape))
