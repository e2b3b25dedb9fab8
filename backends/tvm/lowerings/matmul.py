"""Matrix multiplication."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from tvm import te, tirx

from burnish.ir import DType

from ..registry import Expr
from .context import Context, Tensor, compute, is_one, te_lowering, widened
from .fragments import Factor, fragments_form
from .indices import ravelled, unravelled
from .reduce import present, some_axis
from .scalars import Scalar, constant

Access = Callable[..., Scalar]
"""An element by batch axes, then row and column."""


@te_lowering("nn.matmul")
def _matmul(c: Context) -> Expr:
    dtype = c.type().dtype
    (a, known), (b, _) = c.factor(0), c.factor(1)
    y = product(c, a, b, known, transpose_a=c.a.transpose_a, transpose_b=c.a.transpose_b)
    if c.has(2):
        y = c.map("y + c", dtype.compute, {"y": y, "c": c.wide(2)})
    return c.cast(y, dtype.compute, dtype)


def product(
    c: Context,
    a: Expr,
    b: Expr,
    dtype: DType,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Expr:
    """Products of the matrices in the last two axes; leading axes broadcast.

    Elements are of ``dtype``, those of the result of its compute type, in which products are
    summed: that is what tensor cores do with 16-bit floats.
    """

    def function(a: Tensor, b: Tensor) -> Tensor:
        rows, depth = _matrix(a, transpose_a)
        _, columns = _matrix(b, transpose_b)
        batch = _batch(list(a.shape[:-2]), list(b.shape[:-2]))

        def left(lead: Sequence[Scalar], i: Scalar, k: Scalar) -> Scalar:
            return _entry(a, lead, (k, i) if transpose_a else (i, k))

        def right(lead: Sequence[Scalar], k: Scalar, j: Scalar) -> Scalar:
            return _entry(b, lead, (j, k) if transpose_b else (k, j))

        factors = (
            Factor(left, inner=rows if transpose_a else depth, transposed=transpose_a),
            Factor(right, inner=depth if transpose_b else columns, transposed=transpose_b),
        )
        if all(is_one(size) for size in b.shape[:-2]):
            # Weights that all entries of a batch share: the batch is more rows.
            return _of_rows(c, [*batch, rows], columns, depth, factors, dtype)
        return matrix_product(c, batch, (rows, columns, depth), factors, dtype)

    return c.te(function, a, b)


def matrix_product(
    c: Context,
    batch: Sequence[Scalar],
    sizes: tuple[Scalar, Scalar, Scalar],
    factors: tuple[Factor, Factor],
    dtype: DType,
) -> Tensor:
    """[*batch, rows, columns] of factors with ``sizes`` rows, columns and depth.

    On a GPU that is in the form for tensor cores where it has one.
    """
    rows, columns, depth = sizes
    form = fragments_form(c, dtype, batch, sizes)
    found = None if form is None else form.product(*factors, dtype)
    left, right = factors
    k = some_axis(depth)

    def element(*index: Scalar) -> Scalar:
        if found is not None:
            return found(*index)
        *lead, i, j = index
        terms = left.element(lead, i, k), right.element(lead, k, j)
        return te.sum(multiplied(*terms, dtype, [(k, depth)]), axis=k)

    return compute([*batch, rows, columns], element, "product")


def _of_rows(
    c: Context,
    shape: Sequence[Scalar],
    columns: Scalar,
    depth: Scalar,
    factors: tuple[Factor, Factor],
    dtype: DType,
) -> Tensor:
    """[*shape, columns], where an index of all of ``shape`` is one row of the left factor."""
    *batch, rows = shape
    left, right = factors
    sizes = (math.prod(shape), columns, depth)
    if not batch or fragments_form(c, dtype, [], sizes) is None:
        return matrix_product(c, batch, (rows, columns, depth), factors, dtype)

    def row(lead: Sequence[Scalar], at: Scalar, k: Scalar) -> Scalar:
        *entry, i = unravelled(at, shape)
        return left.element(entry, i, k)

    found = matrix_product(c, [], sizes, (replace(left, element=row), right), dtype)
    return compute([*shape, columns], lambda *index: found(ravelled(index[:-1], shape), index[-1]))


def multiplied(
    left: Scalar, right: Scalar, dtype: DType, places: Sequence[tuple[Scalar, Scalar]]
) -> Scalar:
    """A term of a sum of products; integers are summed in at least 32 bits."""
    work = dtype.compute
    value = widened(left, dtype) * widened(right, dtype)
    return present(places, lambda: value, constant(0, work))


def _matrix(x: Tensor, transposed: bool) -> tuple[Scalar, Scalar]:
    rows, columns = x.shape[-2:]
    return (columns, rows) if transposed else (rows, columns)


def _batch(a: list[Scalar], b: list[Scalar]) -> list[Scalar]:
    one = tirx.IntImm("int64", 1)
    rank = max(len(a), len(b))
    a, b = [one] * (rank - len(a)) + a, [one] * (rank - len(b)) + b
    return [q if is_one(p) else p for p, q in zip(a, b)]


def _entry(x: Tensor, lead: Sequence[Scalar], last: tuple[Scalar, Scalar]) -> Scalar:
    own = lead[len(lead) - (len(x.shape) - 2) :]
    return x(*(0 if is_one(size) else at for size, at in zip(x.shape, own)), *last)
