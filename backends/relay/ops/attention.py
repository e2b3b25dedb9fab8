"""Attention and rotary embedding, composed."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir import DType
from burnish.ir.ops.attention import split_heads

from ..builder import Term
from ..context import Context
from ..registry import lowering
from .matmul import product
from .reduce import reduced


def _parts(c: Context, index: int, heads: int) -> tuple[int, int, int, int]:
    """Batch, heads, length and size of an operand."""
    batch, count, length, size = split_heads(c.type(index), heads, "operand")
    assert isinstance(batch, int)
    assert isinstance(count, int)
    assert isinstance(length, int)
    assert isinstance(size, int)
    return batch, count, length, size


def _apart(c: Context, x: Term, parts: tuple[int, int, int, int]) -> Term:
    """``x`` as [batch, heads, length, size]."""
    if x.rank == 4:
        return x
    batch, heads, length, size = parts
    return c.transpose(c.reshape(x, (batch, length, heads, size)), (0, 2, 1, 3))


def _together(c: Context, y: Term) -> Term:
    """[batch, heads, length, size] as the op has it."""
    if c.type().rank == 4:
        return y
    return c.reshape(c.transpose(y, (0, 2, 1, 3)), c.shape())


@lowering("nn.attention")
def _attention(c: Context) -> Term:
    """softmax(softcap(scale · q kᵀ) + mask) v."""
    counts = (c.a.heads, c.a.kv_heads, c.a.kv_heads)
    parts = [_parts(c, index, count) for index, count in enumerate(counts)]
    q, k, v = (_apart(c, c.wide(index), parts[index]) for index in range(3))
    heads, kv_heads = parts[0][1], parts[1][1]
    if heads != kv_heads:
        shared = c.ints(np.repeat(np.arange(kv_heads), heads // kv_heads))
        k, v = (c.call("take", term, shared, axis=1) for term in (k, v))
    scores = product(c, q, k, transpose_b=True)
    scores = c.call("multiply", scores, c.scalar(c.a.scale, q.dtype))
    if c.a.softcap:
        bound = c.scalar(c.a.softcap, q.dtype)
        scores = c.call("multiply", c.call("tanh", c.call("divide", scores, bound)), bound)
    masked = False
    for mask in (_mask(c, q.dtype), _causal(c, parts[0][2], parts[1][2], q.dtype)):
        if mask is not None:
            scores, masked = c.call("add", scores, mask), True
    y = product(c, _weights(c, scores, masked), v)
    return c.cast(_together(c, y), c.type().dtype)


def _mask(c: Context, work: DType) -> Term | None:
    mask = c.optional(3)
    if mask is None:
        return None
    return _excluded(c, mask, work) if mask.dtype is DType.BOOL else c.cast(mask, work)


def _causal(c: Context, queries: int, keys: int, work: DType) -> Term | None:
    if not c.a.causal:
        return None
    seen = np.arange(keys) <= np.arange(queries)[:, np.newaxis] + c.a.offset
    return c.array(np.where(seen, 0, -math.inf).astype(work.numpy))


def _excluded(c: Context, kept: Term, work: DType) -> Term:
    """0 where ``kept``, -inf elsewhere."""
    return c.where(kept, c.scalar(0.0, work), c.scalar(-math.inf, work))


def _weights(c: Context, scores: Term, masked: bool) -> Term:
    weights = c.call("nn.softmax", scores, axis=3)
    if not masked:
        return weights
    # Not by the maximum: that of Relay starts from the lowest finite number.
    left_out = c.call("equal", scores, c.scalar(-math.inf, scores.dtype))
    nothing = reduced(c, "all", left_out, (3,), keep=True)
    filler = math.nan if c.a.masked_rows == "nan" else 0.0
    return c.where(nothing, c.scalar(filler, scores.dtype), weights)


@lowering("nn.rotary_embedding")
def _rotary_embedding(c: Context) -> Term:
    """(cos x1 - sin x2, sin x1 + cos x2) for the pairs of every head."""
    parts = _parts(c, 0, c.a.heads)
    pairs = c.type(1).static_shape[-1]
    batch, heads, length, size = parts
    x = _apart(c, c.wide(0), parts)
    cos, sin = (_angles(c, index) for index in (1, 2))
    turned_part, rest = c.slice(x, 3, 0, 2 * pairs), c.slice(x, 3, 2 * pairs, size)
    columns = (pairs, 2) if c.a.interleaved else (2, pairs)
    axis = 4 if c.a.interleaved else 3
    table = c.reshape(turned_part, (batch, heads, length, *columns))
    first, second = (
        c.reshape(c.slice(table, axis, i, i + 1), (batch, heads, length, pairs)) for i in (0, 1)
    )
    turned = (
        c.call("subtract", c.call("multiply", cos, first), c.call("multiply", sin, second)),
        c.call("add", c.call("multiply", sin, first), c.call("multiply", cos, second)),
    )
    shape = (
        (batch, heads, length, pairs, 1) if c.a.interleaved else (batch, heads, length, 1, pairs)
    )
    y = c.concat([c.reshape(term, shape) for term in turned], axis)
    y = c.reshape(y, (batch, heads, length, 2 * pairs))
    y = c.concat([y, rest], 3) if size > 2 * pairs else y
    return c.cast(_together(c, y), c.type().dtype)


def _angles(c: Context, index: int) -> Term:
    """Cosines or sines, the same for all heads."""
    values, positions = c.wide(index), c.optional(3)
    if positions is not None:
        rows = values.shape[0]
        negative = c.call("less", positions, c.scalar(0, positions.dtype))
        shifted = c.call("add", positions, c.scalar(rows, positions.dtype))
        values = c.call("take", values, c.where(negative, shifted, positions), axis=0)
    if values.rank < 3:
        return values
    return c.reshape(values, (values.shape[0], 1, *values.shape[1:]))
