"""Matrix products in tiles, and as dot products for few rows of transposed weights."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from burnish.ir import DType
from burnish.ir.dims import Dim, ceildiv, product

from ..code import Expr, Index, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .products import (
    DOTS,
    Tile,
    best_step,
    choose_tile,
    dot_products,
    regroup,
    tile_product,
    tiles,
    zeros,
)
from .unit import Unit

_FEW_ROWS = 8
"""Below as many rows of a, copying tiles of a transposed b costs more than it saves."""


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Sizes of a product [rows, depth] x [depth, columns]; ``kind`` is how it is computed.

    Tiles are chosen for the greatest sizes, where these are known at run time only.

    ``plain``: tiles with rows of a and columns of b.  ``swapped``: tiles with rows of a
    transposed b and columns of a transposed a.  ``packed``: as plain, with tiles of a
    transposed b copied first.  ``dots``: dot products of rows of a and of a transposed b.
    """

    batch: tuple[Dim, ...]
    rows: Dim
    depth: Dim
    columns: Dim
    kind: str
    tile: Tile
    folds: bool
    """Whether the batch of a is more rows for one b."""

    @staticmethod
    def of(unit: Unit) -> _Shapes:
        op = unit.main
        a, b = (value.type.shape for value in op.inputs[:2])
        flip_a, flip_b = op.attributes.transpose_a, op.attributes.transpose_b
        *batch, rows, columns = op.results[0].type.shape
        depth = a[-2] if flip_a else a[-1]
        folds = len(batch) > 0 and not flip_a and product(b[:-2]) == 1
        total = unit.most_elements((rows, *(batch if folds else ())))
        kind = "plain"
        if flip_b and depth != 0:
            kind = "swapped" if flip_a else "dots" if total < _FEW_ROWS else "packed"
        tile = _tile(kind, unit.high(rows), unit.high(columns))
        return _Shapes(tuple(batch), rows, depth, columns, kind, tile, folds)


def _tile(kind: str, rows: int, columns: int) -> Tile:
    if kind == "dots":
        return Tile(1, best_step(max(1, columns), DOTS))
    if kind == "swapped":
        return choose_tile(columns, rows)
    return choose_tile(rows, columns)


@register
class MatMul(KernelFamily):
    """Tiles of sums over the depth; batch axes are loops outside, or rows where b has none.

    The innermost loop runs along rows in memory; where b is transposed, tiles of it are copied
    for many rows of a, and dot products are taken for few.
    """

    name = "matmul"
    ops = ("nn.matmul",)
    fusable = True

    def parameters(self, unit: Unit) -> dict[str, object]:
        s = _Shapes.of(unit)
        return {"order": s.kind}

    def emit(self, k: KernelBuilder) -> None:
        s = _Shapes.of(k.unit)
        a, b, c = k.operand("a"), k.operand("b"), k.optional("c")
        rank = len(s.batch) + 2
        if s.folds and _bias_folds(c, k) and regroup(k, [rank - 1, 1]):
            rows = product((*s.batch, s.rows))
            tile = _tile(s.kind, k.high(rows), k.high(s.columns))
            s = _Shapes((), rows, s.depth, s.columns, s.kind, tile, False)
            a = a.reshaped((rows, s.depth))
            b = b.reshaped(b.shape[-2:])
            c = (
                None
                if c is None
                else c.reshaped(
                    (1 if product(c.shape[:-1]) == 1 else rows, c.shape[-1] if c.shape else 1)
                )
            )
        _Writer(k, s, a, b, c).emit()


def _bias_folds(c: Buffer | None, k: KernelBuilder) -> bool:
    return c is None or product(c.shape[:-1]) == 1 or c.shape[:-1] == k.space[:-1]


class _Writer:
    """Writes one kernel for the sizes ``s``."""

    def __init__(
        self, k: KernelBuilder, s: _Shapes, a: Buffer, b: Buffer, c: Buffer | None
    ) -> None:
        self.k, self.s, self.a, self.b, self.c = k, s, a, b, c
        self.dtype = a.dtype
        self.work: DType = a.dtype.compute
        # Tiles swap the roles of rows and columns where both factors are transposed.
        outer, inner = (s.columns, s.rows) if s.kind != "swapped" else (s.rows, s.columns)
        height = 1 if s.kind == "dots" else s.tile.rows
        counts = ceildiv(outer, s.tile.columns), ceildiv(inner, height)
        self.shared = k.shared_loop(*s.batch, *counts) - len(s.batch)
        """Which loop threads share: one of the batch (negative), the outer or the inner one."""

    def emit(self) -> None:
        k, s = self.k, self.s
        panel = None
        if s.kind == "packed":
            panel = k.scratch("panel", self.work, (s.depth, s.tile.columns))
        with k.loops("n", s.batch, parallel=self.shared < 0) as batch:
            left = k.view("left", self.a, self.a.offset([*batch, 0, 0]), self.a.shape[-2:])
            right = k.view("right", self.b, self.b.offset([*batch, 0, 0]), self.b.shape[-2:])
            if s.kind == "dots":
                self._dots(list(batch), left, right)
            elif s.kind == "swapped":
                self._swapped(list(batch), left, right)
            else:
                self._tiles(list(batch), left, right, panel)

    def _tiles(self, batch: list[Expr], left: Buffer, right: Buffer, panel: Buffer | None) -> None:
        k, s, tile = self.k, self.s, self.s.tile
        flip = k.attributes.transpose_a
        with ExitStack() as nest:
            columns = nest.enter_context(
                tiles(k, "j", s.columns, tile.columns, parallel=self.shared == 0)
            )
            j = columns.start
            if panel is not None:
                k.comment("Copy a tile of columns, which are stored as rows.")
                with k.loops("t k", (columns.end, s.depth)) as (t, d):
                    k.write(panel, [d, t], k.load(right, [j + t, d]))
            source, shift = (right, j) if panel is None else (panel, index(0))
            rows = nest.enter_context(tiles(k, "i", s.rows, tile.rows, parallel=self.shared == 1))
            i = rows.start
            sums = tile_product(
                k,
                rows,
                columns,
                s.depth,
                self.work,
                lambda r, d: k.load(left, [d, i + r] if flip else [i + r, d]),
                lambda d, t: k.load(source, [d, shift + t]),
            )
            r = nest.enter_context(k.loop("r", rows.end, start=rows.first))
            t = nest.enter_context(k.loop("t", columns.end, start=columns.first))
            self._store([*batch, i + r, j + t], k.load(sums, [r, t]))

    def _swapped(self, batch: list[Expr], left: Buffer, right: Buffer) -> None:
        k, s, tile = self.k, self.s, self.s.tile
        with ExitStack() as nest:
            columns = nest.enter_context(
                tiles(k, "i", s.rows, tile.columns, parallel=self.shared == 0)
            )
            rows = nest.enter_context(
                tiles(k, "j", s.columns, tile.rows, parallel=self.shared == 1)
            )
            i, j = columns.start, rows.start
            sums = tile_product(
                k,
                rows,
                columns,
                s.depth,
                self.work,
                lambda r, d: k.load(right, [j + r, d]),
                lambda d, t: k.load(left, [d, i + t]),
            )
            r = nest.enter_context(k.loop("r", rows.end, start=rows.first))
            t = nest.enter_context(k.loop("t", columns.end, start=columns.first))
            self._store([*batch, i + t, j + r], k.load(sums, [r, t]))

    def _dots(self, batch: list[Expr], left: Buffer, right: Buffer) -> None:
        k, s, count = self.k, self.s, self.s.tile.columns
        with ExitStack() as nest:
            columns = nest.enter_context(tiles(k, "j", s.columns, count, parallel=self.shared == 0))
            j = columns.start
            i = nest.enter_context(k.loop("i", s.rows, parallel=self.shared == 1))
            sums = zeros(k, "sum", self.work, count)
            dot_products(
                k,
                s.depth,
                sums,
                columns,
                lambda d: k.load(left, [i, d]),
                lambda r, d: k.load(right, [j + r, d]),
            )
            with k.loop("r", columns.end, start=columns.first) as r:
                self._store([*batch, i, j + r], k.load(sums, [r]))

    def _store(self, indices: list[Index], total: Expr) -> None:
        k = self.k
        if self.c is not None:
            total = k.value("total + c", self.work, total=total, c=k.load(self.c, indices))
        k.store(indices, total)
