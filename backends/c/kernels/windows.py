"""Sliding windows along one spatial axis: which elements of the input a window meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.ir import Dim
from burnish.ir.attributes import Attributes

from ..code import Expr, Index, conditional, index
from .builder import KernelBuilder


def minimum(a: Index, b: Index) -> Expr:
    """The smaller of two positions."""
    a, b = index(a), index(b)
    return conditional(a < b, a, b)


def maximum(a: Index, b: Index) -> Expr:
    """The larger of two positions."""
    a, b = index(a), index(b)
    return conditional(b < a, a, b)


def axis_names(prefix: str, rank: int) -> list[str]:
    """Names of loop counters over spatial axes: ``ky kx``, or ``k0 k1 …`` beyond three axes."""
    letters = "zyx"[-rank:] if 0 < rank <= 3 else map(str, range(rank))
    return [f"{prefix}{letter}" for letter in letters]


@dataclass(frozen=True, slots=True)
class WindowAxis:
    """One spatial axis: tap ``t`` of window ``o`` meets element ``o·stride - before + t·dilation``.

    ``size`` is that of the input, ``count`` the number of windows, ``kernel`` that of taps;
    ``after`` the padding behind.
    """

    size: Dim
    count: Dim
    kernel: Dim
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def is_inside(self) -> bool:
        """Whether every tap of every window meets an element."""
        reach = (self.count - 1) * self.stride - self.before + (self.kernel - 1) * self.dilation
        room = self.size - reach
        if not isinstance(room, int):  # without padding, windows are counted so that they fit
            return self.before == 0 and self.after == 0
        return self.before == 0 and room > 0

    @property
    def is_plain(self) -> bool:
        """Whether window ``o`` is exactly element ``o``."""
        return self.is_inside and self.kernel == self.stride == 1

    def element(self, window: Index, tap: Index) -> Expr:
        """The element that a tap meets; it lies outside the input where the tap does."""
        return index(window) * self.stride + index(tap) * self.dilation - self.before

    def taps(self, k: KernelBuilder, name: str, window: Expr) -> tuple[Expr, Expr]:
        """The range of taps of ``window`` that meet an element."""
        if self.is_inside:
            return index(0), index(self.kernel)
        if window.value is not None and isinstance(self.size, int) and isinstance(self.kernel, int):
            at = window.value * self.stride - self.before
            first, last = -(at // self.dilation), -((at - self.size) // self.dilation)
            return index(max(0, first)), index(min(self.kernel, last))
        start = k.let_index(f"{name}_start", self.element(window, 0))
        before = conditional(start < 0, _round_up(-start, self.dilation), index(0))
        low = k.let_index(f"{name}_first", before) if self.before else index(0)
        room = k.let_index(f"{name}_room", _round_up(index(self.size) - start, self.dilation))
        return low, k.let_index(f"{name}_last", minimum(self.kernel, room))

    def windows(self, k: KernelBuilder, name: str, tap: Expr) -> tuple[Expr, Expr]:
        """The range of windows whose tap ``tap`` meets an element."""
        if self.is_inside:
            return index(0), index(self.count)
        if tap.value is not None and isinstance(self.size, int) and isinstance(self.count, int):
            ahead = self.before - tap.value * self.dilation
            first, last = -(-ahead // self.stride), -(-(ahead + self.size) // self.stride)
            return index(max(0, first)), index(min(self.count, last))
        missing = k.let_index(f"{name}_missing", index(self.before) - tap * self.dilation)
        before = conditional(missing > 0, _round_up(missing, self.stride), index(0))
        low = k.let_index(f"{name}_first", before) if self.before else index(0)
        room = k.let_index(f"{name}_room", _round_up(missing + self.size, self.stride))
        return low, k.let_index(f"{name}_last", minimum(self.count, room))


def _round_up(value: Expr, divisor: int) -> Expr:
    """``value / divisor`` rounded up; 0 or less when ``value`` is (C truncates)."""
    return (value + (divisor - 1)) // divisor


def require_taps(k: KernelBuilder, kernel: Sequence[Dim]) -> None:
    """Fail at run time where a kernel turns out to have no taps: such an op is not defined."""
    for taps in kernel:
        k.require(1, taps)


def window_axes(
    a: Attributes, extents: Sequence[Dim], kernel: Sequence[Dim], counts: Sequence[Dim]
) -> list[WindowAxis]:
    """The spatial axes of an op with strides, dilations, pads and perhaps an overhang."""
    overhang = a.get("overhang", (0,) * len(extents))
    assert isinstance(overhang, tuple)
    return [
        WindowAxis(
            size,
            count,
            taps,
            a.strides[i],
            a.dilations[i],
            a.pads[i],
            a.pads[i + len(extents)] + overhang[i],
        )
        for i, (size, count, taps) in enumerate(zip(extents, counts, kernel))
    ]
