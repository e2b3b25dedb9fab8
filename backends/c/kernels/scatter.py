"""Writing at positions that data gives: a copy of the operand, then one update after another."""

from __future__ import annotations

from dataclasses import replace

from burnish.ir import DType
from burnish.ir.dims import product

from ..code import Expr
from ..elements import is_narrow_float
from .builder import KernelBuilder
from .family import KernelFamily, register
from .gather import AxisWalk, flat_element
from .strided import View, copy, linear, static

_COMBINE = {"add": "y + u", "mul": "y * u", "min": "min(y, u)", "max": "max(y, u)"}


class Updates:
    """Where a scatter collects its updates.

    Sums and products of narrow floats are collected in f32 in scratch memory and rounded once;
    everything else in the result itself.
    """

    def __init__(self, k: KernelBuilder) -> None:
        self._k = k
        self._x, self._updates = k.operand("x"), k.operand("updates")
        self._reduction: str = k.attributes.reduction
        self._count = self._x.elements
        self.buffer = k.result.reshaped((self._count,))
        self._is_wide = self._reduction in ("add", "mul") and is_narrow_float(self._x.dtype)
        if self._is_wide:
            self.buffer = k.scratch("total", DType.F32, (self._count,))

    def begin(self) -> None:
        """Start from the operand."""
        k = self._k
        if not self._is_wide:
            copy(k, View.of(k.result), View.of(self._x))
            return
        k.comment("Sums and products are kept in float and rounded once, at the end.")
        with k.loop("i", self._count) as i:
            k.write(self.buffer, [i], k.load(self._x.reshaped((self._count,)), [i]))

    def update(self, place: Expr, update: Expr) -> None:
        """Combine element ``place`` of the result with element ``update`` of the updates."""
        k = self._k
        if self._reduction == "none":
            k.statement(f"{self.buffer.at([place])} = {flat_element(self._updates, update)}")
            return
        value = k.load(self._updates.reshaped((self._updates.elements,)), [update])
        combined = k.value(
            _COMBINE[self._reduction],
            self._x.dtype,
            y=k.load(self.buffer, [place]),
            u=value,
        )
        k.write(self.buffer, [place], combined)

    def end(self) -> None:
        """Bring what was collected into the result."""
        if not self._is_wide:
            return
        k = self._k
        with k.loop("i", self._count) as i:
            k.write(k.result.reshaped((self._count,)), [i], k.load(self.buffer, [i]))


@register
class ScatterElements(KernelFamily):
    """One update per index, in the order of the indices."""

    name = "scatter_elements"
    ops = ("tensor.scatter_elements",)

    def emit(self, k: KernelBuilder) -> None:
        walk = AxisWalk(k.operand("x"), k.operand("indices"), k.attributes.axis)
        walk.require_inside(k)
        updates = Updates(k)
        updates.begin()
        indices = walk.indices.reshaped((walk.indices.elements,))
        with k.loops("i", walk.shape) as at:
            update = linear(at, walk.dense)
            position = k.load_index(indices, (update,), walk.extent)
            updates.update(walk.place(at, position), update)
        updates.end()


@register
class ScatterND(KernelFamily):
    """One slice per index tuple, in the order of the tuples."""

    name = "scatter_nd"
    ops = ("tensor.scatter_nd",)

    def emit(self, k: KernelBuilder) -> None:
        indices, x = k.operand("indices"), k.operand("x")
        (width,) = static(indices.shape[-1:])
        tuples = product(indices.shape[:-1])
        indexed, after = x.shape[:width], product(x.shape[width:])
        listed = indices.reshaped((tuples, width))
        updates = Updates(k)
        updates.begin()
        with k.loop("i", tuples) as i:
            positions = [k.load_index(listed, (i, axis), size) for axis, size in enumerate(indexed)]
            place = View.of(x, (*indexed, after)).at(*positions)
            if k.attributes.reduction == "none":
                source = View.of(k.operand("updates"), (tuples, after)).at(i)
                copy(k, replace(place, buffer=k.result), source)
            else:
                with k.loop("j", after) as j:
                    updates.update(place.place((j,)), i * after + j)
        updates.end()
