"""Pooling."""

from __future__ import annotations

import math

from burnish.ir import Value
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter
from .tensor import pad
from .windows import Windows, windows


def _windows(node: NodeContext) -> Windows:
    kernel = node.integers("kernel_shape")
    if kernel is None:
        raise ModelError("it lacks the attribute kernel_shape")
    return windows(node, node.input(0).type, kernel)


@converter("MaxPool")
def _max_pool(node: NodeContext) -> list[Value | None]:
    if node.wants(1):
        node.refuse("the positions of the maxima (its second output) are used")
    form = _windows(node)
    return [node.op("nn.max_pool", node.input(0), **vars(form)), None]


@converter("AveragePool")
def _average_pool(node: NodeContext) -> Value:
    return node.op(
        "nn.average_pool",
        node.input(0),
        **vars(_windows(node)),
        count_include_pad=node.flag("count_include_pad"),
    )


@converter("LpPool")
def _lp_pool(node: NodeContext) -> Value:
    """The p-norm of a window, as a mean of powers times the number of elements."""
    x, form, p = node.input(0), _windows(node), _order(node)
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
