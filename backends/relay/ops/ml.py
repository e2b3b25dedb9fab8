"""Trees: every row walks down all of them at once."""

from __future__ import annotations

import numpy as np

from burnish.ir import Array, DType
from burnish.ir.ops.ml import AGGREGATES, EQUALITY, NAN_TAKES_FIRST, leaf_table, tree_depth

from ..builder import Refusal, Term
from ..context import Context
from ..elementwise import Values, expression
from ..registry import lowering
from .reduce import reduced

_LARGEST = 1 << 24
"""Elements of the largest table of leaves."""


@lowering("ml.tree_ensemble")
def _tree_ensemble(c: Context) -> Term:
    a, x = c.a, c.input(0)
    rows, trees = x.shape[0], a.roots.size
    leaves = a.starts.size - 1
    if leaves * a.targets > _LARGEST:
        raise Refusal(f"trees of {leaves} leaves and {a.targets} results")
    if 0 in (rows, trees, leaves):
        return c.array(np.zeros(c.shape(), a.weights.dtype.numpy))
    at = c.array(np.broadcast_to(a.roots.array, (rows, trees)).astype(np.int64))
    for _ in range(tree_depth(a)):
        at = _descended(c, x, at)
    leaf = expression(c, "-1 - at", {"at": at}, DType.I64)
    parts = c.call("take", c.array(leaf_table(a)), leaf, axis=0)
    y = reduced(c, a.aggregate, parts, (1,), keep=False)
    start, _ = AGGREGATES[a.aggregate]
    values: Values = {"y": y, "start": start}
    return expression(c, "0 if y == start else y", values, y.dtype)


def _descended(c: Context, x: Term, at: Term) -> Term:
    """Where rows are one level below [rows, trees]; leaves are negative, and stay."""
    a = c.a
    node = expression(c, "max(at, 0)", {"at": at}, DType.I64)

    def column(table: Array) -> Term:
        return c.call("take", c.array(table), node, axis=0)

    value = c.call("gather", x, column(a.features.array.astype(np.int64)), axis=1)
    threshold = column(a.thresholds.array)
    passed = c.call("less_equal", value, threshold)
    flags = a.flags.array
    if (flags & EQUALITY).any():
        exact = column((flags & EQUALITY) != 0)
        passed = c.where(exact, c.call("equal", value, threshold), passed)
    if (flags & NAN_TAKES_FIRST).any():
        lost = c.call("logical_and", c.call("isnan", value), column((flags & NAN_TAKES_FIRST) != 0))
        passed = c.call("logical_or", passed, lost)
    first, second = (column(t.array.astype(np.int64)) for t in (a.first, a.second))
    inner = c.call("greater_equal", at, c.scalar(0, DType.I64))
    return c.apart(c.where(inner, c.where(passed, first, second), at))
