"""Scaled dot-product attention, and rotary embedding of positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..attributes import BOOL, DIM, FLOAT, INT, Attributes, choice
from ..constants import Array
from ..dims import Dim, floordiv
from ..errors import TypeInferenceError
from ..opdef import (
    BOOLS,
    FLOATS,
    INDICES,
    Cost,
    OpDef,
    OperandTypes,
    attribute,
    operand,
    register,
    traffic,
)
from ..types import TensorType
from .checks import narrow, require_broadcast, require_equal, require_shape, show, widen
from .indexing import positions_within


def split_heads(type_: TensorType, heads: int, what: str) -> tuple[Dim, Dim, Dim, Dim]:
    """Sizes [batch, heads, length, size] of an operand of rank 4, or of rank 3 with ``heads``.

    Raises:
        TypeInferenceError: another rank, or features that do not divide into the heads.
    """
    if type_.rank == 4:
        if heads:
            raise TypeInferenceError(f"{what} of rank 4 has its heads as an axis, not {heads}")
        batch, count, length, size = type_.shape
        return batch, count, length, size
    if type_.rank != 3:
        raise TypeInferenceError(f"{what} {show(type_.shape)} needs rank 3 or 4")
    batch, length, hidden = type_.shape
    if heads < 1 or hidden % heads != 0:
        raise TypeInferenceError(f"{what} {show(type_.shape)} does not divide into {heads} heads")
    return batch, heads, length, floordiv(hidden, heads)


def _apart(x: Array, heads: int) -> Array:
    """``x`` as [batch, heads, length, size]."""
    if x.ndim == 4:
        return x
    batch, length, hidden = x.shape
    return np.asarray(x.reshape(batch, length, heads, hidden // heads).swapaxes(1, 2))


def _together(x: Array, rank: int) -> Array:
    """[batch, heads, length, size] in the form of rank 3, if that is the form wanted."""
    if rank == 4:
        return x
    batch, heads, length, size = x.shape
    return np.asarray(x.swapaxes(1, 2).reshape(batch, length, heads * size))


@register
class Attention(OpDef):
    """softmax(softcap(scale · q kᵀ) + mask) v for every head.  ONNX Attention.

    Operands are [batch, heads, length, size], or [batch, length, heads · size] with the
    attributes ``heads`` and ``kv_heads``; the result has the form of q.  Consecutive heads of q
    share a head of k and v, if those have fewer.  softcap(s) is tanh(s / softcap) · softcap.
    A boolean mask, and ``causal``, add 0 where a query attends to a key and -inf where not.
    A query that attends to no key (all its scores are -inf) gives 0, or NaN, as softmax does.
    Narrow floats are computed in f32 and rounded once.  What NaN and infinities in keys and
    values do to queries that do not attend to them is left open.
    """

    name = "nn.attention"
    q = operand("queries", dtypes=FLOATS, group="T")
    k = operand("keys; as many features per head as q", dtypes=FLOATS, group="T")
    v = operand("values; as long as k", dtypes=FLOATS, group="T")
    mask = operand(
        "added to scores, or whether a query attends to a key; broadcasts onto "
        "[batch, heads, queries, keys]",
        dtypes=FLOATS | BOOLS,
        optional=True,
    )
    scale = attribute(FLOAT, "factor of the scores")
    causal = attribute(BOOL, "query i attends to keys 0 to i + offset only", False)
    offset = attribute(DIM, "keys before the first query, if causal", 0)
    softcap = attribute(FLOAT, "bound of the scores; 0: none", 0.0)
    masked_rows = attribute(choice("zero", "nan"), "what attending to nothing gives", "zero")
    heads = attribute(INT, "heads of q of rank 3", 0)
    kv_heads = attribute(INT, "heads of k and v of rank 3", 0)

    def infer(
        self, a: Attributes, q: TensorType, k: TensorType, v: TensorType, mask: TensorType | None
    ) -> TensorType:
        if not q.rank == k.rank == v.rank:
            raise TypeInferenceError(
                f"q {show(q.shape)}, k {show(k.shape)} and v {show(v.shape)} differ in rank"
            )
        batch, heads, queries, size = split_heads(q, a.heads, "q")
        kv_heads, keys, value_size = self._shared(a, k, v, batch, size)
        if heads != kv_heads and (
            not isinstance(kv_heads, int) or kv_heads < 1 or heads % kv_heads != 0
        ):
            raise TypeInferenceError(f"{heads} heads of q cannot share {kv_heads} heads of k and v")
        scores = (batch, heads, queries, keys)
        if mask is not None and mask.dtype not in (*BOOLS, q.dtype):
            raise TypeInferenceError(f"the mask is {mask.dtype}, must be bool or {q.dtype}")
        require_broadcast(mask, scores, "mask")
        if a.softcap < 0:
            raise TypeInferenceError(f"softcap is {a.softcap}, must not be negative")
        shape = (batch, heads, queries, value_size)
        return TensorType(shape if q.rank == 4 else (batch, queries, heads * value_size), q.dtype)

    def _shared(
        self, a: Attributes, k: TensorType, v: TensorType, batch: Dim, size: Dim
    ) -> tuple[Dim, Dim, Dim]:
        """Heads, length and value size of keys and values."""
        k_batch, kv_heads, keys, k_size = split_heads(k, a.kv_heads, "k")
        v_batch, v_heads, v_keys, value_size = split_heads(v, a.kv_heads, "v")
        require_equal(k_batch, batch, "the batch of k")
        require_equal(v_batch, batch, "the batch of v")
        require_equal(k_size, size, "the head size of k")
        require_equal(v_heads, kv_heads, "the number of heads of v")
        require_equal(v_keys, keys, "the length of v")
        return kv_heads, keys, value_size

    def evaluate(self, a: Attributes, q: Array, k: Array, v: Array, mask: Array | None) -> Array:
        queries = _apart(widen(q), a.heads)
        keys, values = (_apart(widen(x), a.kv_heads) for x in (k, v))
        kv_heads = keys.shape[1]
        if kv_heads != queries.shape[1]:
            group = queries.shape[1] // kv_heads
            keys, values = (np.repeat(x, group, axis=1) for x in (keys, values))
        number = queries.dtype.type
        with np.errstate(all="ignore"):
            scores = np.matmul(queries, keys.swapaxes(-1, -2)) * number(a.scale)
            if a.softcap:
                scores = np.tanh(scores / number(a.softcap)) * number(a.softcap)
            if mask is not None:
                is_bool = mask.dtype == np.bool_
                scores = scores + (_excluded(mask, number) if is_bool else widen(mask))
            if a.causal:
                last = np.arange(scores.shape[2])[:, None] + a.offset
                scores = scores + _excluded(np.arange(scores.shape[3]) <= last, number)
            y = np.matmul(_weights(scores, a.masked_rows == "zero"), values)
        return narrow(_together(y, q.ndim), q.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        q, _, v = operands[:3]
        assert q is not None
        assert v is not None
        batch, heads, queries, size = split_heads(q, a.heads, "q")
        _, _, keys, value_size = split_heads(v, a.kv_heads, "v")
        scores = batch * heads * queries * keys
        return Cost(
            macs=scores * (size + value_size), flops=scores * 20, **traffic(operands, results)
        )


def _excluded(kept: Array, number: type[np.generic]) -> Array:
    """0 where ``kept``, -inf elsewhere."""
    return np.asarray(np.where(kept, 0.0, -math.inf), number)


def _weights(scores: Array, zero: bool) -> Array:
    """Softmax along the last axis; rows of -inf are 0 with ``zero``, else NaN."""
    top = scores.max(axis=-1, keepdims=True, initial=-math.inf)
    powers = np.exp(scores - top)
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return np.where(np.isneginf(top), np.zeros_like(scores), weights) if zero else weights


@register
class RotaryEmbedding(OpDef):
    """Pairs of features of every head turned by angles that depend on the position.

    ONNX RotaryEmbedding.  x is [batch, heads, length, size], or [batch, length, heads · size]
    with the attribute ``heads``.  (x1, x2) becomes (cos x1 - sin x2, sin x1 + cos x2); pair i is
    features (i, i + pairs) of a head, or (2 i, 2 i + 1) if interleaved.  Features after the
    pairs stay.  With ``positions``, cos and sin are tables that it selects rows from; negative
    positions count from the end, those outside are an error at run time.
    """

    name = "nn.rotary_embedding"
    x = operand("features", dtypes=FLOATS, group="T")
    cos = operand(
        "broadcasts onto [batch, length, pairs]; with positions [rows, pairs]",
        dtypes=FLOATS,
        group="T",
    )
    sin = operand("like cos", dtypes=FLOATS, group="T")
    positions = operand("rows of cos and sin [batch, length]", dtypes=INDICES, optional=True)
    interleaved = attribute(BOOL, "pairs are neighbours", False)
    heads = attribute(INT, "heads of x of rank 3", 0)

    def infer(
        self,
        a: Attributes,
        x: TensorType,
        cos: TensorType,
        sin: TensorType,
        positions: TensorType | None,
    ) -> TensorType:
        batch, _, length, size = split_heads(x, a.heads, "x")
        require_shape(sin, cos.shape, "sin")
        if cos.rank < 1:
            raise TypeInferenceError("cos is a scalar, needs an axis of pairs")
        pairs = cos.shape[-1]
        if not isinstance(pairs, int) or not isinstance(size, int) or 2 * pairs > size:
            raise TypeInferenceError(f"{pairs} pairs do not fit into heads of size {size}")
        if positions is None:
            require_broadcast(cos, (batch, length, pairs), "cos")
        else:
            require_shape(positions, (batch, length), "positions")
            if cos.rank != 2:
                raise TypeInferenceError(f"cos {show(cos.shape)} needs rank 2 with positions")
        return x.logical

    def evaluate(
        self, a: Attributes, x: Array, cos: Array, sin: Array, positions: Array | None
    ) -> Array:
        pairs = cos.shape[-1]
        cos, sin = widen(cos), widen(sin)
        if positions is not None:
            rows = positions_within(positions, len(cos))
            cos, sin = cos[rows], sin[rows]
        if cos.ndim == 3:  # the same for all heads
            cos, sin = cos[:, None], sin[:, None]
        y = np.array(_apart(widen(x), a.heads))
        if a.interleaved:
            first, second = y[..., 0 : 2 * pairs : 2], y[..., 1 : 2 * pairs : 2]
        else:
            first, second = y[..., :pairs], y[..., pairs : 2 * pairs]
        with np.errstate(all="ignore"):
            turned = cos * first - sin * second, sin * first + cos * second
        first[...], second[...] = turned
        return narrow(_together(y, x.ndim), x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        return Cost(flops=results[0].elements * 3, **traffic(operands, results))
