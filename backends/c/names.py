"""C identifiers and strings from names that may hold anything."""

from __future__ import annotations

import hashlib
import re

MAX_IDENTIFIER = 40

_KEYWORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch
    typedef union unsigned void volatile while alignas alignof bool constexpr false nullptr
    static_assert thread_local true typeof asm class catch delete explicit export friend
    mutable namespace new operator private protected public template this throw try typename
    using virtual wchar_t and or not xor linux unix errno assert offsetof main
    """.split()  # noqa: SIM905 - eighty quoted words are harder to read
)
"""Keywords of C and C++, and macros that compilers and headers may define in lower case."""


def identifier(text: str, fallback: str) -> str:
    """A C identifier that resembles ``text``: lower case, at most :data:`MAX_IDENTIFIER` long.

    ``fallback`` is used when nothing of ``text`` can be kept.  Different texts may give the same
    identifier: :class:`burnish.backends.names.Names` tells them apart.
    """
    name = re.sub(r"[^a-z0-9]+", "_", text[: 4 * MAX_IDENTIFIER].lower()).strip("_") or fallback
    if len(name) > MAX_IDENTIFIER or len(text) > 4 * MAX_IDENTIFIER:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name[: MAX_IDENTIFIER - 9].rstrip('_')}_{digest}"
    if name[0].isdigit() or name in _KEYWORDS:
        name = f"{fallback}_{name}"
    return name


def string_literal(text: str, limit: int = 1000) -> str:
    """``text`` as a C string literal in ASCII; longer than ``limit`` it is cut with ``...``."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    out = []
    for byte in cut.encode("utf-8", "surrogatepass"):
        character = chr(byte)
        if character in '"\\?':
            out.append("\\" + character)
        elif " " <= character <= "~":
            out.append(character)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'
