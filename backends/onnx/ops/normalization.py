"""Normalizations: the operator where the opset has one that computes as precisely, else its parts.

Epsilons are attributes of single precision, and two operators compute means in it: f64 is written
by parts where that would show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.ir import DType
from burnish.ir import dims as dimension

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from .reduce import reduced
from .tensor import reshaped


@exporter("nn.batch_norm")
def _batch_norm(c: Context) -> Edge:
    try:
        return c.node("BatchNormalization", *c.inputs(), epsilon=c.a.epsilon)
    except Refusal:
        x, (scale, bias, mean, variance) = _wide(c), (_per_channel(c, i) for i in range(1, 5))
        y = c.node("Div", c.node("Sub", x, mean), _root(c, variance))
        return _affine(c, y, scale, bias)


@exporter("nn.layer_norm")
def _layer_norm(c: Context) -> Edge:
    if c.has("LayerNormalization") and not _is_double(c):
        return c.node("LayerNormalization", *c.inputs(), axis=c.a.axis, epsilon=c.a.epsilon)
    axes = range(c.a.axis, c.type().rank)
    return _affine(c, _normalized(c, _centered(c, _wide(c), axes), axes), *c.inputs()[1:])


@exporter("nn.rms_norm")
def _rms_norm(c: Context) -> Edge:
    if c.has("RMSNormalization") and not _is_double(c):
        return c.node("RMSNormalization", *c.inputs(), axis=c.a.axis, epsilon=c.a.epsilon)
    axes = range(c.a.axis, c.type().rank)
    return _affine(c, _normalized(c, _wide(c), axes), *c.inputs()[1:])


@exporter("nn.group_norm")
def _group_norm(c: Context) -> Edge:
    """InstanceNormalization where each channel is a group, else GroupNormalization.

    Before opset 21, whose scale is that of channels, groups become the channels of an instance
    norm without scale.
    """
    try:
        return _group_norm_operator(c)
    except Refusal:
        rows = _groups(c, _wide(c))
        rows = _normalized(c, _centered(c, rows, (2,)), (2,))
        return _affine(c, _ungrouped(c, rows), _per_channel(c, 1), _per_channel(c, 2))


def _group_norm_operator(c: Context) -> Edge:
    x, scale, bias = (c.input(index) for index in range(3))
    if c.type().shape[1] == c.a.groups:
        return c.node("InstanceNormalization", x, scale, bias, epsilon=c.a.epsilon)
    if c.opset >= 21:
        return c.node(
            "GroupNormalization", x, scale, bias, num_groups=c.a.groups, epsilon=c.a.epsilon
        )
    ones, zeros = (c.constant(np.full(c.a.groups, v, x.dtype.numpy)) for v in (1, 0))
    rows = c.node("InstanceNormalization", _groups(c, x), ones, zeros, epsilon=c.a.epsilon)
    return _affine(c, _ungrouped(c, rows), _per_channel(c, 1), _per_channel(c, 2))


@exporter("nn.lrn")
def _lrn(c: Context) -> Edge:
    a = c.a
    try:
        return c.node("LRN", c.input(0), size=a.size, alpha=a.alpha, beta=a.beta, bias=a.bias)
    except Refusal:
        x = _wide(c)
    batch, channels, *spatial = shape = c.type().shape
    plane = (batch, 1, channels, dimension.product(spatial))
    before = (a.size - 1) // 2
    mean = c.node(
        "AveragePool",
        reshaped(c, c.node("Mul", x, x), shape, plane),
        kernel_shape=(a.size, 1),
        pads=(before, 0, a.size - 1 - before, 0),
        count_include_pad=1,
    )
    share = c.node("Mul", reshaped(c, mean, plane, shape), c.scalar(a.alpha, x.dtype))
    base = c.node("Add", share, c.scalar(a.bias, x.dtype))
    y = c.node("Div", x, c.node("Pow", base, c.scalar(a.beta, x.dtype)))
    return c.cast(y, c.type().dtype)


# Parts --------------------------------------------------------------------------------------


def _is_double(c: Context) -> bool:
    """Whether the operator would compute means of f64 in f32."""
    return c.type().dtype is DType.F64


def _wide(c: Context) -> Edge:
    x = c.input(0)
    return c.cast(x, x.dtype.compute)


def _per_channel(c: Context, index: int) -> Edge:
    """An operand [C] along the second axis."""
    (channels,), spatial = c.type(index).shape, c.type().rank - 2
    return reshaped(c, c.input(index), (channels,), (channels, *[1] * spatial))


def _groups(c: Context, x: Edge) -> Edge:
    """x as [N, groups, elements of a group]."""
    batch, channels, *spatial = shape = c.type().shape
    per_group = dimension.floordiv(channels, c.a.groups)
    return reshaped(c, x, shape, (batch, c.a.groups, dimension.product((per_group, *spatial))))


def _ungrouped(c: Context, rows: Edge) -> Edge:
    """:func:`_groups` undone."""
    shape = c.type().shape
    return reshaped(c, rows, (shape[0], c.a.groups), shape)


def _centered(c: Context, x: Edge, axes: Sequence[int]) -> Edge:
    return c.node("Sub", x, reduced(c, "ReduceMean", x, axes, keep=True))


def _normalized(c: Context, x: Edge, axes: Sequence[int]) -> Edge:
    """x / √(mean(x²) + ε)."""
    squares = c.node("Mul", x, x)
    return c.node("Div", x, _root(c, reduced(c, "ReduceMean", squares, axes, keep=True)))


def _root(c: Context, variance: Edge) -> Edge:
    """√(variance + ε)."""
    variance = c.cast(variance, variance.dtype.compute)
    return c.node("Sqrt", c.node("Add", variance, c.scalar(c.a.epsilon, variance.dtype)))


def _affine(c: Context, y: Edge, scale: Edge | None = None, bias: Edge | None = None) -> Edge:
    """y · scale + bias, of the element type of the result."""
    for op_type, operand in (("Mul", scale), ("Add", bias)):
        if operand is not None:
            y = c.node(op_type, y, c.cast(operand, y.dtype))
    return c.cast(y, c.op.result.type.dtype)
