"""Names that are given out once each."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """Gives out names, each once; those of ``taken`` never."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = dict.fromkeys(taken, 1)

    def take(self, wanted: str) -> str:
        """``wanted``, with a number behind it when that is taken."""
        name = wanted
        while name in self._taken:
            self._taken[wanted] += 1
            name = f"{wanted}_{self._taken[wanted]}"
        self._taken[name] = 1
        return name
