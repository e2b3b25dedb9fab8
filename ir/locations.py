"""Where an op came from: the ONNX node(s) it stands for.

Every op carries a location from the first moment; the rewriter gives new ops the
joined location of the ops they replace, so that errors, profiles and comments in
emitted code can always name nodes of the user's model.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import clip

MAX_SOURCES = 16
"""A joined location keeps this many sources: groups of thousands of nodes stay cheap."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One node of the imported model: its name (or ``Conv#12`` when unnamed) and op type."""

    name: str
    op_type: str = ""

    def __str__(self) -> str:
        kind = f" ({self.op_type})" if self.op_type else ""
        return f'node "{clip(self.name)}"{kind}'


@dataclass(frozen=True, slots=True)
class Location:
    """The nodes an op stands for, in the order they were joined; empty when unknown."""

    sources: tuple[Source, ...] = ()

    @staticmethod
    def node(name: str, op_type: str = "") -> Location:
        """The location of a single node."""
        return Location((Source(name, op_type),))

    @staticmethod
    def join(*locations: Location) -> Location:
        """The union of several locations, without repetition, capped at :data:`MAX_SOURCES`."""
        seen: dict[Source, None] = {}
        for location in locations:
            for source in location.sources:
                seen[source] = None
                if len(seen) >= MAX_SOURCES:
                    return Location(tuple(seen))
        return Location(tuple(seen))

    def __bool__(self) -> bool:
        return bool(self.sources)

    def __str__(self) -> str:
        return ", ".join(str(source) for source in self.sources) or "unknown location"


UNKNOWN = Location()
