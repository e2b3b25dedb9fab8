"""Products with weights of which whole vectors are left out: blocks of outputs by one input.

A tile is p neighbouring positions by the outputs of one tile of the weights, which fill whole
vectors.  Its sums stay in registers while the kernel walks over the rows of weights that there
are; each row says which input it is multiplied with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burnish.ir import Layout

from ..code import Expr, binary
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import ChannelSteps, blocked, blocked_vector, channel_steps, flat, is_static_float
from .builder import KernelBuilder
from .family import Storage, register
from .products import regroup, unravel
from .register_tiles import MAX_PIXELS, SPARE, TileShape
from .sparse_entries import Seen, SparseFamily, SparseTypes, entries_of, require_valid, view_of
from .unit import Unit
from .vector_store import VectorStore

MOST_PARTS = 8
"""Sums that are in progress at a time, at least: with fewer, each waits for the one before."""

MOST_CHUNK = 4
"""Vectors of outputs in a tile, at most."""

ROW_CYCLES = 1.0
"""To find the input of a row of weights."""

FINISH_CYCLES = 2.0
"""To begin and finish a vector of sums."""


@dataclass(frozen=True)
class BlockShape:
    """Sizes of a sparse product in blocks.

    Attributes:
        batch, positions: images, and positions of each.
        seen: what tiles see.
        blocks: vectors of outputs.
        width: of these, how many share their rows of weights: a tile of the weights.
        entries: rows of weights of all tiles together.
    """

    batch: int
    positions: int
    seen: Seen
    blocks: int
    width: int
    entries: int

    def tile(self, isa: Isa) -> TileShape:
        """Positions and vectors of outputs whose sums stay in registers together."""
        tiles = [
            TileShape(pixels, blocks)
            for blocks in range(1, min(self.width, MOST_CHUNK) + 1)
            for pixels in range(1, min(self.positions, MAX_PIXELS) + 1)
            if (pixels + 1) * blocks + SPARE <= isa.registers
        ]
        return min(tiles, key=lambda tile: self._cycles(tile, isa))

    def cycles(self, isa: Isa) -> float:
        """An estimate of its time."""
        return self._cycles(self.tile(isa), isa)

    def _cycles(self, tile: TileShape, isa: Isa) -> float:
        total = 0.0
        if not self.seen.is_direct(tile.pixels):
            in_blocks = self.seen.keeps_blocks(tile.pixels)
            total += self.seen.copying(self.positions, in_blocks=in_blocks)
        whole, rest = divmod(self.positions, tile.pixels)
        for pixels, count in ((tile.pixels, whole), (rest, 1)):
            if pixels:
                rows = self._rows(pixels, tile.blocks, isa) * self.entries
                total += count * (rows + self.blocks * pixels * FINISH_CYCLES)
        return self.batch * total

    def _rows(self, pixels: int, blocks: int, isa: Isa) -> float:
        """Cycles for a row of weights by some positions, chunk after chunk."""
        whole, rest = divmod(self.width, blocks)
        total = 0.0
        for size, count in ((blocks, whole), (rest, 1)):
            sums = pixels * size
            loads = (pixels + size + 1) / 2
            waiting = isa.latency * sums / max(sums, MOST_PARTS)
            total += count * (max(sums / isa.products, loads, waiting) + ROW_CYCLES) if sums else 0
        return total


def packed_values(lanes: int) -> Layout:
    """Weights in which tiles are wider than some vectors: vector by vector, not row by row."""
    return Layout((1, 0), ((1, lanes),))


def block_shape(types: SparseTypes, isa: Isa) -> BlockShape | None:
    """The sizes of a sparse product whose tiles fill vectors; None for others."""
    x, values, y = types.x, types.values, types.result
    if not isa.has_vectors or not is_static_float(x, values, y):
        return None
    (entries, width), axis = values.static_shape, types.axis
    if width % isa.lanes or values.layout not in (None, packed_values(isa.lanes)):
        return None
    outputs = types.outputs
    blocks, width = -(-outputs // isa.lanes), width // isa.lanes
    *outer, last = x.static_shape
    if axis == x.rank - 1:
        if x.layout is not None or y.layout is not None or outputs % isa.lanes:
            return None
        rows = math.prod(outer)
        steps = ChannelSteps(1, last, last, 0, 1, rows * last, (last,))
        return BlockShape(1, rows, Seen(steps, last), blocks, width, entries)
    found = channel_steps(x) if axis == 1 and x.rank > 2 else None
    if found is None or y.layout != blocked(x.rank, isa.lanes):
        return None
    if found.is_blocked and found.lanes != isa.lanes:
        return None
    batch, _, *spatial = x.static_shape
    seen = Seen(found, found.spatial[-1])
    return BlockShape(batch, math.prod(spatial), seen, blocks, width, entries)


@register
class SparseBlocks(SparseFamily):
    """Tiles of positions x vectors of outputs, over the rows of weights that there are."""

    name = "sparse_blocks"
    storage = Storage.ANY

    def refusal(self, unit: Unit) -> str:
        op = unit.main
        if block_shape(SparseTypes.of(op), unit.isa) is None:
            return "of these sizes"
        bias = op.inputs[4].type.layout if len(op.inputs) > 4 else None
        wanted = blocked_vector(unit.isa.lanes) if op.result.type.layout else None
        return f"with a bias in {bias}" if len(op.inputs) > 4 and bias != wanted else ""

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = block_shape(SparseTypes.of(unit.main), unit.isa)
        assert shape is not None
        return {"tile": shape.tile(unit.isa), "entries": shape.entries}

    def emit(self, k: KernelBuilder) -> None:
        shape = block_shape(SparseTypes.of(k.op), k.isa)
        assert shape is not None
        require_valid(k)
        _Writer(k, shape).emit()


@dataclass(frozen=True)
class _Rows:
    """Rows of weights from ``first`` to ``end``, of ``blocks`` vectors of their tile.

    ``block`` is the first of these vectors in the tile, ``output`` among all.
    """

    first: Expr
    end: Expr
    block: Expr
    output: Expr
    blocks: int


class _Writer:
    def __init__(self, k: KernelBuilder, shape: BlockShape) -> None:
        self.k, self.shape = k, shape
        self.lanes = k.isa.lanes
        self.vectors = VectorRenderer(self.lanes, k.helper)
        self.tile = shape.tile(k.isa)
        values, bias = k.operand("values"), k.optional("b")
        self.view = view_of(k, shape.seen, self.tile.pixels)
        self.outer, self.by_rows = k.space[:-1], values.layout is None
        self.spatial = k.space[2:]
        self.in_blocks = k.unit.space.layout is not None
        self.values = flat(values)
        self.bias = None if bias is None else flat(bias)
        self.store = VectorStore(k, self.vectors)
        groups = (1, 1, len(self.spatial), 1) if self.in_blocks else (len(self.outer), 1)
        self.is_flat = self.store.by_storage and regroup(k, groups)

    def emit(self) -> None:
        """All weights for a tile of positions: what it sees stays in the first cache."""
        tiles = self.shape.positions // self.tile.pixels
        self.cut = self.k.shared_loop(self.shape.batch, tiles)
        with self.k.loop("n", self.shape.batch, parallel=self.cut == 0) as n:
            for o, pixels in self._positions():
                self.view.show(n, o, pixels)
                for rows in self._rows():
                    self._tile(n, o, pixels, rows)

    def _positions(self) -> Iterator[tuple[Expr, int]]:
        """Inside loops over tiles of positions: the first position, and how many there are."""
        step, count = self.tile.pixels, self.shape.positions
        whole = count - count % step
        for start, end, size in ((0, whole, step), (whole, count, count - whole)):
            if size:
                cut = self.cut == 1
                with self.k.loop("o", end, start=start, step=size, parallel=cut) as o:
                    yield o, size

    def _rows(self) -> Iterator[_Rows]:
        """Inside loops over tiles of outputs, and over chunks of their vectors."""
        k, width = self.k, self.shape.width
        tiles, rest = divmod(self.shape.blocks, width)
        for start, end, size in ((0, tiles, width), (tiles, tiles + 1, rest)):
            if not size:
                continue
            with k.loop("tile", end, start=start) as tile:
                first, after = entries_of(k, tile)
                step = min(self.tile.blocks, size)
                whole = size - size % step
                for low, high, blocks in ((0, whole, step), (whole, size, size - whole)):
                    if blocks:
                        with k.loop("m", high, start=low, step=blocks) as m:
                            yield _Rows(first, after, m, tile * width + m, blocks)

    def _tile(self, n: Expr, o: Expr, pixels: int, rows: _Rows) -> None:
        """Sums for some positions and vectors of outputs, in parts if they are few."""
        k = self.k
        parts = max(1, MOST_PARTS // (pixels * rows.blocks))
        sums = [
            [[self._sum(part, p, b, rows) for b in range(rows.blocks)] for p in range(pixels)]
            for part in range(parts)
        ]
        start = rows.first
        if parts > 1:
            count = rows.end - rows.first
            start = k.let_index("whole", rows.first + count // parts * parts)
            with k.loop("e", start, start=rows.first, step=parts) as e:
                for part, totals in enumerate(sums):
                    self._row(e + part, rows, totals)
        with k.loop("e", rows.end, start=start) as e:
            self._row(e, rows, sums[0])
        for p, vectors in enumerate(sums[0]):
            for b, total in enumerate(vectors):
                for other in sums[1:]:
                    k.assign(total, binary("+", total, other[p][b]))
                self._finish(n, o + p, rows.output + b, total)

    def _sum(self, part: int, p: int, b: int, rows: _Rows) -> Expr:
        """A sum, or part of it; the first has the bias of its outputs to begin with."""
        start = self.vectors.splat(Expr("0.0f"))
        if self.bias is not None and part == 0:
            start = self.vectors.load(self.bias.at([(rows.output + b) * self.lanes]))
        name = f"sum{p}_{b}" if part == 0 else f"sum{p}_{b}_{part}"
        return self.k.declare(self.vectors.type, name, start)

    def _row(self, e: Expr, rows: _Rows, sums: Sequence[Sequence[Expr]]) -> None:
        """Add one row of weights times what it is for at each position."""
        k, v, lanes = self.k, self.vectors, self.lanes
        seen = self.view.row(e)
        row, block = (self.shape.width * lanes, lanes) if self.by_rows else (
            lanes, self.shape.entries * lanes
        )  # fmt: skip
        factors = [
            k.declare(
                f"const {v.type}",
                f"w{b}",
                v.load(self.values.at([e * row + (rows.block + b) * block])),
            )
            for b in range(rows.blocks)
        ]
        for p, totals in enumerate(sums):
            k.statement(v.fence())
            x = k.declare(f"const {v.type}", "x", v.broadcast(seen.at([p * self.view.step])))
            for total, factor in zip(totals, factors):
                k.assign(total, v.fma(x, factor, total))

    def _finish(self, n: Expr, position: Expr, block: Expr, total: Expr) -> None:
        """Store a vector of sums."""
        if not self.in_blocks:
            at = [position] if self.is_flat else unravel(position, self.outer)
            self.store.store([*at, block * self.lanes], total)
            return
        at = [position] if self.is_flat else unravel(position, self.spatial)
        self.store.store([n, block, *at, 0], total)
