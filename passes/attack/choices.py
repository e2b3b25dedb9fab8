"""Random decisions with names, so that an instance can be repeated, varied and made smaller.

Whatever an instance of a rule is made of (element types, sizes, attributes, constants) is decided
through :class:`Choices`, which notes every decision under its *site*, a readable name such as
``root.0.permutation``.  The notes of an instance, a *trace*, are all there is to it: an instance is
repeated by replaying its trace, varied by replaying most of it, and made smaller by replaying
it with smaller numbers, 0 being the simplest decision everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

Trace = Mapping[str, int]
"""Decisions by site; a decision is a number, 0 is the simplest."""


class Choices:
    """Makes decisions: those of ``given`` where they fit, else at random.

    Without ``random`` the others are 0.

    Attributes:
        trace: the decisions that were made.
    """

    def __init__(self, random: Random | None, given: Trace | None = None) -> None:
        self.trace: dict[str, int] = {}
        self._random = random
        self._given = given or {}

    def below(self, site: str, count: int, weights: Sequence[float] | None = None) -> int:
        """A number in [0, count); ``weights`` say how likely each is."""
        name, again = site, 1
        while name in self.trace:
            again += 1
            name = f"{site}#{again}"
        index = self._given.get(name, count)
        if index >= count:
            if self._random is None:
                index = 0
            elif weights is None:
                index = self._random.randrange(count)
            else:
                (index,) = self._random.choices(range(count), weights)
        self.trace[name] = index
        return index

    def pick(self, site: str, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of ``options``, the first of which is the simplest."""
        return options[self.below(site, len(options), weights)]

    def chance(self, site: str, probability: float) -> bool:
        """True with that probability; False is simpler."""
        return bool(self.below(site, 2, (1 - probability, probability)))

    def permutation(self, site: str, count: int) -> list[int]:
        """The numbers below ``count`` in some order; the simplest is ascending."""
        left = list(range(count))
        return [left.pop(self.below(f"{site}.{i}", len(left))) for i in range(count)]


def varied(trace: Trace, random: Random) -> Trace:
    """``trace`` without a few of its decisions, which are made anew when it is replayed."""
    sites = list(trace)
    if not sites:
        return trace
    if random.random() < 0.3:
        share = random.random()
        return {site: trace[site] for site in sites if random.random() > share}
    dropped = {random.choice(sites) for _ in range(random.randint(1, 4))}
    return {site: trace[site] for site in sites if site not in dropped}
