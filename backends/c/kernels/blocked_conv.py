"""Convolutions over packed weights, with all sums in registers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from burnish.ir import Layout, Op
from burnish.ir.types import TensorType

from ..code import Expr, Index, index
from ..isa import Isa
from ..vectors import VectorRenderer
from .base import KernelBuilder, KernelFamily, LaidOut, register
from .blocked import (
    ChannelSteps,
    blocked,
    blocked_vector,
    channel_steps,
    channels_last,
    flat,
    inside,
    is_static_float,
    weight_layout,
)
from .buffer import Buffer
from .products import regroup
from .register_tiles import Segment, TileShape, Work, choose_tile, segments
from .strided import static
from .unit import Unit
from .vector_store import VectorStore
from .windows import WindowAxis, axis_names, window_axes

MAX_BODY = 1200
"""Products written out for one tile: every tap of a row of the kernel, for every sum."""


@dataclass(frozen=True)
class ConvShape:
    """Sizes of a convolution that writes blocks of channels.

    Attributes:
        batch, groups: how many images, and groups of channels.
        inputs: steps through the input.
        planes: planes of the input that a group reads.
        blocks: blocks of channels that a group writes.
        axes: the spatial axes that matter, at least one.
        steps: from one position of the input to the next, along each of them.
        kept: where they stand among all spatial axes; empty for a row of all positions.
    """

    batch: int
    groups: int
    inputs: ChannelSteps
    planes: int
    blocks: int
    axes: tuple[WindowAxis, ...]
    steps: tuple[int, ...]
    kept: tuple[int, ...]

    @staticmethod
    def of(op: Op, x: TensorType, lanes: int) -> ConvShape | None:
        """The sizes of ``op`` when it reads ``x`` as it is stored; None where that has no form."""
        a, w, y = op.attributes, op.operands[1], op.result.type
        assert w is not None
        if not is_static_float(x, w.type, y):
            return None
        inputs, groups = channel_steps(x), a.groups
        if inputs is None or (inputs.is_blocked and inputs.lanes != lanes):
            return None
        channels, filters = static(w.type.shape)[1], static(y.shape)[1] // groups
        if groups > 1 and (channels % inputs.lanes or filters % lanes or inputs.planes == 1):
            return None
        axes = window_axes(a, x.shape[2:], w.type.shape[2:], y.shape[2:])
        kept = [i for i, axis in enumerate(axes) if not _is_trivial(axis)] or [len(axes) - 1]
        return ConvShape(
            static(x.shape)[0],
            groups,
            inputs,
            -(-channels // inputs.lanes),
            -(-filters // lanes),
            tuple(axes[i] for i in kept),
            tuple(inputs.spatial[i] for i in kept),
            tuple(kept),
        )

    @property
    def is_pointwise(self) -> bool:
        """Whether windows are single elements."""
        return all(axis.is_plain for axis in self.axes)

    def flattened(self) -> ConvShape:
        """The same with all positions as one row, where windows are single elements."""
        count = math.prod(static([axis.count for axis in self.axes]))
        row = WindowAxis(count, count, 1, 1, 1, 0, 0)
        return replace(self, axes=(row,), steps=self.inputs.spatial[-1:], kept=())

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
        row = self.work(isa).cycles(self.tile(isa))
        return self.batch * self.groups * rows * self.depth * row

    def body(self, isa: Isa) -> int:
        """Products that are written out for one tile."""
        tile = self.tile(isa)
        return tile.pixels * tile.blocks * self.kernel[-1]


def _is_trivial(axis: WindowAxis) -> bool:
    return axis.size == axis.count == axis.kernel == 1 and axis.is_inside


def layout_refusal(unit: Unit) -> str:
    """Why result and bias of a convolution do not lie in blocks; empty when they do."""
    op, isa = unit.main, unit.isa
    layout = op.result.type.layout
    if layout is None:
        return "in row-major order"
    if not isa.has_vectors:
        return f"in {layout}, without vectors"
    if layout != blocked(op.result.type.rank, isa.lanes):
        return f"in {layout}"
    if len(op.inputs) > 2 and op.inputs[2].type.layout != blocked_vector(isa.lanes):
        return "with a bias that is not in blocks"
    return ""


def conv_form(op: Op, isa: Isa, x: Layout | None, weights: Layout, cycles: float) -> LaidOut:
    """A convolution of ``x``, its weights packed in that layout, that writes blocks."""
    bias = (blocked_vector(isa.lanes),) * (len(op.operands) - 2)
    result = blocked(op.result.type.rank, isa.lanes)
    return LaidOut((x, weights, *bias), (result,), cycles)


@register
class BlockedConv(KernelFamily):
    """Tiles of neighbours along a row x blocks of channels, over packed weights.

    Reads its input in any of three layouts (row-major, NHWC, NCHWc) as it is.  Taps outside are
    never computed: rows have ranges of taps, and tiles at the border of a row are written out
    without those that meet nothing.
    """

    name = "blocked_conv"
    ops = ("nn.conv",)
    fusable = True
    any_layout = True

    def refusal(self, unit: Unit) -> str:
        if reason := layout_refusal(unit):
            return reason
        x, w = unit.main.inputs[:2]
        if w.type.layout != weight_layout(x.type.layout, x.type.rank, unit.isa.lanes):
            return "with weights that are not packed"
        return "" if conv_shape(unit.main, x.type, unit.isa) else "of these sizes in a layout"

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        x, rank = op.inputs[0], op.inputs[0].type.rank
        inputs = [None, blocked(rank, isa.lanes)]
        if x.op is not None and x.op.name == "tensor.transpose":
            inputs.append(channels_last(rank))
        found = []
        for layout in inputs:
            shape = conv_shape(op, x.type.with_layout(layout), isa)
            if shape is not None:
                weights = weight_layout(layout, rank, isa.lanes)
                found.append(conv_form(op, isa, layout, weights, shape.cycles(isa)))
        return found

    def parameters(self, unit: Unit) -> dict[str, object]:
        shape = conv_shape(unit.main, unit.main.inputs[0].type, unit.isa)
        assert shape is not None
        return {"tile": shape.tile(unit.isa)}

    def emit(self, k: KernelBuilder) -> None:
        shape = conv_shape(k.op, k.op.inputs[0].type, k.isa)
        assert shape is not None
        _Writer(k, shape).emit()


def conv_shape(op: Op, x: TensorType, isa: Isa) -> ConvShape | None:
    """The sizes of a convolution that reads ``x`` and writes blocks; None if it has no kernel."""
    shape = ConvShape.of(op, x, isa.lanes)
    if shape is not None and shape.is_pointwise:
        shape = shape.flattened()
    return shape if shape is not None and shape.body(isa) <= MAX_BODY else None


@dataclass(frozen=True)
class _Row:
    """Where a row of results lies: indices of its position, and the ranges of outer taps."""

    image: Expr
    block: Expr
    windows: tuple[Expr, ...]
    taps: tuple[tuple[Expr, Expr], ...]
    pixels: Buffer
    filters: Buffer


class _Writer:
    """Writes one kernel."""

    def __init__(self, k: KernelBuilder, shape: ConvShape) -> None:
        self.k = k
        self.vectors = VectorRenderer(k.isa.lanes, k.helper)
        self.lanes = k.isa.lanes
        self.x, self.w = flat(k.operand("x")), flat(k.operand("w"))
        bias = k.optional("b")
        self.b = None if bias is None else flat(bias)
        self.store = VectorStore(k, self.vectors)
        self.rank = k.op.result.type.rank - 2
        if not shape.kept and not self._merges():
            again = ConvShape.of(k.op, k.op.inputs[0].type, self.lanes)
            assert again is not None
            shape = again
        self.shape = shape
        self.tile = shape.tile(k.isa)
        self.tap = shape.inputs.lanes * self.lanes
        """Weights of one tap."""
        self.plane = math.prod(shape.kernel) * self.tap
        self.filter = shape.planes * self.plane
        """Weights of a plane of the input, and of a block of channels."""

    def _merges(self) -> bool:
        """Index all positions by one axis, if the epilogue allows it."""
        return self.store.by_storage and regroup(self.k, [1, 1, self.rank, 1])

    def emit(self) -> None:
        k, shape = self.k, self.shape
        whole = shape.blocks - shape.blocks % self.tile.blocks
        with k.loops("n g", (shape.batch, shape.groups)) as (n, g):
            start = n * shape.inputs.image + g * shape.planes * shape.inputs.plane
            pixels = k.view("image", self.x, start, self.x.shape)
            first = g * shape.blocks
            with k.loop("m", whole, step=self.tile.blocks) as m:
                self._rows(n, first + m, pixels, self.tile.blocks)
            if rest := shape.blocks - whole:
                self._rows(n, first + whole, pixels, rest)

    def _rows(self, n: Expr, block: Expr, pixels: Buffer, blocks: int) -> None:
        """All results of some blocks of channels of an image."""
        k, shape = self.k, self.shape
        block = k.let_index("block", block)
        filters = k.view("filters", self.w, block * self.filter, self.w.shape)
        *outer, inner = shape.axes
        *names, name = axis_names("o", len(shape.axes))
        *tap_names, _ = axis_names("k", len(shape.axes))
        with k.loops(" ".join(names), [axis.count for axis in outer]) as windows:
            taps = [axis.taps(k, t, o) for axis, t, o in zip(outer, tap_names, windows)]
            row = _Row(n, block, tuple(windows), tuple(taps), pixels, filters)
            for segment in segments(shape.row, self.tile.pixels, *inside(inner)):
                with k.loop(name, segment.end, start=segment.start, step=segment.pixels) as o:
                    self._tile(row, segment, o, blocks)

    def _tile(self, row: _Row, segment: Segment, o: Expr, blocks: int) -> None:
        k, shape = self.k, self.shape
        sums = [[self._sum(p, b, row.block) for b in range(blocks)] for p in range(segment.pixels)]
        rest = shape.inputs.rest if shape.groups == 1 else shape.inputs.lanes
        whole = shape.planes - (rest != shape.inputs.lanes)
        with k.loop("c", whole) as c:
            self._plane(row, segment, o, sums, c, shape.inputs.lanes)
        if whole < shape.planes:
            self._plane(row, segment, o, sums, index(whole), rest)
        for p, vectors in enumerate(sums):
            for b, total in enumerate(vectors):
                at = self._position(row, o + p)
                self.store.store([row.image, row.block + b, *at, 0], total)

    def _sum(self, p: int, b: int, block: Expr) -> Expr:
        """A sum, with the bias of its block to begin with."""
        start = self.vectors.splat(Expr("0.0f"))
        if self.b is not None:
            start = self.vectors.load(self.b.at([(block + b) * self.lanes]))
        return self.k.declare(self.vectors.type, f"sum{p}_{b}", start)

    def _position(self, row: _Row, o: Expr) -> list[Index]:
        """The spatial indices of a result."""
        if not self.shape.kept:
            return [o]
        at: list[Index] = [0] * self.rank
        for axis, window in zip(self.shape.kept, (*row.windows, o)):
            at[axis] = window
        return at

    def _plane(
        self,
        row: _Row,
        segment: Segment,
        o: Expr,
        sums: Sequence[Sequence[Expr]],
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
                tap = tap * shape.kernel[number] + at
            step = shape.steps[-1]
            known = 0 if segment.count > 1 else inner.element(o, 0).value
            if known is None or segment.count > 1:
                offset, known = offset + inner.element(o, 0) * step, 0
            seen = k.view("seen", row.pixels, offset, row.pixels.shape)
            weights = c * self.plane + tap * (shape.kernel[-1] * self.tap)
            packed = k.view("packed", row.filters, weights, row.filters.shape)
            lane = nest.enter_context(k.loop("l", lanes))
            for t in range(shape.kernel[-1]):
                reach = [known + p * inner.stride + t * inner.dilation for p in range(len(sums))]
                met = [
                    p
                    for p in range(len(sums))
                    if not segment.bordering or 0 <= reach[p] < static([inner.size])[0]
                ]
                if met:
                    places = {p: lane * shape.inputs.lane + reach[p] * step for p in met}
                    self._products(seen, places, packed, lane * self.lanes + t * self.tap, sums)

    def _products(
        self,
        seen: Buffer,
        places: dict[int, Expr],
        packed: Buffer,
        weight: Expr,
        sums: Sequence[Sequence[Expr]],
    ) -> None:
        """Add weights times one element to each of the pixels of which ``places`` tells it."""
        k, v = self.k, self.vectors
        factors = [
            k.declare(f"const {v.type}", f"w{b}", v.load(packed.at([weight + b * self.filter])))
            for b in range(len(sums[0]))
        ]
        for p, place in places.items():
            k.statement(v.fence())
            x = k.declare(f"const {v.type}", "x", v.splat(seen.at([place])))
            for total, factor in zip(sums[p], factors):
                k.assign(total, v.fma(x, factor, total))
