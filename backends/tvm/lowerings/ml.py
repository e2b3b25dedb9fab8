"""Trees: every row walks down all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import tirx

from burnish.ir.ops.ml import AGGREGATES, EQUALITY, NAN_TAKES_FIRST, leaf_table, tree_depth

from ..refusal import Refusal
from ..registry import Expr
from .context import Context, Tensor, compute, te_lowering
from .reduce import reduced
from .scalars import Scalar, is_nan, select

_LARGEST = 1 << 24
"""Elements of the largest table of leaves."""


@te_lowering("ml.tree_ensemble")
def _tree_ensemble(c: Context) -> Expr:
    a, dtype = c.a, c.result().dtype
    leaves, trees = a.starts.size - 1, a.roots.size
    if leaves * a.targets > _LARGEST:
        raise Refusal(f"trees of {leaves} leaves and {a.targets} results")
    rows = c.size(c.type().shape[0])
    if not trees or not leaves:
        zero = c.constant(np.zeros((), dtype.numpy))
        return c.te(
            lambda z, shape: compute(shape, lambda *i: z()), zero, c.sizes(c.result().shape)
        )
    roots = c.constant(a.roots.array.astype(np.int32))
    at = c.te(lambda r, n: compute([n, r.shape[0]], lambda row, tree: r(tree)), roots, rows)
    if a.features.size:
        tables = [
            c.constant(table.array)
            for table in (a.features, a.thresholds, a.first, a.second, a.flags)
        ]
        for _ in range(tree_depth(a)):
            at = c.te(lambda x, at, tables: _below(c, x, at, tables), c.input(0), at, tables)
    leaf = c.constant(leaf_table(a))
    parts = c.te(
        lambda at, leaf: compute(
            [*at.shape, leaf.shape[1]],
            lambda row, tree, target: leaf(tirx.Cast("int64", -1 - at(row, tree)), target),
        ),
        at,
        leaf,
    )
    y = reduced(c, a.aggregate, parts, dtype, (1,), False)
    start, _ = AGGREGATES[a.aggregate]
    return c.map("0 if y == start else y", dtype, {"y": y, "start": start})


def _below(c: Context, x: Tensor, at: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Where rows are one level below [rows, trees]; leaves are negative, and stay."""
    features, thresholds, first, second, flags = tables
    dtype = c.type().dtype
    used = int(np.bitwise_or.reduce(c.a.flags.array, initial=0))

    def step(row: Scalar, tree: Scalar) -> Scalar:
        here = at(row, tree)
        node = tirx.Cast("int64", tirx.max(here, 0))
        value = x(row, tirx.Cast("int64", features(node)))
        passed = value <= thresholds(node)

        def flagged(flag: int) -> Scalar:
            bits = tirx.bitwise_and(tirx.Cast("int32", flags(node)), flag)
            return bits.equal(flag)

        if used & EQUALITY:
            passed = select(flagged(EQUALITY), value.equal(thresholds(node)), passed)
        if used & NAN_TAKES_FIRST:
            passed = tirx.Or(passed, tirx.And(is_nan(value, dtype), flagged(NAN_TAKES_FIRST)))
        return select(here >= 0, select(passed, first(node), second(node)), here)

    return compute(at.shape, step)
