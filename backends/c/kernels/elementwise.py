"""Elementwise ops and groups of them: one pass over the result."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir.dims import Dim

from .base import ELEMENTWISE, KernelBuilder, KernelFamily, register


@register
class Elementwise(KernelFamily):
    """One loop nest over the result, axes merged where every operand steps through them alike."""

    name = "elementwise"
    ops = (ELEMENTWISE,)
    fusable = True
    any_layout = True

    def emit(self, k: KernelBuilder) -> None:
        stored = _as_stored(k)
        if stored is not None:
            k.reshape_all(*merge_axes(*stored))
        with k.loops("i", k.space) as indices:
            k.store(indices)


def _as_stored(k: KernelBuilder) -> tuple[tuple[Dim, ...], list[tuple[Dim, ...]]] | None:
    """The space, and the shapes that broadcast to it, over axes as the result is stored.

    None where some operand does not step through memory in that order; then elements are found
    by their logical indices.
    """
    layout = k.unit.space.layout
    buffers = k.inputs
    if layout is None:
        if any(buffer.layout is not None for buffer in buffers):
            return None
        return k.space, [buffer.shape for buffer in buffers]
    axes = layout.storage_axes(k.space)
    shapes: list[tuple[Dim, ...]] = []
    for buffer in buffers:
        if buffer.shape == k.space and buffer.layout == layout:
            shapes.append(tuple(extent for _, extent in axes))
            continue
        shape = (1,) * (len(k.space) - len(buffer.shape)) + buffer.shape
        spanned = [axis for axis, _ in axes if shape[axis] != 1]
        whole = all(shape[a] % f == 0 for a, f in layout.tiles if shape[a] != 1)
        if buffer.layout is not None or not whole or spanned != sorted(spanned):
            return None
        shapes.append(tuple(1 if shape[axis] == 1 else extent for axis, extent in axes))
    return tuple(extent for _, extent in axes), shapes


def merge_axes(
    space: Sequence[Dim], shapes: Sequence[Sequence[Dim]]
) -> tuple[tuple[Dim, ...], list[tuple[Dim, ...]]]:
    """``space`` and the shapes that broadcast to it, with neighbouring axes merged.

    Two axes merge when each shape either spans both or broadcasts along both.
    """
    rank = len(space)
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    merged: list[Dim] = []
    columns: list[list[Dim]] = []
    pattern: list[bool] = []
    for axis, size in enumerate(space):
        if size == 1:
            continue
        spans = [shape[axis] != 1 for shape in aligned]
        column = [shape[axis] for shape in aligned]
        if merged and spans == pattern:
            merged[-1] = merged[-1] * size
            columns[-1] = [a * b for a, b in zip(columns[-1], column)]
        else:
            merged.append(size)
            columns.append(column)
        pattern = spans
    return tuple(merged), [tuple(column[i] for column in columns) for i in range(len(shapes))]
