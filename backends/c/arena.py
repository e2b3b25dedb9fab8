"""Placing buffers with known lifetimes in one arena.

Greedy: buffers are placed one by one, each at the lowest offset where it fits between the
buffers placed before it that live at the same time.  Several orders are tried, those that miss the
lower bound are repaired, and the best is kept.  Neighbours are found through a tree over time, so a
chain of n buffers takes O(n log n).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MOST_REPAIRS = 100
"""How often the order of placing is repaired at most, from each order it starts with."""

REPAIRED_BUFFERS = 5_000
"""Buffers that are placed for such repairs at most, so that large graphs do not take long."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A buffer of ``size`` bytes that holds data from step ``first`` to ``last`` inclusive."""

    size: int
    first: int
    last: int


def lower_bound(buffers: Sequence[Lifetime]) -> int:
    """The largest number of bytes live at one step: no placement can be smaller."""
    change: dict[int, int] = {}
    for buffer in buffers:
        change[buffer.first] = change.get(buffer.first, 0) + buffer.size
        change[buffer.last + 1] = change.get(buffer.last + 1, 0) - buffer.size
    peak = live = 0
    for step in sorted(change):
        live += change[step]
        peak = max(peak, live)
    return peak


def place(buffers: Sequence[Lifetime]) -> list[int]:
    """An offset for each buffer so that no two that live at one step overlap.

    Sizes should be multiples of the wanted alignment; then all offsets are, too.
    """
    orders: list[Callable[[Lifetime], tuple[int, ...]]] = [
        lambda b: (-b.size, b.first),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.size),
    ]
    sequences = [
        sorted(range(len(buffers)), key=lambda i: (*order(buffers[i]), i)) for order in orders
    ]
    bound = lower_bound(buffers)
    repairs = min(MOST_REPAIRS, REPAIRED_BUFFERS // max(1, len(buffers)))
    best: list[int] = []
    best_height = -1
    for tries in (1, repairs) if repairs > 1 else (1,):
        for sequence in sequences:
            for offsets, height in _repaired(buffers, sequence, bound, tries):
                if best_height < 0 or height < best_height:
                    best, best_height = offsets, height
            if best_height == bound:
                return best
    return best


def _repaired(
    buffers: Sequence[Lifetime], sequence: list[int], bound: int, tries: int
) -> Iterator[tuple[list[int], int]]:
    """Offsets and the height of one placement after another, the first in the order given.

    Squeaky wheel optimization (Joslin and Clements 1999): the buffers that end highest, above the
    bound, complain, and move half the way to the front of the order.
    """
    least = -1
    tried: set[tuple[int, ...]] = set()
    while len(tried) < tries and tuple(sequence) not in tried:
        tried.add(tuple(sequence))
        offsets = _place_in_order(buffers, sequence)
        ends = [offset + buffer.size for offset, buffer in zip(offsets, buffers)]
        height = max(ends, default=0)
        yield offsets, height
        if height == bound:
            return
        least = height if least < 0 else min(least, height)
        limit = max(bound, least - 1)
        places = {
            i: (place - 1) / 2 if ends[i] > limit else float(place)
            for place, i in enumerate(sequence)
        }
        sequence = sorted(sequence, key=places.__getitem__)


def _place_in_order(buffers: Sequence[Lifetime], sequence: Sequence[int]) -> list[int]:
    offsets = [0] * len(buffers)
    placed = _LiveSet(max((b.last for b in buffers), default=0) + 1)
    for i in sequence:
        buffer = buffers[i]
        if buffer.size == 0:
            continue
        taken = sorted(
            (offsets[j], offsets[j] + buffers[j].size)
            for j in placed.overlapping(buffer.first, buffer.last)
        )
        offset = 0
        for start, end in taken:
            if start - offset >= buffer.size:
                break
            offset = max(offset, end)
        offsets[i] = offset
        placed.add(i, buffer.first, buffer.last)
    return offsets


class _LiveSet:
    """Intervals of steps, to be asked which of them overlap another interval.

    An interval overlaps [first, last] when it covers ``first`` (found along one path of a
    segment tree) or starts within (first, last] (found in a sorted list).
    """

    def __init__(self, steps: int) -> None:
        self._size = 1 << max(0, steps - 1).bit_length()
        self._nodes: dict[int, list[int]] = {}
        self._starts: list[tuple[int, int]] = []

    def add(self, item: int, first: int, last: int) -> None:
        insort(self._starts, (first, item))
        low, high = first + self._size, last + self._size + 1
        while low < high:
            if low & 1:
                self._nodes.setdefault(low, []).append(item)
                low += 1
            if high & 1:
                high -= 1
                self._nodes.setdefault(high, []).append(item)
            low >>= 1
            high >>= 1

    def overlapping(self, first: int, last: int) -> list[int]:
        begin = bisect_right(self._starts, (first, _AFTER_ALL))
        end = bisect_left(self._starts, (last + 1, -1))
        found = [item for _, item in self._starts[begin:end]]
        node = first + self._size
        while node:
            found.extend(self._nodes.get(node, ()))
            node >>= 1
        return found


_AFTER_ALL = 1 << 62
