"""Pooling."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import Array, DimExpr, DType
from burnish.ir.ops.checks import along
from burnish.ir.ops.pool import average_divisor

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from .windows import windows


@exporter("nn.average_pool")
def _average_pool(c: Context) -> Edge:
    """What hangs over the padding is never counted, as with ``ceil_mode``."""
    if any(c.a.overhang) and not _rounds_up(c):
        return _shared_sums(c)
    return c.node(
        "AveragePool",
        c.input(0),
        kernel_shape=c.a.kernel,
        ceil_mode=1 if any(c.a.overhang) else None,
        count_include_pad=int(c.a.count_include_pad) or None,
        **windows(c),
    )


def _shared_sums(c: Context) -> Edge:
    """Means of whole windows, the overhang made padding, times their size, over what counts.

    ``ceil_mode`` rounds up the windows of all axes or of none.
    """
    spatial, counts = len(c.a.kernel), c.op.result.type.static_shape[2:]
    size = math.prod(c.a.kernel)
    factor = np.full((1, 1, *counts), size, np.float64)
    with np.errstate(divide="ignore"):
        for axis, (count, extent) in enumerate(zip(counts, c.type().static_shape[2:])):
            factor /= along(average_divisor(c.a, axis, extent, count), axis, spatial)
    x = c.input(0)
    work = x.dtype.compute
    ends = [pad + more for pad, more in zip(c.a.pads[spatial:], c.a.overhang)]
    mean = c.node(
        "AveragePool",
        c.cast(x, work),
        kernel_shape=c.a.kernel,
        count_include_pad=1,
        **windows(c, (*c.a.pads[:spatial], *ends)),
    )
    return c.cast(c.node("Mul", mean, c.constant(factor.astype(work.numpy))), x.dtype)


@exporter("nn.max_pool")
def _max_pool(c: Context) -> Edge:
    return _maxima(c)[0]


@exporter("nn.arg_max_pool")
def _arg_max_pool(c: Context) -> Edge:
    """ONNX counts over the whole tensor; what is left within one channel is the remainder.

    What it says of a window without elements is open; the op says -1.
    """
    places = _maxima(c)[1]
    place = c.node("Mod", places, c.ints([math.prod(c.type().static_shape[2:])]))
    empty = _windows_outside(c)
    return place if not empty.any() else c.node("Where", c.constant(empty), c.ints([-1]), place)


def _windows_outside(c: Context) -> Array:
    """Which windows [1, 1, counts...] lie in the padding altogether."""
    counts = c.op.result.type.static_shape[2:]
    outside = np.zeros((1, 1, *counts), np.bool_)
    for axis, (count, extent) in enumerate(zip(counts, c.type().static_shape[2:])):
        first = np.arange(count) * c.a.strides[axis] - c.a.pads[axis]
        places = first[:, np.newaxis] + np.arange(c.a.kernel[axis]) * c.a.dilations[axis]
        meets = ((places >= 0) & (places < extent)).any(axis=1)
        outside |= along(~meets, axis, len(counts))
    return outside


def _maxima(c: Context) -> list[Edge]:
    """Both results of MaxPool, made once for the two ops that give them."""
    x, ceil = c.input(0), _rounds_up(c)
    pads = c.a.pads
    if not ceil:  # padding never wins, so that what hangs over may be padding, too
        spatial = len(c.a.kernel)
        ends = [pad + more for pad, more in zip(pads[spatial:], c.a.overhang)]
        pads = (*pads[:spatial], *ends)
    key = (x, pads, ceil, c.a.overhang, c.a.kernel, c.a.strides, c.a.dilations)
    return c.several(
        ("MaxPool", *key),
        lambda: c.nodes(
            "MaxPool",
            x,
            outputs=(None, DType.I64),
            chooses=True,
            kernel_shape=c.a.kernel,
            ceil_mode=1 if ceil and any(c.a.overhang) else None,
            **windows(c, pads),
        ),
    )


def _rounds_up(c: Context) -> bool:
    """Whether ``ceil_mode`` gives the windows and the overhang of every axis: it leaves out
    windows that would start in the padding at the end."""
    spatial = len(c.a.kernel)
    windows_there_are = c.op.results[0].type.shape[2:]
    for axis, dim in enumerate(c.type().shape[2:]):
        if isinstance(dim, DimExpr):
            return False
        reach = (c.a.kernel[axis] - 1) * c.a.dilations[axis] + 1
        stride, begin = c.a.strides[axis], c.a.pads[axis]
        padded = dim + begin + c.a.pads[axis + spatial]
        last = -(-(padded - reach) // stride)
        if last * stride >= dim + begin:
            last -= 1
        if max(0, last * stride + reach - padded) != c.a.overhang[axis]:
            return False
        if last + 1 != windows_there_are[axis]:
            return False
    return True
