"""Products of an input with packed weights: what convolutions and matrix products share.

Weights lie in blocks of output channels, innermost, so that one vector of them is multiplied by one
element of the input that is the same for all lanes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from burnish.ir.dims import ceildiv

from ..code import Expr, Index, binary, index
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import ChannelSteps, blocked_loop, flat, inside
from .buffer import Buffer
from .builder import KernelBuilder
from .register_tiles import Segment, TileShape, Work, choose_tile, segments
from .strided import static
from .windows import WindowAxis, axis_names

MOST_PARTS = 8
"""Sums that are in progress at a time, at least, where the depth allows it."""

LINE = 64
"""Bytes of a cache line."""

LINE_CYCLES = 5
"""How long a line from the second cache is waited for, beside what else goes on."""

FIRST_CACHE = 16 << 10
"""Bytes of inputs that stay in the first cache while weights pass through it."""

NEAR = 256 << 10
"""Bytes of weights that stay in the second cache beside everything else."""

MOST_FETCHES = 4
"""How many times as many lines may be fetched ahead as there are, to keep that regular."""

MOST_LINES = 32
"""Lines to fetch ahead at a time, at most: of more, most would wait for others of them, and where
there are more, weights are used so seldom that they are read as streams, which machines foresee."""


@dataclass(frozen=True, slots=True)
class Total:
    """A vector of sums: of which image, block of channels and place along the axes of the shape."""

    image: Expr
    block: Expr
    windows: Sequence[Expr]
    value: Expr


Finish = Callable[[Sequence[Total]], None]
"""What becomes of the sums of a tile."""

Sums = Sequence[Sequence[Expr]]
"""The sums of a tile: for each pixel one vector per block."""


@dataclass(frozen=True, slots=True)
class StoredTaps:
    """Where the taps of windows lie among the ``count`` that weights have along an axis."""

    count: int
    first: int = 0
    step: int = 1

    def place(self, tap: Index) -> Expr:
        """Where tap number ``tap`` of a window lies."""
        return index(tap) * self.step + self.first


@dataclass(frozen=True)
class ProductShape:
    """Sizes of sums of products over windows, for blocks of channels.

    Attributes:
        batch, groups: how many images, and groups of channels.
        inputs: steps through the input.
        planes: planes of the input that a group reads.
        blocks: blocks of channels that a group writes.
        axes: the spatial axes that matter, at least one.
        steps: from one position of the input to the next, along each of them.
        kept: where they stand among all spatial axes; empty for a row of all positions.
        stored: where the taps of windows lie, along each axis; empty where weights have them all.
    """

    batch: int
    groups: int
    inputs: ChannelSteps
    planes: int
    blocks: int
    axes: tuple[WindowAxis, ...]
    steps: tuple[int, ...]
    kept: tuple[int, ...]
    stored: tuple[StoredTaps, ...] = ()

    @property
    def taps(self) -> tuple[StoredTaps, ...]:
        """Where the taps of windows lie among those of the weights, along each axis."""
        return self.stored or tuple(map(StoredTaps, self.kernel))

    @property
    def is_pointwise(self) -> bool:
        """Whether windows are single elements."""
        return all(axis.is_plain for axis in self.axes)

    def flattened(self) -> ProductShape:
        """The same with all positions as one row, where windows are single elements."""
        count = math.prod(static([axis.count for axis in self.axes]))
        row = WindowAxis(count, count, 1, 1, 1, 0, 0)
        return replace(self, axes=(row,), steps=self.inputs.spatial[-1:], kept=())

    def with_taps_as_channels(self) -> ProductShape | None:
        """The same with the taps of a row as channels: they are looped over, not written out.

        None where channels and taps do not follow one another at one step, or windows are padded.
        """
        *outer, inner = self.axes
        inputs, (taps,) = self.inputs, static([inner.kernel])
        if not inner.is_inside or self.stored or inputs.planes > 1 < inputs.lanes:
            return None
        step = self.steps[-1] * inner.dilation
        if inputs.lanes > 1 and step != inputs.lanes * inputs.lane:
            return None
        lanes = inputs.lanes * taps
        lane = step if inputs.lanes == 1 else inputs.lane
        merged = replace(inputs, lanes=lanes, rest=lanes, lane=lane)
        row = WindowAxis(inner.size, inner.count, 1, inner.stride, 1, 0, 0)
        return replace(self, inputs=merged, axes=(*outer, row))

    @property
    def row(self) -> int:
        """Results in a row."""
        return static([self.axes[-1].count])[0]

    @property
    def kernel(self) -> tuple[int, ...]:
        """Taps along each axis that matters."""
        return static([axis.kernel for axis in self.axes])

    @property
    def depth(self) -> int:
        """Products that are added up for one result."""
        return self.planes * self.inputs.lanes * math.prod(self.kernel)

    def work(self, isa: Isa) -> Work:
        """What is to be computed for one row of results, for each product of the depth."""
        return Work(isa, self.row, self.blocks, 4 * isa.lanes * self.depth)

    def tile(self, isa: Isa) -> TileShape:
        """The tile in which it is computed."""
        return choose_tile(self.work(isa))

    def cycles(self, isa: Isa) -> float:
        """An estimate of its time."""
        rows = math.prod(static([axis.count for axis in self.axes[:-1]]))
        row = self.depth * self.work(isa).cycles(self.tile(isa)) + self._fetching(isa)
        return self.batch * self.groups * rows * row

    def _fetching(self, isa: Isa) -> float:
        """Cycles in which a row of results waits for inputs that the first cache cannot keep.

        Blocks of channels follow one another in runs that the machine fetches ahead, and so do the
        rows of matrices.  Of channels that are stored plane by plane, or of positions far apart,
        it does not: each line that a tile meets is waited for.
        """
        is_matrix = self.inputs.lanes > 1 and math.prod(self.kernel) == 1
        if self.inputs.is_blocked or is_matrix:
            return 0.0
        tile, inner = self.tile(isa), self.axes[-1]
        (taps,) = static([inner.kernel])
        span = (tile.pixels - 1) * inner.stride + (taps - 1) * inner.dilation + 1
        if self.inputs.lanes == 1:
            lines = self.planes * (-(-4 * span // LINE) + 1)
        else:  # all channels of a position lie together
            lines = span * -(-4 * self.inputs.lanes // LINE)
        lines *= math.prod(self.kernel[:-1])
        if lines * LINE <= FIRST_CACHE:
            return 0.0
        tiles = -(-self.row // tile.pixels) * -(-self.blocks // tile.blocks)
        return tiles * lines * LINE_CYCLES

    def body(self, isa: Isa) -> int:
        """Products that are written out for one tile."""
        tile = self.tile(isa)
        return tile.pixels * tile.blocks * self.kernel[-1]


@dataclass(frozen=True)
class _Row:
    """Where a row of results lies: indices of its position, and the ranges of outer taps."""

    image: Expr
    block: Expr
    windows: tuple[Expr, ...]
    taps: tuple[tuple[Expr, Expr], ...]
    pixels: Buffer
    filters: Buffer
    ahead: Expr | None


class ProductWriter:
    """Writes the loops over tiles and the products of each, with all sums in registers.

    ``finish`` gets the sums of a tile.  With ``ragged``, the last block of channels is a constant
    when it is called for it.
    ``weights`` is how many bytes of them the kernel goes through, if not only those of the shape.
    """

    def __init__(
        self,
        k: KernelBuilder,
        shape: ProductShape,
        x: Buffer,
        w: Buffer,
        b: Buffer | None,
        finish: Finish,
        *,
        ragged: bool = False,
        weights: int = 0,
    ) -> None:
        self.k, self.shape, self.finish, self.ragged = k, shape, finish, ragged
        self.vectors = VectorRenderer(k.isa.lanes, k.helper)
        self.lanes = k.isa.lanes
        self.x, self.w, self.b = flat(x), flat(w), None if b is None else flat(b)
        self.tile = shape.tile(k.isa)
        self.tap = shape.inputs.lanes * self.lanes
        """Weights of one tap."""
        self.plane = math.prod(taps.count for taps in shape.taps) * self.tap
        self.filter = shape.planes * self.plane
        """Weights of a plane of the input, and of a block of channels."""
        self.weights = weights or 4 * shape.groups * shape.blocks * self.filter
        rows = static([axis.count for axis in shape.axes[:-1]])
        blocks, pixels = ceildiv(shape.blocks, self.tile.blocks), shape.row // self.tile.pixels
        loops = (shape.batch, shape.groups, blocks, *rows, pixels)
        self.cut = blocked_loop(k, loops, 3, math.prod(rows) * shape.row)
        """Which loop threads share: over images, groups, blocks, rows, or tiles of a row."""
        self.sharers = k.sharing.sharers if self.cut > 2 else 1
        """How many threads go through the weights of one block."""

    def emit(self) -> None:
        k, shape, cut = self.k, self.shape, self.cut
        alone = (shape.blocks - 1) % self.tile.blocks + 1 if self.ragged else 0
        whole = shape.blocks - (alone or shape.blocks % self.tile.blocks)
        with k.loops("n g", (shape.batch, shape.groups), parallel=cut < 2) as (n, g):
            start = n * shape.inputs.image + g * shape.planes * shape.inputs.plane
            pixels = k.view("image", self.x, start, self.x.shape)
            first = g * shape.blocks
            with k.loop("m", whole, step=self.tile.blocks, parallel=cut == 2) as m:
                self._rows(n, first + m, pixels, self.tile.blocks)
            if rest := shape.blocks - whole:
                with k.alone(cut == 2):
                    self._rows(n, first + whole, pixels, rest)

    def _rows(self, n: Expr, block: Expr, pixels: Buffer, blocks: int) -> None:
        """All results of some blocks of channels of an image."""
        k, shape = self.k, self.shape
        block = k.let_index("block", block)
        filters = k.view("filters", self.w, block * self.filter, self.w.shape)
        ahead = (
            k.index_variable("ahead", blocks * self.filter * 4) if self._fetched(blocks) else None
        )
        *outer, inner = shape.axes
        *names, name = axis_names("o", len(shape.axes))
        *tap_names, _ = axis_names("k", len(shape.axes))
        in_row = self.cut == 3 + len(outer)
        around = k.loops(
            " ".join(names), [axis.count for axis in outer], parallel=self.cut > 2 and not in_row
        )
        with around as windows:
            taps = [axis.taps(k, t, o) for axis, t, o in zip(outer, tap_names, windows)]
            row = _Row(n, block, tuple(windows), tuple(taps), pixels, filters, ahead)
            for segment in segments(shape.row, self.tile.pixels, *inside(inner)):
                span = k.loop(
                    name, segment.end, start=segment.start, step=segment.pixels, parallel=in_row
                )
                with span as o:
                    self._tile(row, segment, o, blocks)

    def _fetched(self, blocks: int) -> int:
        """How many lines of the weights of the next blocks to fetch with every plane of every tile.

        So that they arrive while those of these blocks are used.  0 where all weights stay in
        the second cache, or each is used very often or very seldom.
        """
        shape = self.shape
        lines = blocks * self.filter * 4 / LINE
        rows = math.prod(static([axis.count for axis in shape.axes[:-1]]))
        visits = rows * -(-shape.row // self.tile.pixels) * shape.planes
        visits = visits * math.prod(shape.kernel[:-1]) // self.sharers
        if self.weights <= NEAR or visits > MOST_FETCHES * lines:
            return 0
        fetched = math.ceil(lines / max(visits, 1))
        return fetched if fetched <= MOST_LINES else 0

    def _tile(self, row: _Row, segment: Segment, o: Expr, blocks: int) -> None:
        k, shape = self.k, self.shape
        parts = self._parts(segment.pixels * blocks)
        sums = [
            [
                [self._sum(p, b, part, row.block) for b in range(blocks)]
                for p in range(segment.pixels)
            ]
            for part in range(parts)
        ]
        rest = shape.inputs.rest if shape.groups == 1 else shape.inputs.lanes
        whole = shape.planes - (rest != shape.inputs.lanes)
        with k.loop("c", whole) as c:
            self._plane(row, segment, o, sums, c, shape.inputs.lanes)
        if whole < shape.planes:
            self._plane(row, segment, o, sums, index(whole), rest)
        totals = []
        for p, vectors in enumerate(sums[0]):
            for b, total in enumerate(vectors):
                for other in sums[1:]:
                    k.assign(total, binary("+", total, other[p][b]))
                totals.append(Total(row.image, row.block + b, [*row.windows, o + p], total))
        self.finish(totals)

    def _parts(self, sums: int) -> int:
        """In how many parts each sum is taken: where there are few, they wait for one another."""
        parts = max(1, MOST_PARTS // sums)
        return parts if self.shape.inputs.lanes >= 2 * parts else 1

    def _sum(self, p: int, b: int, part: int, block: Expr) -> Expr:
        """A sum, or part of it; the first has the bias of its block to begin with."""
        start = self.vectors.splat(Expr("0.0f"))
        if self.b is not None and part == 0:
            start = self.vectors.load(self.b.at([(block + b) * self.lanes]))
        name = f"sum{p}_{b}" if part == 0 else f"sum{p}_{b}_{part}"
        return self.k.declare(self.vectors.type, name, start)

    def _plane(
        self,
        row: _Row,
        segment: Segment,
        o: Expr,
        sums: Sequence[Sums],
        c: Expr,
        lanes: int,
    ) -> None:
        """Add what a tile sees in ``lanes`` channels of plane ``c`` of the input."""
        k, shape = self.k, self.shape
        *outer, inner = shape.axes
        *names, _ = axis_names("k", len(shape.axes))
        with ExitStack() as nest:
            offset, tap = c * shape.inputs.plane, index(0)
            for number, (axis, name, (low, high)) in enumerate(zip(outer, names, row.taps)):
                at = nest.enter_context(k.loop(name, high, start=low))
                element = axis.element(row.windows[number], at)
                offset = offset + element * shape.steps[number]
                tap = tap * shape.taps[number].count + shape.taps[number].place(at)
            step = shape.steps[-1]
            known = 0 if segment.count > 1 else inner.element(o, 0).value
            if known is None or segment.count > 1:
                offset, known = offset + inner.element(o, 0) * step, 0
            seen = k.view("seen", row.pixels, offset, row.pixels.shape)
            weights = c * self.plane + tap * (shape.taps[-1].count * self.tap)
            packed = k.view("packed", row.filters, weights, row.filters.shape)
            taps = self._met(segment, known, len(sums[0]))
            if row.ahead is not None:
                lines = self._fetched(len(sums[0][0]))
                for line in range(lines):
                    k.statement(self.vectors.fetch(row.filters.pointer, row.ahead + line * LINE))
                k.assign(row.ahead, row.ahead + lines * LINE)
            whole = lanes - lanes % len(sums)
            with k.loop("l", whole, step=len(sums)) as lane:
                for part, totals in enumerate(sums):
                    self._taps(seen, packed, lane + part, taps, totals)
            with k.loop("l", lanes, start=whole) as lane:
                self._taps(seen, packed, lane, taps, sums[0])

    def _met(self, segment: Segment, known: int, pixels: int) -> list[dict[int, int]]:
        """For each tap of a row of the kernel, the element that it meets in each pixel's window.

        Elements count from the start of the row for tiles at its border, which leave out what lies
        outside, else from the first that the tile meets.
        """
        inner = self.shape.axes[-1]
        (size,) = static([inner.size])
        taps = []
        for t in range(self.shape.kernel[-1]):
            reach = {p: known + p * inner.stride + t * inner.dilation for p in range(pixels)}
            taps.append({p: r for p, r in reach.items() if not segment.bordering or 0 <= r < size})
        return taps

    def _taps(
        self,
        seen: Buffer,
        packed: Buffer,
        lane: Expr,
        taps: Sequence[dict[int, int]],
        sums: Sums,
    ) -> None:
        """Add the products of one channel, tap after tap."""
        shape, step = self.shape, self.shape.steps[-1]
        for t, met in enumerate(taps):
            if met:
                places = {p: lane * shape.inputs.lane + r * step for p, r in met.items()}
                weight = lane * self.lanes + shape.taps[-1].place(t) * self.tap
                self._products(seen, places, packed, weight, sums)

    def _products(
        self,
        seen: Buffer,
        places: dict[int, Expr],
        packed: Buffer,
        weight: Expr,
        sums: Sums,
    ) -> None:
        """Add weights times one element to each of the pixels of which ``places`` tells it."""
        k, v = self.k, self.vectors
        factors = [
            k.declare(f"const {v.type}", f"w{b}", v.load(packed.at([weight + b * self.filter])))
            for b in range(len(sums[0]))
        ]
        for p, place in places.items():
            k.statement(v.fence())
            x = k.declare(f"const {v.type}", "x", v.broadcast(seen.at([place])))
            for total, factor in zip(sums[p], factors):
                k.assign(total, v.fma(x, factor, total))
