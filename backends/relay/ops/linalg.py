"""Linear algebra beyond products."""

from __future__ import annotations

import math

import numpy as np

from burnish.ir.dtypes import DType

from ..builder import Refusal, Term
from ..context import Context
from ..registry import lowering
from .reduce import reduced

_LARGEST = 32
"""Rows of matrices; each is a step that is written out."""


@lowering("nn.determinant")
def _determinant(c: Context) -> Term:
    """By elimination: the pivot of each step is the largest element of the first column left.
    The product of all is one of f64, so that it stays in range on the way."""
    x, size = c.wide(0), c.type().static_shape[-1]
    if size > _LARGEST:
        raise Refusal(f"determinants of {size} rows")
    batch = math.prod(c.shape())
    if size == 0:
        return c.array(np.ones(c.shape(), c.type().dtype.numpy))
    rows = c.reshape(x, (batch, size, size))
    result: Term | None = None
    for left in range(size, 0, -1):
        pivot, rows = _eliminated(c, rows, batch, left)
        pivot = c.cast(pivot, DType.F64)
        result = pivot if result is None else c.call("multiply", result, pivot)
    assert result is not None
    return c.cast(c.reshape(result, c.shape()), c.type().dtype)


def _eliminated(c: Context, rows: Term, batch: int, left: int) -> tuple[Term, Term]:
    """The pivot [batch] of matrices of ``left`` rows, signed, and the rows under it."""
    if left == 1:
        return c.reshape(rows, (batch,)), rows
    zero = c.scalar(0, rows.dtype)
    column = c.call("abs", c.reshape(c.slice(rows, 2, 0, 1), (batch, left)))
    place = c.call("argmax", column, axis=(1,), keepdims=True)
    chosen = c.call("equal", c.ints(np.arange(left)[np.newaxis], place.dtype), place)
    chosen = c.apart(c.reshape(chosen, (batch, left, 1)))
    best = c.apart(reduced(c, "sum", c.where(chosen, rows, zero), (1,), keep=True))
    # The first row takes the place of the one that is chosen.
    others = c.slice(c.where(chosen, c.slice(rows, 1, 0, 1), rows), 1, 1, left)
    pivot = c.slice(best, 2, 0, 1)
    none = c.call("equal", pivot, zero)
    safe = c.where(none, c.scalar(1, rows.dtype), pivot)
    factors = c.call("divide", c.slice(others, 2, 0, 1), safe)
    under = c.call("multiply", factors, c.slice(best, 2, 1, left))
    rest = c.apart(c.call("subtract", c.slice(others, 2, 1, left), under))
    stays = c.reshape(c.slice(chosen, 1, 0, 1), (batch,))
    pivot = c.reshape(pivot, (batch,))
    return c.where(stays, pivot, c.call("negative", pivot)), rest
