"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter
from .tensor import pad
from .windows import Windows, windows


def _windows(node: NodeContext, x: Value) -> Windows:
    kernel = node.integers("kernel_shape")
    if kernel is None:
        raise ModelError("it lacks the attribute kernel_shape")
    return windows(node, x.type, kernel)


@converter("MaxPool")
def _max_pool(node: NodeContext) -> list[Value | None]:
    x = node.input(0)
    form = _windows(node, x)
    values = node.op("nn.max_pool", x, **vars(form))
    return [values, _places_of_maxima(node, x, form) if node.wants(1) else None]


def _places_of_maxima(node: NodeContext, x: Value, form: Windows) -> Value:
    """Where in the whole of ``x`` the maxima lie, each channel's volume after the other's."""
    batch, channels, *sizes = node.static(x.type.shape, "shape")
    places = node.op("nn.arg_max_pool", x, **vars(form))
    if node.flag("storage_order"):
        places = _column_major(node, places, sizes)
    volume = math.prod(sizes)
    starts = node.table(batch * channels) * volume
    starts = starts.reshape(batch, channels, *[1] * len(sizes))
    return node.op("math.add", places, node.constant(starts))


@converter("NhwcMaxPool", domain="com.microsoft")
def _max_pool_channels_last(node: NodeContext) -> Value:
    x = channels_first(node, node.input(0))
    return channels_last(node, node.op("nn.max_pool", x, **vars(_windows(node, x))))


def channels_first(node: NodeContext, x: Value) -> Value:
    """[N, spatial..., C] as [N, C, spatial...]."""
    if x.type.rank < 3:
        raise ModelError(f"{x.type} has no spatial axes")
    return node.transpose(x, (0, x.type.rank - 1, *range(1, x.type.rank - 1)))


def channels_last(node: NodeContext, x: Value) -> Value:
    """[N, C, spatial...] as [N, spatial..., C]."""
    return node.transpose(x, (0, *range(2, x.type.rank), 1))


@converter("AveragePool")
def _average_pool(node: NodeContext) -> Value:
    return average_pool(node, node.input(0))


def average_pool(node: NodeContext, x: Value) -> Value:
    """``nn.average_pool`` of ``x`` with the node's attributes."""
    return node.op(
        "nn.average_pool",
        x,
        **vars(_windows(node, x)),
        count_include_pad=node.flag("count_include_pad"),
    )


@converter("LpPool")
def _lp_pool(node: NodeContext) -> Value:
    """The p-norm of a window, as a mean of powers times the number of elements."""
    x, p = node.input(0), _order(node)
    form = _windows(node, x)
    spatial = x.type.rank - 2
    ends = [e + o for e, o in zip(form.pads[spatial:], form.overhang, strict=True)]
    amounts = [0, 0, *form.pads[:spatial], 0, 0, *ends]
    powers = pad(node, _power(node, x, p), amounts, None)
    mean = node.op(
        "nn.average_pool",
        powers,
        kernel=form.kernel,
        strides=form.strides,
        dilations=form.dilations,
        pads=(0,) * (2 * spatial),
        overhang=(0,) * spatial,
    )
    count = node.scalar(math.prod(form.kernel), x.type.dtype)
    return _root(node, node.op("math.mul", mean, count), p)


def _order(node: NodeContext) -> int:
    """Attribute p, which was a float in version 1."""
    if node.version >= 2:
        return node.integer("p", 2)
    p = node.number("p", 2.0)
    if not p.is_integer():
        node.refuse(f"a norm of order {p}")
    return int(p)


def _power(node: NodeContext, x: Value, p: int) -> Value:
    """``|x| ** p``.

    Raises:
        ModelError: p is not positive.
    """
    if p < 1:
        raise ModelError(f"attribute p is {p}, needs 1 at least")
    if p == 2:
        return node.op("math.mul", x, x)
    x = node.op("math.abs", x)
    return x if p == 1 else node.op("math.pow", x, node.scalar(p, x.type.dtype))


def _root(node: NodeContext, x: Value, p: int) -> Value:
    if p == 2:
        return node.op("math.sqrt", x)
    return x if p == 1 else node.op("math.pow", x, node.scalar(1 / p, x.type.dtype))


def p_norm(node: NodeContext, x: Value, p: int, axes: range | tuple[int, ...]) -> Value:
    """The p-norm over ``axes``, which are kept."""
    return _root(node, node.reduce(_power(node, x, p), "sum", axes), p)


@converter("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def _global_pool(node: NodeContext) -> Value:
    x = node.input(0)
    axes = range(2, x.type.rank)
    if node.node.op_type == "GlobalLpPool":
        return p_norm(node, x, _order(node), axes)
    return node.reduce(x, "mean" if node.node.op_type == "GlobalAveragePool" else "max", axes)


def _column_major(node: NodeContext, place: Value, sizes: Sequence[int]) -> Value:
    """Row-major places in a volume, counted with the first axis fastest instead."""
    total, stride = node.scalar(0, DType.I64), 1
    for axis, size in enumerate(sizes):
        after = node.scalar(math.prod(sizes[axis + 1 :]), DType.I64)
        at = node.op("math.div", place, after)
        if axis:
            at = node.op("math.floor_mod", at, node.scalar(size, DType.I64))
        total = node.op("math.add", total, node.op("math.mul", at, node.scalar(stride, DType.I64)))
        stride *= size
    return total


@converter("MaxUnpool", since=9)
def _max_unpool(node: NodeContext) -> Value:
    """Everything is 0 but where the indices say.

    They count in the shape that the windows imply; a larger ``output_shape`` pads it at the end.
    """
    x, indices = node.input(0), node.input(1)
    kernel = node.integers("kernel_shape")
    if kernel is None:
        raise ModelError("it lacks the attribute kernel_shape")
    form = windows(node, x.type, kernel)
    spatial = len(kernel)
    shape = list(x.type.shape[:2])
    for axis, count in enumerate(x.type.shape[2:]):
        padding = form.pads[axis] + form.pads[axis + spatial]
        shape.append((count - 1) * form.strides[axis] - padding + kernel[axis])
    zeros = node.broadcast(node.scalar(0, x.type.dtype), (dimension.product(shape),))
    flat = (x.type.elements,)
    y = node.op(
        "tensor.scatter_elements",
        zeros,
        node.reshape(indices, flat),
        node.reshape(x, flat),
        axis=0,
    )
    y = node.reshape(y, shape)
    if not node.has(2):
        return y
    if node.is_known(node.input(2)):
        wanted = node.dims(node.input(2), "output_shape")
    else:
        wanted = node.declared_shape("output_shape")
        y = node.require(y, node.input(2), wanted, "output_shape")
    if len(wanted) != len(shape):
        raise ModelError(f"an output_shape of {len(wanted)} entries for {x.type}")
    ends = node.static([w - s for w, s in zip(wanted, shape, strict=True)], "output_shape")
    if min(ends) < 0:
        raise ModelError("output_shape is smaller than what the windows imply")
    return pad(node, y, [0] * len(shape) + list(ends), None)
