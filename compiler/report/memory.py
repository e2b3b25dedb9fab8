"""From a backend's memory plan to the report's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from burnish.backends.c.plan import Plan
from burnish.ir import Module, Value
from burnish.ir.dims import Interval, bounds

from .data import Buffer, Memory


def memory_of(plan: Plan, module: Module) -> Memory:
    """The plan of the C backend as the report's data."""
    buffers = tuple(
        Buffer(" = ".join([b.name, *b.also]), b.offset, b.bytes, b.first, b.last)
        for b in plan.buffers
    )
    steps = 1 + max((buffer.last for buffer in buffers), default=-1)
    peak, peak_step = _peak(buffers)
    live = [b for b in buffers if b.first <= peak_step <= b.last]
    live.sort(key=lambda b: (-b.bytes, b.offset))
    return Memory(
        arena=plan.arena_bytes,
        inputs=_bytes(module.main.args, module.symbols),
        outputs=_bytes(module.main.results, module.symbols),
        peak=peak,
        lower_bound=plan.bound,
        peak_step=peak_step,
        live_at_peak=tuple(buffer.name for buffer in live),
        steps=steps,
        buffers=buffers,
    )


def _bytes(values: Iterable[Value], ranges: Mapping[str, Interval]) -> int:
    """The most bytes of ``values``: the arena is planned for the greatest sizes too."""
    return sum(
        math.prod(max(0, bounds(dim, ranges)[1]) for dim in value.type.shape)
        * value.type.dtype.bytes
        for value in values
    )


def _peak(buffers: tuple[Buffer, ...]) -> tuple[int, int]:
    """The most bytes live at one step, and the first such step."""
    change: defaultdict[int, int] = defaultdict(int)
    for buffer in buffers:
        change[buffer.first] += buffer.bytes
        change[buffer.last + 1] -= buffer.bytes
    live = peak = peak_step = 0
    for step in sorted(change):
        live += change[step]
        if live > peak:
            peak, peak_step = live, step
    return peak, peak_step
