"""Resizing in blocks of channels: all channels of a block move and mix together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from burnish.ir import DType, Op
from burnish.ir.ops.resize import axis_taps, tap_count

from ..code import Expr, binary
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import blocked, channel_steps, flat, is_static_float
from .blocked_conv import layout_refusal
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register, table_refusal
from .resize import axis_tables
from .strided import static
from .taps import AxisTaps
from .unit import Unit
from .vector_store import VectorStore
from .windows import axis_names

MAX_TAPS = 36
"""Vectors mixed into one, all written out."""


@register
class BlockedResize(KernelFamily):
    """A row of vectors at a time: where its taps lie along the outer axes is found once."""

    name = "blocked_resize"
    ops = ("nn.resize",)
    fusable = True
    storage = Storage.LAID_OUT

    def refusal(self, unit: Unit) -> str:
        op = unit.main
        if reason := layout_refusal(unit):
            return reason
        if op.inputs[0].type.layout != op.result.type.layout:
            return f"of an input in {op.inputs[0].type.layout}"
        return "" if _is_spatial(op) else "of these axes or taps in a layout"

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        if op.result.type.rank < 3 or not _is_spatial(op):
            return ()
        layout = blocked(op.result.type.rank, isa.lanes)
        vectors = math.prod(static(op.result.type.shape)) / isa.lanes
        return [LaidOut((layout,), (layout,), vectors * (4 + 1.5 * _taps(op)))]

    def emit(self, k: KernelBuilder) -> None:
        v = VectorRenderer(k.isa.lanes, k.helper)
        store = VectorStore(k, v)
        type_ = k.op.inputs[0].type
        steps = channel_steps(type_)
        assert steps is not None
        x, (*counts, row) = flat(k.operand("x")), static(k.op.result.type.shape[2:])
        axes = [axis_tables(k, axis, DType.F32) for axis in range(2, type_.rank)]
        *names, name = axis_names("o", len(axes))
        batch = static(type_.shape)[0]
        around = k.loops(
            " ".join(["n", "c", *names]), (batch, steps.planes, *counts), parallel=True
        )
        with around as (n, c, *outer):
            start = n * steps.image + c * steps.plane
            rows = _rows(k, axes[:-1], outer, steps.spatial, start)
            with k.loop(name, row) as o:
                places = _along(k, axes[-1], o, steps.spatial[-1])
                total: Expr | None = None
                for offset, weight in rows:
                    mixed: Expr | None = None
                    for place, factor in places:
                        value = v.load(x.at([offset + place]))
                        mixed = _add(v, mixed, value, factor)
                    assert mixed is not None
                    if len(rows) > 1:
                        mixed = k.declare(f"const {v.type}", "mixed", mixed)
                    total = _add(v, total, mixed, weight)
                store.store([n, c, *outer, o, 0], total)


def _add(v: VectorRenderer, total: Expr | None, value: Expr, weight: Expr | None) -> Expr:
    """``total + weight · value``; absent ones are 0 and 1."""
    if weight is None:
        return value if total is None else binary("+", total, value)
    if total is None:
        return binary("*", value, v.splat(weight))
    return v.fma(value, v.splat(weight), total)


def _along(
    k: KernelBuilder, axis: AxisTaps | None, o: Expr, step: int
) -> list[tuple[Expr, Expr | None]]:
    """Offsets and weights (None: 1) of the taps of position ``o`` along an axis."""
    if axis is None:
        return [(o * step, None)]
    found: list[tuple[Expr, Expr | None]] = []
    for tap in range(axis.taps):
        at = k.let_index("at", k.load(axis.positions, [o, tap]) * step)
        weight = None
        if k.attributes.mode != "nearest":
            weight = k.let("weight", DType.F32, k.load(axis.weights, [o, tap]))
        found.append((at, weight))
    return found


def _rows(
    k: KernelBuilder,
    axes: Sequence[AxisTaps | None],
    outer: Sequence[Expr],
    steps: Sequence[int],
    start: Expr,
) -> list[tuple[Expr, Expr | None]]:
    """Offsets and weights of the rows that a row of the result is mixed from."""
    taps = [_along(k, axis, o, step) for axis, o, step in zip(axes, outer, steps)]
    rows: list[tuple[Expr, Expr | None]] = []
    for chosen in product(*taps):
        offset = start
        weight: Expr | None = None
        for place, factor in chosen:
            offset = offset + place
            if factor is not None:
                weight = factor if weight is None else binary("*", weight, factor)
        rows.append((k.let_index("row", offset), weight))
    return rows


def _taps(op: Op) -> int:
    return math.prod(tap_count(op.attributes, axis) for axis in range(2, op.result.type.rank))


def _is_spatial(op: Op) -> bool:
    """Whether batch and channels stay, nothing is extrapolated, and all taps can be written out."""
    a, x, y = op.attributes, op.inputs[0].type, op.result.type
    if not is_static_float(x, y) or _taps(op) > MAX_TAPS or table_refusal(max(static(y.shape))):
        return False
    sizes = static(x.shape)
    if sizes[:2] != static(y.shape)[:2]:
        return False
    plans = [axis_taps(a, axis, size) for axis, size in enumerate(sizes)]
    return all(plan.is_identity for plan in plans[:2]) and not any(p.outside.any() for p in plans)
