"""Storing a tensor in another order."""

from __future__ import annotations

import math

from burnish.ir.dims import Dim

from ..code import index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, Storage, register
from .strided import View, copy


@register
class Relayout(KernelFamily):
    """A copy of views whose axes are split where either side is tiled.

    Where tiles do not divide an axis, or both sides tile it differently, elements are copied one by
    one; what pads a tile is 0.
    """

    name = "relayout"
    ops = ("tensor.relayout",)
    storage = Storage.ANY

    def emit(self, k: KernelBuilder) -> None:
        x, y = k.operand("x"), k.result
        parts = _parts(x, y)
        if parts is not None:
            copy(k, _view(y, parts), _view(x, parts), parallel=True)
            return
        layout = y.layout
        axes = tuple(enumerate(y.shape)) if layout is None else layout.storage_axes(y.shape)
        stored = Buffer(y.pointer, tuple(extent for _, extent in axes), y.dtype)
        with k.loops("i", stored.shape, parallel=True) as positions:
            at = [index(0)] * len(y.shape)
            for (axis, extent), position in zip(axes, positions):
                at[axis] = at[axis] * extent + position
            inside = index(1)
            for axis, (place, size) in enumerate(zip(at, y.shape)):
                if size % math.prod(_tiles(y, axis)):
                    inside = inside & (place < size)
            with k.branch(inside) as (yes, no):
                with yes:
                    k.write(stored, positions, k.load(x, at))
                with no:
                    k.write(stored, positions, k.literal(0, y.dtype))


def _tiles(buffer: Buffer, axis: int) -> tuple[int, ...]:
    layout = buffer.layout
    return () if layout is None else tuple(f for tiled, f in layout.tiles if tiled == axis)


def _divides(buffer: Buffer) -> bool:
    """Whether tiles divide their axes, so that there is no padding."""
    return all(
        size % math.prod(_tiles(buffer, axis)) == 0 for axis, size in enumerate(buffer.shape)
    )


def _parts(x: Buffer, y: Buffer) -> list[tuple[Dim, ...]] | None:
    """Into what extents each axis is split, outermost first; None where there is no such split."""
    if not (_divides(x) and _divides(y)):
        return None
    parts: list[tuple[Dim, ...]] = []
    for axis, size in enumerate(x.shape):
        tiles = _tiles(x, axis) or _tiles(y, axis)
        if _tiles(x, axis) and _tiles(y, axis) and _tiles(x, axis) != _tiles(y, axis):
            return None
        parts.append((size // math.prod(tiles), *tiles))
    return parts


def _view(buffer: Buffer, parts: list[tuple[Dim, ...]]) -> View:
    """The buffer seen with every axis split into its parts."""
    order = range(len(parts)) if buffer.layout is None else buffer.layout.order
    stored: list[tuple[int, int]] = []  # axis, part
    for axis in order:
        split = 1 if _tiles(buffer, axis) else len(parts[axis])
        stored += [(axis, part) for part in range(split)]
    seen = dict.fromkeys(order, 0)
    for axis, _ in () if buffer.layout is None else buffer.layout.tiles:
        seen[axis] += 1
        stored.append((axis, seen[axis]))
    strides: dict[tuple[int, int], Dim] = {}
    stride: Dim = 1
    for axis, part in reversed(stored):
        strides[axis, part] = stride
        stride = stride * parts[axis][part]
    places = [(axis, part) for axis, split in enumerate(parts) for part in range(len(split))]
    return View(
        Buffer(buffer.pointer, tuple(parts[a][p] for a, p in stored), buffer.dtype),
        0,
        tuple(parts[axis][part] for axis, part in places),
        tuple(strides[place] for place in places),
    )
