"""Convolutions: as products of filters with unfolded windows, and row by row for depthwise ones."""

from __future__ import annotations

from contextlib import ExitStack

from burnish.ir.dims import ceildiv, product

from ..code import Expr, Index, conditional, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .products import (
    Span,
    add_product,
    choose_tile,
    regroup,
    tile_product,
    tiles,
    unravel,
)
from .unit import Unit
from .windows import WindowAxis, axis_names, maximum, minimum, require_taps, window_axes


class _Shapes:
    """Sizes of a convolution."""

    def __init__(self, unit: Unit) -> None:
        op = unit.main
        a = op.attributes
        x, w = op.inputs[0].type.shape, op.inputs[1].type.shape
        y = op.results[0].type.shape
        self.batch, self.channels, self.extents = x[0], x[1], x[2:]
        self.groups: int = a.groups
        self.filters = w[0] // self.groups
        self.inputs = w[1]
        """Output and input channels per group."""
        self.kernel, self.counts = w[2:], y[2:]
        self.axes = window_axes(a, self.extents, self.kernel, self.counts)
        self.taps = product(self.kernel)
        self.windows = product(self.counts)
        self.depth = self.inputs * self.taps
        self.dtype = op.results[0].type.dtype
        self.most_filters = unit.high(self.filters)
        self.tile = choose_tile(self.most_filters, unit.most_elements(self.counts))

    @property
    def is_plain(self) -> bool:
        """Whether nothing needs to be unfolded: the windows are the elements of the input."""
        if self.depth == 0:
            return True
        return all(axis.is_plain for axis in self.axes) and self.dtype.compute is self.dtype

    @property
    def by_rows(self) -> bool:
        """Whether groups are too small for products of tiles."""
        return self.inputs == 1 and self.groups > 1 and self.most_filters < 4


@register
class DepthwiseConv(KernelFamily):
    """One row of the result at a time, one tap after another over the whole row.

    For groups of one input channel.  Ranges of taps and of columns are found per row and tap,
    so the loop over a row has no conditions and reads and writes neighbours.
    """

    name = "depthwise_conv"
    ops = ("nn.conv",)
    fusable = True

    def refusal(self, unit: Unit) -> str:
        return "" if _Shapes(unit).by_rows else "groups have several channels"

    def emit(self, k: KernelBuilder) -> None:
        s = _Shapes(k.unit)
        require_taps(k, s.kernel)
        x, w, b = k.operand("x"), k.operand("w"), k.optional("b")
        work = s.dtype.compute
        *outer_axes, inner = s.axes
        row = k.scratch("row", work, (inner.count,))
        with ExitStack() as nest:
            n, m = nest.enter_context(
                k.loops("n m", (s.batch, s.groups * s.filters), parallel=True)
            )
            *outer_names, name = axis_names("o", len(s.axes))
            outer = nest.enter_context(k.loops(" ".join(outer_names), s.counts[:-1]))
            start = k.let("start", work, k.literal(0, work) if b is None else k.load(b, [m]))
            with k.loop(name, inner.count) as o:
                k.write(row, [o], start)
            channel = k.let_index("channel", m // s.filters)
            k.comment("Only taps and columns that meet an element: nothing is read outside.")
            with ExitStack() as taps:
                at = []
                *tap_names, last_name = axis_names("k", len(s.axes))
                for axis, window, tap_name in zip(outer_axes, outer, tap_names):
                    low, high = axis.taps(k, tap_name, window)
                    at.append(taps.enter_context(k.loop(tap_name, high, start=low)))
                tap = taps.enter_context(k.loop(last_name, inner.kernel))
                factor = k.let("factor", work, k.load(w, [m, 0, *at, tap]))
                places = [a.element(o, t) for a, o, t in zip(outer_axes, outer, at)]
                first, last = inner.windows(k, name, tap)
                with k.loop(name, last, start=first) as o:
                    value = k.load(x, [n, channel, *places, inner.element(o, tap)])
                    add_product(k, row, [o], factor, value)
            with k.loop(name, inner.count) as o:
                k.store([n, m, *outer, o], k.load(row, [o]))


@register
class Conv(KernelFamily):
    """Filters times unfolded windows, in tiles.

    Windows of a tile of positions (in row-major order of the whole result, so that small images
    fill tiles, too) are unfolded into columns once; then all filters of the group run over them.
    Convolutions by 1 without padding or steps read their input as it is.
    """

    name = "conv"
    ops = ("nn.conv",)
    fusable = True

    def parameters(self, unit: Unit) -> dict[str, object]:
        s = _Shapes(unit)
        return {"tile": s.tile, "input": "direct" if s.is_plain else "unfolded"}

    def emit(self, k: KernelBuilder) -> None:
        s = _Shapes(k.unit)
        require_taps(k, s.kernel)
        x, w, b = k.operand("x"), k.operand("w"), k.optional("b")
        work, tile = s.dtype.compute, s.tile
        is_flat = regroup(k, [1, 1, len(s.counts)])
        columns = None
        if not s.is_plain:
            columns = k.scratch("columns", work, (s.depth, tile.columns))
        counts = ceildiv(s.windows, tile.columns), ceildiv(s.filters, tile.rows)
        shared = k.shared_loop(s.batch, s.groups, *counts)
        with ExitStack() as nest:
            n = nest.enter_context(k.loop("n", s.batch, parallel=shared == 0))
            g = nest.enter_context(k.loop("g", s.groups, parallel=shared == 1))
            start = (n * s.channels + g * s.inputs) * product(s.extents)
            image = k.view("image", x, start, (s.inputs, *s.extents))
            windows = nest.enter_context(
                tiles(k, "p", s.windows, tile.columns, parallel=shared == 2)
            )
            p = windows.start
            if columns is not None:
                _unfold(k, s, image, columns, windows)
            rows = nest.enter_context(tiles(k, "m", s.filters, tile.rows, parallel=shared == 3))
            m = rows.start
            channel = k.let_index("channel", g * s.filters + m)
            filters = k.view("filters", w, channel * s.depth, (tile.rows, s.depth))
            seen = columns or image.reshaped((s.depth, s.windows))
            shift = index(0) if columns is not None else p

            sums = tile_product(
                k,
                rows,
                windows,
                s.depth,
                work,
                lambda r, d: k.load(filters, [r, d]),
                lambda d, t: k.load(seen, [d, shift + t]),
            )
            r = nest.enter_context(k.loop("r", rows.end, start=rows.first))
            t = nest.enter_context(k.loop("t", windows.end, start=windows.first))
            total = k.load(sums, [r, t])
            if b is not None:
                bias = k.load(b, [channel + r])
                total = k.value("total + bias", work, total=total, bias=bias)
            position = [p + t] if is_flat else unravel(p + t, s.counts)
            k.store([n, channel + r, *position], total)


def _unfold(k: KernelBuilder, s: _Shapes, image: Buffer, columns: Buffer, windows: Span) -> None:
    """Write what each tap sees in the windows of a tile into ``columns``."""
    k.comment("Unfold: columns[c, taps][t] is what a tap meets in channel c, window p + t.")
    p, width = windows.start, windows.end
    row = s.axes[-1].count
    if s.windows == row or row % windows.size == 0:
        _unfold_run(k, s, image, columns, p, index(0), width)
        return
    t = k.index_variable("t", 0)
    with k.block(f"while ({t} < {width})"):
        at = k.let_index("at", p + t)
        run = k.let_index("run", minimum(index(row) - at % row, width - t))
        _unfold_run(k, s, image, columns, at, t, run)
        k.assign(t, t + run)


def _unfold_run(
    k: KernelBuilder, s: _Shapes, image: Buffer, columns: Buffer, at: Expr, t: Expr, run: Expr
) -> None:
    """Unfold ``run`` windows of one row from window ``at`` on, into columns from ``t`` on."""
    *outer, inner = s.axes
    windows = [
        k.let_index(name, window)
        for name, window in zip(axis_names("o", len(s.axes)), unravel(at, s.counts))
    ]
    *outer_names, inner_name = axis_names("i", len(s.axes))
    with k.loops(" ".join(axis_names("k", len(s.axes))), s.kernel) as taps:
        inside = index(1)
        elements: list[Index] = []
        for axis, window, tap, name in zip(outer, windows, taps, outer_names):
            element = k.let_index(name, axis.element(window, tap))
            elements.append(element)
            if not axis.is_inside:
                inside = inside & (index(0) <= element) & (element < axis.size)
        start = k.let_index(inner_name, inner.element(windows[-1], taps[-1]))
        first, last = _copied(k, inner, start, run, inside)
        tap_number = index(0)
        for tap, size in zip(taps, s.kernel):
            tap_number = tap_number * size + tap
        with k.loop("c", s.inputs) as c:
            depth = c * s.taps + tap_number
            zero = k.literal(0, columns.dtype)
            with k.loop("j", first) as j:
                k.write(columns, [depth, t + j], zero)
            with k.loop("j", last, start=first) as j:
                source = [c, *elements, start + j * inner.stride]
                k.write(columns, [depth, t + j], k.load(image, source))
            if last is not run:
                with k.loop("j", run, start=last) as j:
                    k.write(columns, [depth, t + j], zero)


def _copied(
    k: KernelBuilder, axis: WindowAxis, start: Expr, run: Expr, inside: Expr
) -> tuple[Expr, Expr]:
    """Which of ``run`` windows are copied, the first being at element ``start``; others are 0."""
    if inside.value == 0:
        return run, run
    if axis.is_inside and inside.value == 1:
        return index(0), run
    step = axis.stride
    before = conditional(start < 0, (-start + (step - 1)) // step, index(0))
    first = k.let_index("left", before) if axis.before else index(0)
    first = minimum(first, run)
    if inside.value is None:
        first = conditional(inside, first, run)
    first = k.let_index("first", first)
    if axis.is_inside:
        return first, run
    room = k.let_index("room", (index(axis.size) - start + (step - 1)) // step)
    end = k.let_index("end", minimum(room, run))
    return first, k.let_index("last", maximum(first, end))
