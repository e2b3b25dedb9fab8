"""Reducing runs of memory: in independent lanes, which compilers keep in vectors."""

from __future__ import annotations

import math
from collections.abc import Callable

from burnish.ir import Dim, DType

from ..code import Expr, Index, index
from .buffer import Buffer
from .builder import KernelBuilder

LANES = 32

_COMBINE = {
    "sum": "a + x",
    "mean": "a + x",
    "prod": "a * x",
    "min": "min(a, x)",
    "max": "max(a, x)",
    "any": "a or x",
    "all": "a and x",
}


def neutral(kind: str, dtype: DType) -> float | int | bool:
    """What a reduction of nothing gives."""
    if kind in ("min", "max"):
        low, high = (-math.inf, math.inf) if dtype.is_float else dtype.integer_range
        return high if kind == "min" else low
    return kind in ("prod", "all")


def combine(k: KernelBuilder, kind: str, place: Expr, value: Expr, dtype: DType) -> None:
    """Take ``value`` into what ``place`` has accumulated."""
    k.assign(place, k.value(_COMBINE[kind], dtype, a=place, x=value))


def lanes_for(k: KernelBuilder, name: str, kind: str, dtype: DType, run: Dim) -> Buffer:
    """Lanes to reduce runs of that length into, as neutral elements."""
    lanes = k.local(name, dtype, (LANES if k.high(run) >= 2 * LANES else 1,))
    with k.loop("t", lanes.shape[0]) as t:
        k.write(lanes, [t], k.literal(neutral(kind, dtype), dtype))
    return lanes


def accumulate_run(
    k: KernelBuilder,
    kind: str,
    lanes: Buffer,
    run: Buffer,
    change: Callable[[Expr], Expr] = lambda value: value,
) -> None:
    """Take the elements of ``run``, each after ``change``, into the lanes."""
    accumulate(k, kind, lanes, run.shape[0], lambda i: change(k.load(run, [i])))


def accumulate(
    k: KernelBuilder, kind: str, lanes: Buffer, length: Dim, element: Callable[[Expr], Expr]
) -> None:
    """Take ``length`` elements into the lanes."""
    (count,) = lanes.shape
    assert isinstance(count, int)
    whole: Index = length - length % count
    if not isinstance(length, int):
        whole = k.let_index("whole", index(length) - index(length) % count)
    with k.loop("k", whole, step=count) as k0, k.loop("t", count) as t:
        combine(k, kind, lanes.at([t]), element(k0 + t), lanes.dtype)
    with k.loop("t", index(length) - whole) as t:
        combine(k, kind, lanes.at([t]), element(t + whole), lanes.dtype)


def combined_lanes(k: KernelBuilder, kind: str, lanes: Buffer) -> Expr:
    """The lanes combined into one value."""
    if lanes.shape != (1,):
        k.comment("Combine the lanes in pairs.")
        half = k.index_variable("half", LANES // 2)
        with k.block(f"for (; {half} > 0; {half} /= 2)"), k.loop("t", half) as t:
            combine(k, kind, lanes.at([t]), k.load(lanes, [t + half]), lanes.dtype)
    return k.load(lanes, [0])
