"""Resizing by interpolation: positions and weights are tables.

They are made at compile time, or by the kernel where sizes are known at run time only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from burnish.ir import DType, scalar
from burnish.ir.ops.resize import Taps, axis_taps, tap_count

from ..code import Expr, Index, conditional, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register, table_refusal
from .taps import AxisTaps, computed_taps, stays
from .unit import Unit


@register
class Resize(KernelFamily):
    """A row of the result at a time: source rows are mixed first, then positions along the row.

    Along each axis the taps of a position are added in the order of the reference.
    """

    name = "resize"
    ops = ("nn.resize",)
    fusable = True

    def refusal(self, unit: Unit) -> str:
        a = unit.main.attributes
        entries = [n * tap_count(a, i) for i, n in enumerate(a.shape) if isinstance(n, int)]
        return table_refusal(max(entries, default=0))

    def emit(self, k: KernelBuilder) -> None:
        shape = k.op.results[0].type.shape
        x = k.operand("x")
        work = x.dtype.compute if x.dtype.is_float else DType.F32
        axes = [axis_tables(k, axis, work) for axis in range(len(shape))]
        if not shape:
            k.store([], k.load(x, []))
            return
        is_nearest = k.attributes.mode == "nearest"
        mixes = not is_nearest and any(axis is not None for axis in axes[:-1])
        line = k.scratch("line", work, (x.shape[-1],)) if mixes else None
        with k.loops("o", shape[:-1], parallel=True) as outer:
            if line is not None:
                _mix_rows(k, x, line, axes[:-1], outer)
            at = _nearest(k, axes, outer) if is_nearest else list(outer)

            def source(i: Index) -> Expr:
                if line is not None:
                    return k.load(line, [i])
                value = k.load(x, [*at, i])
                return value if is_nearest else _real(k, value, x.dtype, work)

            with k.loop("ox", shape[-1]) as o:
                value = _along_row(k, axes[-1], source, o, work, is_nearest)
                if not is_nearest:
                    value = k.convert(value, work, x.dtype.compute)
                k.store([*outer, o], _extrapolated(k, axes, [*outer, o], value, x.dtype))


def axis_tables(k: KernelBuilder, axis: int, work: DType) -> AxisTaps | None:
    """The tables of an axis; None when it stays as it is."""
    a, old = k.attributes, k.op.inputs[0].type.shape[axis]
    if not (isinstance(old, int) and isinstance(a.shape[axis], int)):
        return None if stays(k, axis, old) else computed_taps(k, axis, old, work)
    plan: Taps = axis_taps(a, axis, old)
    if old == a.shape[axis] and plan.is_identity:
        return None
    taps = 1 if a.mode == "nearest" else plan.indices.shape[1]
    shape = (len(plan.indices), taps)
    positions = k.index_table(f"position{axis}", [int(i) for i in plan.indices[:, :taps].flat])
    values = [k.literal(float(weight), work) for weight in plan.weights[:, :taps].flat]
    weights = (
        positions
        if a.mode == "nearest"
        else Buffer(k.table(f"weight{axis}", work, values), shape, work)
    )
    outside = None
    if plan.outside.any():
        flags = [k.literal(int(flag), DType.U8) for flag in plan.outside]
        outside = Buffer(k.table(f"outside{axis}", DType.U8, flags), (len(flags),), DType.U8)
    return AxisTaps(positions.reshaped(shape), weights, taps, outside)


def _real(k: KernelBuilder, value: Expr, dtype: DType, work: DType) -> Expr:
    return value if dtype.is_float else k.convert(value, dtype, work)


def _nearest(
    k: KernelBuilder, axes: Sequence[AxisTaps | None], outer: Sequence[Expr]
) -> list[Index]:
    """The source row of the row at ``outer``."""
    return [
        o if axis is None else k.let_index(f"i{number}", k.load(axis.positions, [o, 0]))
        for number, (axis, o) in enumerate(zip(axes, outer))
    ]


def _mix_rows(
    k: KernelBuilder,
    x: Buffer,
    line: Buffer,
    axes: Sequence[AxisTaps | None],
    outer: Sequence[Expr],
) -> None:
    """Interpolate along all axes but the last into ``line``."""
    moving = [number for number, axis in enumerate(axes) if axis is not None]
    width = line.shape[0]
    work = line.dtype
    at: list[Index] = list(outer)
    if len(moving) > 1:
        with k.loop("i", width) as i:
            k.write(line, [i], _mixed(k, x, axes, moving, outer, [*at, i], work))
        return
    (number,) = moving
    axis = axes[number]
    assert axis is not None
    with k.loop("i", width) as i:
        k.write(line, [i], k.literal(0, work))
    with k.loop("t", axis.taps) as t:
        at[number] = k.let_index("row", k.load(axis.positions, [outer[number], t]))
        weight = k.let("weight", work, k.load(axis.weights, [outer[number], t]))
        with k.loop("i", width) as i:
            value = _real(k, k.load(x, [*at, i]), x.dtype, work)
            place = line.at([i])
            k.assign(place, k.value("a + x * w", work, a=place, x=value, w=weight))


def _mixed(
    k: KernelBuilder,
    x: Buffer,
    axes: Sequence[AxisTaps | None],
    moving: Sequence[int],
    outer: Sequence[Expr],
    at: list[Index],
    work: DType,
) -> Expr:
    """Interpolate along the axes in ``moving``, the first of them innermost, at one place."""
    if not moving:
        return _real(k, k.load(x, at), x.dtype, work)
    *inner, number = moving
    axis = axes[number]
    assert axis is not None
    total = k.variable(f"sum{number}", work, 0.0)
    with k.loop("t", axis.taps) as t:
        at[number] = k.let_index(f"i{number}", k.load(axis.positions, [outer[number], t]))
        value = _mixed(k, x, axes, inner, outer, at, work)
        weight = k.load(axis.weights, [outer[number], t])
        k.assign(total, k.value("a + x * w", work, a=total, x=value, w=weight))
    return total


def _along_row(
    k: KernelBuilder,
    axis: AxisTaps | None,
    source: Callable[[Index], Expr],
    o: Expr,
    work: DType,
    is_nearest: bool,
) -> Expr:
    """The value at position ``o`` of a row, interpolated along the last axis."""
    if axis is None:
        return source(o)
    if is_nearest:
        return source(k.load(axis.positions, [o, 0]))
    total = k.variable("sum", work, 0.0)
    with k.loop("t", axis.taps) as t:
        value = source(k.load(axis.positions, [o, t]))
        weight = k.load(axis.weights, [o, t])
        k.assign(total, k.value("a + x * w", work, a=total, x=value, w=weight))
    return total


def _extrapolated(
    k: KernelBuilder, axes: Sequence[AxisTaps | None], at: Sequence[Expr], value: Expr, dtype: DType
) -> Expr:
    """``value``, or the extrapolation value where a position lies outside the source."""
    beyond = index(0)
    for axis, o in zip(axes, at):
        if axis is not None and axis.outside is not None:
            beyond = beyond | k.load(axis.outside, [o]).differs(0)
    filler = scalar.convert(np.asarray(k.attributes.extrapolation_value, np.float32), dtype)
    return conditional(beyond, k.literal(filler.item(), dtype), value)
