"""Elementwise ops and groups of them: one pass over the result."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.ir import Op
from burnish.ir.dims import Dim
from burnish.ir.elementwise import ElementwiseOp

from ..vectors import VectorRenderer, functions_of
from .builder import KernelBuilder
from .family import ELEMENTWISE, KernelFamily, Storage, register
from .stored import as_stored
from .vector_store import VectorStore


@register
class Elementwise(KernelFamily):
    """One loop nest over the result, axes merged where every operand steps through them alike.

    Compilers make vectors of it, but not of the functions of ``<math.h>``: with these, runs of the
    last axis are computed in vectors here.
    """

    name = "elementwise"
    ops = (ELEMENTWISE,)
    fusable = True
    storage = Storage.ANY

    def emit(self, k: KernelBuilder) -> None:
        stored = as_stored(k)
        merged = None if stored is None else merge_axes(*stored)
        in_vectors = any(map(_has_functions, k.unit.epilogue))
        if merged is not None and merged[0][-1:] == (k.isa.lanes,):
            # A loop this short costs compilers as much again to see that memory does not overlap.
            in_vectors = True
        if k.isa.has_vectors and in_vectors:
            store = VectorStore(k, VectorRenderer(k.isa.lanes, k.helper))
            if store.by_storage:
                k.reshape_all(*merge_axes(k.space, [buffer.shape for buffer in k.inputs]))
            if store.in_registers and k.space and isinstance(k.space[-1], int):
                _in_vectors(k, store, k.space[-1])
                return
        elif merged is not None:
            k.reshape_all(*merged)
        with k.loops("i", k.space, parallel=True) as indices:
            k.store(indices)


def _has_functions(op: Op) -> bool:
    """Whether an op computes a function that vectors have, and compilers do not."""
    return isinstance(op.opdef, ElementwiseOp) and bool(functions_of(op.opdef.expression))


def _in_vectors(k: KernelBuilder, store: VectorStore, run: int) -> None:
    """Vector by vector along the last axis, then what is left."""
    whole = run - run % store.lanes
    counts = [*k.space[:-1], run // store.lanes]
    along = k.shared_loop(*counts) == len(counts) - 1
    with k.loops("i", k.space[:-1], parallel=not along) as outer:
        with k.loop("j", whole, step=store.lanes, parallel=along) as j:
            store.store([*outer, j])
        with k.alone(along), k.loop("j", run, start=whole) as j:
            k.store([*outer, j])


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
