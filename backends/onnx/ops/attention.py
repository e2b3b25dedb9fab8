"""Attention and rotary embedding, as one operator each since opset 23.

Of queries that attend to nothing, versions and implementations of Attention give zeros or NaN;
``masked_rows`` is for burnish to know, and does not survive where the operator is used.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from burnish.ir import Dim, DType, TensorType
from burnish.ir.ops.attention import split_heads

from ..context import Context
from ..graph import Edge
from ..registry import exporter
from ..sizes import size
from .reduce import reduced
from .tensor import expanded, reshaped


@exporter("nn.attention")
def _attention(c: Context) -> Edge:
    rounded = c.type().dtype is DType.F64 and float(np.float32(c.a.scale)) != c.a.scale
    shifted = c.a.causal and c.a.offset != 0
    if rounded or shifted or not c.takes("Attention", c.type().dtype, "T1"):
        return _composed(c)
    q, k, v = (c.input(index) for index in range(3))
    mask = c.optional(3)
    if mask is not None:
        mask = _whole_rows(c, mask, c.type(3))
    return c.node(
        "Attention",
        q,
        k,
        v,
        mask,
        scale=c.a.scale,
        softcap=c.a.softcap,
        is_causal=int(c.a.causal),
        q_num_heads=c.a.heads or None,
        kv_num_heads=c.a.kv_heads or None,
    )


def _whole_rows(c: Context, mask: Edge, type_: TensorType) -> Edge:
    """The mask with an entry for every query and key.

    ONNX fills up rows that are shorter, it repeats none; onnxruntime repeats none for queries.
    """
    queries = split_heads(c.type(0), c.a.heads, "q")[2]
    keys = split_heads(c.type(1), c.a.kv_heads, "k")[2]
    return expanded(c, mask, type_.shape, [*type_.shape[:-2], queries, keys])


def _composed(c: Context) -> Edge:
    """softmax(softcap(scale · q kᵀ) + mask) v, in the type that arithmetic happens in."""
    work = c.type().dtype.compute
    counts = (c.a.heads, c.a.kv_heads, c.a.kv_heads)
    parts = [split_heads(c.type(i), count, "operand") for i, count in enumerate(counts)]
    q, k, v = (_apart(c, c.cast(c.input(i), work), c.type(i), parts[i]) for i in range(3))
    heads, kv_heads = parts[0][1], parts[1][1]
    if heads != kv_heads and isinstance(heads, int) and isinstance(kv_heads, int):
        shared = c.ints(np.repeat(np.arange(kv_heads), heads // kv_heads))
        k, v = (c.node("Gather", edge, shared, axis=1) for edge in (k, v))
    scores = c.node("MatMul", q, c.transpose(k, (0, 1, 3, 2)))
    scores = c.node("Mul", scores, c.scalar(c.a.scale, work))
    if c.a.softcap:
        bound = c.scalar(c.a.softcap, work)
        scores = c.node("Mul", c.node("Tanh", c.node("Div", scores, bound)), bound)
    mask = c.optional(3)
    if mask is not None:
        added = _excluded(c, mask, work) if mask.dtype is DType.BOOL else c.cast(mask, work)
        scores = c.node("Add", scores, added)
    if c.a.causal:
        last = c.node("Add", _places(c, parts[0][2], 1), size(c, c.a.offset))
        seen = c.node("LessOrEqual", _places(c, parts[1][2], 0), last)
        scores = c.node("Add", scores, _excluded(c, seen, work))
    y = c.node("MatMul", _weights(c, scores, mask is not None or c.a.causal), v)
    batch, _, queries, width = (*parts[0][:3], parts[2][3])
    if c.type().rank == 3:
        y = c.transpose(y, (0, 2, 1, 3))
        old = (batch, queries, heads, width)
        y = reshaped(c, y, old, (batch, queries, heads * width))
    return c.cast(y, c.type().dtype)


def _apart(c: Context, x: Edge, type_: TensorType, parts: tuple[Dim, Dim, Dim, Dim]) -> Edge:
    """``x`` as [batch, heads, length, size]."""
    if type_.rank == 4:
        return x
    batch, heads, length, width = parts
    return c.transpose(reshaped(c, x, type_.shape, (batch, length, heads, width)), (0, 2, 1, 3))


def _places(c: Context, count: Dim, axis: int) -> Edge:
    """0, 1, ... below ``count``, with a new axis behind (1) or in front (0)."""
    if isinstance(count, int):
        numbers = c.ints(range(count))
    else:
        zero, one = (c.constant(np.array(value, np.int64)) for value in (0, 1))
        numbers = c.node("Range", zero, c.node("Squeeze", size(c, count), c.ints([0])), one)
    if numbers.constant is not None:
        return c.constant(np.expand_dims(numbers.constant.array, axis))
    return c.node("Unsqueeze", numbers, c.ints([axis]))


def _excluded(c: Context, kept: Edge, work: DType) -> Edge:
    """0 where ``kept``, -inf elsewhere."""
    return c.node("Where", kept, c.scalar(0.0, work), c.scalar(-math.inf, work))


def _weights(c: Context, scores: Edge, masked: bool) -> Edge:
    weights = c.node("Softmax", scores, axis=3)
    if not masked or c.a.masked_rows == "nan":
        return weights
    top = reduced(c, "ReduceMax", scores, (3,), keep=True)
    nothing = c.node("Equal", top, c.scalar(-math.inf, scores.dtype))
    return c.node("Where", nothing, c.scalar(0.0, scores.dtype), weights)


@exporter("nn.rotary_embedding")
def _rotary_embedding(c: Context) -> Edge:
    parts = split_heads(c.type(), c.a.heads, "x")
    pairs = c.type(1).shape[-1]
    assert isinstance(pairs, int)
    x, cos, sin, positions = (*(c.input(i) for i in range(3)), c.optional(3))
    if not c.takes("RotaryEmbedding", c.type().dtype):
        return _turned(c, parts, pairs)
    wanted = (parts[0], parts[2], pairs)
    if positions is None:
        cos, sin = (expanded(c, edge, c.type(1).shape, wanted) for edge in (cos, sin))
    attributes: dict[str, Any] = {"interleaved": int(c.a.interleaved)}
    if 2 * pairs != parts[3]:
        attributes["rotary_embedding_dim"] = 2 * pairs
    return c.node(
        "RotaryEmbedding", x, cos, sin, positions, num_heads=c.a.heads or None, **attributes
    )


def _turned(c: Context, parts: tuple[Dim, Dim, Dim, Dim], pairs: int) -> Edge:
    """(cos x1 - sin x2, sin x1 + cos x2) for the pairs of every head."""
    work, (batch, heads, length, width) = c.type().dtype.compute, parts
    x = _apart(c, c.cast(c.input(0), work), c.type(), parts)
    cos, sin = (_angles(c, index, work) for index in (1, 2))
    x, *rest = _divided(c, x, (2 * pairs, width - 2 * pairs))
    even = (batch, heads, length, 2 * pairs)
    if c.a.interleaved:
        columns = (batch, heads, length, pairs, 2)
        first, second = (
            c.node("Gather", reshaped(c, x, even, columns), c.constant(np.array(i)), axis=4)
            for i in (0, 1)
        )
    else:
        first, second = _divided(c, x, (pairs, pairs))
    turned = [
        c.node("Sub", c.node("Mul", cos, first), c.node("Mul", sin, second)),
        c.node("Add", c.node("Mul", sin, first), c.node("Mul", cos, second)),
    ]
    if c.a.interleaved:
        stacked = c.node("Concat", *(c.node("Unsqueeze", t, c.ints([4])) for t in turned), axis=4)
        y = reshaped(c, stacked, (batch, heads, length, pairs, 2), even)
        y = c.node("Concat", y, *rest, axis=3) if rest else y
    else:
        y = c.node("Concat", *turned, *rest, axis=3)
    if c.type().rank == 3:
        old = (batch, length, heads, width)
        y = reshaped(c, c.transpose(y, (0, 2, 1, 3)), old, (batch, length, heads * width))
    return c.cast(y, c.type().dtype)


def _angles(c: Context, index: int, work: DType) -> Edge:
    """Cosines or sines, the same for all heads."""
    values, positions = c.cast(c.input(index), work), c.optional(3)
    rank = c.type(index).rank
    if positions is not None:
        values, rank = c.node("Gather", values, positions, axis=0), 3
    return c.node("Unsqueeze", values, c.ints([1])) if rank == 3 else values


def _divided(c: Context, x: Edge, sizes: tuple[Dim, ...]) -> list[Edge]:
    """``x`` split along its last axis into parts of these sizes, empty ones left out."""
    kept = [int(n) for n in sizes if isinstance(n, int) and n]
    if len(kept) == 1:
        return [x]
    return c.nodes("Split", x, c.ints(kept), outputs=[None] * len(kept), axis=3)
