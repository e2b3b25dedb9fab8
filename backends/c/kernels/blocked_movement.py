"""Concatenation and slices of tensors in blocks of channels: vectors are moved."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burnish.ir import Op

from ..code import Index, index
from ..isa import Isa
from ..vectors import VectorRenderer
from .blocked import blocked, flat, is_static_float
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, LaidOut, Storage, register
from .strided import static
from .unit import Unit
from .vector_store import VectorStore

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Piece:
    """Part of a result as it is stored: from ``start`` on, of ``shape``, out of an operand.

    Element i of it is element ``first`` + i · ``steps`` of the operand, axis by axis.
    """

    operand: int
    start: Shape
    shape: Shape
    first: Shape
    steps: Shape


class _Movement(KernelFamily):
    fusable = True
    storage = Storage.LAID_OUT

    @abstractmethod
    def pieces(self, op: Op, lanes: int) -> Iterator[_Piece] | None:
        """What the result is made of; None where vectors cannot be moved as they are."""

    def offers(self, op: Op, isa: Isa) -> Sequence[LaidOut]:
        types = [value.type for value in (*op.inputs, op.result)]
        if op.result.type.rank < 3 or not is_static_float(*types):
            return ()
        if self.pieces(op, isa.lanes) is None:
            return ()
        layout = blocked(op.result.type.rank, isa.lanes)
        return [LaidOut((layout,) * len(op.operands), (layout,))]

    def refusal(self, unit: Unit) -> str:
        op, isa = unit.main, unit.isa
        types = [value.type for value in (*op.inputs, op.result)]
        if all(t.layout is None for t in types):
            return "in row-major order"
        layout = blocked(op.result.type.rank, isa.lanes)
        if not isa.has_vectors or any(t.layout != layout for t in types):
            return "in different layouts"
        if not is_static_float(*types) or self.pieces(op, isa.lanes) is None:
            return "of these sizes in a layout"
        return ""

    def emit(self, k: KernelBuilder) -> None:
        vectors = VectorRenderer(k.isa.lanes, k.helper)
        sources = [None if buffer is None else _stored(buffer) for buffer in k.operands]
        store = VectorStore(k, vectors)
        pieces = self.pieces(k.op, k.isa.lanes)
        assert pieces is not None
        for piece in pieces:
            source = sources[piece.operand]
            assert source is not None
            with k.loops("i", piece.shape, parallel=True) as at:
                place = [i * step + first for i, step, first in zip(at, piece.steps, piece.first)]
                value = vectors.load(source.at([*place, 0]))
                to: list[Index] = [i + start for i, start in zip(at, piece.start)]
                value = k.declare(f"const {vectors.type}", "x", value)
                store.store([*to, index(0)], value)


def _stored(buffer: Buffer) -> Buffer:
    """A buffer in blocks as the row-major array that it is stored as."""
    assert buffer.layout is not None
    return Buffer(buffer.pointer, buffer.layout.storage_shape(buffer.shape), flat(buffer).dtype)


def _outer(shape: Shape, lanes: int) -> Shape:
    """Extents of the storage of a tensor in blocks, without the lanes."""
    return (shape[0], -(-shape[1] // lanes), *shape[2:])


@register
class BlockedConcat(_Movement):
    """Operand after operand; along the channels all but the last have to fill their blocks."""

    name = "blocked_concat"
    ops = ("tensor.concat",)

    def pieces(self, op: Op, lanes: int) -> Iterator[_Piece] | None:
        axis: int = op.attributes.axis
        shapes = [static(value.type.shape) for value in op.inputs]
        if axis == 1 and any(shape[1] % lanes for shape in shapes[:-1]):
            return None
        return self._pieces(axis, [_outer(shape, lanes) for shape in shapes])

    @staticmethod
    def _pieces(axis: int, shapes: Sequence[Shape]) -> Iterator[_Piece]:
        begin = 0
        for operand, shape in enumerate(shapes):
            start = tuple(begin if at == axis else 0 for at in range(len(shape)))
            zeros, ones = (0,) * len(shape), (1,) * len(shape)
            yield _Piece(operand, start, shape, zeros, ones)
            begin += shape[axis]


@register
class BlockedSlice(_Movement):
    """Whole blocks of channels, and any positions."""

    name = "blocked_slice"
    ops = ("tensor.slice",)

    def pieces(self, op: Op, lanes: int) -> Iterator[_Piece] | None:
        a = op.attributes
        if not all(isinstance(dim, int) for dim in (*a.starts, *a.sizes)):
            return None
        extent = static(op.inputs[0].type.shape)[1]
        whole = a.sizes[1] % lanes == 0 or a.starts[1] + a.sizes[1] == extent
        if a.steps[1] != 1 or a.starts[1] % lanes or not whole:
            return None
        shape = _outer(tuple(a.sizes), lanes)
        first = (a.starts[0], a.starts[1] // lanes, *a.starts[2:])
        return iter([_Piece(0, (0,) * len(shape), shape, first, tuple(a.steps))])
