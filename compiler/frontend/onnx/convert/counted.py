"""Operators that find elements: how many there are depends on the data.

Where the model declares how many, the result has that size and the data is checked against it;
else the size is a symbol that the op defines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.ir import Dim, DType, Value
from burnish.ir import dims as dimension

from ..context import NodeContext
from .registry import converter


@converter("NonZero")
def _non_zero(node: NodeContext) -> Value:
    x = node.input(0)
    return node.op("tensor.non_zero", x, size=node.found_size([(0, 1)], x.type.elements))


@converter("Compress")
def _compress(node: NodeContext) -> Value:
    """Entries where a condition holds."""
    x, condition = node.input(0), node.input(1)
    axis = 0
    if node.attribute("axis") is None:
        x = node.reshape(x, (x.type.elements,))
    else:
        axis = node.axis(node.integer("axis"), x.type.rank)
    if condition.constant is not None:
        kept = node.constant(np.flatnonzero(condition.constant.array).astype(np.int64))
    else:
        flat = node.reshape(condition, (condition.type.elements,))
        size = node.found_size([(0, axis)], condition.type.elements)
        kept = node.reshape(node.op("tensor.non_zero", flat, size=size), (size,))
    return node.op("tensor.gather", x, kept, axis=axis)


@converter("Unique", since=11)
def _unique(node: NodeContext) -> Sequence[Value]:
    x = node.input(0)
    axis = 0
    if node.attribute("axis") is None:
        x = node.reshape(x, (x.type.elements,))
    else:
        axis = node.axis(node.integer("axis"), x.type.rank)
    size = node.found_size([(0, axis), (1, 0), (3, 0)], x.type.shape[axis])
    attributes = {"axis": axis, "sorted": node.flag("sorted", True), "size": size}
    return node.results("tensor.unique", [x], attributes)


@converter("NonMaxSuppression", since=10)
def _non_max_suppression(node: NodeContext) -> Value:
    boxes, scores = node.input(0), node.input(1)
    limit = node.reshape(node.input(2), ()) if node.has(2) else node.scalar(0, DType.I64)
    overlap = node.reshape(node.input(3), ()) if node.has(3) else node.scalar(0, DType.F32)
    threshold = node.reshape(node.input(4), ()) if node.has(4) else None
    batch, classes, count = scores.type.shape
    most: Dim = count
    if node.is_known(limit):
        most = dimension.minimum(count, max(0, node.known_int(limit, "limit")))
    return node.op(
        "nn.non_max_suppression",
        boxes,
        scores,
        limit,
        overlap,
        threshold,
        centered=node.flag("center_point_box"),
        size=node.found_size([(0, 0)], batch * classes * most),
    )
