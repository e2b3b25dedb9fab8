"""Reductions, softmax, cumulative sums, and selection of extremes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir import DType, Value
from burnish.ir import dims as dimension

from ..context import NodeContext
from .choices import Axes, by_axes, by_axis, without
from .registry import Converter, converter

_Combine = Callable[[NodeContext, Value, Sequence[int], bool], Value]

_AXES_AS_INPUT = {"ReduceSum": 13}
"""Version from which the axes are an input; 18 for all others."""


def _plain(kind: str) -> _Combine:
    return lambda node, x, axes, keep: node.reduce(x, kind, axes, keep)


def _extremum(kind: str, boolean: str) -> _Combine:
    """The minimum of bools is whether all hold, the maximum whether any does."""

    def combine(node: NodeContext, x: Value, axes: Sequence[int], keep: bool) -> Value:
        return node.reduce(x, boolean if x.type.dtype is DType.BOOL else kind, axes, keep)

    return combine


def _l1(node: NodeContext, x: Value, axes: Sequence[int], keep: bool) -> Value:
    return node.reduce(node.op("math.abs", x), "sum", axes, keep)


def _sum_square(node: NodeContext, x: Value, axes: Sequence[int], keep: bool) -> Value:
    return node.reduce(node.op("math.mul", x, x), "sum", axes, keep)


def _l2(node: NodeContext, x: Value, axes: Sequence[int], keep: bool) -> Value:
    return _through_float(node, _sum_square(node, x, axes, keep), "math.sqrt")


def _log_sum(node: NodeContext, x: Value, axes: Sequence[int], keep: bool) -> Value:
    return _through_float(node, node.reduce(x, "sum", axes, keep), "math.log")


def _through_float(node: NodeContext, x: Value, op: str) -> Value:
    """A float function, of integers too."""
    dtype = x.type.dtype
    if dtype.is_float:
        return node.op(op, x)
    return node.cast(node.op(op, node.cast(x, DType.F64)), dtype)


def _log_sum_exp(node: NodeContext, x: Value, axes: Sequence[int], keep: bool) -> Value:
    """The maximum is taken out first, so that no exponential overflows."""
    dtype = x.type.dtype
    if not dtype.is_float:
        wide = _log_sum_exp(node, node.cast(x, DType.F64), axes, keep)
        return node.cast(wide, dtype)
    largest = node.reduce(x, "max", axes)
    infinite = node.op("math.is_inf", largest)
    shift = node.op("math.select", infinite, node.scalar(0, dtype), largest)
    powers = node.op("math.exp", node.op("math.sub", x, shift))
    result = node.op("math.log", node.reduce(powers, "sum", axes))
    result = node.op("math.add", result, shift)
    if keep:
        return result
    return node.reshape(result, [dim for axis, dim in enumerate(x.type.shape) if axis not in axes])


_REDUCTIONS: dict[str, _Combine] = {
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _extremum("max", "any"),
    "ReduceMean": _plain("mean"),
    "ReduceMin": _extremum("min", "all"),
    "ReduceProd": _plain("prod"),
    "ReduceSum": _plain("sum"),
    "ReduceSumSquare": _sum_square,
}


def _reduction(op_type: str, combine: _Combine) -> Converter:
    def convert(node: NodeContext) -> Value:
        x = node.input(0)
        since = _AXES_AS_INPUT.get(op_type, 18)
        if node.version >= since and node.has(1) and not node.is_known(node.input(1)):
            return _reduced_as_declared(node, x, node.input(1), combine)
        axes: tuple[int, ...] = ()
        if given := node.axes_of(since):
            axes = tuple(node.axes(given, x.type.rank))
        elif not node.flag("noop_with_empty_axes"):
            axes = tuple(range(x.type.rank))
        # Over no axes the squares, logarithms … that belong to an operator remain.
        return combine(node, x, axes, node.flag("keepdims", True))

    return convert


def _reduced_as_declared(node: NodeContext, x: Value, axes: Value, combine: _Combine) -> Value:
    """Over run-time axes: those that give the declared shape."""
    wanted, old = node.declared_shape("axes"), x.type.shape
    keep = node.flag("keepdims", True)

    def possible(reduced: Axes) -> bool:
        if not keep:
            return without(old, reduced) == wanted
        return wanted == tuple(1 if i in reduced else dim for i, dim in enumerate(old))

    return by_axes(node, axes, len(old), possible, lambda a: combine(node, x, a, keep))


for _op_type, _combine in _REDUCTIONS.items():
    converter(_op_type)(_reduction(_op_type, _combine))


@converter("ArgMax", "ArgMin")
def _arg_extremum(node: NodeContext) -> Value:
    x = node.input(0)
    return node.op(
        "tensor.arg_reduce",
        x,
        kind=node.node.op_type[-3:].lower(),
        axis=node.axis(node.integer("axis", 0), x.type.rank),
        keep_dims=node.flag("keepdims", True),
        last=node.flag("select_last_index"),
    )


@converter("CumSum", "CumProd")
def _cumulative(node: NodeContext) -> Value:
    x = node.input(0)
    kind = "sum" if node.node.op_type == "CumSum" else "product"
    flags = {"exclusive": node.flag("exclusive"), "reverse": node.flag("reverse")}

    def along(axis: int) -> Value:
        return node.op(f"tensor.cumulative_{kind}", x, axis=axis, **flags)

    axis, rank = node.input(1), x.type.rank
    if node.is_known(axis):
        return along(node.axis(node.known_int(axis, "axis"), rank))
    return by_axis(node, axis, rank, along)


@converter("TopK")
def _top_k(node: NodeContext) -> Sequence[Value]:
    x = node.input(0)
    axis = node.axis(node.integer("axis", -1), x.type.rank)
    if node.version < 10:
        k = node.integer("k")
    elif node.is_known(node.input(1)):
        k = node.known_int(node.input(1), "k")
    else:
        (k,) = node.static(node.declared_shape("k")[axis : axis + 1], "k")
        x = node.require(x, node.input(1), (k,), "k")
    attributes = {
        "axis": axis,
        "k": k,
        "largest": node.flag("largest", True),
        "sorted": node.flag("sorted", True),
    }
    return node.results("tensor.top_k", [x], attributes)


@converter("Softmax", "LogSoftmax")
def _flattened_softmax(node: NodeContext) -> Value:
    """Before version 13 all axes from ``axis`` on are normalized together."""
    x = node.input(0)
    axis = node.axis(node.integer("axis", 1), x.type.rank)
    return _over_flattened(node, x, axis, _normalized)


@converter("Softmax", "LogSoftmax", since=13)
def _softmax(node: NodeContext) -> Value:
    x = node.input(0)
    return _normalized(node, x, node.axis(node.integer("axis", -1), x.type.rank))


def _normalized(node: NodeContext, x: Value, axis: int) -> Value:
    op = "nn.softmax" if node.node.op_type == "Softmax" else "nn.log_softmax"
    return node.op(op, x, axis=axis)


def _over_flattened(
    node: NodeContext, x: Value, axis: int, convert: Callable[[NodeContext, Value, int], Value]
) -> Value:
    """``convert`` along the axes from ``axis`` on, joined into one."""
    if axis == x.type.rank - 1:
        return convert(node, x, axis)
    shape = x.type.shape
    flat = node.reshape(x, (*shape[:axis], dimension.product(shape[axis:])))
    return node.reshape(convert(node, flat, axis), shape)


@converter("Hardmax")
def _flattened_hardmax(node: NodeContext) -> Value:
    x = node.input(0)
    axis = node.axis(node.integer("axis", 1), x.type.rank)
    return _over_flattened(node, x, axis, _mark_largest)


@converter("Hardmax", since=13)
def _hardmax(node: NodeContext) -> Value:
    x = node.input(0)
    return _mark_largest(node, x, node.axis(node.integer("axis", -1), x.type.rank))


def _mark_largest(node: NodeContext, x: Value, axis: int) -> Value:
    """1 at the first largest element, else 0."""
    rank = x.type.rank
    largest = node.op("tensor.arg_reduce", x, kind="max", axis=axis, keep_dims=True, last=False)
    places = node.arange(x.type.shape[axis], axis, rank)
    return node.cast(node.op("math.equal", places, largest), x.type.dtype)
