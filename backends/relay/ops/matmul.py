"""Matrix products."""

from __future__ import annotations

import math

import numpy as np

from ..builder import Term
from ..context import Context
from ..registry import lowering
from ..sparse import compressed, is_sparse
from ..type_rules import broadcast_shapes


@lowering("nn.matmul")
def _matmul(c: Context) -> Term:
    """``nn.dense`` where the second operand is one matrix, else ``nn.batch_matmul``."""
    a, b, addend = c.wide(0), c.wide(1), c.optional(2)
    y = product(c, a, b, transpose_a=c.a.transpose_a, transpose_b=c.a.transpose_b)
    if addend is not None:
        bias = c.wide(2)
        if bias.rank == 1 and bias.shape[0] == y.shape[-1] > 1:
            y = c.call("nn.bias_add", y, bias, axis=-1)
        else:
            y = c.call("add", y, bias)
    return c.cast(y, c.type().dtype)


def product(
    c: Context, a: Term, b: Term, *, transpose_a: bool = False, transpose_b: bool = False
) -> Term:
    """Products of the matrices in the last two axes; leading axes broadcast."""
    a = _swapped(c, a) if transpose_a else a
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, depth = a.shape[-2:]
    columns = b.shape[-2] if transpose_b else b.shape[-1]
    if 0 in (*batch, rows, depth, columns):
        return c.array(np.zeros((*batch, rows, columns), a.dtype.numpy))
    if math.prod(b.shape[:-2]) == 1:
        weights = c.reshape(b, b.shape[-2:])
        weights = weights if transpose_b else _swapped(c, weights)
        flat = c.reshape(a, (math.prod(a.shape[:-1]), depth))
        if c.choices.sparse and is_sparse(weights):
            y = _sparse_product(c, flat, weights)
        else:
            y = c.call("nn.dense", flat, weights, units=columns)
        return c.reshape(y, (*batch, rows, columns))
    count = math.prod(batch)
    a = c.reshape(c.broadcast(a, (*batch, rows, depth)), (count, rows, depth))
    b = c.reshape(c.broadcast(b, (*batch, *b.shape[-2:])), (count, *b.shape[-2:]))
    b = b if transpose_b else _swapped(c, b)
    y = c.call("nn.batch_matmul", a, b, transpose_b=True)
    return c.reshape(y, (*batch, rows, columns))


def _swapped(c: Context, x: Term) -> Term:
    """The last two axes exchanged."""
    return c.transpose(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))


def _sparse_product(c: Context, x: Term, weights: Term) -> Term:
    """x times the transpose of the weights, of which only the blocks with numbers are kept."""
    assert weights.constant is not None
    matrix = weights.constant.array
    if not matrix.any():
        return c.array(np.zeros((x.shape[0], matrix.shape[0]), matrix.dtype))
    found = compressed(c, weights, matrix)
    data = found.data
    if data.shape[1:] == (1, 1):
        data = c.reshape(data, data.shape[:1])
    return c.call("nn.sparse_dense", x, data, found.indices, found.starts, sparse_lhs=False)
