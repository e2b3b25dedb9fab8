"""Tiles of sums that stay in registers, and how a row of results is covered by them.

A tile is ``pixels`` x ``blocks`` vectors: neighbours along a row of results, times blocks of as
many channels as a vector has lanes.  Each sum is a variable of its own, written out: compilers keep
an array of sums in memory unless they unroll every loop over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..isa import Isa

MAX_PIXELS = 16
MAX_BLOCKS = 8
"""A tile has at most as many."""

SPARE = 2
"""Registers beside those of sums and weights: fewer, and compilers move sums to memory."""

_CACHES = (16 << 10, 512 << 10)
_FETCH = (0.5, 1.0, 3.0)
"""Cycles to fetch a vector of weights that lie in the first or second cache, or farther away."""


@dataclass(frozen=True, slots=True)
class TileShape:
    """Results summed together: neighbours along a row, and blocks of channels."""

    pixels: int
    blocks: int

    def __str__(self) -> str:
        return f"{self.pixels}x{self.blocks}"


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a row that is covered by equal tiles: ``count`` tiles of ``pixels`` from ``start``.

    ``bordering`` says that some taps of the (only) tile meet no element.
    """

    start: int
    pixels: int
    count: int
    bordering: bool

    @property
    def end(self) -> int:
        """Where the next segment starts."""
        return self.start + self.pixels * self.count


@dataclass(frozen=True, slots=True)
class Work:
    """What tiles are to cover, and where the weights come from.

    Attributes:
        isa: the machine.
        count, blocks: neighbours in a row, and blocks of channels.
        weights: bytes of weights of a block.
        reuse: products that take part of one load of the input, where every block of results has
            an input of its own; 0 where all blocks share it, as in dense convolutions.
        held: vectors of weights per block that are in registers at a time.
        loads, picks: loads and shuffles that make one vector of the input.
        sums: results that may be summed together, at most.
    """

    isa: Isa
    count: int
    blocks: int
    weights: int
    reuse: float = 0
    held: int = 1
    loads: int = 1
    picks: int = 0
    sums: int = MAX_PIXELS * MAX_BLOCKS

    def cycles(self, tile: TileShape) -> float:
        """Cycles to add one product to each of ``count`` x ``blocks`` sums, tile by tile."""
        whole, rest = divmod(self.blocks, tile.blocks)
        return whole * self._row(tile.pixels, tile.blocks) + self._row(tile.pixels, rest)

    def _row(self, pixels: int, blocks: int) -> float:
        whole, rest = divmod(self.count, pixels)
        return whole * self._step(pixels, blocks) + self._step(rest, blocks)

    def _step(self, pixels: int, blocks: int) -> float:
        """Products, loads, shuffles, and the sum that the next product waits for: the slowest
        counts."""
        sums = pixels * blocks
        if not sums:
            return 0.0
        inputs = sums / self.reuse if self.reuse else pixels
        loads, picks = inputs * self.loads + blocks, inputs * self.picks
        far = blocks * _FETCH[sum(blocks * self.weights > size for size in _CACHES)]
        return max(sums / self.isa.products, loads / 2, picks, self.isa.latency, far) + 0.25


@lru_cache(maxsize=1024)
def choose_tile(work: Work) -> TileShape:
    """The tile that takes fewest cycles."""
    best, least = TileShape(1, 1), float("inf")
    for blocks in range(1, min(work.blocks, MAX_BLOCKS) + 1):
        for pixels in range(1, min(work.count, MAX_PIXELS) + 1):
            fits = (pixels + work.held) * blocks + SPARE <= work.isa.registers
            if fits and pixels * blocks <= work.sums:
                tile = TileShape(pixels, blocks)
                cycles = work.cycles(tile)
                if cycles < least * (1 - 1e-6):
                    best, least = tile, cycles
    return best


def segments(count: int, pixels: int, first_inside: int, end_inside: int) -> Iterator[Segment]:
    """Cover a row of ``count`` results; all taps of those from first to end meet elements.

    Tiles wholly inside become one segment, those at the border one each.
    """
    start = 0
    while start < count:
        size = min(pixels, count - start)
        inside = first_inside <= start and start + size <= end_inside
        tiles = 1
        if inside and size == pixels:
            tiles = max(1, (min(end_inside, count) - start) // pixels)
        yield Segment(start, size, tiles, not inside)
        start += size * tiles
