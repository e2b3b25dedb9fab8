"""Attention and rotary embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm import te, tirx

from burnish.ir import Dim, DType
from burnish.ir.dims import floordiv
from burnish.ir.ops.attention import split_heads

from ..registry import Expr
from .context import Context, Tensor, broadcast, compute, te_lowering
from .fragments import Factor
from .indexing import position
from .matmul import matrix_product
from .reduce import reduce_over
from .scalars import Scalar, constant, primitive, select
from .softmax import softmax


class _Heads:
    """Features by head: heads that share a head of keys are an axis of their own.

    Operands of rank 4 are [batch, heads, length, size], those of rank 3 have the features of all
    heads behind one another.  Here either is of rank 5, with axes as they lie in memory.
    """

    def __init__(self, c: Context, index: int, heads: int, shared: Dim) -> None:
        type_ = c.type(index)
        batch, count, length, size = split_heads(type_, heads, "operand")
        groups = (shared, floordiv(count, shared))
        self.apart = type_.rank == 4
        self.shape = (
            (batch, *groups, length, size) if self.apart else (batch, length, *groups, size)
        )

    def at(
        self, x: Tensor, batch: Scalar, head: tuple[Scalar, Scalar], row: Scalar, i: Scalar
    ) -> Scalar:
        """An element by batch entry, head of keys and head of queries among those that share it,
        row and feature."""
        return x(batch, *head, row, i) if self.apart else x(batch, row, *head, i)


@te_lowering("nn.attention")
def _attention(c: Context) -> Expr:
    """softmax(softcap(scale · q kᵀ) + mask) v."""
    dtype = c.type().dtype
    work = dtype.compute
    factors = [c.factor(index) for index in range(3)]
    known = factors[0][1]
    _, shared, keys, value_size = split_heads(c.type(2), c.a.kv_heads, "operand")
    counts = (c.a.heads, c.a.kv_heads, c.a.kv_heads)
    parts = [_Heads(c, index, count, shared) for index, count in enumerate(counts)]
    exprs = [c.reshape(expr, c.sizes(part.shape)) for (expr, _), part in zip(factors, parts)]
    query = parts[0]
    batch, queries = query.shape[0], query.shape[3 if query.apart else 1]
    groups = query.shape[1:3] if query.apart else query.shape[2:4]
    shape = c.sizes((batch, *groups, queries, keys))
    scores = c.te(
        lambda q, k, shape: _scores(c, parts, q, k, shape, known), exprs[0], exprs[1], shape
    )
    scores = _masked(c, scores, shape, work)
    weights = softmax(c, scores, work, 4)
    if c.has(3) or c.a.causal:
        weights = c.te(lambda s, w: _or_nothing(c, s, w, work), scores, weights)
    weights = c.cast(weights, work, known)
    y = c.te(
        lambda w, v, size: _mixed(c, parts, w, v, size, known),
        weights,
        exprs[2],
        c.size(value_size),
    )
    return c.cast(c.reshape(y, c.sizes(c.result().shape)), work, dtype)


def _scores(
    c: Context,
    parts: Sequence[_Heads],
    q: Tensor,
    k: Tensor,
    shape: Sequence[Scalar],
    dtype: DType,
) -> Tensor:
    *batch, queries, keys = shape
    size = q.shape[4]

    def left(lead: Sequence[Scalar], i: Scalar, step: Scalar) -> Scalar:
        return parts[0].at(q, lead[0], (lead[1], lead[2]), i, step)

    def right(lead: Sequence[Scalar], step: Scalar, j: Scalar) -> Scalar:
        return parts[1].at(k, lead[0], (lead[1], 0), j, step)

    factors = Factor(left, inner=size), Factor(right, inner=size, transposed=True)
    return matrix_product(c, batch, (queries, keys, size), factors, dtype)


def _mixed(
    c: Context, parts: Sequence[_Heads], w: Tensor, v: Tensor, size: Scalar, dtype: DType
) -> Tensor:
    """Σ weight · value, in the form of the queries."""
    batch, shared, group, queries, keys = w.shape

    def right(lead: Sequence[Scalar], step: Scalar, j: Scalar) -> Scalar:
        return parts[2].at(v, lead[0], (lead[1], 0), step, j)

    factors = (
        Factor(lambda lead, i, step: w(*lead, i, step), inner=keys),
        Factor(right, inner=size),
    )
    found = matrix_product(c, [batch, shared, group], (queries, size, keys), factors, dtype)
    if parts[0].apart:
        return found
    return compute(
        [batch, queries, shared, group, size], lambda b, i, *rest: found(b, *rest[:2], i, rest[2])
    )


def _masked(c: Context, scores: Expr, shape: Sequence[Scalar], work: DType) -> Expr:
    """Scaled, bounded, and with the mask added."""
    masks = [c.wide(index) for index in c.present(3)]
    if masks:
        masks = [c.reshape(masks[0], _by_group(c, masks[0], shape))]
    is_bool = c.has(3) and c.type(3).dtype is DType.BOOL
    offset = c.size(c.a.offset)

    def function(s: Tensor, masks: Sequence[Tensor], offset: Scalar) -> Tensor:
        none, zero = constant(-math.inf, work), constant(0, work)

        def element(*index: Scalar) -> Scalar:
            y = primitive("mul", work, s(*index), constant(c.a.scale, work))
            if c.a.softcap:
                cap = constant(c.a.softcap, work)
                y = primitive("tanh", work, y / cap) * cap
            for mask in masks:
                added = broadcast(mask, index)
                y = y + (select(added, zero, none) if is_bool else added)
            if c.a.causal:
                y = y + select(index[4] <= index[3] + offset, zero, none)
            return y

        return compute(s.shape, element)

    return c.te(function, scores, masks, offset)


def _by_group(c: Context, mask: Expr, shape: Sequence[Scalar]) -> list[Scalar]:
    """The shape of a mask that has the axis of heads split in two."""
    own = c.sizes(c.type(3).shape)
    one = c.size(1)
    own = [one] * (4 - len(own)) + own
    heads = [one, one] if c.type(3).rank < 3 or c.type(3).shape[-3] == 1 else list(shape[1:3])
    return [own[0], *heads, *own[2:]]


def _or_nothing(c: Context, scores: Tensor, weights: Tensor, work: DType) -> Tensor:
    """What queries give that attend to no key."""
    lowest = constant(-math.inf, work)
    # Whether a score is more than -inf, NaN included; TVM's maximum of floats would lose it.
    seen = reduce_over(
        scores,
        [4],
        True,
        te.max,
        lambda v: tirx.Cast("int32", primitive("ne", work, v, lowest)),
        tirx.const(0, "int32"),
        "seen",
    )
    filler = constant(math.nan if c.a.masked_rows == "nan" else 0.0, work)
    return compute(weights.shape, lambda *i: select(seen(*i[:4], 0) > 0, weights(*i), filler))


@te_lowering("nn.rotary_embedding")
def _rotary_embedding(c: Context) -> Expr:
    """(cos x1 - sin x2, sin x1 + cos x2) for the pairs of every head."""
    type_, dtype = c.type(), c.type().dtype
    batch, heads, length, size = split_heads(type_, c.a.heads, "operand")
    apart = type_.rank == 4
    form = (batch, heads, length, size) if apart else (batch, length, heads, size)
    (pairs,) = c.static(c.type(1).shape[-1:], "a number of pairs")
    x = c.reshape(c.wide(0), c.sizes(form))
    tables = [c.wide(1), c.wide(2)]
    rows = [c.input(index) for index in c.present(3)]

    def angle(
        table: Tensor, rows: Sequence[Tensor], b: Scalar, row: Scalar, pair: Scalar
    ) -> Scalar:
        if rows:
            return table(position(rows[0](b, row), table.shape[0]), pair)
        return broadcast(table, [b, row, pair])

    def function(x: Tensor, tables: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
        def element(b: Scalar, p: Scalar, q: Scalar, feature: Scalar) -> Scalar:
            row = q if apart else p
            if c.a.interleaved:
                pair, second = tirx.floordiv(feature, 2), tirx.floormod(feature, 2).equal(1)
                other = select(second, feature - 1, feature + 1)
            else:
                second = feature >= pairs
                pair = select(second, feature - pairs, feature)
                other = select(second, feature - pairs, feature + pairs)
            turned = feature < 2 * pairs
            pair = select(turned, pair, tirx.IntImm("int64", 0))
            other = select(turned, other, feature)
            cos, sin = (angle(table, rows, b, row, pair) for table in tables)
            mine, its = x(b, p, q, feature), x(b, p, q, other)
            y = cos * mine + select(second, sin * its, constant(0, dtype.compute) - sin * its)
            return select(turned, y, mine)

        return compute(x.shape, element)

    y = c.te(function, x, tables, rows)
    return c.cast(c.reshape(y, c.sizes(type_.shape)), dtype.compute, dtype)
