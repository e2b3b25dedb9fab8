"""Reductions of functions of the elements, and functions of reductions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from burnish.ir import Op, Value

from ..context import Context
from ..forms import form, producer
from ..graph import Edge
from .reduce import reduced

Inner = Callable[[Value], Value | None]
"""What a function is applied to, when the value is one of it."""


def _square(value: Value) -> Value | None:
    op = producer(value, "math.mul")
    return op.inputs[0] if op is not None and op.inputs[0] is op.inputs[1] else None


def _applied(name: str) -> Inner:
    def inner(value: Value) -> Value | None:
        op = producer(value, name)
        return None if op is None else op.inputs[0]

    return inner


def _sum(value: Value) -> Op | None:
    op = producer(value, "tensor.reduce")
    return op if op is not None and op.attributes.kind == "sum" and op.attributes.axes else None


_OF_FUNCTIONS: Mapping[str, Inner] = {
    "ReduceSumSquare": _square,
    "ReduceL1": _applied("math.abs"),
}
"""Sums of functions of the elements."""

_FUNCTIONS: Mapping[str, tuple[tuple[str, Inner], ...]] = {
    "math.sqrt": (("ReduceL2", _square),),
    "math.log": (("ReduceLogSumExp", _applied("math.exp")), ("ReduceLogSum", lambda value: value)),
}
"""Functions of sums of functions of the elements."""


@form("tensor.reduce")
def _sum_of_function(c: Context) -> Edge | None:
    total = _sum(c.op.result)
    if total is None or not c.type().dtype.is_float:
        return None
    return _reduced(c, total, _OF_FUNCTIONS.items())


@form(*_FUNCTIONS)
def _function_of_sum(c: Context) -> Edge | None:
    total = _sum(c.op.inputs[0])
    return None if total is None else _reduced(c, total, _FUNCTIONS[c.op.name])


def _reduced(c: Context, total: Op, choices: Iterable[tuple[str, Inner]]) -> Edge | None:
    """The first of the reductions that fits a sum, over the last axes.

    Over others onnxruntime is faster at the function and ReduceSum than at the one operator.
    """
    rank, axes = total.inputs[0].type.rank, total.attributes.axes
    if axes != tuple(range(rank - len(axes), rank)):
        return None
    for op_type, inner in choices:
        x = inner(total.inputs[0])
        if x is not None:
            a = total.attributes
            return reduced(c, op_type, c.edge(x), a.axes, keep=a.keep_dims)
    return None
