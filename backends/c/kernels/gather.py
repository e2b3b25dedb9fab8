"""Reading at positions that data gives."""

from __future__ import annotations

from burnish.ir.dims import product

from ..code import Expr, Index, index
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import View, contiguous_strides, copy, linear, merge_strides, split_at, static


@register
class Gather(KernelFamily):
    """One run of the source per index, checked as it is read."""

    name = "gather"
    ops = ("tensor.gather",)

    def emit(self, k: KernelBuilder) -> None:
        indices = k.operand("indices")
        count = indices.elements
        before, extent, after = split_at(k.operand("x").shape, k.attributes.axis)
        x = View.of(k.operand("x"), (before, extent, after))
        y = View.of(k.result, (before, count, after))
        flat = indices.reshaped((count,))
        with k.loops("i j", (before, count)) as (i, j):
            position = k.load_index(flat, (j,), extent)
            copy(k, y.at(i, j), x.at(i, position))


@register
class GatherElements(KernelFamily):
    """One element per index."""

    name = "gather_elements"
    ops = ("tensor.gather_elements",)

    def emit(self, k: KernelBuilder) -> None:
        walk = AxisWalk(k.operand("x"), k.operand("indices"), k.attributes.axis)
        walk.require_inside(k)
        with k.loops("i", walk.shape) as at:
            place = linear(at, walk.dense)
            indices = walk.indices.reshaped((walk.indices.elements,))
            position = k.load_index(indices, (place,), walk.extent)
            source = flat_element(k.operand("x"), walk.place(at, position))
            k.statement(f"{flat_element(k.result, place)} = {source}")


class AxisWalk:
    """A walk over ``indices`` that index one ``axis`` of ``x`` element by element.

    ``shape`` has as few axes as possible; ``dense`` are the strides of the indices.
    """

    def __init__(self, x: Buffer, indices: Buffer, axis: int) -> None:
        self.indices = indices
        self._others = [pair for i, pair in enumerate(zip(indices.shape, x.shape)) if i != axis]
        self.extent = x.shape[axis]
        strides = list(contiguous_strides(x.shape))
        self._stride = strides[axis]
        strides[axis] = 0  # the index stands for this axis
        shape = indices.shape
        self.shape, (self.dense, self._strides) = merge_strides(
            shape, contiguous_strides(shape), strides
        )

    def require_inside(self, k: KernelBuilder) -> None:
        """Fail unless the indices are no larger than ``x`` along the other axes."""
        for count, extent in self._others:
            k.require(count, extent)

    def place(self, at: tuple[Expr, ...], position: Expr) -> Expr:
        """The element of ``x`` for the index at ``at``, whose value is ``position``."""
        return linear((*at, position), (*self._strides, self._stride))


@register
class GatherND(KernelFamily):
    """One run of the source per index tuple."""

    name = "gather_nd"
    ops = ("tensor.gather_nd",)

    def emit(self, k: KernelBuilder) -> None:
        indices, x = k.operand("indices"), k.operand("x")
        batch: int = k.attributes.batch_dims
        (width,) = static(indices.shape[-1:])
        batches, tuples = product(indices.shape[:batch]), product(indices.shape[batch:-1])
        indexed = x.shape[batch : batch + width]
        after = product(x.shape[batch + width :])
        source = View.of(x, (batches, *indexed, after))
        target = View.of(k.result, (batches, tuples, after))
        listed = indices.reshaped((batches, tuples, width))
        with k.loops("i j", (batches, tuples)) as (i, j):
            positions = [
                k.load_index(listed, (i, j, axis), size) for axis, size in enumerate(indexed)
            ]
            copy(k, target.at(i, j), source.at(i, *positions))


def flat_element(buffer: Buffer, place: Index) -> Expr:
    """The stored element number ``place`` of ``buffer``, in row-major order."""
    return buffer.reshaped((buffer.elements,)).at([index(place)])
