"""Products with sparse weights, for every target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from burnish.ir.dims import product

from ..code import Expr, Index, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import register
from .products import Span, add_product, choose_tile, regroup, tiles, unravel, whole_or_part, zeros
from .sparse_blocks import block_shape
from .sparse_entries import SparseFamily, SparseTypes, entries_of, require_valid
from .sparse_rows import row_shape
from .strided import static
from .unit import Unit

MACS_PER_CYCLE = ((16, 10.0), (8, 3.0), (1, 2.0))
"""Products of the plain kernel, by the columns of its tiles: compilers unroll loops over few.

Rates are to be compared with those of :class:`~..machine.Machine`.
"""

SINGLE_MACS_PER_CYCLE = 1.3
"""Those of tiles with one row of weights: GCC 12 jams iterations, and then sees no vectors."""

ROW_CYCLES, SUM_CYCLES = 2.0, 0.5
"""Rows of weights found, sums begun and finished."""


def plain_cycles(types: SparseTypes) -> float | None:
    """An estimate of the time of :class:`SparseProduct`; None where sizes are not known."""
    if not (types.x.is_static and types.result.is_static):
        return None
    entries, width = types.values.static_shape
    before, after = (
        math.prod(part) for part in (
            types.x.static_shape[: types.axis], types.x.static_shape[types.axis + 1 :]
        )
    )  # fmt: skip
    tile = choose_tile(before, width) if after == 1 else choose_tile(width, after)
    positions = before * after
    rows = positions * width * entries / (tile.rows * tile.columns)
    rate = next(rate for columns, rate in MACS_PER_CYCLE if tile.columns >= columns)
    if after > 1 and tile.rows == 1:
        rate = SINGLE_MACS_PER_CYCLE
    products = positions * width * entries / rate
    return products + rows * ROW_CYCLES + positions * types.outputs * SUM_CYCLES


@register
class SparseProduct(SparseFamily):
    """Tiles of sums over the rows of each tile, in plain C.

    Sums are of some outputs by neighbouring positions, or, where the axis that is mapped is the
    last one, of positions by neighbouring outputs.
    """

    name = "sparse_product"

    def refusal(self, unit: Unit) -> str:
        types = SparseTypes.of(unit.main)
        others = block_shape(types, unit.isa), row_shape(types, unit.isa)
        return "for which there are kernels in vectors" if any(others) else ""

    def emit(self, k: KernelBuilder) -> None:
        require_valid(k)
        writer = _Writer(k)
        with k.loop("tile", k.operand("starts").shape[0] - 1, parallel=True) as tile:
            if product(writer.after) == 1:
                writer.outputs_in_a_row(tile)
            else:
                writer.positions_in_a_row(tile)


_Add = Callable[[Buffer, Expr, Index, Index], None]


class _Writer:
    """Indexes x as [before, inputs, after], and the result likewise."""

    def __init__(self, k: KernelBuilder) -> None:
        self.k = k
        self.axis: int = k.attributes.axis
        x = k.operand("x")
        self.before, self.after = x.shape[: self.axis], x.shape[self.axis + 1 :]
        shape = (product(self.before), x.shape[self.axis], product(self.after))
        self.x: Buffer = x.reshaped(shape)
        self.values, self.bias = k.operand("values"), k.optional("b")
        self.width = static(self.values.shape)[1]
        self.outputs: int = k.attributes.outputs
        if regroup(k, (len(self.before), 1, len(self.after))):
            self.before, self.after = shape[:1], shape[2:]

    def input(self, e: Expr) -> Expr:
        """The input that a row of the weights is for."""
        return Expr(self.k.operand("inputs").at([e]).text)

    def outputs_in_a_row(self, tile: Expr) -> None:
        """Tiles of positions x outputs."""
        k, x = self.k, self.x
        first, end = entries_of(k, tile)
        shape = choose_tile(k.high(x.shape[0]), self.width)
        with (
            tiles(k, "i", x.shape[0], shape.rows) as rows,
            tiles(k, "j", self.width, shape.columns) as columns,
        ):

            def add(sums: Buffer, e: Expr, height: Index, width: Index) -> None:
                place = self.input(e)
                weights = self._row(e, columns.start)
                with k.loop("r", height) as r:
                    factor = k.let("factor", x.dtype, k.load(x, [rows.start + r, place, 0]))
                    with k.loop("t", width) as t:
                        add_product(k, sums, (r, t), factor, k.load(weights, [t]))

            sums = self._tile(rows, columns, first, end, add)
            for r, t, total in self._sums(sums, rows, columns):
                self._store(tile, columns.start + t, rows.start + r, index(0), total)

    def positions_in_a_row(self, tile: Expr) -> None:
        """Tiles of outputs x positions."""
        k, x = self.k, self.x
        first, end = entries_of(k, tile)
        shape = choose_tile(self.width, k.high(x.shape[2]))
        with (
            k.loop("i", x.shape[0]) as i,
            tiles(k, "j", self.width, shape.rows) as rows,
            tiles(k, "p", x.shape[2], shape.columns) as columns,
        ):

            def add(sums: Buffer, e: Expr, height: Index, width: Index) -> None:
                start = x.offset([i, self.input(e), columns.start])
                seen = k.view("seen", x.reshaped((x.elements,)), start, (x.elements,))
                weights = self._row(e, rows.start)
                with k.loop("r", height) as r:
                    factor = k.let("factor", x.dtype, k.load(weights, [r]))
                    with k.loop("t", width) as t:
                        add_product(k, sums, (r, t), factor, k.load(seen, [t]))

            sums = self._tile(rows, columns, first, end, add)
            for r, t, total in self._sums(sums, rows, columns):
                self._store(tile, rows.start + r, i, columns.start + t, total)

    def _row(self, e: Expr, column: Expr) -> Buffer:
        """A row of the weights, from a column on."""
        values = self.values
        flat = values.reshaped((values.elements,))
        return self.k.view("weights", flat, values.offset([e, column]), flat.shape)

    def _tile(self, rows: Span, columns: Span, first: Expr, end: Expr, add: _Add) -> Buffer:
        """The sums of a tile; ``add`` adds one row of weights to so many rows and columns."""
        k, dtype = self.k, self.x.dtype
        sums = zeros(k, "sum", dtype, rows.size * columns.size).reshaped((rows.size, columns.size))

        def walk(height: Index, width: Index) -> None:
            with k.loop("e", end, start=first) as e:
                add(sums, e, height, width)

        whole_or_part(
            k,
            rows.is_whole & columns.is_whole,
            lambda: walk(rows.size, columns.size),
            lambda: walk(rows.end, columns.end),
        )
        return sums

    def _sums(self, sums: Buffer, rows: Span, columns: Span) -> Iterator[tuple[Expr, Expr, Expr]]:
        """Inside loops over a tile: row, column, and the sum there."""
        k = self.k
        with (
            k.loop("r", rows.end, start=rows.first) as r,
            k.loop("t", columns.end, start=columns.first) as t,
        ):
            yield r, t, k.load(sums, [r, t])

    def _store(self, tile: Expr, column: Expr, before: Expr, after: Expr, total: Expr) -> None:
        """Finish a sum: add the bias, unless there is no such output."""
        k, outputs = self.k, self.outputs
        output = k.let_index("output", tile * self.width + column)
        beyond = outputs % self.width != 0
        with k.when(output < outputs if beyond else index(1)):
            if self.bias is not None:
                bias = k.load(self.bias, [output])
                total = k.value("sum + b", self.x.dtype, sum=total, b=bias)
            at = [*unravel(before, self.before), output, *unravel(after, self.after)]
            k.store(at, total)
