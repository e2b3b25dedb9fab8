"""Products with single weights left out: vectors of positions, one output at a time.

Positions of a channel are neighbours in memory.  A tile is some vectors of positions of one output;
its sums stay in registers while the kernel walks over the weights of that output, each of which is
the same for all lanes (XNNPACK's sparse 1x1 convolution; Elsen et al. 2020, "Fast Sparse ConvNets").
All outputs of a tile of positions follow one another, so that what they read stays in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..code import Expr, index
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import flat, is_static_float
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .products import regroup, unravel
from .register_tiles import SPARE
from .sparse_entries import SparseTypes, entries_of, require_valid
from .strided import static
from .unit import Unit
from .vector_store import VectorStore

MOST_VECTORS = 16
"""Vectors of positions in a tile."""

ROW_CYCLES = 1.5
"""To find the input of a weight."""

FINISH_CYCLES = 2.0
"""To begin and finish a vector of sums."""

NEAR = 32 << 10
"""Bytes of input that the outputs of a tile may read from the first cache."""

FAR_LOADS = 1.25
"""Loads take as many times as long from the second cache."""


@dataclass(frozen=True)
class RowShape:
    """Sizes of a sparse product with single weights.

    Attributes:
        batch, inputs, outputs: images, and channels of each.
        positions: of a channel, neighbours in memory.
        entries: weights.
    """

    batch: int
    inputs: int
    outputs: int
    positions: int
    entries: int

    def vectors(self, isa: Isa) -> int:
        """Vectors in a tile: those that take least time."""
        most = min(MOST_VECTORS, isa.registers - 1 - SPARE, -(-self.positions // isa.lanes))
        return min(range(most, 0, -1), key=lambda count: self._cycles(count, isa))

    def cycles(self, isa: Isa) -> float:
        """An estimate of its time."""
        return self._cycles(self.vectors(isa), isa)

    def _cycles(self, vectors: int, isa: Isa) -> float:
        total = 0.0
        for size, count in segments(self.positions, vectors, isa.lanes):
            loads = (size + 2) / 2
            if 4 * isa.lanes * size * self.inputs > NEAR:
                loads *= FAR_LOADS
            row = max(size / isa.products, loads, isa.latency) + ROW_CYCLES
            total += count * (self.entries * row + self.outputs * size * FINISH_CYCLES)
        if self.positions % isa.lanes:  # the last vector is stored element by element
            total += self.outputs * isa.lanes
        return self.batch * total


def segments(positions: int, vectors: int, lanes: int) -> list[tuple[int, int]]:
    """How many tiles of how many vectors cover a row; the last vector may reach beyond its end."""
    whole, rest = divmod(-(-positions // lanes), vectors)
    if rest == 0 and positions % lanes:
        whole, rest = whole - 1, vectors
    return [(size, count) for size, count in ((vectors, whole), (rest, 1)) if size and count]


def row_shape(types: SparseTypes, isa: Isa) -> RowShape | None:
    """The sizes of a sparse product with single weights, if its positions fill a vector."""
    x, values, y = types.x, types.values, types.result
    if not isa.has_vectors or not is_static_float(x, values, y):
        return None
    if any(type_.layout is not None for type_ in (x, values, y)):
        return None
    (entries, width), axis = values.static_shape, types.axis
    positions = math.prod(x.static_shape[axis + 1 :])
    if width != 1 or positions < isa.lanes:
        return None
    batch, inputs = math.prod(x.static_shape[:axis]), x.static_shape[axis]
    return RowShape(batch, inputs, types.outputs, positions, entries)


@register
class SparseRows(KernelFamily):
    """Vectors of positions of one output, over its weights."""

    name = "sparse_rows"
    ops = ("nn.sparse_product",)
    fusable = True

    def refusal(self, unit: Unit) -> str:
        return "" if row_shape(SparseTypes.of(unit.main), unit.isa) else "of these sizes"

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = row_shape(SparseTypes.of(unit.main), unit.isa)
        assert shape is not None
        return {"vectors": shape.vectors(unit.isa), "entries": shape.entries}

    def emit(self, k: KernelBuilder) -> None:
        shape = row_shape(SparseTypes.of(k.op), k.isa)
        assert shape is not None
        require_valid(k)
        _Writer(k, shape).emit()


class _Writer:
    def __init__(self, k: KernelBuilder, shape: RowShape) -> None:
        self.k, self.shape = k, shape
        self.lanes = k.isa.lanes
        self.vectors = VectorRenderer(self.lanes, k.helper)
        self.x, self.values = flat(k.operand("x")), flat(k.operand("values"))
        self.inputs, self.bias = k.operand("inputs"), k.optional("b")
        axis = k.attributes.axis
        self.before, self.after = static(k.space[:axis]), static(k.space[axis + 1 :])
        self.store = VectorStore(k, self.vectors)
        self.is_flat = self.store.by_storage and regroup(
            k, (len(self.before), 1, len(self.after))
        )

    def emit(self) -> None:
        """Tiles of positions outside: what all outputs read of one stays in a cache."""
        k, shape = self.k, self.shape
        with k.loop("n", shape.batch) as n:
            image = k.view(
                "image", self.x, n * (shape.inputs * shape.positions), self.x.shape
            )
            for o, size, is_last in self._positions():
                with k.loop("m", shape.outputs) as m:
                    first, end = entries_of(k, m)
                    self._tile(n, m, image, o, size, (first, end), is_last)

    def _positions(self) -> Iterator[tuple[Expr, int, bool]]:
        """Inside loops over tiles: the first position, vectors, and whether they end the row."""
        lanes, start = self.lanes, 0
        found = segments(self.shape.positions, self.shape.vectors(self.k.isa), lanes)
        for size, count in found:
            end = start + size * count * lanes
            with self.k.loop("o", end, start=start, step=size * lanes) as o:
                yield o, size, end > self.shape.positions
            start = end

    def _tile(
        self,
        n: Expr,
        m: Expr,
        image: Buffer,
        o: Expr,
        size: int,
        entries: tuple[Expr, Expr],
        is_last: bool,
    ) -> None:
        """The sums of one output at some vectors of positions.

        The last vector of a row ends with the row; what the one before it has is not stored twice.
        """
        k, v, lanes = self.k, self.vectors, self.lanes
        places = [o + p * lanes for p in range(size)]
        if is_last:
            places[-1] = index(self.shape.positions - lanes)
        bias = Expr("0.0f") if self.bias is None else self.bias.at([m])
        sums = [k.declare(v.type, f"sum{p}", v.splat(Expr(f"{bias}"))) for p in range(size)]
        first, end = entries
        with k.loop("e", end, start=first) as e:
            weight = k.declare(f"const {v.type}", "w", v.splat(self.values.at([e])))
            number = k.let_index("at", Expr(self.inputs.at([e]).text))
            seen = k.view("seen", image, number * self.shape.positions + o, image.shape)
            k.statement(v.fence())
            for total, place in zip(sums, places):
                x = v.load(seen.at([place - o]))
                k.assign(total, v.fma(weight, x, total))
        for number, (place, total) in enumerate(zip(places, sums)):
            at = [place] if self.is_flat else unravel(place, self.after)
            outer = [n] if self.is_flat else unravel(n, self.before)
            ragged = is_last and number == size - 1
            skipped = -self.shape.positions % lanes if ragged else 0
            self.store.store([*outer, m, *at], total, first=skipped)
