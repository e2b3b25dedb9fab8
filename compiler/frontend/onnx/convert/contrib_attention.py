"""Attention as com.microsoft has it: heads are split, masks are added, all by standard ops."""

from __future__ import annotations

import math

from burnish.ir import Dim, DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .contrib import MICROSOFT
from .registry import converter


@converter("MultiHeadAttention", domain=MICROSOFT)
def _multi_head(node: NodeContext) -> list[Value | None]:
    heads = node.integer("num_heads")
    parts = _unpacked(node)
    q, k, v = (
        _heads(node, part, bias, heads)
        for part, bias in zip(parts, _split_bias(node, parts, heads), strict=True)
    )
    k, v = _after_past(node, k, 6), _after_past(node, v, 7)
    masks = [_key_mask(node, node.input(4), k.type.shape[2])] if node.has(4) else []
    if node.has(5):
        masks.append(node.input(5))
    if any(node.has(index) for index in range(8, len(node.items))):
        node.refuse("a cache that is written in place")
    return [_attended(node, q, k, v, masks), k, v]


def _unpacked(node: NodeContext) -> list[Value]:
    """Queries, keys and values: inputs of their own, or side by side in [batch, length, heads,
    parts, size]."""
    q = node.input(0)
    if q.type.rank == 5:
        return _parts(node, q, 3)
    if q.type.rank != 3 or not node.has(1):
        node.refuse(f"queries of type {q.type}")
    keys = node.input(1)
    if keys.type.rank == 5:
        return [q, *_parts(node, keys, 2)]
    return [q, keys, node.input(2)]


def _parts(node: NodeContext, packed: Value, count: int) -> list[Value]:
    """The ``count`` parts along axis 3, each as [batch, length, hidden]."""
    batch, length, heads, parts, size = packed.type.shape
    if parts != count:
        raise ModelError(f"{packed.type} does not hold {count} parts along axis 3")
    return [
        node.reshape(
            node.op(
                "tensor.slice",
                packed,
                starts=(0, 0, 0, part, 0),
                sizes=(batch, length, heads, 1, size),
                steps=(1,) * 5,
            ),
            (batch, length, heads * size),
        )
        for part in range(count)
    ]


def _split_bias(node: NodeContext, parts: list[Value], heads: int) -> list[Value | None]:
    """The parts of the bias for queries, keys and values."""
    bias = node.optional(3)
    if bias is None:
        return [None, None, None]
    sizes = node.static([part.type.shape[-1] for part in parts], "hidden size")
    known = [
        size if part.type.rank == 3 else size * heads
        for part, size in zip(parts, sizes, strict=True)
    ]
    if node.static(bias.type.shape, "bias") != (sum(known),):
        raise ModelError(f"a bias of type {bias.type} for hidden sizes {known}")
    starts = (0, known[0], known[0] + known[1])
    return [
        node.op("tensor.slice", bias, starts=(start,), sizes=(size,), steps=(1,))
        for start, size in zip(starts, known, strict=True)
    ]


def _heads(node: NodeContext, x: Value, bias: Value | None, heads: int) -> Value:
    """[batch, length, hidden] as [batch, heads, length, size]; rank 4 is in that form already."""
    if x.type.rank == 4:
        return x
    if bias is not None:
        x = node.op("math.add", x, bias)
    batch, length, hidden = x.type.shape
    if heads < 1 or dimension.mod(hidden, heads) != 0:
        raise ModelError(f"{heads} heads of {x.type}")
    split = node.reshape(x, (batch, length, heads, dimension.floordiv(hidden, heads)))
    return node.transpose(split, (0, 2, 1, 3))


def _after_past(node: NodeContext, x: Value, index: int) -> Value:
    """``x`` behind what an input holds of earlier positions."""
    past = node.optional(index)
    return x if past is None else node.op("tensor.concat", past, x, axis=2)


@converter("Attention", domain=MICROSOFT)
def _attention(node: NodeContext) -> list[Value | None]:
    """Queries, keys and values are projections of one input."""
    if node.flag("do_rotary"):
        node.refuse("rotary embedding inside of it")
    if any(node.has(index) for index in (6, 7)):
        node.refuse("a cache that is written in place")
    heads, sizes = node.integer("num_heads"), node.integers("qkv_hidden_sizes")
    projected = node.op("nn.matmul", node.input(0), node.input(1))
    if node.has(2):
        projected = node.op("math.add", projected, node.input(2))
    (width,) = node.static(projected.type.shape[2:], "hidden size")
    sizes = sizes or (width // 3,) * 3
    if len(sizes) != 3 or sum(sizes) != width:
        raise ModelError(f"hidden sizes {list(sizes)} of {width} columns")
    starts = (0, sizes[0], sizes[0] + sizes[1])
    lead = projected.type.shape[:2]
    q, k, v = (
        _heads(
            node,
            node.op(
                "tensor.slice",
                projected,
                starts=(0, 0, start),
                sizes=(*lead, size),
                steps=(1, 1, 1),
            ),
            None,
            heads,
        )
        for start, size in zip(starts, sizes, strict=True)
    )
    present = None
    if node.has(4):
        past = node.input(4)
        k, v = (
            node.op("tensor.concat", _half(node, past, half), x, axis=2)
            for half, x in enumerate((k, v))
        )
    if node.wants(1):
        stacked = [node.reshape(x, (1, *x.type.shape)) for x in (k, v)]
        present = node.op("tensor.concat", *stacked, axis=0)
    masks = [_key_mask(node, node.input(3), k.type.shape[2])] if node.has(3) else []
    if node.has(5):
        masks.append(node.input(5))
    return [_attended(node, q, k, v, masks), present]


def _half(node: NodeContext, past: Value, index: int) -> Value:
    shape = past.type.shape[1:]
    part = node.op(
        "tensor.slice",
        past,
        starts=(index, 0, 0, 0, 0),
        sizes=(1, *shape),
        steps=(1,) * 5,
    )
    return node.reshape(part, shape)


def _key_mask(node: NodeContext, mask: Value, length: Dim) -> Value:
    """What to add to scores for a mask: per key, per query and key, or lengths that count."""
    if mask.type.rank == 1:
        if mask.type.shape != node.input(0).type.shape[:1]:
            node.refuse(f"a mask of type {mask.type}")
        lengths = node.reshape(node.cast(mask, DType.I64), (*mask.type.shape, 1))
        kept = node.op("math.less", node.arange(length, 1, 2), lengths)
    else:
        kept = node.op("math.greater", mask, node.scalar(0, mask.type.dtype))
    if kept.type.rank == 2:
        batch, keys = kept.type.shape
        kept = node.reshape(kept, (batch, 1, 1, keys))
    elif kept.type.rank == 3:
        batch, queries, keys = kept.type.shape
        kept = node.reshape(kept, (batch, 1, queries, keys))
    return _added(node, kept)


def _added(node: NodeContext, kept: Value) -> Value:
    """0 where ``kept`` holds, else the number that masks a score."""
    dtype = node.input(0).type.dtype
    filler = node.scalar(node.number("mask_filter_value", -10000.0), dtype)
    return node.op("math.select", kept, node.scalar(0, dtype), filler)


def _attended(node: NodeContext, q: Value, k: Value, v: Value, masks: list[Value]) -> Value:
    """softmax(q k^T scale + masks) v, with the heads side by side again."""
    batch, heads, length, _ = q.type.shape
    (size,) = node.static(q.type.shape[3:], "head size")
    scale = node.number("scale", 0.0) or 1.0 / math.sqrt(size)
    if node.flag("unidirectional"):
        masks = [*masks, _causal(node, length, k.type.shape[2])]
    mask = None
    for added in masks:
        mask = added if mask is None else node.op("math.add", mask, added)
    y = node.op("nn.attention", q, k, v, mask, scale=scale, masked_rows="nan")
    return node.reshape(node.transpose(y, (0, 2, 1, 3)), (batch, length, heads * v.type.shape[3]))


def _causal(node: NodeContext, queries: Dim, keys: Dim) -> Value:
    """Masks keys after the query, the last of which stands at the last key."""
    last = node.op(
        "math.add", node.arange(queries, 0, 2), node.op("tensor.dimension", value=keys - queries)
    )
    return _added(node, node.op("math.less_equal", node.arange(keys, 1, 2), last))
