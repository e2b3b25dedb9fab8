"""Ops that move or repeat elements by an affine map of the indices: one copy of views each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from burnish.ir.dims import Dim, product

from .builder import KernelBuilder
from .family import KernelFamily, register
from .products import regroup
from .strided import View, copy


@register
class Transpose(KernelFamily):
    """In the order of the result; in blocks where the source is contiguous along another axis."""

    name = "transpose"
    ops = ("tensor.transpose",)

    def emit(self, k: KernelBuilder) -> None:
        copy(
            k,
            View.of(k.result),
            View.of(k.operand("x")).transposed(k.attributes.permutation),
            parallel=True,
        )


@register
class Broadcast(KernelFamily):
    """Each run of the source is written as often as the result repeats it."""

    name = "broadcast"
    ops = ("tensor.broadcast",)

    def emit(self, k: KernelBuilder) -> None:
        copy(k, View.of(k.result), View.of(k.operand("x")).broadcast(k.result.shape), parallel=True)


@register
class Slice(KernelFamily):
    """Copies what is taken, run by run where steps are 1."""

    name = "slice"
    ops = ("tensor.slice",)

    def emit(self, k: KernelBuilder) -> None:
        a = k.attributes
        taken = View.of(k.operand("x"))
        for axis, (start, size, step) in enumerate(zip(a.starts, a.sizes, a.steps)):
            _require_inside(k, k.operand("x").shape[axis], start, size, step)
            taken = taken.sliced(axis, start, size, step)
        copy(k, View.of(k.result), taken, parallel=True)


def _require_inside(k: KernelBuilder, extent: Dim, start: Dim, size: Dim, step: int) -> None:
    """Fail at run time unless all that a slice takes lies in the axis."""
    if all(isinstance(dim, int) for dim in (extent, start, size)):
        return
    ends = (start, start + (size - 1) * step)
    lowest, highest = ends if step > 0 else reversed(ends)
    with k.when(k.less(0, size)):
        k.require(0, lowest)
        k.require(highest, extent - 1)


@register
class Concat(KernelFamily):
    """One operand after the other into its part of the result."""

    name = "concat"
    ops = ("tensor.concat",)

    def emit(self, k: KernelBuilder) -> None:
        axis: int = k.attributes.axis
        start: Dim = 0
        for operand in k.operands:
            assert operand is not None
            source = View.of(operand)
            copy(
                k, View.of(k.result).sliced(axis, start, source.shape[axis]), source, parallel=True
            )
            start = start + source.shape[axis]


@register
class FusedConcat(KernelFamily):
    """Element by element, part after part, in front of elementwise ops."""

    name = "concat_fused"
    ops = ("tensor.concat",)
    fusable = True
    computes_operands = True

    def emit(self, k: KernelBuilder) -> None:
        axis: int = k.attributes.axis
        groups = [axis, 1, len(k.space) - axis - 1]
        merges = not k.unit.prologue and regroup(k, groups)
        start: Dim = 0
        for operand in k.operands:
            assert operand is not None
            source = operand.reshaped(_merged(operand.shape, groups)) if merges else operand
            along = 1 if merges else axis
            with k.loops("i", source.shape, parallel=True) as indices:
                at = [*indices[:along], indices[along] + start, *indices[along + 1 :]]
                k.store(at, k.load(source, indices))
            start = start + operand.shape[axis]


def _merged(shape: Sequence[Dim], groups: Sequence[int]) -> list[Dim]:
    """``shape`` with as many neighbouring axes merged as each of ``groups`` says."""
    ends = list(itertools.accumulate(groups))
    return [product(shape[end - count : end]) for count, end in zip(groups, ends)]


@register
class FusedSlice(KernelFamily):
    """Element by element, in front of elementwise ops."""

    name = "slice_fused"
    ops = ("tensor.slice",)
    fusable = True

    def emit(self, k: KernelBuilder) -> None:
        a, x = k.attributes, k.operand("x")
        for axis, (start, size, step) in enumerate(zip(a.starts, a.sizes, a.steps)):
            _require_inside(k, x.shape[axis], start, size, step)
        with k.loops("i", k.space, parallel=True) as indices:
            source = [i * step + start for i, start, step in zip(indices, a.starts, a.steps)]
            k.store(indices, k.load(x, source))


@register
class Tile(KernelFamily):
    """A broadcast along an axis of copies in front of each axis."""

    name = "tile"
    ops = ("tensor.tile",)

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        single = [size for extent in x.shape for size in (1, extent)]
        repeated = [size for pair in zip(k.attributes.repeats, x.shape) for size in pair]
        copy(k, View.of(k.result, repeated), View.of(x, single).broadcast(repeated), parallel=True)
