"""Memory as kernels see it: a C pointer with a shape, indexed in logical order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import DType, Layout, Value
from burnish.ir.dims import Dim, product
from burnish.ir.errors import InternalError

from ..code import Expr, Index, index


@dataclass(frozen=True, slots=True)
class Buffer:
    """A dense array a kernel reads or writes; row-major unless it has a layout.

    ``pointer`` is its C name, ``shape`` how the kernel indexes it, ``dtype`` its elements.  One
    with a ``source`` is not in memory: its elements are computed where they are loaded.
    """

    pointer: str
    shape: tuple[Dim, ...]
    dtype: DType
    layout: Layout | None = None
    source: Value | None = None

    @property
    def elements(self) -> Dim:
        return product(self.shape)

    @property
    def strides(self) -> tuple[Dim, ...]:
        """Elements between neighbours along each axis of a row-major buffer."""
        self._require_row_major()
        return tuple(product(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    def offset(self, indices: Sequence[Index]) -> Expr:
        """Position of an element.

        ``indices`` may be of higher rank than the buffer: they align at the last axis and axes
        of size 1 are broadcast, as in NumPy.
        """
        self._require_memory()
        if len(indices) < len(self.shape):
            raise InternalError(f"{self.pointer}{list(self.shape)} indexed by {len(indices)} axes")
        aligned = indices[len(indices) - len(self.shape) :]
        if self.layout is not None:
            return self._stored_offset(self.layout, aligned)
        total = index(0)
        if not all(isinstance(size, int) for size in self.shape):
            for position, size in zip(aligned, self.shape):
                if size != 1:
                    total = total * size + position
            return total
        for position, size, stride in zip(aligned, self.shape, self.strides):
            if size != 1:
                total = total + index(position) * stride
        return total

    def _stored_offset(self, layout: Layout, indices: Sequence[Index]) -> Expr:
        """Position of an element: Horner's scheme over the axes as they are stored."""
        inside = dict.fromkeys(layout.order, 1)
        for axis, factor in layout.tiles:
            inside[axis] *= factor
        at = [index(0 if size == 1 else i) for size, i in zip(self.shape, indices)]
        outer = layout.storage_axes(self.shape)[: len(layout.order)]
        total = index(0)
        for axis, extent in outer:
            total = total * extent + at[axis] // inside[axis]
        for axis, factor in layout.tiles:
            inside[axis] //= factor
            total = total * factor + at[axis] // inside[axis] % factor
        return total

    def _require_memory(self) -> None:
        if self.source is not None:
            raise InternalError(f"{self.source} is computed, it lies nowhere in memory")

    def _require_row_major(self) -> None:
        if self.layout is not None:
            raise InternalError(f"{self.pointer} in {self.layout} is not row-major")

    def at(self, indices: Sequence[Index]) -> Expr:
        """The stored element as a C lvalue."""
        return Expr(f"{self.pointer}[{self.offset(indices)}]")

    def reshaped(self, shape: Sequence[Dim]) -> Buffer:
        """The same memory indexed by another shape."""
        self._require_row_major()
        self._require_memory()
        return Buffer(self.pointer, tuple(shape), self.dtype)
