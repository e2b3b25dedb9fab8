"""Normalizations."""

from __future__ import annotations

import math

import numpy as np

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from .reduce import reduced


@exporter("nn.batch_norm")
def _batch_norm(c: Context) -> Edge:
    return c.node("BatchNormalization", *c.inputs(), epsilon=c.a.epsilon)


@exporter("nn.layer_norm")
def _layer_norm(c: Context) -> Edge:
    if c.has("LayerNormalization"):
        return c.node("LayerNormalization", *c.inputs(), axis=c.a.axis, epsilon=c.a.epsilon)
    x, axes = _wide(c), range(c.a.axis, c.type().rank)
    centered = c.node("Sub", x, reduced(c, "ReduceMean", x, axes, keep=True))
    return _scaled(c, centered, centered, axes)


@exporter("nn.rms_norm")
def _rms_norm(c: Context) -> Edge:
    if c.has("RMSNormalization"):
        return c.node("RMSNormalization", *c.inputs(), axis=c.a.axis, epsilon=c.a.epsilon)
    x = _wide(c)
    return _scaled(c, x, x, range(c.a.axis, c.type().rank))


def _wide(c: Context) -> Edge:
    x = c.input(0)
    return c.cast(x, x.dtype.compute)


def _scaled(c: Context, x: Edge, centered: Edge, axes: range) -> Edge:
    """x / √(mean(centered²) + ε) · scale + bias."""
    squares = c.node("Mul", centered, centered)
    variance = reduced(c, "ReduceMean", squares, axes, keep=True)
    root = c.node("Sqrt", c.node("Add", variance, c.scalar(c.a.epsilon, x.dtype)))
    y = c.node("Div", x, root)
    for op_type, operand in zip(("Mul", "Add"), c.inputs()[1:]):
        if operand is not None:
            y = c.node(op_type, y, c.cast(operand, x.dtype))
    return c.cast(y, c.op.result.type.dtype)


@exporter("nn.group_norm")
def _group_norm(c: Context) -> Edge:
    """InstanceNormalization where each channel is a group, else GroupNormalization.

    Before opset 21, whose scale is that of channels, groups become the channels of an instance
    norm without scale.
    """
    x, scale, bias = (c.input(index) for index in range(3))
    shape, groups = c.type().shape, c.a.groups
    if shape[1] == groups:
        return c.node("InstanceNormalization", x, scale, bias, epsilon=c.a.epsilon)
    if c.opset >= 21:
        return c.node("GroupNormalization", x, scale, bias, num_groups=groups, epsilon=c.a.epsilon)
    if not c.type().is_static:
        raise Refusal("groups of dynamic sizes cannot be normalized", 21)
    batch, channels, *spatial = c.type().static_shape
    ones, zeros = (c.constant(np.full(groups, v, x.dtype.numpy)) for v in (1, 0))
    rows = c.reshape(x, (batch, groups, channels // groups * math.prod(spatial)))
    rows = c.node("InstanceNormalization", rows, ones, zeros, epsilon=c.a.epsilon)
    y = c.reshape(rows, (batch, channels, *spatial))
    each = (channels, *[1] * len(spatial))
    return c.node("Add", c.node("Mul", y, c.reshape(scale, each)), c.reshape(bias, each))


@exporter("nn.lrn")
def _lrn(c: Context) -> Edge:
    x = c.input(0)
    return c.node("LRN", x, size=c.a.size, alpha=c.a.alpha, beta=c.a.beta, bias=c.a.bias)
