"""Attention and rotary embedding.

What the operators can say beyond the ops (outputs of scores, windows, lengths per batch) is
imported as the simpler operators that their schemas define them by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.ir import DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from ..items import Item
from .registry import converter


@converter("Attention", since=23)
def _attention(node: NodeContext) -> Sequence[Item | None]:
    attributes = _attention_attributes(node)
    if attributes is None:
        return node.by_definition()
    q, k, v, mask = node.input(0), node.input(1), node.input(2), node.optional(3)
    heads = (node.integer("q_num_heads", 0), node.integer("kv_num_heads", 0))
    wants_present = node.wants(1) or node.wants(2)
    present: list[Item | None] = [None, None]
    is_flat = q.type.rank == 3
    if node.has(4):
        past, k, v = node.input(4), _split(node, k, heads[1]), _split(node, v, heads[1])
        attributes["offset"] = past.type.shape[2]
        k = node.op("tensor.concat", past, k, axis=2)
        v = node.op("tensor.concat", node.input(5), v, axis=2)
        present, q = [k, v], _split(node, q, heads[0])
    elif wants_present:
        present = [_split(node, x, heads[1]) for x in (k, v)]
    if mask is not None and mask.type.shape[-1:] != (k.type.shape[-2 if k.type.rank == 4 else 1],):
        return node.by_definition()  # which fills it up
    if q.type.rank == 3:
        attributes |= {"heads": heads[0], "kv_heads": heads[1]}
    y = node.op("nn.attention", q, k, v, mask, **attributes)
    if is_flat and q.type.rank == 4:
        batch, count, length, size = y.type.shape
        y = node.reshape(node.transpose(y, (0, 2, 1, 3)), (batch, length, count * size))
    return [y, *present]


def _attention_attributes(node: NodeContext) -> dict[str, object] | None:
    """Attributes of the op that the node is; None where no op is what it says."""
    windows = (node.integer(f"{side}_window_size", -1) for side in ("left", "right"))
    if node.wants(3) or node.has(6) or any(window != -1 for window in windows):
        return None
    q = node.input(0).type
    if q.rank not in (3, 4) or node.has(4) != node.has(5):
        return None
    wide = node.dtype("softmax_precision", q.dtype.compute)
    if wide is not q.dtype.compute and wide is not q.dtype:
        return None
    heads = node.integer("q_num_heads", 0) if q.rank == 3 else 1
    size = q.shape[-1]
    scale = node.number("scale", 0.0)
    if node.attribute("scale") is None:
        if not isinstance(size, int) or heads < 1 or size < heads:
            return None
        scale = 1.0 / math.sqrt(size // heads)
    if scale <= 0.0:
        return None
    softcap = max(0.0, node.number("softcap", 0.0))
    return {"scale": scale, "softcap": softcap, "causal": node.flag("is_causal")}


def _split(node: NodeContext, x: Value, heads: int) -> Value:
    """[batch, length, heads * size] as [batch, heads, length, size]."""
    if x.type.rank == 4:
        return x
    batch, length, hidden = x.type.shape
    if heads < 1 or dimension.mod(hidden, heads) != 0:
        raise ModelError(f"{heads} heads of {x.type}")
    apart = node.reshape(x, (batch, length, heads, dimension.floordiv(hidden, heads)))
    return node.transpose(apart, (0, 2, 1, 3))


@converter("RotaryEmbedding", since=23)
def _rotary_embedding(node: NodeContext) -> Sequence[Item | None]:
    x, cos, sin, positions = (*(node.input(i) for i in range(3)), node.optional(3))
    heads = node.integer("num_heads", 0) if x.type.rank == 3 else 0
    size = x.type.shape[-1]
    width = node.integer("rotary_embedding_dim", 0)
    if x.type.rank == 3 and heads > 0:
        size = dimension.floordiv(size, heads)
    if cos.type.rank < 1 or 2 * cos.type.shape[-1] != (width or size):
        return node.by_definition()
    interleaved = node.flag("interleaved")
    attributes = {"interleaved": interleaved, "heads": heads}
    return [node.op("nn.rotary_embedding", x, cos, sin, positions, **attributes)]


@converter("FlexAttention", domain="ai.onnx.preview")
def _flex_attention(node: NodeContext) -> Value:
    q, k, v = node.input(0), node.input(1), node.input(2)
    if any(value.type.rank != 4 for value in (q, k, v)):
        raise ModelError(f"its inputs {q.type}, {k.type} and {v.type} must all be of rank 4")
    dtype = q.type.dtype
    k, v = (_for_each_query_head(node, value, q) for value in (k, v))
    (head_size,) = node.static(q.type.shape[-1:], "head size")
    scale = node.scalar(math.sqrt(node.number("scale", head_size**-0.5)), dtype)
    scores = node.op(
        "nn.matmul",
        node.op("math.mul", q, scale),
        node.op("math.mul", k, scale),
        transpose_b=True,
    )
    wide = node.dtype("softmax_precision", DType.F64 if dtype is DType.F64 else DType.F32)
    scores = _modified(node, "score_mod", node.cast(scores, wide))
    shares = _modified(node, "prob_mod", node.op("nn.softmax", scores, axis=3))
    return node.op("nn.matmul", node.cast(shares, dtype), v)


def _for_each_query_head(node: NodeContext, value: Value, q: Value) -> Value:
    """Keys or values with every head repeated for the group of query heads that share it."""
    batch, heads, length, size = value.type.shape
    query_heads = q.type.shape[1]
    if query_heads == heads:
        return value
    group = dimension.floordiv(query_heads, heads)
    if group * heads != query_heads:
        raise ModelError(f"{query_heads} heads of queries cannot share {heads} heads")
    apart = node.reshape(value, (batch, heads, 1, length, size))
    repeated = node.broadcast(apart, (batch, heads, group, length, size))
    return node.reshape(repeated, (batch, query_heads, length, size))


def _modified(node: NodeContext, name: str, x: Value) -> Value:
    """What the graph in attribute ``name`` makes of ``x``."""
    if node.attribute(name) is None:
        return x
    body = node.body(name)
    if len(body.inputs) != 1 or len(body.outputs) != 1:
        raise ModelError(f"graph {name} must take one tensor and give one")
    (y,) = node.inline(body, [x])
    if not isinstance(y, Value) or y.type != x.type:
        raise ModelError(f"graph {name} must keep the type {x.type}")
    return y
