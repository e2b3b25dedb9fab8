"""Reductions along axes: over a run in memory, or over whole rows of neighbouring results."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from burnish.ir import DType
from burnish.ir.dims import Dim, product

from ..code import Expr, Index, index
from .builder import KernelBuilder
from .family import KernelFamily, register
from .lanes import accumulate, accumulate_run, combine, combined_lanes, lanes_for, neutral
from .products import regroup, tiles

_COLUMNS = 64
"""Neighbouring results that are accumulated together."""


@register
class Reduce(KernelFamily):
    """Sums and other reductions.

    Where the last axis is reduced, a result is a run through memory, taken in lanes when it is
    long; else neighbouring results are accumulated together, each pass reading neighbours.
    """

    name = "reduce"
    ops = ("tensor.reduce",)
    fusable = True
    computes_operands = True

    def emit(self, k: KernelBuilder) -> None:
        axes: tuple[int, ...] = k.attributes.axes
        shape = k.op.inputs[0].type.shape
        # Axes of size 1 do not matter; those at the end must not hide what is contiguous.
        sized = [axis for axis, size in enumerate(shape) if size != 1]
        if sized and sized[-1] in axes:
            _along_memory(k, shape, axes)
        else:
            _across_memory(k, shape, axes)


def _result(k: KernelBuilder, total: Expr, count: Dim) -> Expr:
    """What is stored: the mean is divided here."""
    dtype = k.operand("x").dtype
    work = dtype.compute
    if k.attributes.kind != "mean":
        return total
    if dtype.is_float:
        return k.value("a / n", work, a=total, n=k.size_value(count, work))
    wide = DType.I64 if dtype.is_signed else DType.U64
    quotient = k.value("a / n", wide, a=k.convert(total, work, wide), n=k.size_value(count, wide))
    return k.convert(quotient, wide, dtype)


def _kept_indices(k: KernelBuilder, kept: Sequence[Index], axes: Sequence[int]) -> list[Index]:
    """Indices of the result from those of the axes that are not reduced, in order."""
    if not k.attributes.keep_dims:
        return list(kept)
    rest = iter(kept)
    return [index(0) if axis in axes else next(rest) for axis in range(len(axes) + len(kept))]


def _along_memory(k: KernelBuilder, shape: Sequence[Dim], axes: Sequence[int]) -> None:
    x, kind = k.operand("x"), k.attributes.kind
    work = x.dtype.compute
    kept_axes = [axis for axis in range(len(shape)) if axis not in axes]
    first = len(shape)
    while first - 1 in axes or (first and shape[first - 1] == 1):
        first -= 1
    if x.source is not None:  # what is computed has no memory to run through: one axis only
        first = max(axis for axis, size in enumerate(shape) if size != 1)
    run = product(shape[first:])
    outer = [axis for axis in axes if axis < first]
    with k.loops("i", [shape[axis] for axis in kept_axes], parallel=True) as kept:
        lanes = lanes_for(k, "lane", kind, work, run)
        with k.loops("j", [shape[axis] for axis in outer]) as reduced:
            at: list[Index] = [index(0)] * first
            for axis, position in [*zip(kept_axes, kept), *zip(outer, reduced)]:
                if axis < first:
                    at[axis] = position
            if x.source is not None:
                rest = [index(0)] * (len(shape) - first - 1)
                accumulate(k, kind, lanes, run, lambda i: k.load(x, [*at, i, *rest]))
            else:
                row = k.view("row", x, x.reshaped((*shape[:first], run)).offset([*at, 0]), (run,))
                accumulate_run(k, kind, lanes, row)
        total = combined_lanes(k, kind, lanes)
        count = run * product(shape[axis] for axis in outer)
        k.store(_kept_indices(k, kept, axes), _result(k, total, count))


def _across_memory(k: KernelBuilder, shape: Sequence[Dim], axes: Sequence[int]) -> None:
    x, kind = k.operand("x"), k.attributes.kind
    work = x.dtype.compute
    first = len(shape)
    while first and first - 1 not in axes:
        first -= 1
    tail = len(shape) - first
    groups = [*[1] * (len(k.space) - tail), tail]
    if tail and (x.source is not None or not regroup(k, groups)):
        first, tail = len(shape) - 1, 1
    columns = product(shape[first:])
    kept_axes = [axis for axis in range(first) if axis not in axes]
    source = x if x.source is not None else x.reshaped((*shape[:first], columns))
    width = max(1, min(k.high(columns), _COLUMNS))
    with ExitStack() as nest:
        kept = nest.enter_context(k.loops("i", [shape[axis] for axis in kept_axes]))
        span = nest.enter_context(tiles(k, "column", columns, width))
        j = span.start
        sums = k.local("sum", work, (width,))
        with k.loop("t", span.end) as t:
            k.write(sums, [t], k.literal(neutral(kind, work), work))
        with k.loops("j", [shape[axis] for axis in axes]) as reduced:
            at: list[Index] = [index(0)] * first
            for axis, position in [*zip(kept_axes, kept), *zip(axes, reduced)]:
                at[axis] = position
            with k.loop("t", span.end) as t:
                place = [*at, j + t][: len(source.shape)]
                combine(k, kind, sums.at([t]), k.load(source, place), work)
        count = product(shape[axis] for axis in axes)
        with k.loop("t", span.end, start=span.first) as t:
            where = _kept_indices(k, [*kept, j + t] if tail else kept, axes)
            k.store(where, _result(k, k.load(sums, [t]), count))
