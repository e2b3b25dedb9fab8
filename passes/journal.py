"""The journal of a run: its rewrites are numbered, and end at a limit if there is one.

The number of a rewrite is the same in every run of the same pipeline on the same module, so that
a run can be repeated up to any rewrite, and a wrong one found by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Op


@dataclass(frozen=True)
class Rewrite:
    """One change of a module, as a pass or a pattern announced it.

    Attributes:
        name: of the pattern or of the pass's own rewrite.
        number: counted over all passes of the run, from 1.
        root: name of the op that it started at; empty when that was not said.
        location: the nodes of the model that the root stands for; empty when unknown.
    """

    name: str
    number: int
    root: str = ""
    location: str = ""

    def __str__(self) -> str:
        at = f" at {self.root}" if self.root else ""
        return f"rewrite {self.number}, {self.name}{at}{f', {self.location}' * bool(self.location)}"


class Journal:
    """Numbers the rewrites of a run.

    Attributes:
        limit: rewrites there may be; None for any number.
        count: rewrites so far.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.count = 0
        self._last: tuple[str, Op | None] | None = None
        self._failing: tuple[str, Op | None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there may be another rewrite."""
        return self.limit is None or self.count < self.limit

    def enter(self, name: str, root: Op | None = None) -> None:
        """A rewrite was applied; ``root`` is the op that it started at."""
        self.count += 1
        self._last = (name, root)

    def fail(self, name: str, root: Op | None = None) -> None:
        """A rewrite that was about to be applied raised an exception."""
        self._failing = (name, root)

    @property
    def last(self) -> Rewrite | None:
        """The latest rewrite."""
        return _rewrite(self._last, self.count)

    @property
    def failing(self) -> Rewrite | None:
        """The rewrite that an exception interrupted."""
        return _rewrite(self._failing, self.count + 1)


def _rewrite(entry: tuple[str, Op | None] | None, number: int) -> Rewrite | None:
    if entry is None:
        return None
    name, root = entry
    if root is None:
        return Rewrite(name, number)
    return Rewrite(name, number, root.name, str(root.location) if root.location else "")
