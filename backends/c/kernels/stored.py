"""Walking over tensors as they are stored, whatever their layout."""

from __future__ import annotations

from burnish.ir import Value
from burnish.ir.dims import Dim

from .builder import KernelBuilder

Shape = tuple[Dim, ...]


def as_stored(k: KernelBuilder) -> tuple[Shape, list[Shape]] | None:
    """The space, and the shapes that broadcast to it, over axes as the result is stored.

    What the epilogue does not read keeps its shape.  None where some operand does not step through
    memory in that order; then elements are found by their logical indices.
    """
    layout = k.unit.space.layout
    read = {value for op in k.unit.epilogue for value in op.inputs}
    buffers = list(zip(k.unit.operands, k.inputs))
    if layout is None:
        if any(buffer.layout is not None for value, buffer in buffers if value in read):
            return None
        return k.space, [buffer.shape for _, buffer in buffers]
    axes = layout.storage_axes(k.space)
    shapes: list[Shape] = []
    for value, buffer in buffers:
        if value not in read or (buffer.shape == k.space and buffer.layout == layout):
            shapes.append(buffer.shape if value not in read else layout.storage_shape(k.space))
            continue
        shape = (1,) * (len(k.space) - len(buffer.shape)) + buffer.shape
        spanned = [axis for axis, _ in axes if shape[axis] != 1]
        whole = all(shape[a] % f == 0 for a, f in layout.tiles if shape[a] != 1)
        if buffer.layout is not None or not whole or spanned != sorted(spanned):
            return None
        shapes.append(tuple(1 if shape[axis] == 1 else extent for axis, extent in axes))
    return tuple(extent for _, extent in axes), shapes


def read_by_epilogue(k: KernelBuilder) -> list[Value]:
    """The operands of the unit that its elementwise ops read."""
    read = {value for op in k.unit.epilogue for value in op.inputs}
    return [value for value in k.unit.operands if value in read]
