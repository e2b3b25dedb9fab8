"""What fusion is worth: the bytes that a group moves less than its ops would one by one.

Every op reads its operands from memory and writes its results once; inside a group a value is
neither written nor read.  Nothing is computed twice but what an anchor reads several times and a
prologue makes: there an operation counts as much as a byte.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Sequence
from fractions import Fraction

from burnish.ir import Dim, Op, Value, scalar
from burnish.ir.cost import op_cost
from burnish.ir.elementwise import ElementwiseOp

CHEAP = 12
"""An elementwise op of more than so many additions calls a function: exp is 15 of them."""


def saved_bytes(op: Op, anchors: Container[str], *, stored: bool) -> Dim:
    """Bytes saved by letting ``op`` join a group that reads its result.

    The group need not read the result.  It need not write it either, unless it is ``stored``
    because ops outside of the group read it too.  But then ``op``, which ended a group of its own
    before, may part from its anchor, as a group has one anchor: its result would be written and
    read.
    """
    read = op.result.type.bytes
    if not stored:
        return 2 * read
    parted = [
        value.type.bytes
        for value in op.inputs
        if value.op is not None and value.op.name in anchors and value.has_one_use
    ]
    lost: Dim = 0
    if op.name not in anchors:
        for size in parted:
            lost = lost + 2 * size
    return read - lost


def saved_by_prologue(
    anchor: Op, operand: Value, members: Collection[Op], anchors: Container[str]
) -> Dim:
    """Bytes saved when ``members`` compute ``operand`` where ``anchor`` reads it.

    It is neither written nor read then.  But what another group could have handed to them in
    registers, because nobody else reads it, is written and read now; and what the anchor reads
    several times is computed as often.
    """
    saved = 2 * operand.type.bytes
    inputs = dict.fromkeys(value for op in members for value in op.inputs)
    for value in inputs:
        producer = value.op
        if producer is None or producer in members or value.type.shape != operand.type.shape:
            continue
        joins = producer.is_pointwise or producer.name in anchors
        if joins and all(user in members for user in value.users):
            saved = saved - 2 * value.type.bytes
    again = max(math.ceil(reads_each(anchor)) - 1, 0)
    for op in members:
        saved = saved - again * op_cost(op).flops
    return saved


def is_expensive(op: Op) -> bool:
    """Whether an elementwise op calls a function of the mathematical library.

    A loop that calls one is not made of vectors, nor is all else in it.
    """
    return isinstance(op.opdef, ElementwiseOp) and scalar.cost(op.opdef.expression) > CHEAP


def reads_each(anchor: Op) -> Fraction:
    """How often an anchor reads each element of its operands, on average.

    Of those in :data:`COMPUTED_OPERANDS` only; others are not asked about.
    """
    a = anchor.attributes
    if anchor.name in ("nn.softmax", "nn.log_softmax"):
        return Fraction(2)
    if anchor.name in ("nn.max_pool", "nn.average_pool"):
        return Fraction(math.prod(a.kernel), math.prod(a.strides))
    return Fraction(1)


def saved_by_sharing(ops: Sequence[Op], x: Value, launch: int) -> Dim:
    """Bytes saved when one op computes what ``ops`` do, which all read ``x``, and is then split.

    ``x`` is read once.  The split reads and writes all results once more.  An op less is worth
    moving ``launch`` bytes, and there are two instead of ``len(ops)``.
    """
    copied: Dim = 0
    for op in ops:
        copied = copied + 2 * op_cost(op).writes
    return (len(ops) - 1) * x.type.bytes + (len(ops) - 2) * launch - copied
