"""In which order engines of different numbers of threads are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

RUN = 10
"""How many rounds of a number of threads follow each other."""


def turns(threads: Sequence[int], rounds: int) -> Iterator[tuple[int, int]]:
    """The rounds of each number of threads: which of a run of several it is, and the number.

    Those of one number follow each other: a core that has nothing to do between them takes long to
    get up to speed, above all in virtual machines.  There are several runs, as machines drift.
    """
    for start in range(0, rounds, RUN):
        for count in threads:
            yield from ((number, count) for number in range(min(RUN, rounds - start)))
