"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Dim, DType, TensorType, Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter
from .windows import Windows, windows


@converter("Conv")
def _conv(node: NodeContext) -> Value:
    return convolve(node, node.input(0), node.input(1), node.optional(2))


def convolve(node: NodeContext, x: Value, w: Value, b: Value | None) -> Value:
    """``nn.conv`` with the node's attributes."""
    form = _form(node, x, w)
    return node.op(
        "nn.conv",
        x,
        w,
        b,
        strides=form.strides,
        pads=form.pads,
        dilations=form.dilations,
        groups=node.integer("group", 1),
    )


def _form(node: NodeContext, x: Value, w: Value) -> Windows:
    kernel = node.static(w.type.shape[2:], "kernel shape")
    given = node.integers("kernel_shape")
    if given is not None and given != kernel:
        raise ModelError(f"kernel_shape is {list(given)}, the weights are {w.type}")
    return windows(node, x.type, kernel)


@converter("ConvInteger")
def _integer_conv(node: NodeContext) -> Value:
    """Exact integer arithmetic: zero points are taken off first."""
    x = less_zero_point(node, node.input(0), node.optional(2), None)
    w = less_zero_point(node, node.input(1), node.optional(3), 0)
    return convolve(node, x, w, None)


def less_zero_point(
    node: NodeContext, x: Value, zero_point: Value | None, axis: int | None
) -> Value:
    """``x`` as i32 minus its zero point, which may vary along ``axis``."""
    wide = node.cast(node.raw(x), DType.I32)
    if zero_point is None:
        return wide
    zero_point = node.cast(zero_point, DType.I32)
    if axis is not None and zero_point.type.elements != 1:
        rank = x.type.rank
        zero_point = node.reshape(
            zero_point, [x.type.shape[axis] if i == axis else 1 for i in range(rank)]
        )
    elif zero_point.type.elements == 1:
        zero_point = node.reshape(zero_point, ())
    return node.op("math.sub", wide, zero_point)


@converter("ConvTranspose")
def _conv_transpose(node: NodeContext) -> Value:
    x, w, b = node.input(0), node.input(1), node.optional(2)
    kernel = node.static(w.type.shape[2:], "kernel shape")
    spatial = len(kernel)
    strides = node.integers("strides") or (1,) * spatial
    dilations = node.integers("dilations") or (1,) * spatial
    padding = list(node.integers("output_padding") or (0,) * spatial)
    if not len(strides) == len(dilations) == len(padding) == spatial == x.type.rank - 2:
        raise ModelError(f"strides, dilations or output_padding do not fit {x.type} and {w.type}")
    pads = list(node.integers("pads") or (0,) * (2 * spatial))
    auto = node.string("auto_pad", "NOTSET")
    sizes = _wanted_sizes(node, x.type, strides, auto)
    if sizes is not None:
        pads = [0] * (2 * spatial)
        for axis, size in enumerate(sizes):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            full = (x.type.shape[axis + 2] - 1) * strides[axis] + padding[axis] + reach
            total = node.static([full - size], "padding")[0]
            # A result larger than what the windows reach is zeros beyond them.
            padding[axis] += max(0, -total)
            small, large = max(0, total) // 2, (max(0, total) + 1) // 2
            before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
            pads[axis], pads[axis + spatial] = before, after
    elif auto == "VALID":
        pads = [0] * (2 * spatial)
    return node.op(
        "nn.conv_transpose",
        x,
        w,
        b,
        strides=strides,
        pads=pads,
        dilations=dilations,
        output_padding=padding,
        groups=node.integer("group", 1),
    )


def _wanted_sizes(
    node: NodeContext, x: TensorType, strides: Sequence[int], auto: str
) -> list[Dim] | None:
    """Spatial sizes of the result where the node fixes them, so that pads follow."""
    given = node.integers("output_shape")
    if given is not None:
        return list(given[-len(strides) :])
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return [dim * stride for dim, stride in zip(x.shape[2:], strides, strict=True)]
    if auto not in ("NOTSET", "VALID"):
        raise ModelError(f"attribute auto_pad is {auto!r}")
    return None
