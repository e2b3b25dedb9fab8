"""Products in the form that tensor cores take: factors with zeros up to whole tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tvm import te, tirx

from burnish.ir import DType

from ..tensor_cores import LEFT, PRODUCT, RIGHT, STEP, TILE, TILES, VECTOR, Tile, tile_of
from .context import Context, Tensor, widened
from .indices import is_number
from .scalars import Scalar, constant

SMALLEST = 8
"""Products of fewer rows or columns would leave most of a tensor core idle, or read more than they
compute."""

NOTHING = tirx.IntImm("int64", 1)
"""How many elements lie behind one another where none do."""

VECTOR_WIDTH = 8
"""Halves in the 16 bytes that a thread reads at once."""


@dataclass(frozen=True)
class Factor:
    """A matrix of a product.

    Attributes:
        element: by the indices of the batch, and row and column.
        inner: how many elements lie behind one another along the axis that it is kept by.
        transposed: whether it is kept column by column.
    """

    element: Callable[[Sequence[Scalar], Scalar, Scalar], Scalar]
    inner: Scalar
    transposed: bool = False

    @property
    def vector(self) -> int:
        """How many elements a thread can read at once."""
        aligned = is_number(self.inner) and self.inner.value % VECTOR_WIDTH == 0
        return VECTOR_WIDTH if aligned else 1


@dataclass(frozen=True)
class FragmentsForm:
    """Sizes of a product [*batch, rows, columns] over a depth, and the tile it is cut into."""

    batch: Sequence[Scalar]
    rows: int
    columns: int
    depth: int
    tile: Tile

    def product(self, left: Factor, right: Factor, dtype: DType) -> Tensor:
        """Products summed in f32, [*batch, rows, columns] with some more of both behind."""
        # A left factor that is kept by columns is turned on its way to shared memory.
        left = replace(left, transposed=False, inner=NOTHING) if left.transposed else left
        rows, columns = _up(self.rows, self.tile.rows), _up(self.columns, self.tile.columns)
        depth = _up(self.depth, STEP)
        a = self._factor(LEFT, left, (self.rows, self.depth), (rows, depth), dtype)
        b = self._factor(RIGHT, right, (self.depth, self.columns), (depth, columns), dtype)
        k = te.reduce_axis((0, depth), "k")

        def element(*index: Scalar) -> Scalar:
            *lead, i, j = index
            other = b(*lead, *((j, k) if right.transposed else (k, j)))
            return te.sum(widened(a(*lead, i, k), dtype) * widened(other, dtype), axis=k)

        sizes = [tirx.IntImm("int64", size) for size in (rows, columns)]
        attributes = {TILE: TILES.index(self.tile)}
        return te.compute((*self.batch, *sizes), element, name=PRODUCT, attrs=attributes)

    def _factor(
        self, name: str, factor: Factor, own: tuple[int, int], padded: tuple[int, int], dtype: DType
    ) -> Tensor:
        def element(*index: Scalar) -> Scalar:
            *lead, i, j = index
            place = (j, i) if factor.transposed else (i, j)
            inside = [at < size for at, size, all_ in zip(place, own, padded) if size < all_]
            value = factor.element(lead, *place)
            if not inside:
                return value
            return tirx.if_then_else(tirx.all(*inside), value, constant(0, dtype))

        order = reversed(padded) if factor.transposed else padded
        sizes = [tirx.IntImm("int64", size) for size in order]
        attributes = {VECTOR: factor.vector}
        return te.compute((*self.batch, *sizes), element, name=name, attrs=attributes)


def fragments_form(
    c: Context,
    dtype: DType,
    batch: Sequence[Scalar],
    sizes: tuple[Scalar, Scalar, Scalar],
) -> FragmentsForm | None:
    """The form of a product with ``sizes`` rows, columns and depth; None where it has none.

    That is on processors, for factors that tensor cores do not take, where sizes but those of the
    batch are not known, and for small products.
    """
    if c.lowering.device != "cuda" or dtype is not DType.F16 or not all(map(is_number, sizes)):
        return None
    rows, columns, depth = (int(size.value) for size in sizes)
    if min(rows, columns) < SMALLEST or depth < 2 * SMALLEST:
        return None
    entries = math.prod(size.value for size in batch) if all(map(is_number, batch)) else None
    return FragmentsForm(batch, rows, columns, depth, tile_of(entries, rows, columns))


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
