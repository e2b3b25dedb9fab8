"""Padding: the inside is copied, then borders are written axis by axis."""

from __future__ import annotations

from collections.abc import Iterator

from burnish.ir.errors import InternalError

from ..code import Expr
from .base import KernelBuilder, KernelFamily, register
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
        copy(k, inside, x)
        for axis in reversed(range(len(x.shape))):
            rows = y
            for earlier in range(axis):
                rows = rows.sliced(earlier, a.before[earlier], x.shape[earlier])
            before, extent = a.before[axis], x.shape[axis]
            borders = ((0, before), (before + extent, a.after[axis]))
            for start, size in borders:
                if not size or 0 in rows.shape:
                    continue
                k.comment(f"Border of axis {axis}, {'in front' if start == 0 else 'behind'}.")
                if a.mode == "constant":
                    fill(k, rows.sliced(axis, start, size), value)
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


def pieces(mode: str, start: int, size: int, extent: int) -> Iterator[tuple[int, int, int, int]]:
    """Where positions ``start`` to ``start + size`` around an axis of ``extent`` come from.

    Yields ``(position, source, count, step)``: ``count`` positions from ``position`` on take
    the elements ``source``, ``source + step`` … of the axis.
    """
    end = start + size
    position = start
    while position < end:
        if mode == "edge" or extent == 1:
            source, count, step = 0 if position < 0 else extent - 1, end - position, 0
        elif mode == "wrap":
            source = position % extent
            count, step = extent - source, 1
        elif mode == "reflect":
            period = 2 * (extent - 1)
            folded = position % period
            if folded < extent - 1:
                source, count, step = folded, extent - 1 - folded, 1
            else:
                source, count, step = period - folded, period - folded, -1
        else:
            raise InternalError(f"padding mode {mode}")
        count = min(count, end - position)
        yield position, source, count, step
        position += count
