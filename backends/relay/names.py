"""Names that Relay text can hold, for what models call as they like."""

from __future__ import annotations

import re

from ..names import Names

_RESERVED = frozenset(
    [
        "let",
        "fn",
        "def",
        "if",
        "else",
        "type",
        "match",
        "extern",
        "free_var",
        "ref",
        "ref_read",
        "ref_write",
    ]
)
_LONGEST = 64


class RelayNames(Names):
    """Gives out names for parameters, each once."""

    def take(self, wanted: str) -> str:
        """A name like ``wanted``: letters, digits and ``_``, and a letter first."""
        name = re.sub(r"[^A-Za-z0-9_]+", "_", wanted)[:_LONGEST].strip("_")
        if not name or not name[0].isalpha() or name in _RESERVED or name.startswith("inf"):
            name = f"v_{name}"
        return super().take(name)
