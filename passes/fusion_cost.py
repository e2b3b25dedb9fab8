"""What fusion is worth: the bytes that a group moves less than its ops would one by one.

Every op reads its operands from memory and writes its results once; inside a group a value is
neither written nor read.  Groups never compute anything twice, so bytes are all that counts.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from burnish.ir import Dim, Op, Value
from burnish.ir.cost import op_cost


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


def saved_by_sharing(ops: Sequence[Op], x: Value, launch: int) -> Dim:
    """Bytes saved when one op computes what ``ops`` do, which all read ``x``, and is then split.

    ``x`` is read once.  The split reads and writes all results once more.  An op less is worth
    moving ``launch`` bytes, and there are two instead of ``len(ops)``.
    """
    copied: Dim = 0
    for op in ops:
        copied = copied + 2 * op_cost(op).writes
    return (len(ops) - 1) * x.type.bytes + (len(ops) - 2) * launch - copied
