"""Moving transposes and reshapes towards the results, until they meet others or a use for them.

Transposes and reshapes sink below elementwise ops, reductions, slices and concats; pads sink
below transposes (towards the convolutions that absorb them).  Every step moves one kind past
another in one direction only, so this ends.  Nothing is moved where that would copy more data.
"""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Op, Trait, Value

from ..pattern import Match, Outcome
from ..pattern.table import ROUNDING
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
    permutation = transposes[0].attributes.permutation
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


@MOVEMENT.pattern("reduce-of-transpose", "tensor.reduce")
def reduce_of_transpose(m: Match) -> Outcome:
    """A reduction of a transposed tensor reduces other axes; what is left is transposed."""
    transpose = m.producer(m.operand(0), "tensor.transpose", one_use=True)
    permutation, a = transpose.attributes.permutation, m.op.attributes
    axes = sorted(permutation[axis] for axis in a.axes)
    reduced = m.rebuild(m.op, transpose.operands, axes=axes)
    if a.keep_dims:
        return m.build("tensor.transpose", reduced, permutation=permutation)
    left = [axis for axis in range(len(permutation)) if axis not in axes]
    order = [left.index(axis) for axis in permutation if axis not in axes]
    return m.build("tensor.transpose", reduced, permutation=order)


@MOVEMENT.pattern("concat-of-transposes", "tensor.concat")
def concat_of_transposes(m: Match) -> Outcome:
    """A concat of tensors that are all transposed alike."""
    transposes = [m.producer(v, "tensor.transpose", one_use=True) for v in m.op.inputs]
    permutation = transposes[0].attributes.permutation
    same = all(t.attributes.permutation == permutation for t in transposes)
    m.require(same, "the operands are not transposed alike")
    axis = permutation[m.op.attributes.axis]
    operands = [m.needed(t.operands[0]) for t in transposes]
    joined = m.build("tensor.concat", *operands, axis=axis)
    return m.build("tensor.transpose", joined, permutation=permutation)


@MOVEMENT.pattern("slice-of-transpose", "tensor.slice")
def slice_of_transpose(m: Match) -> Outcome:
    """Slice first: there is less to transpose."""
    transpose = m.producer(m.operand(0), "tensor.transpose", one_use=True)
    permutation, a = transpose.attributes.permutation, m.op.attributes
    order = _inverse(permutation)
    changes = {
        key: [values[axis] for axis in order]
        for key, values in (("starts", a.starts), ("sizes", a.sizes), ("steps", a.steps))
    }
    taken = m.rebuild(m.op, transpose.operands, **changes)
    return m.build("tensor.transpose", taken, permutation=permutation)


@MOVEMENT.pattern("transpose-of-pad", "tensor.transpose")
def transpose_of_pad(m: Match) -> Outcome:
    """Transpose first: there is less to transpose, and the pad comes closer to its user."""
    pad = m.producer(m.operand(0), "tensor.pad", one_use=True)
    permutation, a = m.op.attributes.permutation, pad.attributes
    before = [a.before[axis] for axis in permutation]
    after = [a.after[axis] for axis in permutation]
    moved = m.build("tensor.transpose", pad.operands[0], permutation=permutation)
    return m.rebuild(pad, [moved, *pad.operands[1:]], before=before, after=after)


def _swaps_matrices(permutation: Sequence[int]) -> bool:
    """Whether only the last two axes change places."""
    rank = len(permutation)
    return rank >= 2 and list(permutation) == [*range(rank - 2), rank - 1, rank - 2]


@MOVEMENT.pattern("matmul-of-transpose", "nn.matmul", benefit=2)
def matmul_of_transpose(m: Match) -> Outcome:
    """A matmul reads transposed matrices for free."""
    operands = list(m.op.operands)
    flags: dict[str, object] = {}
    for index, name in ((0, "transpose_a"), (1, "transpose_b")):
        transpose = _made_by(operands[index], "tensor.transpose")
        if transpose is not None and _swaps_matrices(transpose.attributes.permutation):
            operands[index] = transpose.operands[0]
            flags[name] = not m.op.attributes[name]
            m.absorb(transpose)
    m.require(bool(flags), "no operand has its last two axes swapped")
    return m.rebuild(m.op, operands, **flags)


@MOVEMENT.pattern("transpose-of-matmul", "tensor.transpose", promise=ROUNDING)
def transpose_of_matmul(m: Match) -> Outcome:
    """The transpose of a·b is transposed b times transposed a."""
    m.require(_swaps_matrices(m.op.attributes.permutation), "not the last two axes swapped")
    matmul = m.producer(m.operand(0), "nn.matmul", one_use=True)
    m.require(len(matmul.operands) == 2, "something is added to the product")
    a, b = matmul.operands
    flags = matmul.attributes
    return m.rebuild(
        matmul, [b, a], transpose_a=not flags.transpose_b, transpose_b=not flags.transpose_a
    )


# Reshapes --------------------------------------------------------------------------------


@MOVEMENT.pattern("elementwise-of-reshapes", Trait.ELEMENTWISE)
def elementwise_of_reshapes(m: Match) -> Outcome:
    """relu(reshape(x)) is reshape(relu(x)) where x was just computed, so that both can fuse.

    Of several operands all must be reshaped alike, or be constants of one element.
    """
    reshapes = [op for v in m.op.inputs if (op := _made_by(v, "tensor.reshape"))]
    m.require(bool(reshapes), "no operand is reshaped")
    source = m.needed(reshapes[0].operands[0])
    computed = source.op is not None and (
        Trait.ELEMENTWISE in source.op.opdef.traits or source.op.name in ANCHORS
    )
    m.require(computed and source.has_one_use, "nothing to fuse with", source)
    shape = m.op.result.type.shape
    operands = [_unreshaped(m, value, source.type.shape) for value in m.op.inputs]
    m.absorb(*reshapes)
    moved = m.rebuild(m.op, operands)
    return m.build("tensor.reshape", moved, shape=shape)


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


@MOVEMENT.pattern("reshape-around-matmul", "tensor.reshape")
def reshape_around_matmul(m: Match) -> Outcome:
    """reshape(matmul(reshape(a), b)) that folds batch axes into rows and back: a batched matmul."""
    matmul = m.producer(m.operand(0), "nn.matmul", one_use=True)
    inner = m.producer(matmul.operands[0], "tensor.reshape")
    a, b = m.needed(inner.operands[0]), m.needed(matmul.operands[1])
    m.require(b.type.rank == 2 and not matmul.attributes.transpose_a, "not rows times one matrix")
    result = m.op.result.type.shape
    folded = a.type.rank >= 2 and a.type.shape[-1] == m.needed(matmul.operands[0]).type.shape[-1]
    m.require(folded and a.type.shape[:-1] == result[:-1], "other axes change")
    m.require(len(inner.result.type.shape) == 2, "the rows are not folded into one axis")
    if len(matmul.operands) > 2:
        c = m.needed(matmul.operands[2])
        m.require(all(dim == 1 for dim in c.type.shape[:-1]), "something else is added per row")
        m.require(c.type.rank <= len(result), "the added tensor has a higher rank")
    return m.rebuild(matmul, [a, *matmul.operands[1:]])
