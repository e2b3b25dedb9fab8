"""Normalizations."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import te, tirx

from burnish.ir import DType

from ..registry import Expr
from .context import Context, Tensor, broadcast, compute, te_lowering
from .reduce import reduce_over, some_axis
from .scalars import Scalar, constant, primitive


@te_lowering("nn.batch_norm")
def _batch_norm(c: Context) -> Expr:
    """(x - mean) / √(variance + ε) · scale + bias."""
    dtype, rank = c.type().dtype, c.type().rank
    names = ("x", "scale", "bias", "mean", "variance")
    values = {name: c.wide(index) for index, name in enumerate(names)}
    for name in names[1:]:
        values[name] = c.per_channel(values[name], rank)
    text = "(x - mean) * (scale / sqrt(variance + epsilon)) + bias"
    y = c.map(text, dtype.compute, {**values, "epsilon": float(c.a.epsilon)})
    return c.cast(y, dtype.compute, dtype)


@te_lowering("nn.layer_norm", "nn.rms_norm")
def _trailing_norm(c: Context) -> Expr:
    dtype = c.type().dtype
    axes = tuple(range(c.a.axis, c.type().rank))
    center = c.op.name == "nn.layer_norm"
    parameters = [c.wide(index) for index in c.present(1, 2)]
    y = _standardized(c, c.wide(0), dtype.compute, axes, center, parameters)
    return c.cast(y, dtype.compute, dtype)


@te_lowering("nn.group_norm")
def _group_norm(c: Context) -> Expr:
    """Groups are an axis of their own while they are normalized."""
    type_, dtype = c.type(), c.type().dtype
    batch, channels, *spatial = type_.shape
    shape = c.sizes((batch, c.a.groups, channels // c.a.groups, *spatial))
    grouped = c.reshape(c.wide(0), shape)
    parameters = [
        c.reshape(c.wide(index), [*shape[1:3], *[tirx.IntImm("int64", 1)] * len(spatial)])
        for index in (1, 2)
    ]
    axes = tuple(range(2, len(shape)))
    y = _standardized(c, grouped, dtype.compute, axes, True, parameters)
    return c.cast(c.reshape(y, c.sizes(type_.shape)), dtype.compute, dtype)


def _standardized(
    c: Context,
    x: Expr,
    dtype: DType,
    axes: Sequence[int],
    center: bool,
    parameters: Sequence[Expr],
) -> Expr:
    """x, centered if asked for, over its root mean square, times the first parameter, plus the
    second."""
    epsilon = constant(float(c.a.epsilon), dtype)

    def function(x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        count = tirx.IntImm("int64", 1)
        for axis in axes:
            count = count * x.shape[axis]
        number = tirx.Cast(str(x.dtype), count)
        zero = constant(0, dtype)

        def around(index: Sequence[Scalar]) -> list[Scalar]:
            return [0 if axis in axes else at for axis, at in enumerate(index)]

        def centered(*index: Scalar) -> Scalar:
            return x(*index) - total(*around(index)) / number

        total = reduce_over(x, axes, True, te.sum, lambda v: v, zero, "total")
        middle = compute(x.shape, centered, "centered") if center else x
        squares = reduce_over(middle, axes, True, te.sum, lambda v: v * v, zero, "squares")

        def element(*index: Scalar) -> Scalar:
            mean = squares(*around(index)) / number
            y = middle(*index) / primitive("sqrt", dtype, mean + epsilon)
            for parameter, operator in zip(parameters, ("mul", "add")):
                y = primitive(operator, dtype, y, broadcast(parameter, index))
            return y

        return compute(x.shape, element)

    return c.te(function, x, list(parameters))


@te_lowering("nn.lrn")
def _lrn(c: Context) -> Expr:
    """x / (bias + α/size · Σ x²)^β, the sum over the channels around each."""
    dtype, size = c.type().dtype, c.a.size
    before = (size - 1) // 2
    factor = constant(c.a.alpha / size, dtype.compute)
    base, power = (constant(float(v), dtype.compute) for v in (c.a.bias, c.a.beta))
    zero = constant(0, dtype.compute)

    def function(x: Tensor) -> Tensor:
        step = some_axis(tirx.IntImm("int64", size))

        def squares(n: Scalar, channel: Scalar, *rest: Scalar) -> Scalar:
            at = channel + step - before
            inside = tirx.all(at >= 0, at < x.shape[1])
            value = tirx.if_then_else(inside, x(n, at, *rest) * x(n, at, *rest), zero)
            return te.sum(value, axis=step)

        total = compute(x.shape, squares, "squares")
        work = dtype.compute
        return compute(
            x.shape,
            lambda *i: x(*i) / primitive("pow", work, base + factor * total(*i), power),
        )

    return c.cast(c.te(function, c.wide(0)), dtype.compute, dtype)
