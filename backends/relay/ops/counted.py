"""Ops that find elements, where the model declares how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from burnish.ir import DType

from ..builder import Refusal, Term
from ..context import Context
from ..registry import lowering
from .reduce import reduced

_LARGEST = 1 << 24
"""Elements compared with elements."""
_MOST_COLUMNS = 64
"""Elements of a slice that are compared one after another."""


def declared_size(c: Context) -> int:
    """How many elements are found, as the model says."""
    size = c.a.size
    if not isinstance(size, int):
        raise Refusal("sizes that only the data tells")
    return size


def check_count(c: Context, found: Term) -> None:
    """Let the model say whether as many elements were found as declared."""
    c.check(c.call("equal", found, c.scalar(declared_size(c), found.dtype)))


@lowering("tensor.non_zero")
def _non_zero(c: Context) -> Term:
    x, size = c.input(0), declared_size(c)
    shape = x.shape or (1,)
    flat = c.cast(c.reshape(x, (math.prod(shape),)), DType.BOOL)
    check_count(c, reduced(c, "sum", c.cast(flat, DType.I64), (0,), keep=False))
    places = _places(c, flat, c.ints(np.arange(flat.shape[0])), size)
    rows, stride = [], math.prod(shape)
    for extent in shape:
        stride //= extent
        row = c.call("divide", places, c.scalar(stride, DType.I64))
        row = c.call("floor_mod", row, c.scalar(extent, DType.I64))
        rows.append(c.reshape(row, (1, size)))
    return c.concat(rows, 0)


def _places(c: Context, found: Term, keys: Term, size: int) -> Term:
    """The keys of elements that are found, ascending; all keys are below the square of the count.

    Those of others become larger than all, and sorting brings them to the end.
    """
    count = found.shape[0]
    beyond = c.call("add", keys, c.scalar(count * count + 1, DType.I64))
    ascending = c.call("sort", c.where(found, keys, beyond), axis=0, is_ascend=True)
    return c.slice(ascending, 0, 0, size)


@lowering("tensor.unique")
def _unique(c: Context) -> Sequence[Term]:
    """Every slice is compared with every other: that gives places without a sort of slices."""
    size, axis = declared_size(c), c.a.axis
    x = c.wide(0)
    count = x.shape[axis]
    columns = math.prod(x.shape) // max(count, 1)
    if count * count * columns > _LARGEST or columns > _MOST_COLUMNS:
        raise Refusal(f"{count} slices of {columns} elements compared with each other")
    rows = c.reshape(c.moved(x, axis, 0), (count, columns))
    rows = c.cast(rows, DType.I32) if rows.dtype is DType.BOOL else rows
    equal, less = _compared(c, rows)  # [i, j]: row j is row i, is less than it
    numbers = np.arange(count)
    # A slice is the first of its kind if no earlier one equals it.
    earlier = c.call("logical_and", equal, c.array(numbers[np.newaxis] < numbers[:, np.newaxis]))
    again = c.call("any", earlier, axis=(1,), keepdims=False)
    is_first = c.apart(c.call("logical_not", again))
    if not c.a.sorted:
        less = _occurs_before(c, equal, is_first)
    before = c.call("logical_and", less, c.reshape(is_first, (1, count)))
    inverse = c.apart(_count(c, before, 1))
    check_count(c, _count(c, is_first, 0))
    keys = c.call("multiply", inverse, c.scalar(count, DType.I64))
    keys = _places(c, is_first, c.call("add", keys, c.ints(numbers)), size)
    first = c.call("floor_mod", keys, c.scalar(count, DType.I64))
    kinds = c.ints(np.arange(size)[:, np.newaxis])
    counts = _count(c, c.call("equal", kinds, c.reshape(inverse, (1, count))), 1)
    return [c.call("take", c.input(0), first, axis=axis), first, inverse, counts]


def _count(c: Context, flags: Term, axis: int) -> Term:
    return reduced(c, "sum", c.cast(flags, DType.I64), (axis,), keep=False)


def _compared(c: Context, rows: Term) -> tuple[Term, Term]:
    """Whether row j [count, elements] equals row i, and whether it comes before it: [i, j].

    NaN comes last, and equals itself.
    """
    count, columns = rows.shape
    equal: Term | None = None
    less: Term | None = None
    for column in reversed(range(columns)):
        values = c.slice(rows, 1, column, column + 1)
        mine, other = values, c.reshape(values, (1, count))
        same, below = c.call("equal", other, mine), c.call("less", other, mine)
        if rows.dtype.is_float:
            lost = c.call("isnan", mine), c.call("isnan", other)
            same = c.call("logical_or", same, c.call("logical_and", *lost))
            ahead = c.call("logical_and", lost[0], c.call("logical_not", lost[1]))
            below = c.call("logical_or", below, ahead)
        if equal is not None and less is not None:
            below = c.call("logical_or", below, c.call("logical_and", same, less))
            same = c.call("logical_and", same, equal)
        equal, less = c.apart(same), c.apart(below)
    if equal is None or less is None:  # slices of nothing are all alike
        alike = np.ones((count, count), bool)
        return c.array(alike), c.array(~alike)
    return equal, less


def _occurs_before(c: Context, equal: Term, is_first: Term) -> Term:
    """Whether slice j occurs before the first that equals slice i: [i, j]."""
    count = equal.shape[0]
    numbers = np.arange(count)
    own = c.call("logical_and", equal, c.reshape(is_first, (1, count)))
    first = c.where(own, c.ints(numbers[np.newaxis]), c.scalar(0, DType.I64))
    first = reduced(c, "sum", first, (1,), keep=True)
    return c.call("less", c.ints(numbers[np.newaxis]), first)
