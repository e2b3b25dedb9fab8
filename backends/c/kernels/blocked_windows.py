"""Windows over few channels, in blocks: what pooling and convolutions of narrow groups share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from burnish.ir import Op
from burnish.ir.dims import ceildiv

from ..code import Expr, index
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import blocked, blocked_loop, flat, inside, is_static_float
from .blocked_conv import layout_refusal
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, Storage
from .register_tiles import Segment, TileShape, Work, choose_tile, segments
from .strided import static
from .unit import Unit
from .vector_store import Finished, VectorStore
from .windows import WindowAxis, axis_names, window_axes

MAX_BODY = 600
"""Vectors that are read in one tile, written out one by one."""

Sums = Sequence[Sequence[Expr]]
"""The accumulators of a tile: for each neighbour one vector per block."""


@dataclass(frozen=True)
class WindowShape:
    """Sizes of windows that slide over blocks of channels, each group of channels by itself.

    Attributes:
        batch, blocks: images, and blocks of channels of the result.
        outer, inner: the spatial axes.
        lanes: channels in a block.
        inputs, outputs: channels of the input and of the result in a group.  A group is all in one
            block of the result, and the blocks of the input that it takes part of are all its own
            and its neighbours': ``outputs`` divides ``lanes`` and ``inputs``.
    """

    batch: int
    blocks: int
    outer: tuple[WindowAxis, ...]
    inner: WindowAxis
    lanes: int
    inputs: int = 1
    outputs: int = 1

    @staticmethod
    def of(
        op: Op, kernel: Sequence[int], lanes: int, inputs: int = 1, outputs: int = 1
    ) -> WindowShape | None:
        """The sizes of ``op``; None where it has no form in blocks."""
        x, y = op.inputs[0].type, op.result.type
        if not is_static_float(x, y):
            return None
        *outer, inner = window_axes(op.attributes, x.shape[2:], kernel, y.shape[2:])
        batch, channels = static(y.shape[:2])
        blocks = -(-channels // lanes)
        return WindowShape(batch, blocks, tuple(outer), inner, lanes, inputs, outputs)

    @property
    def row(self) -> int:
        """Results in a row."""
        return static([self.inner.count])[0]

    @property
    def taps(self) -> int:
        """Taps along a row."""
        return static([self.inner.kernel])[0]

    @property
    def planes(self) -> int:
        """Blocks of the input for each block of the result."""
        return self.inputs // self.outputs

    def sources(self, channel: int) -> list[tuple[int, int]]:
        """For each channel of a block of the result the number ``channel`` of those that it sums
        over: its block, from the first one on that the block of the result reads, and lane."""
        places = (lane // self.outputs * self.inputs + channel for lane in range(self.lanes))
        return [divmod(place, self.lanes) for place in places]

    def tile(self, isa: Isa, held: int) -> TileShape:
        """The tile in which it is computed, with ``held`` weights in registers."""
        return choose_tile(self._work(isa, held))

    def _work(self, isa: Isa, held: int) -> Work:
        reuse = max(1.0, self.taps / self.inner.stride)
        sources = [self.sources(channel) for channel in range(self.inputs)]
        loads = max(len({plane for plane, _ in each}) for each in sources)
        picks = max(loads - 1, int(any(map(is_shuffled, sources))))
        sums = MAX_BODY // (self.taps * self.inputs)
        return Work(isa, self.row, self.blocks, 0, reuse, held, loads, picks, sums)

    def positions(self, *, windows: bool) -> int:
        """Positions of a channel of the input, or of the result."""
        axes = (*self.outer, self.inner)
        return math.prod(static([axis.count if windows else axis.size for axis in axes]))

    def cycles(self, isa: Isa, held: int) -> float:
        """An estimate of its time."""
        row = self._work(isa, held).cycles(self.tile(isa, held))
        rows = self.batch * self.positions(windows=True) / self.row
        taps = math.prod(static([axis.kernel for axis in (*self.outer, self.inner)]))
        return rows * taps * self.inputs * row


def is_shuffled(sources: Sequence[tuple[int, int]]) -> bool:
    """Whether a vector of the elements (block, lane) is none of the blocks as it is."""
    return sources != [(0, lane) for lane in range(len(sources))]


class BlockedWindows(KernelFamily):
    """Tiles of neighbours along a row x blocks of channels; taps outside are never computed."""

    fusable = True
    storage = Storage.LAID_OUT
    held = 0
    """Weights that are in registers beside the accumulators, per block."""

    @abstractmethod
    def kernel(self, op: Op) -> tuple[int, ...]:
        """Taps along each axis."""

    def group(self, op: Op) -> tuple[int, int]:
        """Channels of the input and of the result in a group."""
        return 1, 1

    def refusal(self, unit: Unit) -> str:
        op = unit.main
        if reason := layout_refusal(unit):
            return reason
        if op.inputs[0].type.layout != blocked(op.result.type.rank, unit.isa.lanes):
            return f"of an input in {op.inputs[0].type.layout}"
        return "" if self.shape(op, unit.isa) else "of these sizes in a layout"

    def shape(self, op: Op, isa: Isa) -> WindowShape | None:
        """The sizes of ``op``; None where this family cannot compute it."""
        shape = WindowShape.of(op, self.kernel(op), isa.lanes, *self.group(op))
        return shape if shape and shape.taps * shape.inputs <= MAX_BODY else None

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = self.shape(unit.main, unit.isa)
        assert shape is not None
        return {"tile": shape.tile(unit.isa, self.held)}

    def emit(self, k: KernelBuilder) -> None:
        shape = self.shape(k.op, k.isa)
        assert shape is not None
        writer = WindowWriter(self, k, shape)
        writer.emit()

    @abstractmethod
    def start(self, w: WindowWriter, block: Expr) -> Expr:
        """What accumulators of a block hold before the first tap."""

    def row(self, w: WindowWriter, tap: Expr, block: Expr, blocks: int, channel: int) -> None:
        """Prepare a row of taps, of which ``tap`` is the first, on a channel of each group."""

    @abstractmethod
    def add(self, w: WindowWriter, total: Expr, x: Expr, tap: int, b: int) -> None:
        """Take an element into an accumulator of block ``b`` of the tile."""

    def finish(self, w: WindowWriter, total: Expr, windows: Sequence[Expr]) -> Expr:
        """The result, from what the accumulator holds after the last tap."""
        return total


class WindowWriter:
    """Writes one kernel for a family."""

    def __init__(self, family: BlockedWindows, k: KernelBuilder, shape: WindowShape) -> None:
        self.family, self.k, self.shape = family, k, shape
        self.lanes = k.isa.lanes
        self.vectors = VectorRenderer(self.lanes, k.helper)
        self.x = flat(k.operand("x"))
        self.tile = shape.tile(k.isa, family.held)
        self.factors: list[list[Expr]] = []
        self.store = VectorStore(k, self.vectors)
        rows = [axis.count for axis in shape.outer]
        blocks, pixels = ceildiv(shape.blocks, self.tile.blocks), shape.row // self.tile.pixels
        loops = (shape.batch, blocks, *rows, pixels)
        self.cut = blocked_loop(k, loops, 2, math.prod(static(rows)) * shape.row)
        """Which loop threads share: over images, blocks, rows, or tiles of a row."""

    def vector(self, name: str, value: Expr) -> Expr:
        """A named vector."""
        return self.k.declare(f"const {self.vectors.type}", name, value)

    def emit(self) -> None:
        k, shape, step, cut = self.k, self.shape, self.tile.blocks, self.cut
        whole = shape.blocks - shape.blocks % step
        with k.loop("n", shape.batch, parallel=cut == 0) as n:
            with k.loop("m", whole, step=step, parallel=cut == 1) as m:
                self._rows(n, m, step)
            if shape.blocks > whole:
                with k.alone(cut == 1):
                    self._rows(n, index(whole), shape.blocks - whole)

    def _rows(self, n: Expr, block: Expr, blocks: int) -> None:
        k, shape = self.k, self.shape
        plane = shape.positions(windows=False) * self.lanes
        start = self.x.shape[0] // shape.batch * n + block * (shape.planes * plane)
        pixels = k.view("image", self.x, start, self.x.shape)
        rank = len(shape.outer) + 1
        *names, name = axis_names("o", rank)
        *tap_names, _ = axis_names("k", rank)
        in_row = self.cut == 2 + len(shape.outer)
        around = k.loops(
            " ".join(names), [a.count for a in shape.outer], parallel=self.cut > 1 and not in_row
        )
        with around as windows:
            taps = [axis.taps(k, t, o) for axis, t, o in zip(shape.outer, tap_names, windows)]
            for segment in segments(shape.row, self.tile.pixels, *inside(shape.inner)):
                span = k.loop(
                    name, segment.end, start=segment.start, step=segment.pixels, parallel=in_row
                )
                with span as o:
                    sums = [
                        [
                            k.declare(
                                self.vectors.type, f"sum{p}_{b}", self.family.start(self, block + b)
                            )
                            for b in range(blocks)
                        ]
                        for p in range(segment.pixels)
                    ]
                    self._taps(pixels, segment, o, sums, block, windows, taps)
                    results = []
                    for p, vectors in enumerate(sums):
                        at = (*windows, o + p)
                        for b, total in enumerate(vectors):
                            result = self.family.finish(self, total, at)
                            results.append(Finished([n, block + b, *at, 0], result))
                    self.store.store_all(results)

    def _taps(
        self,
        pixels: Buffer,
        segment: Segment,
        o: Expr,
        sums: Sums,
        block: Expr,
        windows: Sequence[Expr],
        ranges: Sequence[tuple[Expr, Expr]],
    ) -> None:
        """Take all elements that the windows of a tile meet into its accumulators."""
        k, shape, inner = self.k, self.shape, self.shape.inner
        size = static([inner.size])[0]
        *names, _ = axis_names("k", len(shape.outer) + 1)
        with ExitStack() as nest:
            place, tap = index(0), index(0)
            for axis, name, window, (low, high) in zip(shape.outer, names, windows, ranges):
                at = nest.enter_context(k.loop(name, high, start=low))
                place = place * axis.size + axis.element(window, at)
                tap = tap * axis.kernel + at
            place, known = place * size, inner.element(o, 0).value or 0
            if segment.count > 1:
                place, known = place + inner.element(o, 0), 0
            seen = k.view("seen", pixels, place * self.lanes, pixels.shape)
            readers = list(self._readers(segment, known, len(sums)))
            for channel in range(shape.inputs):
                if channel:
                    k.statement(self.vectors.fence())
                self.family.row(self, tap * shape.taps, block, len(sums[0]), channel)
                for element, users in readers:
                    for b in range(len(sums[0])):
                        x = self._element(seen, b, element, channel)
                        for p, t in users:
                            self.family.add(self, sums[p][b], x, t, b)

    def _element(self, seen: Buffer, b: int, element: int, channel: int) -> Expr:
        """What results of block ``b`` of a tile take of an element: of every group a channel."""
        shape, sources = self.shape, self.shape.sources(channel)
        size = shape.positions(windows=False)
        blocks = {plane: b * shape.planes + plane for plane, _ in sources}
        loaded = {
            plane: self.vectors.load(seen.at([index((block * size + element) * self.lanes)]))
            for plane, block in blocks.items()
        }
        if is_shuffled(sources):
            return self._merged(loaded, sources)
        return self.vector("x", loaded[0])

    def _merged(self, loaded: Mapping[int, Expr], sources: Sequence[tuple[int, int]]) -> Expr:
        """One vector of elements (plane, lane), which takes in one vector after the other."""
        first, *others = [(plane, self.vector("part", x)) for plane, x in loaded.items()]
        merged = first[1]
        lanes = [lane if plane == first[0] else 0 for plane, lane in sources]
        for number, part in others or [first]:
            for at, (plane, lane) in enumerate(sources):
                if plane == number:
                    lanes[at] = self.lanes + lane
            merged = self.vector("part", self.vectors.pick(merged, part, lanes))
            lanes = [*range(self.lanes)]
        return merged

    def _readers(
        self, segment: Segment, known: int, pixels: int
    ) -> Iterable[tuple[int, list[tuple[int, int]]]]:
        """The elements of a row that a tile meets, each with the neighbours and taps that do."""
        inner, size = self.shape.inner, static([self.shape.inner.size])[0]
        met: dict[int, list[tuple[int, int]]] = {}
        for p in range(pixels):
            for t in range(self.shape.taps):
                element = known + p * inner.stride + t * inner.dilation
                if not segment.bordering or 0 <= element < size:
                    met.setdefault(element, []).append((p, t))
        return sorted(met.items())
