"""Sums of products in small tiles of accumulators: the core of convolutions, matmul and layers.

A tile is a few rows by some columns of the result, summed together over the depth::

    for k in depth:  for r in rows:  for t in columns:  sum[r][t] += left(r, k) * right(k, t)

The innermost loop runs over neighbours in memory, and each factor from the left serves a whole
row.  With 4 x 24 accumulators compilers keep all sums in vector registers; fewer than 17 columns
they unroll before they think of vectors, which is three times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from burnish.ir import DType
from burnish.ir.dims import Dim, product

from ..code import Expr, Index, conditional, index
from .buffer import Buffer
from .builder import KernelBuilder

Element = Callable[[Expr, Expr], Expr]
"""The value at two indices."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows and columns of a result that are summed together."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


_COLUMNS = {1: 32, 2: 32, 3: 24, 4: 24}
DOTS = 4
"""Dot products that share the loads of one factor."""


def choose_tile(rows: int, columns: int) -> Tile:
    """The tile for a result of ``rows`` x ``columns``: little of it is computed twice."""
    height = best_step(rows, 4)
    return Tile(height, max(1, min(columns, _COLUMNS[height])))


def best_step(count: int, most: int) -> int:
    """The step up to ``most`` that covers ``count`` with the least excess, large ones first."""
    return min(range(most, 0, -1), key=lambda step: -(-count // step) * (step + 1))


@dataclass(frozen=True, slots=True)
class Span:
    """What one tile covers of an axis: ``size`` elements from ``start`` on.

    Those from ``first`` to ``end`` are to be stored; ``is_whole`` is the condition that all
    ``size`` elements lie in the axis.
    """

    start: Expr
    size: int
    first: Expr
    end: Expr
    is_whole: Expr


@contextmanager
def tiles(
    k: KernelBuilder, name: str, extent: Index, size: int, *, parallel: bool = False
) -> Iterator[Span]:
    """Cover ``0 .. extent`` by tiles of ``size``, perhaps ``parallel`` ones.

    When ``size`` does not divide ``extent`` the last tile overlaps the one before: all tiles
    have constant bounds, and its first elements, computed twice, are skipped when storing.
    Where ``extent`` is known at run time only, and might be less than ``size``, the last tile
    is cut off instead.
    """
    whole, none = index(1), index(0)
    if isinstance(extent, Expr) and extent.value is not None:
        extent = extent.value
    if not isinstance(extent, Expr) and extent % size == 0:
        with k.loop(name, extent, step=size, parallel=parallel) as start:
            yield Span(start, size, none, index(size), whole)
        return
    if isinstance(extent, Expr) or k.low(extent) < size:
        with k.loop(name, extent, step=size, parallel=parallel) as start:
            rest = k.let_index(f"{name}_rest", index(extent) - start)
            end = k.let_index(f"{name}_count", conditional(rest < size, rest, index(size)))
            yield Span(start, size, none, end, end.equals(size))
        return
    with k.loop(f"{name}_next", extent, step=size, parallel=parallel) as following:
        last = index(extent - size)
        k.comment("The last tile overlaps the one before; what both hold is stored once.")
        start = k.let_index(name, conditional(following < last, following, last))
        yield Span(start, size, following - start, index(size), whole)


def tile_product(
    k: KernelBuilder,
    rows: Span,
    columns: Span,
    depth: Index,
    dtype: DType,
    left: Element,
    right: Element,
) -> Buffer:
    """Σ left(row, k) · right(k, column) for a tile; returns the local array [rows, columns]."""
    sums = zeros(k, "sum", dtype, rows.size * columns.size).reshaped((rows.size, columns.size))

    def add(height: Index, width: Index) -> None:
        with k.loop("k", depth) as d, k.loop("r", height) as r:
            factor = k.let("factor", dtype, left(r, d))
            with k.loop("t", width) as t:
                add_product(k, sums, (r, t), factor, right(d, t))

    whole_or_part(
        k,
        rows.is_whole & columns.is_whole,
        lambda: add(rows.size, columns.size),
        lambda: add(rows.end, columns.end),
    )
    return sums


def whole_or_part(
    k: KernelBuilder, is_whole: Expr, whole: Callable[[], None], part: Callable[[], None]
) -> None:
    """The code for whole tiles has constant bounds, so that sums stay in registers."""
    if is_whole.value == 1:
        whole()
        return
    with k.branch(is_whole) as (yes, no):
        with yes:
            whole()
        with no:
            part()


def dot_products(
    k: KernelBuilder,
    depth: Index,
    sums: Buffer,
    rows: Span,
    shared: Callable[[Expr], Expr],
    other: Element,
) -> None:
    """Add Σ shared(k) · other(r, k) to ``sums[r]``, for all r of ``rows`` at once."""

    def add(count: Index) -> None:
        with k.loop("k", depth) as d:
            factor = k.let("factor", sums.dtype, shared(d))
            with k.loop("r", count) as r:
                add_product(k, sums, (r,), factor, other(r, d))

    whole_or_part(k, rows.is_whole, lambda: add(rows.size), lambda: add(rows.end))


def zeros(k: KernelBuilder, name: str, dtype: DType, count: Dim) -> Buffer:
    """A local array of zeros."""
    array = k.local(name, dtype, (count,))
    with k.loop("i", count) as i:
        k.write(array, [i], k.literal(0, dtype))
    return array


def add_product(
    k: KernelBuilder, sums: Buffer, indices: Sequence[Index], factor: Expr, value: Expr
) -> None:
    """``sums[indices] += factor * value``."""
    place = sums.at(indices)
    total = k.value("sum + factor * value", sums.dtype, sum=place, factor=factor, value=value)
    k.assign(place, total)


def unravel(position: Expr, shape: Sequence[Dim]) -> list[Expr]:
    """Indices into ``shape`` of the element at a row-major ``position``."""
    indices: list[Expr] = []
    for axis, size in enumerate(shape):
        quotient = position // product(shape[axis + 1 :])
        outermost = product(shape[:axis]) == 1
        indices.append(index(0) if size == 1 else quotient if outermost else quotient % size)
    return indices


def regroup(k: KernelBuilder, groups: Sequence[int]) -> bool:
    """Index the results, and all that the epilogue reads, by fewer axes.

    ``groups`` says how many neighbouring axes are merged into each.  False, and nothing is
    changed, when an operand of the epilogue broadcasts along some axes of a group only.
    """
    read = {value for op in k.unit.epilogue for value in op.inputs}
    shapes: list[tuple[Dim, ...]] = []
    for value, buffer in zip(k.unit.operands, k.inputs):
        merged = _merged(buffer.shape, k.space, groups) if value in read else buffer.shape
        if merged is None:
            return False
        shapes.append(merged)
    space = _merged(k.space, k.space, groups)
    assert space is not None
    k.reshape_all(space, shapes)
    return True


def _merged(
    shape: Sequence[Dim], space: Sequence[Dim], groups: Sequence[int]
) -> tuple[Dim, ...] | None:
    aligned = (1,) * (len(space) - len(shape)) + tuple(shape)
    merged: list[Dim] = []
    start = 0
    for count in groups:
        part, whole = aligned[start : start + count], tuple(space[start : start + count])
        if part != whole and any(size != 1 for size in part):
            return None
        merged.append(product(part))
        start += count
    return tuple(merged)
