"""Ops that move or repeat data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import tirx

from burnish.ir import DType

from ..registry import Expr
from ..storage import relax_dtype
from .context import Context, Tensor, broadcast, compute, each, te_lowering
from .scalars import Scalar, cast, constant, select


@te_lowering("tensor.reshape")
def _reshape(c: Context) -> Expr:
    return c.reshape(c.input(0), c.sizes(c.result().shape))


@te_lowering("quant.reinterpret")
def _same(c: Context) -> Expr:
    return c.input(0)


@te_lowering("tensor.transpose")
def _transpose(c: Context) -> Expr:
    order = tuple(c.a.permutation)
    places = [order.index(axis) for axis in range(len(order))]
    return c.te(
        lambda x: compute(
            [x.shape[axis] for axis in order], lambda *index: x(*(index[p] for p in places))
        ),
        c.input(0),
    )


@te_lowering("tensor.broadcast")
def _broadcast(c: Context) -> Expr:
    return c.te(
        lambda x, shape: compute(shape, lambda *index: broadcast(x, index)),
        c.input(0),
        c.sizes(c.result().shape),
    )


@te_lowering("tensor.tile")
def _tile(c: Context) -> Expr:
    def function(x: Tensor, shape: Sequence[Scalar]) -> Tensor:
        return compute(
            shape,
            lambda *index: x(*(tirx.floormod(at, size) for at, size in zip(index, x.shape))),
        )

    return c.te(function, c.input(0), c.sizes(c.result().shape))


@te_lowering("tensor.concat")
def _concat(c: Context) -> Expr:
    axis = c.a.axis
    parts = [
        c.input(index) for index in range(len(c.op.operands)) if c.type(index).shape[axis] != 0
    ]
    if len(parts) == 1:
        return parts[0]

    def function(tensors: Sequence[Tensor], shape: Sequence[Scalar]) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            ends, end = [], tirx.IntImm("int64", 0)
            for tensor in tensors:
                ends.append((tensor, end))
                end = end + tensor.shape[axis]
            found = None
            for tensor, start in ends:
                value = tensor(*index[:axis], index[axis] - start, *index[axis + 1 :])
                # Lazily: an element that is not there must not be read.
                found = (
                    value if found is None else tirx.if_then_else(index[axis] < start, found, value)
                )
            return found

        return compute(shape, element)

    return c.te(function, parts, c.sizes(c.result().shape))


@te_lowering("tensor.dimension")
def _dimension(c: Context) -> Expr:
    return c.te(lambda size: compute((), lambda *index: size), c.size(c.a.value))


@te_lowering("tensor.bitcast")
def _bitcast(c: Context) -> Expr:
    x, source, to = c.input(0), c.type().dtype, c.a.to
    if DType.BOOL in (source, to):
        return c.cast(x, source, to)
    if to.bits >= 8:
        target = relax_dtype(to)
        if relax_dtype(source) == target:
            return x
        return c.te(lambda x: each(x, lambda v: tirx.reinterpret(target, v)), x)
    mask = constant((1 << to.bits) - 1, DType.I32)

    def bits(value: Scalar) -> Scalar:
        """Below a byte, integers lie in the byte as numbers, floats as their bits."""
        kept = tirx.bitwise_and(tirx.Cast("int32", value), mask)
        if to.is_integer and to.is_signed:
            sign = constant(1 << (to.bits - 1), DType.I32)
            kept = tirx.bitwise_xor(kept, sign) - sign
        return cast(kept, to)

    return c.te(lambda x: each(x, bits), x)


@te_lowering("tensor.slice")
def _slice(c: Context) -> Expr:
    if not c.type().rank:
        return c.input(0)
    steps = c.a.steps

    def function(x: Tensor, shape: Sequence[Scalar], starts: Sequence[Scalar]) -> Tensor:
        return compute(
            shape,
            lambda *index: x(*(start + at * step for start, at, step in zip(starts, index, steps))),
        )

    return c.te(function, c.input(0), c.sizes(c.result().shape), c.sizes(c.a.starts))


def _mirrored(at: Scalar, size: Scalar) -> Scalar:
    period = tirx.max(2 * (size - 1), 1)
    folded = tirx.floormod(at, period)
    return tirx.min(folded, period - folded) * tirx.Cast("int64", size > 1)


def _wrapped(at: Scalar, size: Scalar) -> Scalar:
    """``at`` modulo ``size``, which keeps an offset within ``at``.

    TVM 0.27 makes ``(i % 8 + 3) % 4``, where ``i`` is a thread's number, ``i % 4``.
    """
    back = tirx.truncmod(select(at < 0, -1 - at, at), size)
    return select(at < 0, size - 1 - back, back)


PLACES: dict[str, Callable[[Scalar, Scalar], Scalar]] = {
    "edge": lambda at, size: tirx.max(tirx.min(at, size - 1), 0),
    "wrap": _wrapped,
    "reflect": _mirrored,
}
"""The element that stands outside an axis, by the mode of padding."""


@te_lowering("tensor.pad")
def _pad(c: Context) -> Expr:
    x, before = c.input(0), c.a.before
    if not c.type().rank:
        return x
    shape = c.sizes(c.result().shape)
    if c.a.mode == "constant":
        values = [c.input(index) for index in c.present(1)]
        dtype = c.type().dtype
        zero = DType.U8 if dtype.is_float and dtype.bits <= 8 else dtype
        return c.te(
            lambda x, values, shape: padded(
                x, before, shape, values[0]() if values else constant(0, zero)
            ),
            x,
            values,
            shape,
        )
    place = PLACES[c.a.mode]

    def function(x: Tensor, shape: Sequence[Scalar]) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            source = [
                at if size is new else place(at - count, size)
                for at, count, size, new in zip(index, before, x.shape, shape)
            ]
            return x(*source)

        return compute(shape, element)

    return c.te(function, x, shape)


def padded(x: Tensor, before: Sequence[int], shape: Sequence[Scalar], value: Scalar) -> Tensor:
    """``x`` with elements of ``value`` around it."""

    def element(*index: Scalar) -> Scalar:
        source = [at - count for at, count in zip(index, before)]
        inside = [
            condition
            for at, count, size in zip(source, before, x.shape)
            for condition in (at >= 0, at < size)
        ]
        return tirx.if_then_else(tirx.all(*inside), x(*source), value)

    return compute(shape, element)
