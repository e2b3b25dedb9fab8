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
from .base import Buffer, KernelBuilder

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


@contextmanager
def tiles(k: KernelBuilder, name: str, extent: int, size: int) -> Iterator[tuple[Expr, Expr]]:
    """Cover ``0 .. extent`` by tiles of ``size``; yields a tile's start and what to skip in it.

    When ``size`` does not divide ``extent`` the last tile overlaps the one before: all tiles
    have constant bounds, and its first elements, computed twice, are skipped when storing.
    """
    if extent % size == 0:
        with k.loop(name, extent, step=size) as start:
            yield start, index(0)
        return
    with k.loop(f"{name}_next", extent, step=size) as following:
        last = extent - size
        k.comment("The last tile overlaps the one before; what both hold is stored once.")
        start = k.let_index(name, conditional(following < last, following, index(last)))
        yield start, following - start


def tile_product(
    k: KernelBuilder, tile: Tile, depth: Dim, dtype: DType, left: Element, right: Element
) -> Buffer:
    """Σ left(row, k) · right(k, column) for a tile; returns the local array [rows, columns]."""
    sums = zeros(k, "sum", dtype, tile.rows * tile.columns).reshaped((tile.rows, tile.columns))
    with k.loop("k", depth) as d, k.loop("r", tile.rows) as r:
        factor = k.let("factor", dtype, left(r, d))
        with k.loop("t", tile.columns) as t:
            add_product(k, sums, (r, t), factor, right(d, t))
    return sums


def dot_products(
    k: KernelBuilder, depth: Dim, sums: Buffer, shared: Callable[[Expr], Expr], other: Element
) -> None:
    """Add Σ shared(k) · other(r, k) to ``sums[r]``, for all r at once."""
    with k.loop("k", depth) as d:
        factor = k.let("factor", sums.dtype, shared(d))
        with k.loop("r", sums.shape[0]) as r:
            add_product(k, sums, (r,), factor, other(r, d))


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
