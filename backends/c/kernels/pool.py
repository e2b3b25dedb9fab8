"""Pooling: one row of the result at a time, one element of the windows after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import ClassVar

from burnish.ir import DType
from burnish.ir.ops.pool import average_divisor

from ..code import Expr, call, cast, index
from ..elements import value_type
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register, table_refusal
from .unit import Unit
from .windows import WindowAxis, axis_names, window_axes

Finish = Callable[[Expr, Expr], Expr]
"""The result from what a window holds after its last tap, and its position in the row."""

Count = Callable[[Expr], Expr]
"""How many elements of a window count along one axis."""


class _Pool(KernelFamily):
    """Accumulates a row of the result tap by tap; padding is never read.

    Ranges of taps and of columns are found per row and tap, so the loop over a row has no
    conditions and reads and writes neighbours.
    """

    fusable = True
    computes_operands = True
    combine: ClassVar[str]
    """What becomes of the accumulated ``a`` with an element ``x``."""

    def start(self, dtype: DType) -> float | int:
        """What windows hold before the first tap."""
        raise NotImplementedError

    def finish(self, k: KernelBuilder, outer: Sequence[Expr]) -> Finish:
        """What to do after the last tap in the row at ``outer``."""
        return lambda value, _: value

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        work = x.dtype.compute
        batch, channels, *extents = k.op.inputs[0].type.shape
        counts = k.op.results[0].type.shape[2:]
        axes = window_axes(k.attributes, extents, k.attributes.kernel, counts)
        inner = axes[-1]
        *outer_names, name = axis_names("o", len(axes))
        *tap_names, last_tap = axis_names("k", len(axes))
        row = k.scratch("row", work, (inner.count,))
        with ExitStack() as nest:
            n, c = nest.enter_context(k.loops("n c", (batch, channels), parallel=True))
            outer = nest.enter_context(k.loops(" ".join(outer_names), counts[:-1]))
            with k.loop(name, inner.count) as o:
                k.write(row, [o], k.literal(self.start(work), work))
            k.comment("Only taps and columns that meet an element: nothing is read outside.")
            with ExitStack() as taps:
                at = []
                for axis, window, tap_name in zip(axes, outer, tap_names):
                    low, high = axis.taps(k, tap_name, window)
                    tap = taps.enter_context(k.loop(tap_name, high, start=low))
                    at.append(axis.element(window, tap))
                tap = taps.enter_context(k.loop(last_tap, inner.kernel))
                low, high = inner.windows(k, name, tap)
                with k.loop(name, high, start=low) as o:
                    value = k.load(x, [n, c, *at, inner.element(o, tap)])
                    k.assign(row.at([o]), k.value(self.combine, work, a=row.at([o]), x=value))
            finish = self.finish(k, outer)
            with k.loop(name, inner.count) as o:
                k.store([n, c, *outer, o], finish(k.load(row, [o]), o))


@register
class MaxPool(_Pool):
    """The largest element of each window; NaN propagates."""

    name = "max_pool"
    ops = ("nn.max_pool",)
    combine = "max(a, x)"

    def start(self, dtype: DType) -> float | int:
        return -math.inf if dtype.is_float else dtype.integer_range[0]


@register
class AveragePool(_Pool):
    """The mean of each window; divisors that vary along an axis come from a table.

    Along an axis whose size is known at run time only they are counted there.
    """

    name = "average_pool"
    ops = ("nn.average_pool",)
    combine = "a + x"

    def start(self, dtype: DType) -> float | int:
        return 0.0

    def refusal(self, unit: Unit) -> str:
        windows = unit.main.results[0].type.shape[2:]
        return table_refusal(max((n for n in windows if isinstance(n, int)), default=0))

    def finish(self, k: KernelBuilder, outer: Sequence[Expr]) -> Finish:
        work = k.operand("x").dtype.compute
        constant, counts = divisors(k, work)
        factors = [k.literal(constant, work)] if constant != 1 else []
        factors += [count(at) for count, at in zip(counts, outer) if count is not None]
        size = factors[0] if factors else None
        for factor in factors[1:]:
            assert size is not None
            size = k.value("a * b", work, a=size, b=factor)
        if size is not None and not size.is_number:
            size = k.let("size", work, size)
        along_row = counts[-1]

        def finish(value: Expr, o: Expr) -> Expr:
            count = size
            if along_row is not None:
                count = along_row(o)
                if size is not None:
                    count = k.value("size * n", work, size=size, n=count)
            return value if count is None else k.value("x / n", work, x=value, n=count)

        return finish


def divisors(k: KernelBuilder, work: DType) -> tuple[int, list[Count | None]]:
    """The product of divisors that are the same for all windows; and those that vary."""
    a = k.attributes
    extents, windows = (v.type.shape[2:] for v in (k.op.inputs[0], k.op.results[0]))
    axes = window_axes(a, extents, a.kernel, windows)
    constant = 1
    counts: list[Count | None] = []
    for number, (name, axis) in enumerate(zip(axis_names("count_", len(axes)), axes)):
        if not (isinstance(axis.size, int) and isinstance(axis.count, int)):
            if axis.is_inside:
                constant *= a.kernel[number]
                counts.append(None)
            else:
                counts.append(_counted(k, number, axis, work))
            continue
        values = average_divisor(a, number, axis.size, axis.count).tolist()
        if len(set(values)) <= 1:
            constant *= values[0] if values else 1
            counts.append(None)
        else:
            pointer = k.table(name, work, [k.literal(value, work) for value in values])
            counts.append(_tabulated(k, Buffer(pointer, (len(values),), work)))
    return constant, counts


def _tabulated(k: KernelBuilder, table: Buffer) -> Count:
    return lambda window: k.load(table, [window])


def _counted(k: KernelBuilder, number: int, axis: WindowAxis, work: DType) -> Count:
    """How many elements of a window count along axis ``number``, found from its position."""
    helper = k.helper("window_count")
    low, high = index(0), index(axis.size)
    if k.attributes.count_include_pad:
        pads = k.attributes.pads
        low, high = index(-axis.before), high + pads[number + len(pads) // 2]
    taps = (index(axis.kernel), index(axis.dilation))

    def count(window: Expr) -> Expr:
        found = call(helper, axis.element(window, 0), *taps, low, high)
        return cast(value_type(work), found)

    return count


@register
class ArgMaxPool(KernelFamily):
    """Window by window: the best element so far and its place."""

    name = "arg_max_pool"
    ops = ("nn.arg_max_pool",)

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        work = x.dtype.compute
        batch, channels, *extents = k.op.inputs[0].type.shape
        counts = k.op.results[0].type.shape[2:]
        axes = window_axes(k.attributes, extents, k.attributes.kernel, counts)
        better = "x > best or (is_nan(x) and not is_nan(best))" if work.is_float else "x > best"
        windows = " ".join(axis_names("o", len(axes)))
        with (
            k.loops("n c", (batch, channels), parallel=True) as (n, c),
            k.loops(windows, counts) as outer,
        ):
            best = k.variable("best", work, 0)
            place = k.index_variable("place", -1)
            with ExitStack() as taps:
                at = []
                for axis, window, name in zip(axes, outer, axis_names("k", len(axes))):
                    low, high = axis.taps(k, name, window)
                    tap = taps.enter_context(k.loop(name, high, start=low))
                    at.append(axis.element(window, tap))
                value = k.let("v", work, k.load(x, [n, c, *at]))
                with k.when((place < 0) | k.value(better, work, x=value, best=best)):
                    k.assign(best, value)
                    k.assign(place, Buffer("", tuple(extents), work).offset(at))
            k.store([n, c, *outer], cast("int64_t", place))
