"""Pooling."""

from __future__ import annotations

import math

from burnish.ir import DimExpr, DType

from ..context import Context, Refusal
from ..graph import Edge
from ..registry import exporter
from .windows import windows


@exporter("nn.average_pool")
def _average_pool(c: Context) -> Edge:
    """What hangs over the padding is never counted, as with ``ceil_mode``."""
    if any(c.a.overhang) and not _rounds_up(c):
        raise Refusal("AveragePool cannot round up the windows of some axes only")
    return c.node(
        "AveragePool",
        c.input(0),
        kernel_shape=c.a.kernel,
        ceil_mode=1 if any(c.a.overhang) else None,
        count_include_pad=int(c.a.count_include_pad) or None,
        **windows(c),
    )


@exporter("nn.max_pool")
def _max_pool(c: Context) -> Edge:
    return _maxima(c)[0]


@exporter("nn.arg_max_pool")
def _arg_max_pool(c: Context) -> Edge:
    """ONNX counts over the whole tensor; what is left within one channel is the remainder."""
    places = _maxima(c)[1]
    return c.node("Mod", places, c.ints([math.prod(c.type().static_shape[2:])]))


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
