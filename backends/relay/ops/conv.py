"""Convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from burnish.ir import Layout

from ..builder import Refusal, Term
from ..context import Context
from ..layouts import conv_form
from ..registry import lowering
from ..sparse import compressed, is_sparse
from ..storage_order import (
    data_letters,
    fitted,
    layout_name,
    outer_axis,
    stored,
    weight_letters,
)

_NAMES = {1: "nn.conv1d", 2: "nn.conv2d", 3: "nn.conv3d"}


def zero_padded(
    c: Context,
    x: Term,
    pads: Sequence[int],
    value: float | int = 0,
    layout: Layout | None = None,
) -> Term:
    """``x`` [N, C, ...] with spatial axes padded; ``pads`` lists all begins, then all ends."""
    half = len(pads) // 2
    if not any(pads):
        return x
    each = {
        outer_axis(layout, axis): width
        for axis, width in enumerate(zip(pads[:half], pads[half:]), 2)
    }
    widths = tuple(each.get(axis, (0, 0)) for axis in range(x.rank))
    return c.call("nn.pad", x, c.scalar(value, x.dtype), pad_width=widths, pad_mode="constant")


@lowering("nn.conv", layouts=True)
def _conv(c: Context) -> Term:
    x, w, layout = c.wide(0), c.wide(1), c.layout()
    if 0 in x.shape:
        return _of_nothing(c)
    if c.choices.sparse and _takes_sparse_weights(c, w, layout):
        return _biased(c, _sparse_conv(c, x, w, layout), layout)
    operator = _operator(c, w.rank - 2)
    order: Mapping[str, str] = {}
    weights = w
    if layout is not None:
        form = conv_form(c.op, layout)
        if form is None:
            raise Refusal(f"a convolution in {layout}")
        weights, operator = stored(c, w, form.weights), form.operator or operator
        order = {
            "data_layout": layout_name(layout, data_letters(w.rank)),
            "kernel_layout": layout_name(form.weights, weight_letters(w.rank)),
        }
    y = c.call(
        operator,
        x,
        weights,
        strides=tuple(c.a.strides),
        padding=tuple(c.a.pads),
        dilation=tuple(c.a.dilations),
        groups=c.a.groups,
        channels=w.shape[0],
        kernel_size=w.shape[2:],
        **order,
    )
    return _biased(c, y, layout)


def _takes_sparse_weights(c: Context, w: Term, layout: Layout | None) -> bool:
    """Whether Relay knows the convolution by weights without zeros: one element over two axes."""
    if w.shape[2:] != (1, 1) or c.a.groups != 1 or any(c.a.pads) or not is_sparse(w):
        return False
    assert w.constant is not None
    return not (layout is not None and layout.tiles) and bool(w.constant.array.any())


def _sparse_conv(c: Context, x: Term, w: Term, layout: Layout | None) -> Term:
    """The product with every element that the strides leave."""
    for axis, stride in enumerate(c.a.strides, 2):
        place = outer_axis(layout, axis)
        x = c.slice(x, place, 0, x.shape[place], stride)
    assert w.constant is not None
    found = compressed(c, w, w.constant.array.reshape(w.shape[:2]))
    return c.call(
        "nn.sparse_conv2d",
        x,
        found.data,
        found.indices,
        found.starts,
        layout=layout_name(layout, data_letters(4)),
        kernel_size=(1, 1),
    )


def _of_nothing(c: Context) -> Term:
    """The bias everywhere."""
    zeros = np.zeros(c.shape(), c.type().dtype.compute.numpy)
    return _biased(c, c.array(zeros))


def _operator(c: Context, spatial: int) -> str:
    if spatial not in _NAMES:
        raise Refusal(f"a convolution over {spatial} axes")
    return _NAMES[spatial]


def _biased(c: Context, y: Term, layout: Layout | None = None) -> Term:
    if c.optional(2) is None:
        return c.cast(y, c.type().dtype)
    bias = c.wide(2)
    if layout is not None and layout.tiles:
        column = c.reshape(bias, (*bias.shape, *[1] * (c.type().rank - 2)))
        y = c.call("add", y, fitted(c, column, layout, c.type().rank))
    else:
        y = c.call("nn.bias_add", y, bias, axis=outer_axis(layout, 1))
    return c.cast(y, c.type().dtype)


@lowering("nn.conv_transpose")
def _conv_transpose(c: Context) -> Term:
    """A convolution with the kernel turned over x spread out with zeros in between.

    That is what Relay computes, too, but it knows neither dilations nor all groups and pads.
    """
    x, w = c.wide(0), c.wide(1)
    if 0 in x.shape:
        return _of_nothing(c)
    spatial = x.rank - 2
    operator = _operator(c, spatial)
    if _is_native(c, spatial):
        layout = {"kernel_layout": "IOHW"} if spatial == 2 else {}
        y = c.call(
            f"{operator}_transpose",
            x,
            w,
            channels=c.shape()[1],
            kernel_size=w.shape[2:],
            strides=tuple(c.a.strides),
            padding=tuple(c.a.pads),
            output_padding=tuple(c.a.output_padding),
            **layout,
        )
        return _biased(c, y)
    reach = [(k - 1) * d for k, d in zip(w.shape[2:], c.a.dilations)]
    ends = [r - c.a.pads[spatial + i] + c.a.output_padding[i] for i, r in enumerate(reach)]
    begins = [r - c.a.pads[i] for i, r in enumerate(reach)]
    x = _spread(c, x, c.a.strides)
    x = zero_padded(c, x, [max(0, n) for n in (*begins, *ends)])
    for axis, (begin, end) in enumerate(zip(begins, ends)):
        size = x.shape[2 + axis]
        x = c.slice(x, 2 + axis, max(0, -begin), size - max(0, -end))
    y = c.call(
        operator,
        x,
        _turned(c, w),
        strides=(1,) * spatial,
        padding=(0,) * (2 * spatial),
        dilation=tuple(c.a.dilations),
        groups=c.a.groups,
        channels=c.shape()[1],
        kernel_size=w.shape[2:],
    )
    return _biased(c, y)


def _is_native(c: Context, spatial: int) -> bool:
    """Whether Relay's operator computes it: no groups, no dilations, pads within the kernel."""
    plain = c.a.groups == 1 and set(c.a.dilations) == {1}
    kernel = c.type(1).static_shape[2:]
    within = all(pad < size for pad, size in zip(c.a.pads, (*kernel, *kernel)))
    small = all(more < max(s, 1) for more, s in zip(c.a.output_padding, c.a.strides))
    return plain and within and small and spatial == 2


def _spread(c: Context, x: Term, strides: Sequence[int]) -> Term:
    """``x`` with zeros between neighbours along the spatial axes."""
    for axis, stride in enumerate(strides, 2):
        if stride > 1:
            before, after = x.shape[:axis], x.shape[axis + 1 :]
            size = x.shape[axis]
            column = c.reshape(x, (*before, size, 1, *after))
            widths = tuple((0, stride - 1 if i == axis + 1 else 0) for i in range(column.rank))
            zero = c.scalar(0, x.dtype)
            column = c.call("nn.pad", column, zero, pad_width=widths, pad_mode="constant")
            x = c.reshape(column, (*before, size * stride, *after))
            x = c.slice(x, axis, 0, size * stride - stride + 1)
    return x


def _turned(c: Context, w: Term) -> Term:
    """Weights [C, M/groups, k...] as those of a convolution [M, C/groups, k...], turned over."""
    groups = c.a.groups
    channels, outer, *kernel = w.shape
    w = c.reshape(w, (groups, channels // groups, outer, *kernel))
    w = c.moved(w, 2, 1)
    w = c.reshape(w, (groups * outer, channels // groups, *kernel))
    if w.constant is not None:
        return c.array(np.flip(w.constant.array, tuple(range(2, w.rank))))
    for axis in range(2, w.rank):
        w = c.call("reverse", w, axis=axis)
    return w
