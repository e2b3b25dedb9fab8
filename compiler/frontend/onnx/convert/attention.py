"""Attention whose scores and probabilities the model modifies by graphs of its own.

Plain attention needs no converter: its schema defines it by simpler operators.
"""

from __future__ import annotations

import math

from burnish.ir import DType, Value
from burnish.ir import dims as dimension
from burnish.ir.errors import ModelError

from ..context import NodeContext
from .registry import converter


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
