"""Normalizations."""

from __future__ import annotations

import math

from ..builder import Term
from ..context import Context
from ..registry import lowering
from ..storage_order import fitted
from .reduce import reduced


@lowering("nn.batch_norm", layouts=True)
def _batch_norm(c: Context) -> Term:
    """(x - mean) / √(variance + ε) · scale + bias, which Relay folds into what is around it."""
    x, scale, bias, mean, variance = (c.wide(index) for index in range(5))
    layout, rank = c.layout(), c.type().rank
    scale, bias, mean, variance = (
        fitted(c, c.reshape(v, (v.shape[0], *[1] * (rank - 2))), layout, rank)
        for v in (scale, bias, mean, variance)
    )
    y = c.call("subtract", x, mean)
    root = c.call("sqrt", c.call("add", variance, c.scalar(c.a.epsilon, x.dtype)))
    y = c.call("multiply", c.call("divide", y, root), scale)
    return c.cast(c.call("add", y, bias), c.type().dtype)


@lowering("nn.layer_norm")
def _layer_norm(c: Context) -> Term:
    x, axes = c.wide(0), range(c.a.axis, c.type().rank)
    centered = c.call("subtract", x, reduced(c, "mean", x, axes, keep=True))
    return _scaled(c, centered, centered, axes)


@lowering("nn.rms_norm")
def _rms_norm(c: Context) -> Term:
    x = c.wide(0)
    return _scaled(c, x, x, range(c.a.axis, c.type().rank))


def _normalized(c: Context, x: Term, centered: Term, axes: range) -> Term:
    """x / √(mean(centered²) + ε)."""
    variance = reduced(c, "mean", c.call("multiply", centered, centered), axes, keep=True)
    root = c.call("sqrt", c.call("add", variance, c.scalar(c.a.epsilon, x.dtype)))
    return c.call("divide", x, root)


def _scaled(c: Context, x: Term, centered: Term, axes: range) -> Term:
    """The normalized x · scale + bias."""
    y = _normalized(c, x, centered, axes)
    for operator, index in (("multiply", 1), ("add", 2)):
        if c.optional(index) is not None:
            y = c.call(operator, y, c.wide(index))
    return c.cast(y, c.type().dtype)


@lowering("nn.group_norm")
def _group_norm(c: Context) -> Term:
    x, scale, bias = (c.wide(index) for index in range(3))
    batch, channels, *spatial = x.shape
    rows = (batch, c.a.groups, channels // c.a.groups * math.prod(spatial))
    grouped = c.reshape(x, rows)
    centered = c.call("subtract", grouped, reduced(c, "mean", grouped, (2,), keep=True))
    y = c.reshape(_normalized(c, centered, centered, range(2, 3)), x.shape)
    each = (channels, *[1] * len(spatial))
    y = c.call("multiply", y, c.reshape(scale, each))
    return c.cast(c.call("add", y, c.reshape(bias, each)), c.type().dtype)


@lowering("nn.lrn")
def _lrn(c: Context) -> Term:
    """x / (bias + α/size · Σ x²)^β, the sum over the channels around each."""
    x, size = c.wide(0), c.a.size
    squares = c.call("multiply", x, x)
    before, after = (size - 1) // 2, size // 2
    widths = tuple((before, after) if axis == 1 else (0, 0) for axis in range(x.rank))
    zero = c.scalar(0, x.dtype)
    padded = c.call("nn.pad", squares, zero, pad_width=widths, pad_mode="constant")
    total = c.slice(padded, 1, 0, x.shape[1])
    for shift in range(1, size):
        total = c.call("add", total, c.slice(padded, 1, shift, shift + x.shape[1]))
    mean = c.call("multiply", total, c.scalar(c.a.alpha / size, x.dtype))
    base = c.call("add", mean, c.scalar(c.a.bias, x.dtype))
    y = c.call("divide", x, c.call("power", base, c.scalar(c.a.beta, x.dtype)))
    return c.cast(y, c.type().dtype)
