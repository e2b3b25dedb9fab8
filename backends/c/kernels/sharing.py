"""Loops whose iterations are shared among threads.

A kernel that is computed by several threads is one C function that each of them runs, told by the
parameter ``thread`` which part is its own.  A family declares which loops are *parallel*: their
iterations write different elements of the results, and read nothing that another one writes.  Such
a loop is cut into as many runs of iterations as there are threads; what stands outside is done by
every thread, in scratch memory of its own.  As each element is computed by one thread, in the same
way as without threads, results do not depend on their number (but for the bits of NaN, which
compilers choose).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..code import CodeWriter, Expr, Index, index

ENOUGH = 0.95
"""Share of the time that all threads should be at work."""


def busy(count: int, threads: int) -> float:
    """How much of the time threads are at work that share ``count`` equal pieces of work."""
    return count / (-(-count // threads) * threads) if count else 0.0


def best_loop(counts: Sequence[int], threads: int) -> int:
    """Which of nested loops to share: the outermost that keeps threads busy, or does so most."""
    shares = [busy(count, threads) for count in counts]
    good = [number for number, share in enumerate(shares) if share >= ENOUGH]
    return good[0] if good else max(range(len(shares)), key=shares.__getitem__, default=0)


class Sharing:
    """How the loops of one kernel are shared among ``threads`` threads.

    ``is_shared`` says that some loop was cut; ``is_safe`` that results are written by what is
    shared only, and not by what every thread does.
    """

    def __init__(self, writer: CodeWriter, threads: int) -> None:
        self._writer = writer
        self._open = 0
        self.threads = threads
        self.thread = writer.parameter("thread") if threads > 1 else ""
        self.is_shared = False
        self.is_safe = True

    @property
    def sharers(self) -> int:
        """How many threads can share a loop that begins here."""
        return 1 if self._open else self.threads

    def results_are_written(self) -> None:
        """Take note of a place where results are written."""
        if not self._open:
            self.is_safe = False

    @contextmanager
    def loop(self, name: str, end: Index, start: Index, step: int) -> Iterator[Expr]:
        """A loop that is cut, unless it stands in what one thread does already."""
        if self.threads == 1 or self._open:
            with self._writer.loop(name, end, start=start, step=step) as counter:
                yield counter
            return
        first, last = index(start), index(end)
        if first.value is not None and last.value is not None:
            count = index(len(range(first.value, last.value, step)))
        else:
            count = (last - first + (step - 1)) // step
        if count.value is not None and count.value <= 1:
            with self.alone(), self._writer.loop(name, end, start=start, step=step) as counter:
                yield counter
            return
        self.is_shared = True
        self._open += 1
        thread = Expr(self.thread)
        cuts = [(number * count) // self.threads * step + first for number in (thread, thread + 1)]
        with self._writer.loop(name, cuts[1], start=cuts[0], step=step) as counter:
            yield counter
        self._open -= 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What one thread does, the others having parts of a loop beside it."""
        if self.threads == 1 or self._open:
            yield
            return
        self._open += 1
        # The first thread: the others' parts of a loop are no smaller than its own.
        with self._writer.block(f"if ({self.thread} == 0)"):
            yield
        self._open -= 1
