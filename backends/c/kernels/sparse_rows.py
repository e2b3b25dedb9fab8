"""Products with single weights left out: vectors of positions, one output at a time.

A tile is some vectors of positions of one output; its sums stay in registers while the kernel walks
over the weights of that output, each of which is the same for all lanes (Elsen et al. 2020, "Fast
Sparse ConvNets").  All outputs of a tile of positions follow one another.  Where a tile sees more
than the first cache holds, they do so once for each piece of the inputs, and sums wait in memory
between two pieces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import DType

from ..code import Expr, binary
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import ChannelSteps, channel_steps, flat, is_static_float
from .builder import KernelBuilder
from .family import Preparation, Storage, register
from .products import regroup, unravel
from .register_tiles import SPARE
from .sparse_entries import (
    NEAR,
    Panel,
    Seen,
    SparseFamily,
    SparseTypes,
    entries_of,
    is_known_valid,
    require_valid,
)
from .sparse_pieces import Pieces, can_be_sorted, piece_preparations
from .strided import static
from .unit import Unit
from .vector_store import VectorStore

MOST_VECTORS = 16
"""Vectors of positions in a tile."""

MOST_PARTS = 8
"""Sums that are in progress at a time, at least: with fewer, each waits for the one before."""

ROW_CYCLES = 1.0
"""To find the input of a weight."""

FINISH_CYCLES = 2.0
"""To begin and finish a vector of sums."""

FAR_CYCLES = 1.1
"""To load a vector from the second cache."""

PIECE_CYCLES = 1.5
"""To store a vector of sums between two pieces of the inputs, and to load it again."""

TURN_CYCLES = 8.0
"""To turn to the next output in a piece of the inputs."""


@dataclass(frozen=True)
class RowTile:
    """What is computed at a time: so many vectors of positions, by a piece of the inputs."""

    vectors: int
    pieces: Pieces


@dataclass(frozen=True)
class RowShape:
    """Sizes of a sparse product with single weights.

    Attributes:
        batch, positions: images, and positions of each, which are neighbours in the result.
        seen: what tiles see.
        outputs: of each position.
        entries: weights.
        is_sorted: whether their order may be chosen, so that inputs can come in pieces.
    """

    batch: int
    positions: int
    seen: Seen
    outputs: int
    entries: int
    is_sorted: bool

    def tile(self, isa: Isa) -> RowTile:
        """What is computed at a time: what takes least time."""
        most = min(MOST_VECTORS, isa.registers - 1 - SPARE, -(-self.positions // isa.lanes))
        inputs = self.seen.count
        tiles = [RowTile(vectors, Pieces(1, inputs)) for vectors in range(most, 0, -1)]
        if self.is_sorted:
            for vectors in range(most, 0, -1):
                count = -(-self.seen.bytes(vectors * isa.lanes) // NEAR)
                size = -(-inputs // count)
                tiles.append(RowTile(vectors, Pieces(-(-inputs // size), size)))
        return min(tiles, key=lambda tile: self._cycles(tile, isa))

    def cycles(self, isa: Isa) -> float:
        """An estimate of its time."""
        return self._cycles(self.tile(isa), isa)

    def _cycles(self, tile: RowTile, isa: Isa) -> float:
        total = self.seen.copying(self.positions, in_blocks=False)
        pieces = tile.pieces
        for _, count, size in segments(self.positions, tile.vectors, isa.lanes):
            row = max(size / isa.products, (size + 2) / 2, isa.latency / parts_of(size))
            if self.seen.bytes(size * isa.lanes) > NEAR * pieces.count:
                row = max(row, size * FAR_CYCLES)
            total += count * self.entries * (row + ROW_CYCLES)
            total += count * self.outputs * size * FINISH_CYCLES
            turn = size * PIECE_CYCLES + TURN_CYCLES
            total += count * self.outputs * (pieces.count - 1) * turn
        if self.positions % isa.lanes:  # the last vector is stored element by element
            total += self.outputs * isa.lanes
        return self.batch * total


def parts_of(vectors: int) -> int:
    """In how many parts sums are taken, so that enough of them are in progress."""
    return max(1, MOST_PARTS // vectors)


def segments(positions: int, vectors: int, lanes: int) -> list[tuple[int, int, int]]:
    """How a row is covered by tiles: the first position, how many tiles, and vectors of each.

    Only the last one, which is alone then, may reach beyond the end.
    """
    whole, rest = divmod(positions, vectors * lanes)
    found = [(0, whole, vectors), (whole * vectors * lanes, 1, -(-rest // lanes))]
    return [(start, count, size) for start, count, size in found if count and size]


def shape_of(unit: Unit) -> RowShape | None:
    """The sizes of a unit, if this is how it is computed."""
    is_sorted = is_known_valid(unit) and can_be_sorted(unit)
    return row_shape(SparseTypes.of(unit.main), unit.isa, is_sorted=is_sorted)


def row_shape(types: SparseTypes, isa: Isa, *, is_sorted: bool = True) -> RowShape | None:
    """The sizes of a sparse product with single weights, if its positions fill a vector.

    With ``is_sorted`` the order of weights may be chosen.
    """
    x, values, y = types.x, types.values, types.result
    if not isa.has_vectors or not is_static_float(x, values, y):
        return None
    (entries, width), axis = values.static_shape, types.axis
    positions = math.prod(x.static_shape[axis + 1 :])
    if width != 1 or positions < isa.lanes or values.layout is not None or y.layout is not None:
        return None
    before, size = math.prod(x.static_shape[:axis]), x.static_shape[axis]
    if x.layout is not None:
        inputs = channel_steps(x) if axis == 1 and x.rank > 2 else None
        if inputs is None:
            return None
        seen = Seen(inputs, inputs.spatial[-1])
        return RowShape(before, positions, seen, types.outputs, entries, is_sorted)
    inputs = ChannelSteps(size, 1, 1, positions, 0, size * positions, (1,))
    return RowShape(before, positions, Seen(inputs, 1), types.outputs, entries, is_sorted)


@register
class SparseRows(SparseFamily):
    """Vectors of positions of one output, over its weights."""

    name = "sparse_rows"
    storage = Storage.ANY

    def refusal(self, unit: Unit) -> str:
        return "" if shape_of(unit) else "of these sizes"

    def facts(self, unit: Unit) -> Hashable:
        return super().facts(unit), can_be_sorted(unit)

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = shape_of(unit)
        assert shape is not None
        tile = shape.tile(unit.isa)
        found: dict[str, object] = {"vectors": tile.vectors, "entries": shape.entries}
        if tile.pieces.count > 1:
            found["pieces"] = tile.pieces.count
        return found

    def preparations(self, unit: Unit) -> Mapping[int, Preparation]:
        shape = shape_of(unit)
        assert shape is not None
        pieces = shape.tile(unit.isa).pieces
        return piece_preparations(unit, pieces) if pieces.count > 1 else {}

    def emit(self, k: KernelBuilder) -> None:
        shape = shape_of(k.unit)
        assert shape is not None
        require_valid(k)
        _Writer(k, shape).emit()


class _Writer:
    def __init__(self, k: KernelBuilder, shape: RowShape) -> None:
        self.k, self.shape = k, shape
        self.lanes = k.isa.lanes
        self.tile = shape.tile(k.isa)
        self.vectors = VectorRenderer(self.lanes, k.helper)
        width = self.tile.vectors * self.lanes
        self.panel = Panel(k, shape.seen, width)
        if self.tile.pieces.count > 1:
            self.sums = k.scratch("sums", DType.F32, (shape.outputs * width,))
        self.values, self.bias = flat(k.operand("values")), k.optional("b")
        axis = k.attributes.axis
        self.before, self.after = static(k.space[:axis]), static(k.space[axis + 1 :])
        self.store = VectorStore(k, self.vectors)
        groups = (len(self.before), 1, len(self.after))
        self.is_flat = self.store.by_storage and regroup(k, groups)
        if not self.is_flat:
            self.spilled = k.scratch("spilled", DType.F32, (self.lanes,))

    def emit(self) -> None:
        """All outputs for a tile of positions: what it sees stays in a cache."""
        k, shape, lanes = self.k, self.shape, self.lanes
        vectors = self.tile.vectors
        cut = k.shared_loop(shape.batch, shape.positions // (vectors * lanes))
        with k.loop("n", shape.batch, parallel=cut == 0) as n:
            for start, count, size in segments(shape.positions, vectors, lanes):
                step = size * lanes
                end, shared = start + count * step, cut == 1
                with k.loop("o", end, start=start, step=step, parallel=shared) as o:
                    positions = min(step, shape.positions - start)
                    self.panel.show(n, o, positions)
                    self._pieces(n, o, positions)

    def _pieces(self, n: Expr, o: Expr, positions: int) -> None:
        """All outputs at some positions, once for each piece: the first, others, and the last."""
        k, outputs, count = self.k, self.shape.outputs, self.tile.pieces.count
        for low, high in itertools.pairwise(sorted({0, 1, count - 1, count})):
            with k.loop("piece", high, start=low) as piece, k.loop("m", outputs) as m:
                rows = entries_of(k, piece * outputs + m)
                sums = self._begun(m, positions, is_first=low == 0)
                self._add(sums, *rows)
                for p, total in enumerate(sums[0]):
                    if high == count:
                        left = positions - p * self.lanes
                        self._finish(n, m, o + p * self.lanes, total, min(self.lanes, left))
                    else:
                        k.statement(self.vectors.store(self._waiting(m, p), total))

    def _waiting(self, m: Expr, p: int) -> Expr:
        """Where a vector of sums of an output lies between two pieces."""
        return self.sums.at([(m * self.tile.vectors + p) * self.lanes])

    def _begun(self, m: Expr, positions: int, *, is_first: bool) -> list[list[Expr]]:
        """The sums of one output at some positions, in parts if they are few."""
        k, v = self.k, self.vectors
        size = -(-positions // self.lanes)
        bias = Expr("0.0f") if self.bias is None else Expr(self.bias.at([m]).text)

        def begun(part: int, p: int) -> Expr:
            if part == 0 and not is_first:
                return v.load(self._waiting(m, p))
            return v.splat(Expr("0.0f") if part else bias)

        return [
            [k.declare(v.type, f"sum{p}_{part}", begun(part, p)) for p in range(size)]
            for part in range(parts_of(size))
        ]

    def _add(self, sums: Sequence[Sequence[Expr]], first: Expr, end: Expr) -> None:
        """Add the weights from ``first`` to ``end``; the first part has it all then."""
        k, parts, start = self.k, len(sums), first
        if parts > 1:
            start = k.let_index("whole", first + (end - first) // parts * parts)
            with k.loop("e", start, start=first, step=parts) as e:
                for part, totals in enumerate(sums):
                    self._entry(e + part, totals)
        with k.loop("e", end, start=start) as e:
            self._entry(e, sums[0])
        for p, total in enumerate(sums[0]):
            for other in sums[1:]:
                k.assign(total, binary("+", total, other[p]))

    def _entry(self, e: Expr, sums: Sequence[Expr]) -> None:
        """Add one weight times what the tile sees of its input."""
        k, v = self.k, self.vectors
        weight = k.declare(f"const {v.type}", "w", v.splat(self.values.at([e])))
        seen = self.panel.row(e)
        k.statement(v.fence())
        for p, total in enumerate(sums):
            x = v.load(seen.at([p * self.lanes]))
            k.assign(total, v.fma(weight, x, total))

    def _finish(self, n: Expr, m: Expr, position: Expr, total: Expr, count: int) -> None:
        """Store a vector of sums, or as many of its elements as there are positions.

        Where the epilogue reads what only some spatial axes have, positions are no single axis:
        then elements are stored one by one.
        """
        if self.is_flat:
            self.store.store([n, m, position], total, count)
            return
        k = self.k
        k.statement(self.vectors.store(self.spilled.at([0]), total))
        with k.loop("lane", count) as lane:
            at = [*unravel(n, self.before), m, *unravel(position + lane, self.after)]
            k.store(at, k.load(self.spilled, [lane]))
