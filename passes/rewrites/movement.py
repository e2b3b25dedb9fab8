"""Moving transposes and reshapes below elementwise ops, all of whose operands must allow it.

Each operand is a transpose (or reshape) like the others, or a constant that is rearranged: a
choice per operand, which is no tree of ops.  What is one is in passes/rules/movement.rules.
Every step moves one kind past another in one direction only, so this ends.  Nothing is moved
where that would copy more data.
"""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Op, Trait, Value

from ..pattern import Match, Outcome
from .sets import MOVEMENT

ANCHORS = frozenset(
    {
        "nn.conv",
        "nn.conv_transpose",
        "nn.matmul",
        "nn.max_pool",
        "nn.average_pool",
        "tensor.reduce",
    }
)
"""Ops that a fused group may start with, before its elementwise ops."""


def _inverse(permutation: Sequence[int]) -> list[int]:
    return sorted(range(len(permutation)), key=permutation.__getitem__)


def _only_used_by(value: Value, op: Op) -> bool:
    return value.use_count == op.operands.count(value)


def _made_by(value: Value | None, name: str) -> Op | None:
    op = None if value is None else value.op
    return op if op is not None and op.name == name else None


# Transposes ------------------------------------------------------------------------------


@MOVEMENT.pattern("elementwise-of-transposes", Trait.ELEMENTWISE)
def elementwise_of_transposes(m: Match) -> Outcome:
    """relu(transpose(x)) is transpose(relu(x)).

    Of several operands all must be transposed alike, or be constants, which are rearranged.
    """
    transposes = [op for v in m.op.inputs if (op := _made_by(v, "tensor.transpose"))]
    m.require(bool(transposes), "no operand is transposed")
    moving = [op for op in transposes if not _rearranges_data(op)]
    m.require(bool(moving), "only constants are transposed: they are folded")
    permutation = moving[0].attributes.permutation
    result = m.op.result.type
    m.require(len(permutation) == result.rank, "an operand broadcasts to a higher rank")
    whole = [t for t in transposes if t.result.type.shape == result.shape]
    m.require(bool(whole), "the transposed operands are smaller than the result")
    larger = result.dtype.bytes > whole[0].result.type.dtype.bytes
    m.require(not larger, "the result has larger elements")
    operands = [_untransposed(m, value, permutation) for value in m.op.inputs]
    m.absorb(*transposes)
    # Only now new ops are made: those that rearrange constants.
    for index, value in enumerate(m.op.inputs):
        if value.constant is not None and value.constant.size > 1:
            operands[index] = _rearranged(m, value, permutation)
    moved = m.rebuild(m.op, operands)
    return m.build("tensor.transpose", moved, permutation=permutation)


def _rearranges_data(op: Op) -> bool:
    """Whether a transpose is of a constant, as they are made here.

    It must not be moved: the other operand, a constant too, would be rearranged instead, and so on.
    """
    (source,) = op.inputs
    while (reshape := _made_by(source, "tensor.reshape")) is not None:
        source = reshape.inputs[0]
    return source.constant is not None


def _untransposed(m: Match, value: Value, permutation: Sequence[int]) -> Value:
    """What ``value`` was before its transpose; constants are left for later."""
    if value.constant is not None:
        m.require(value.type.encoding is None, "an encoded constant", value)
        return value
    transpose = _made_by(value, "tensor.transpose")
    if transpose is None or transpose.attributes.permutation != permutation:
        m.refuse("operands are not transposed alike", value)
    m.require(_only_used_by(value, m.op), "a transposed operand has other users", value)
    return m.needed(transpose.operands[0])


def _rearranged(m: Match, constant: Value, permutation: Sequence[int]) -> Value:
    """The constant that ``constant`` is the transpose of, at full rank."""
    shape = (1,) * (len(permutation) - constant.type.rank) + constant.type.shape
    full = m.build("tensor.reshape", constant, shape=shape)
    return m.build("tensor.transpose", full, permutation=_inverse(permutation))


# Reshapes --------------------------------------------------------------------------------


@MOVEMENT.pattern("elementwise-of-reshapes", Trait.ELEMENTWISE)
def elementwise_of_reshapes(m: Match) -> Outcome:
    """relu(reshape(x)) is reshape(relu(x)) where x was just computed, so that both can fuse.

    Of several operands all must be reshaped alike, or be constants of one element.
    """
    reshapes = [op for v in m.op.inputs if (op := _made_by(v, "tensor.reshape"))]
    m.require(bool(reshapes), "no operand is reshaped")
    source = m.needed(reshapes[0].operands[0])
    m.require(_is_just_computed(source), "nothing to fuse with", source)
    shape = m.op.result.type.shape
    operands = [_unreshaped(m, value, source.type.shape) for value in m.op.inputs]
    m.absorb(*reshapes)
    moved = m.rebuild(m.op, operands)
    return m.build("tensor.reshape", moved, shape=shape)


def _is_just_computed(value: Value) -> bool:
    """Whether an elementwise op may fuse with what computes ``value``, once it has moved there."""
    while value.has_one_use and value.op is not None:
        if value.op.name not in ("tensor.reshape", "tensor.transpose"):
            return Trait.ELEMENTWISE in value.op.opdef.traits or value.op.name in ANCHORS
        value = value.op.inputs[0]
    return False


def _unreshaped(m: Match, value: Value, shape: Sequence[object]) -> Value:
    """What ``value`` was before its reshape, which must have had ``shape``."""
    if value.constant is not None and value.constant.size == 1 and value.type.rank <= len(shape):
        return value
    reshape = _made_by(value, "tensor.reshape")
    if reshape is None or value.type.shape != m.op.result.type.shape:
        m.refuse("operands are not reshaped alike", value)
    m.require(_only_used_by(value, m.op), "a reshaped operand has other users", value)
    source = m.needed(reshape.operands[0])
    m.require(source.type.shape == shape, "operands are not reshaped alike", source)
    m.require(source.type.encoding is None, "encoded", source)
    return source
