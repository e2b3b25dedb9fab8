"""Affine views of buffers, and copying one view onto another.

An op that only moves data says where each result element comes from by an affine map of its
indices.  A :class:`View` is such a map, built like NumPy's views (slice, transpose, broadcast),
and :func:`copy` writes the loop nest: axes that both sides step through alike become one,
contiguous runs become ``memcpy``, and a transpose walks blocks that stay in the cache.

Elements are moved as they are stored, so one generator serves every element type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from burnish.ir.dims import Dim, ceildiv, product
from burnish.ir.errors import InternalError, TypeInferenceError

from ..code import ADDITIVE, Expr, Index, conditional, index
from ..elements import storage_type
from .buffer import Buffer
from .builder import KernelBuilder

MINIMUM_RUN_BYTES = 16
"""Shorter contiguous runs are copied by a loop: a call costs more than it saves."""

BLOCK = 16
"""Edge of a block of a transpose, in elements: a cache line of 4-byte ones."""


@dataclass(frozen=True, slots=True)
class View:
    """Elements of a buffer seen as an array: element ``i`` lies at ``offset + Σ i·strides``.

    Strides count elements; they may be 0 (broadcast) or negative (reversed).
    """

    buffer: Buffer
    offset: Index
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]

    @staticmethod
    def of(buffer: Buffer, shape: Sequence[Dim] | None = None) -> View:
        """All of ``buffer``, in its shape or another with as many elements."""
        seen = tuple(buffer.shape if shape is None else shape)
        return View(buffer, 0, seen, contiguous_strides(seen))

    def transposed(self, permutation: Sequence[int]) -> View:
        """Axes in another order: axis ``i`` of the result is axis ``permutation[i]``."""
        return replace(
            self,
            shape=tuple(self.shape[axis] for axis in permutation),
            strides=tuple(self.strides[axis] for axis in permutation),
        )

    def sliced(self, axis: int, start: Index, size: Dim, step: int = 1) -> View:
        """Elements ``start``, ``start + step`` … of one axis, ``size`` of them."""
        shape, strides = list(self.shape), list(self.strides)
        offset = index(self.offset) + start * strides[axis]
        shape[axis] = size
        strides[axis] = strides[axis] * step
        return View(self.buffer, offset, tuple(shape), tuple(strides))

    def broadcast(self, shape: Sequence[Dim]) -> View:
        """Repeated to ``shape`` along new leading axes and axes of size 1, as NumPy does."""
        added = len(shape) - len(self.shape)
        strides: list[Dim] = [0] * added
        strides += [0 if size == 1 else stride for size, stride in zip(self.shape, self.strides)]
        return replace(self, shape=tuple(shape), strides=tuple(strides))

    def at(self, *positions: Index) -> View:
        """What is left when the leading axes are fixed at ``positions``."""
        count = len(positions)
        offset = linear(positions, self.strides[:count], self.offset)
        return View(self.buffer, offset, self.shape[count:], self.strides[count:])

    def place(self, positions: Sequence[Index]) -> Expr:
        """Number of an element in the buffer."""
        return linear(positions, self.strides, self.offset)

    @property
    def flat(self) -> Buffer:
        """The buffer, indexed by :meth:`place`."""
        return self.buffer.reshaped((self.buffer.elements,))

    def element(self, positions: Sequence[Index]) -> Expr:
        """The stored element as a C lvalue."""
        return self.flat.at([self.place(positions)])


def static(shape: Sequence[Dim]) -> tuple[int, ...]:
    """``shape`` as integers.

    Raises:
        TypeInferenceError: a dimension is known at run time only (selection refuses the op).
    """
    for dim in shape:
        if not isinstance(dim, int):
            raise TypeInferenceError(f"dimension {dim} is not static")
    return tuple(dim for dim in shape if isinstance(dim, int))


def contiguous_strides(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Strides of a dense row-major array."""
    strides: list[Dim] = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)


def linear(positions: Sequence[Index], strides: Sequence[Dim], offset: Index = 0) -> Expr:
    """``offset + Σ positions·strides``, subtracting where a stride is negative."""
    total = index(offset)
    steps = sorted(zip(positions, strides), key=lambda step: _is_negative(step[1]))
    for position, stride in steps:
        if _is_negative(stride):
            total = total - index(position) * (stride * -1)
        else:
            total = total + index(position) * stride
    return total


def _is_negative(stride: Dim) -> bool:
    """Whether a stride is below 0: products of sizes with a step, all terms have its sign."""
    if isinstance(stride, int):
        return stride < 0
    return all(coefficient < 0 for _, coefficient in stride.terms)


def merge_strides(
    shape: Sequence[Dim], *strides: Sequence[Dim]
) -> tuple[tuple[Dim, ...], tuple[tuple[Dim, ...], ...]]:
    """The same walk with as few axes as possible, for several arrays stepped through together.

    Axes of size 1 go; two neighbours become one where every array steps through both evenly.
    """
    merged: list[Dim] = []
    columns: list[tuple[Dim, ...]] = []
    for axis, size in enumerate(shape):
        column = tuple(each[axis] for each in strides)
        if size == 1:
            continue
        if merged and columns[-1] == tuple(stride * size for stride in column):
            merged[-1] = merged[-1] * size
            columns[-1] = column
        else:
            merged.append(size)
            columns.append(column)
    return tuple(merged), tuple(tuple(column[i] for column in columns) for i in range(len(strides)))


def copy(k: KernelBuilder, target: View, source: View, *, parallel: bool = False) -> None:
    """Write ``source`` onto ``target``; shapes must be equal, the places must not overlap.

    It may be ``parallel`` where nothing that the kernel does before or after touches these places.
    """
    if target.shape != source.shape:
        raise InternalError(f"a view {source.shape} is copied onto one of {target.shape}")
    if 0 in target.shape:
        return
    shape, (to, origin) = merge_strides(target.shape, target.strides, source.strides)
    target = View(target.buffer, target.offset, shape, to)
    source = View(source.buffer, source.offset, shape, origin)
    if not shape:
        _assign(k, target, source, ())
        return
    size = target.buffer.dtype.bytes
    if to[-1] == origin[-1] == 1 and k.high(shape[-1]) * size >= MINIMUM_RUN_BYTES:
        with _around_runs(k, shape[:-1], parallel) as outer:
            _copy_run(k, target.at(*outer), source.at(*outer))
    elif to[-1] == 1 and origin[-1] == 0:
        with k.loops("i", shape[:-1], parallel=parallel) as outer:
            value = k.let_stored("v", source.buffer.dtype, source.at(*outer).element((0,)))
            fill(k, target.at(*outer), value)
    elif (across := _unit_axis(k, shape, origin)) is not None and to[-1] == 1:
        _copy_blocks(k, target, source, across, parallel)
    else:
        with k.loops("i", shape, parallel=parallel) as at:
            _assign(k, target, source, at)


def fill(k: KernelBuilder, target: View, value: Expr | None, *, parallel: bool = False) -> None:
    """Write the stored element ``value`` all over ``target``; None means all bits zero.

    It may be ``parallel`` where nothing that the kernel does before or after touches these places.
    """
    if 0 in target.shape:
        return
    shape, (strides,) = merge_strides(target.shape, target.strides)
    target = View(target.buffer, target.offset, shape, strides)
    size = target.buffer.dtype.bytes
    by_bytes = value is None or size == 1
    is_run = shape and strides[-1] == 1 and k.high(shape[-1]) * size >= MINIMUM_RUN_BYTES
    if by_bytes and is_run:
        with _around_runs(k, shape[:-1], parallel) as outer:
            k.note_write(target.buffer)
            place = _pointer(target.at(*outer))
            k.statement(f"memset({place}, {value or 0}, {_bytes(shape[-1], target.buffer)})")
        return
    with k.loops("i", shape, parallel=parallel) as at:
        k.note_write(target.buffer)
        k.statement(f"{target.element(at)} = {value or 0}")


def _unit_axis(k: KernelBuilder, shape: Sequence[Dim], strides: Sequence[Dim]) -> int | None:
    """The axis to walk in blocks with the last one: the source is contiguous along it."""
    if k.high(shape[-1]) < 2 * BLOCK:
        return None
    for axis, (size, stride) in enumerate(zip(shape[:-1], strides)):
        if stride in (1, -1) and k.high(size) >= 2 * BLOCK:
            return axis
    return None


@contextmanager
def _around_runs(
    k: KernelBuilder, shape: Sequence[Dim], parallel: bool
) -> Iterator[tuple[Expr, ...]]:
    """Loops over runs of elements; a single run is left to one thread."""
    with k.alone(parallel and not shape), k.loops("i", shape, parallel=parallel) as outer:
        yield outer


def _assign(k: KernelBuilder, target: View, source: View, at: Sequence[Expr]) -> None:
    k.note_write(target.buffer)
    k.statement(f"{target.element(at)} = {source.element(at)}")


def _copy_run(k: KernelBuilder, target: View, source: View) -> None:
    k.note_write(target.buffer)
    count = _bytes(target.shape[0], target.buffer)
    k.statement(f"memcpy({_pointer(target)}, {_pointer(source)}, {count})")


def _copy_blocks(k: KernelBuilder, target: View, source: View, across: int, parallel: bool) -> None:
    """A transpose in blocks, so that each cache line read is used whole before it is evicted."""
    shape = target.shape
    last = len(shape) - 1
    k.comment(f"Transposes blocks of {BLOCK} x {BLOCK} elements, which stay in the cache.")
    with ExitStack() as stack:
        around = [axis for axis in range(last) if axis != across]
        order = [*around, across, last]
        counts = [shape[axis] for axis in around]
        counts += [ceildiv(shape[axis], BLOCK) for axis in (across, last)]
        shared = order[k.shared_loop(*counts)] if parallel else None
        at = {
            axis: stack.enter_context(k.loop(f"i{axis}", shape[axis], parallel=axis == shared))
            for axis in around
        }
        starts = {
            axis: stack.enter_context(
                k.loop(f"block{axis}", shape[axis], step=BLOCK, parallel=axis == shared)
            )
            for axis in (across, last)
        }
        ends = {axis: _block_end(k, axis, start, shape[axis]) for axis, start in starts.items()}
        for axis in (across, last):
            at[axis] = stack.enter_context(k.loop(f"i{axis}", ends[axis], start=starts[axis]))
        positions = [at[axis] for axis in range(last + 1)]
        _assign(k, target, source, positions)


def _block_end(k: KernelBuilder, axis: int, start: Expr, size: Dim) -> Expr:
    end = start + BLOCK
    if size % BLOCK == 0:
        return end
    return k.let_index(f"end{axis}", conditional(end < size, end, index(size)))


def _pointer(view: View) -> Expr:
    offset = index(view.offset)
    name = view.buffer.pointer
    if offset.value == 0:
        return Expr(name)
    # A difference comes first: on the way from left to right the pointer could leave its array.
    text = f"({offset})" if " - " in offset.text else offset.text
    return Expr(f"{name} + {text}", ADDITIVE)


def _bytes(count: Dim, buffer: Buffer) -> str:
    # Sizes known at run time only are signed; the conversion is meant.
    text = str(count) if isinstance(count, int) else f"(size_t)({index(count)})"
    if buffer.dtype.bytes == 1:
        return text
    return f"{text} * sizeof({storage_type(buffer.dtype)})"


def split_at(shape: Sequence[Dim], axis: int) -> tuple[Dim, Dim, Dim]:
    """``shape`` as (elements before the axis, the axis, elements after it)."""
    return product(shape[:axis]), shape[axis], product(shape[axis + 1 :])
