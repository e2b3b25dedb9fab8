"""Elementwise ops and groups of them: one pass over the result."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir.dims import Dim

from .base import ELEMENTWISE, KernelBuilder, KernelFamily, register
from .stored import as_stored


@register
class Elementwise(KernelFamily):
    """One loop nest over the result, axes merged where every operand steps through them alike."""

    name = "elementwise"
    ops = (ELEMENTWISE,)
    fusable = True
    any_layout = True

    def emit(self, k: KernelBuilder) -> None:
        stored = as_stored(k)
        if stored is not None:
            k.reshape_all(*merge_axes(*stored))
        with k.loops("i", k.space) as indices:
            k.store(indices)


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
