"""Pooling of boxes that data gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Dim, DType
from burnish.ir.ops.regions import (
    ALIGN_BIN,
    ALIGN_PLACE,
    ALIGN_START,
    MOST_SAMPLES,
    POOL_BIN,
    POOL_EDGE,
    POOL_HIGH,
    POOL_INSIDE,
    POOL_LOW,
)

from ..code import Expr, cast, conditional, index
from .builder import KernelBuilder
from .family import KernelFamily, register
from .windows import maximum, minimum


@dataclass(frozen=True, slots=True)
class _Axis:
    """Rows or columns: where a box starts, how wide its bins are, how many samples each has."""

    name: str
    size: Dim
    start: Expr
    width: Expr
    grid: Expr


_Spot = tuple[Expr, Expr, Expr]
"""Row, column and weight of an element."""

_SAMPLE = {
    "mean": "x0 * w0 + x1 * w1 + (x2 * w2 + x3 * w3)",
    "max": "max(max(x0 * w0, x1 * w1), max(x2 * w2, x3 * w3))",
}
"""A sample from the four elements around it and their weights."""


@register
class RegionAlign(KernelFamily):
    """Sample by sample; elements and weights serve all channels."""

    name = "region_align"
    ops = ("nn.region_align",)

    def emit(self, k: KernelBuilder) -> None:
        a, x, boxes = k.attributes, k.operand("x"), k.operand("boxes")
        work = x.dtype.compute
        entries, channels, *sizes = k.op.inputs[0].type.shape
        count = k.op.inputs[1].type.shape[0]
        _require_elements(k, sizes)
        total = k.scratch("total", work, (channels,))
        with k.loop("r", count) as r:
            entry = k.load_index(k.operand("batch"), [r], entries, "entry")
            left, top, right, bottom = (k.load(boxes, [r, i]) for i in range(4))
            rows = _aligned(k, "y", (top, bottom), a.bins[0], sizes[0])
            columns = _aligned(k, "x", (left, right), a.bins[1], sizes[1])
            with k.loops("p q", a.bins) as (p, q):
                with k.loop("c", channels) as c:
                    k.write(total, [c], k.literal(0, work))
                with k.loops("i j", (rows.grid, columns.grid)) as (i, j):
                    spots = _spots(k, _sample(k, rows, p, i), _sample(k, columns, q, j))
                    with k.loop("c", channels) as c:
                        value = _interpolated(k, [entry, c], spots)
                        k.assign(total.at([c]), _combined(k, total.at([c]), value, i, j))
                samples = k.let_index("samples", maximum(rows.grid * columns.grid, 1))
                divisor = k.convert(cast("int64_t", samples), DType.I64, work)
                with k.loop("c", channels) as c:
                    value = k.load(total, [c])
                    if a.mode == "mean":
                        value = k.value("t / n", work, t=value, n=divisor)
                    k.store([r, c, p, q], value)


def _require_elements(k: KernelBuilder, sizes: Sequence[Dim]) -> None:
    """Fail where there is nothing to pool: an axis of size 0."""
    for size in sizes:
        k.require(1, size)


def _aligned(
    k: KernelBuilder, name: str, corners: tuple[Expr, Expr], bins: int, size: Dim
) -> _Axis:
    a = k.attributes
    work = k.operand("x").dtype.compute
    known = {"scale": k.literal(a.scale, work), "offset": k.literal(0.5 * a.half_pixel, work)}
    start, end = (
        k.let(f"{edge}_{name}", work, k.value(ALIGN_START, work, a=corner, **known))
        for edge, corner in zip(("start", "end"), corners)
    )
    width = k.value(ALIGN_BIN[a.half_pixel], work, start=start, end=end, bins=k.literal(bins, work))
    width = k.let(f"bin_{name}", work, width)
    if a.samples:
        return _Axis(name, size, start, width, index(a.samples))
    needed = k.let(f"needed_{name}", work, k.value("ceil(bin)", work, bin=width))
    k.fail_when(k.value(f"not (n <= {MOST_SAMPLES})", work, n=needed))
    grid = conditional(k.value("n > 0", work, n=needed), cast("ptrdiff_t", needed), index(0))
    return _Axis(name, size, start, width, k.let_index(f"grid_{name}", grid))


def _sample(k: KernelBuilder, axis: _Axis, bin_: Expr, number: Expr) -> list[tuple[Expr, Expr]]:
    """The two elements around sample ``number`` of a bin, and their weights."""
    work = k.operand("x").dtype.compute
    counts = {
        name: k.convert(cast("int64_t", value), DType.I64, work)
        for name, value in (("p", bin_), ("i", number), ("grid", axis.grid))
    }
    place = k.value(ALIGN_PLACE, work, start=axis.start, bin=axis.width, **counts)
    place = k.let(f"at_{axis.name}", work, place)
    limits = {"at": place, "size": k.size_value(axis.size, work)}
    inside = k.value("1 if at >= -1 and at <= size else 0", work, **limits)
    inside = k.let(f"inside_{axis.name}", work, inside)
    held = k.value(
        "min(max(at, 0), last) if inside != 0 else 0",
        work,
        at=place,
        inside=inside,
        last=k.size_value(axis.size - 1, work),
    )
    held = k.let(f"held_{axis.name}", work, held)
    first = k.let_index(f"first_{axis.name}", cast("ptrdiff_t", held))
    second = k.let_index(f"second_{axis.name}", minimum(first + 1, axis.size - 1))
    past = k.let(f"past_{axis.name}", work, k.value("at - floor(at)", work, at=held))
    before = k.value("1 - past if inside != 0 else 0", work, past=past, inside=inside)
    return [(first, k.let(f"before_{axis.name}", work, before)), (second, past)]


def _spots(
    k: KernelBuilder, rows: list[tuple[Expr, Expr]], columns: list[tuple[Expr, Expr]]
) -> list[_Spot]:
    work = k.operand("x").dtype.compute
    return [
        (row, column, k.let("w", work, k.value("a * b", work, a=above, b=beside)))
        for row, above in rows
        for column, beside in columns
    ]


def _interpolated(k: KernelBuilder, at: list[Expr], spots: list[_Spot]) -> Expr:
    x = k.operand("x")
    known = {}
    for number, (row, column, weight) in enumerate(spots):
        known[f"x{number}"] = k.load(x, [*at, row, column])
        known[f"w{number}"] = weight
    work = x.dtype.compute
    return k.let("v", work, k.value(_SAMPLE[k.attributes.mode], work, **known))


def _combined(k: KernelBuilder, total: Expr, value: Expr, i: Expr, j: Expr) -> Expr:
    work = k.operand("x").dtype.compute
    if k.attributes.mode == "mean":
        return k.value("t + v", work, t=total, v=value)
    larger = k.value("max(t, v)", work, t=total, v=value)
    return conditional(i.equals(0) & j.equals(0), value, larger)


@register
class RegionMaxPool(KernelFamily):
    """Bin by bin, one channel after another."""

    name = "region_max_pool"
    ops = ("nn.region_max_pool",)

    def emit(self, k: KernelBuilder) -> None:
        a, x, boxes = k.attributes, k.operand("x"), k.operand("boxes")
        work = x.dtype.compute
        entries, channels, *sizes = k.op.inputs[0].type.shape
        count = k.op.inputs[1].type.shape[0]
        _require_elements(k, sizes)
        with k.loop("r", count) as r:
            number = k.convert(k.load(boxes, [r, 0]), boxes.dtype.compute, DType.I64)
            entry = Expr(f"{k.helper('position')}({number}, {entries})")
            entry = k.let_index("entry", entry)
            k.fail_when(entry < 0)
            left, top, right, bottom = (k.load(boxes, [r, i]) for i in range(1, 5))
            rows = _rounded(k, "y", (top, bottom), a.bins[0], sizes[0])
            columns = _rounded(k, "x", (left, right), a.bins[1], sizes[1])
            with k.loops("p q", a.bins) as (p, q):
                top_row, end_row = _span(k, rows, p)
                first_column, end_column = _span(k, columns, q)
                is_empty = (end_row <= top_row) | (end_column <= first_column)
                with k.loop("c", channels) as c:
                    best = k.variable("best", work, -math.inf)
                    with (
                        k.loop("i", end_row, start=top_row) as i,
                        k.loop("j", end_column, start=first_column) as j,
                    ):
                        value = k.load(x, [entry, c, i, j])
                        k.assign(best, k.value("max(t, v)", work, t=best, v=value))
                    k.store([r, c, p, q], conditional(is_empty, k.literal(0, work), best))


def _rounded(
    k: KernelBuilder, name: str, corners: tuple[Expr, Expr], bins: int, size: Dim
) -> _Axis:
    work = k.operand("x").dtype.compute
    scale = k.literal(k.attributes.scale, work)
    start, end = (
        k.let(f"{edge}_{name}", work, k.value(POOL_EDGE, work, a=corner, scale=scale))
        for edge, corner in zip(("start", "end"), corners)
    )
    width = k.value(POOL_BIN, work, start=start, end=end, bins=k.literal(bins, work))
    return _Axis(name, size, start, k.let(f"bin_{name}", work, width), index(0))


def _span(k: KernelBuilder, axis: _Axis, bin_: Expr) -> tuple[Expr, Expr]:
    """The first element of a bin and the one after its last."""
    work = k.operand("x").dtype.compute
    number = k.convert(cast("int64_t", bin_), DType.I64, work)
    size = k.size_value(axis.size, work)
    edges = []
    for name, expression in (("low", POOL_LOW), ("high", POOL_HIGH)):
        edge = k.value(expression, work, p=number, bin=axis.width, start=axis.start)
        edge = k.let(f"edge_{axis.name}", work, edge)
        held = k.let(f"held_{axis.name}", work, k.value(POOL_INSIDE, work, v=edge, size=size))
        edges.append(k.let_index(f"{name}_{axis.name}", cast("ptrdiff_t", held)))
    return edges[0], edges[1]
