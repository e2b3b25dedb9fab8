"""Padding: the inside is copied, then borders are written axis by axis."""

from __future__ import annotations

from collections.abc import Iterator

from burnish.ir.dims import Dim

from ..code import Expr, call, index
from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import View, copy, fill


@register
class Pad(KernelFamily):
    """Copies the operand, then pads the axes from the last to the first.

    When an axis is padded, the part of the result that lies inside along it is complete along
    all later axes, so its borders are whole rows: constants, or copies of rows inside.
    """

    name = "pad"
    ops = ("tensor.pad",)

    def emit(self, k: KernelBuilder) -> None:
        a, x, y = k.attributes, View.of(k.operand("x")), View.of(k.result)
        inside = y
        for axis, extent in enumerate(x.shape):
            inside = inside.sliced(axis, a.before[axis], extent)
        value = self._constant(k)
        # Copies of rows inside read what other threads could be writing.
        is_constant = a.mode == "constant"
        copy(k, inside, x, parallel=is_constant)
        for axis in reversed(range(len(x.shape))):
            rows = y
            for earlier in range(axis):
                rows = rows.sliced(earlier, a.before[earlier], x.shape[earlier])
            before, extent = a.before[axis], x.shape[axis]
            borders: tuple[tuple[Dim, int], ...] = (
                (0, before),
                (before + extent, a.after[axis]),
            )
            for start, size in borders:
                if not size or 0 in rows.shape:
                    continue
                k.comment(f"Border of axis {axis}, {'in front' if start == 0 else 'behind'}.")
                if is_constant:
                    fill(k, rows.sliced(axis, start, size), value, parallel=True)
                    continue
                if not isinstance(extent, int):
                    _copy_border(k, a.mode, rows, axis, before, start, size, extent)
                    continue
                for piece in pieces(a.mode, start - before, size, extent):
                    to, origin, count, step = piece
                    copy(
                        k,
                        rows.sliced(axis, before + to, count),
                        rows.sliced(axis, before + origin, count, step),
                    )

    def _constant(self, k: KernelBuilder) -> Expr | None:
        operand = k.optional("value")
        if operand is None:
            return None
        return k.let_stored("value", operand.dtype, operand.at(()))


def _copy_border(
    k: KernelBuilder,
    mode: str,
    rows: View,
    axis: int,
    before: int,
    start: Dim,
    size: int,
    extent: Dim,
) -> None:
    """Copy the ``size`` rows of a border from ``start`` on, on an axis of unknown extent."""
    k.require(1, extent)
    with k.loop("b", size) as b:
        place = k.let_index("place", index(start) + b - before)
        last = index(extent) - 1
        if mode == "edge":
            origin = index(0) if start == 0 else last
        elif mode == "wrap":
            origin = call(k.helper("wrapped"), place, index(extent))
        else:
            origin = call(k.helper("reflected"), place, last)
        origin = k.let_index("origin", origin)
        copy(k, rows.sliced(axis, index(start) + b, 1), rows.sliced(axis, origin + before, 1))


def pieces(mode: str, start: int, size: int, extent: int) -> Iterator[tuple[int, int, int, int]]:
    """Where the border of ``size`` positions from ``start`` on comes from, in order.

    The axis lies at 0 to ``extent``; the border ends at 0 or starts at ``extent``.  Yields
    ``(position, source, count, step)``: ``count`` positions from ``position`` on take what lies
    at ``source``, ``source + step`` …, on the axis or in a part of the border written before.
    """
    if mode == "edge" or extent == 1:
        yield start, 0 if start < 0 else extent - 1, size, 0
        return
    # A border repeats itself: one period next to the axis, then copies of twice as much each.
    period = extent if mode == "wrap" else 2 * (extent - 1)
    done = min(size, period)
    yield from _nearest(mode, -done if start < 0 else extent, done, extent)
    while done < size:
        count = min(done, size - done)
        if start < 0:
            yield -(done + count), -count, count, 1
        else:
            yield extent + done, extent, count, 1
        done += count


def _nearest(mode: str, start: int, size: int, extent: int) -> Iterator[tuple[int, int, int, int]]:
    """The part of a border next to the axis, at most one period, from the axis itself."""
    position, end = start, start + size
    while position < end:
        if mode == "wrap":
            source, step = position % extent, 1
            count = extent - source
        else:
            folded = position % (2 * (extent - 1))
            rising = folded < extent - 1
            source, step = (folded, 1) if rising else (2 * (extent - 1) - folded, -1)
            count = extent - 1 - source if rising else source
        count = min(count, end - position)
        yield position, source, count, step
        position += count
