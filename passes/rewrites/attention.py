"""Attention whose scores are scaled, capped and masked in any number of steps: no tree of ops.

From the softmax inwards, scores are masked, then capped, then scaled, then a product of queries
and keys; each step may be there several times or not at all.  Narrow floats may be widened on
the way, and the weights narrowed: the op computes in f32 from the first to the last.  What
``recover`` does with the attention afterwards are rules (passes/rules/recover-attention.rules).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from burnish.ir import Array, DType, Op, Value

from ..pattern import Match, Outcome
from ..pattern.constants import plain_constant
from ..promises import FAST_MATH, ROUNDING
from ..rules.library import WIDENED_FLOATS
from .sets import RECOVERY

FACTORS = ("math.mul", "math.div")
NEGLIGIBLE = -1e4
"""What is added to a score, or less, lets its weight vanish beside that of any usual score."""

ABSORBING = -1e30
"""Beside this, or less, an f32 keeps nothing of a usual score."""


@dataclass
class _Scores:
    """What a chain of ops computes: softcap(scale · q kᵀ) and masks.

    Attributes:
        product: the matmul of queries and keys.
        added: what is added to scores.
        chosen: conditions of ``math.select``, the operand (1 or 2) that is the scores, and what
            scores are elsewhere.
        ops: all ops of the chain.
    """

    product: Op
    scale: float = 1.0
    softcap: float = 0.0
    added: list[Value] = field(default_factory=list)
    chosen: list[tuple[Value, int, float]] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    @property
    def masks(self) -> list[Value]:
        return [*self.added, *(condition for condition, _, _ in self.chosen)]

    @property
    def is_masked(self) -> bool:
        return bool(self.masks)


@RECOVERY.pattern("attention", "nn.matmul", promise=ROUNDING, depth=8)
def attention(m: Match) -> Outcome:
    """softmax(softcap(scale · q kᵀ) + masks) v."""
    return _attention(m, selects=False)


@RECOVERY.pattern("attention-of-selected", "nn.matmul", promise=FAST_MATH, depth=8)
def attention_of_selected(m: Match) -> Outcome:
    """The same with scores replaced where a condition says so, which hides NaN and infinities."""
    return _attention(m, selects=True)


def _attention(m: Match, *, selects: bool) -> Outcome:
    weights = m.operand(0)
    if weights.op is not None and weights.op.name == "math.cast":  # computed in f32
        weights = m.needed(m.producer(weights, "math.cast", one_use=True).operands[0])
    softmax = m.producer(weights, "nn.softmax", one_use=True)
    rank = m.op.result.type.rank
    m.require(rank in (3, 4, 5) and softmax.attributes.axis == rank - 1, "not along the keys")
    m.require(not (m.op.attributes.transpose_a or m.op.attributes.transpose_b), "transposed")
    m.require(m.op.operand_types[2:] in ([], [None]), "a bias is added")
    scores = _scores(softmax.operands[0])
    if scores is None:
        m.refuse("the scores are not made of queries and keys")
    m.require(bool(scores.chosen) is selects, "scores are selected" if scores.chosen else "none is")
    q, k = (m.needed(value) for value in scores.product.operands[:2])
    v = m.operand(1)
    m.require(q.type.rank == k.type.rank == v.type.rank == rank, "ranks differ")
    m.require(q.type.dtype is v.type.dtype, "values are wider than queries")
    # Narrow floats all the way are rounded at each step, which the op does not.
    m.require(softmax.result.type.dtype.bits >= 32, "the softmax is of narrow floats")
    shared = (q.type.shape[:-2], (*q.type.shape[:-3], 1))
    fits = k.type.shape[:-2] == v.type.shape[:-2] and k.type.shape[:-2] in shared[: rank - 2]
    m.require(fits, "heads of keys and values are others than those of queries")
    fits = all(mask.type.dtype is q.type.dtype for mask in scores.added)
    m.require(fits, "a mask is wider than the queries")
    m.require(rank < 5 or all(map(_is_alike, scores.masks)), "heads have masks of their own")
    for condition, _, other in scores.chosen:
        alone = len(scores.chosen) + len(scores.added) == 1
        m.require(_may_mask(condition, other, alone), "keys that are excluded count", condition)
    m.absorb(*scores.ops)
    if not scores.product.attributes.transpose_b:
        k = m.build("tensor.transpose", k, permutation=(*range(rank - 2), rank - 1, rank - 2))
    heads = {"heads": 1, "kv_heads": 1} if rank == 3 else {}
    mask = _mask(m, scores, q.type.dtype)
    operands = [_heads_joined(m, value) for value in (q, k, v)]
    operands += [] if mask is None else [_of_rank_four(m, mask)]
    attended = m.build(
        "nn.attention",
        *operands,
        scale=scores.scale,
        softcap=scores.softcap,
        masked_rows="nan",
        **heads,
    )
    shape = m.op.result.type.shape
    return attended if rank < 5 else m.build("tensor.reshape", attended, shape=shape)


# From the softmax inwards ------------------------------------------------------------------


def _scores(value: Value | None) -> _Scores | None:
    """How ``value`` is made of a product of queries and keys; None if it is not, or shared."""
    op = None if value is None else value.op
    if value is None or op is None or not value.has_one_use:
        return None
    found = None
    if op.name == "nn.matmul":
        plain = op.operand_types[2:] in ([], [None]) and not op.attributes.transpose_a
        found = _Scores(op) if plain else None
    elif op.name == "math.cast":
        widens = (op.inputs[0].type.dtype, op.result.type.dtype) in WIDENED_FLOATS
        found = _scores(op.operands[0]) if widens else None
    elif op.name == "math.add":
        found = _added(op, 0) or _added(op, 1)
    elif op.name == "math.select":
        found = _chosen(op, 1) or _chosen(op, 2)
    elif op.name in FACTORS:
        found = _multiplied(op)
    if found is not None:
        found.ops.append(op)
    return found


def _added(op: Op, index: int) -> _Scores | None:
    """Operand ``index`` of an addition is the scores."""
    found = _scores(op.operands[index])
    if found is None or not _keeps_shape(op, index):
        return None
    found.added.append(op.inputs[1 - index])
    return found


def _chosen(op: Op, index: int) -> _Scores | None:
    """Operand ``index`` of a selection is the scores; the other one is a number.

    A finite one must not hide other masks: it would count where they exclude all other keys.
    """
    other = _number(op.operands[3 - index])
    found = None if other is None else _scores(op.operands[index])
    if found is None or other is None or not _keeps_shape(op, index):
        return None
    if math.isfinite(other) and found.is_masked:
        return None
    found.chosen.append((op.inputs[0], index, other))
    return found


def _multiplied(op: Op) -> _Scores | None:
    """A factor of scores, or of their tanh, whose argument was divided by it before."""
    factor = _number(op.operands[1])
    if factor is None or factor == 0 or not math.isfinite(factor):
        return None
    inner = op.inputs[0].op
    if inner is None or inner.name != "math.tanh":
        found = _scores(op.operands[0])
        if found is None or found.is_masked or found.softcap:
            return None
        found.scale *= factor if op.name == "math.mul" else 1 / factor
        return found
    if op.name != "math.mul" or factor < 0 or not op.inputs[0].has_one_use:
        return None
    found = _scores(inner.operands[0])
    if found is None or found.is_masked or found.softcap:
        return None
    found.scale *= factor
    found.softcap = factor
    found.ops.append(inner)
    return found


def _keeps_shape(op: Op, index: int) -> bool:
    """Whether operand ``index`` is as large as the result."""
    return op.inputs[index].type.shape == op.result.type.shape


def _number(value: Value | None) -> float | None:
    """The number in a constant of one element."""
    data = plain_constant(value)
    return float(data.array.reshape(())) if data is not None and data.size == 1 else None


# Masks ---------------------------------------------------------------------------------------


def _may_mask(condition: Value, other: float, alone: bool) -> bool:
    """Whether keys whose scores are replaced by ``other`` may as well be excluded.

    Where all keys of a query are replaced by a finite number, their weights are equal.  So that
    must be impossible, which it is of one constant mask ``alone``, or the number so low that it
    may be added instead.
    """
    if other <= ABSORBING:
        return True
    data = plain_constant(condition)
    mixed = data is not None and data.array.ndim > 0 and _is_mixed(data.array)
    return other <= NEGLIGIBLE and mixed and alone


def _is_mixed(condition: Array) -> bool:
    """Whether every row has both a true and a false element."""
    return bool((condition.any(axis=-1) & ~condition.all(axis=-1)).all())


def _mask(m: Match, scores: _Scores, dtype: DType) -> Value | None:
    """All masks as one: a condition if all are, else what is added."""
    kept, added = None, list(scores.added)
    for condition, index, other in scores.chosen:
        if other <= ABSORBING and math.isfinite(other):
            zero, low = (m.build_constant(np.asarray(n, dtype.numpy)) for n in (0, other))
            pair = (zero, low) if index == 1 else (low, zero)
            added.append(m.build("math.select", condition, *pair))
            continue
        keeps = condition if index == 1 else m.build("math.logical_not", condition)
        kept = keeps if kept is None else m.build("math.logical_and", kept, keeps)
    if kept is not None and added:
        zero, low = (m.build_constant(np.asarray(n, dtype.numpy)) for n in (0, -math.inf))
        added.append(m.build("math.select", kept, zero, low))
    if not added:
        return kept
    total = added[0]
    for value in added[1:]:
        total = m.build("math.add", total, value)
    return total


def _is_alike(mask: Value) -> bool:
    """Whether a mask of scores of rank 5 is the same for all heads."""
    return mask.type.rank <= 2 or mask.type.shape[-4:-2] == (1, 1)


def _of_rank_four(m: Match, mask: Value) -> Value:
    """A mask of scores of rank 3, which lack the axis of heads, or 5, which have two of them."""
    rank, shape = m.op.result.type.rank, mask.type.shape
    if rank == 4 or len(shape) != rank:
        return mask
    return m.build("tensor.reshape", mask, shape=(shape[0], 1, *shape[-2:]))


# Heads ---------------------------------------------------------------------------------------


def _heads_joined(m: Match, value: Value) -> Value:
    """Queries, keys or values [batch, groups, heads, positions, size] with one axis of heads."""
    if value.type.rank < 5:
        return value
    batch, groups, heads, *rest = value.type.shape
    return m.build("tensor.reshape", value, shape=(batch, groups * heads, *rest))
