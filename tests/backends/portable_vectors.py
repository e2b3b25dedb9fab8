"""Targets with vectors for machines without them: compilers split them."""

from __future__ import annotations

from burnish.backends import Target, find_target

PORTABLE = "c:portable-vectors"
"""Vectors of eight floats; known by name where the fixture ``portable_vectors`` is used."""

PORTABLE_OF_FOUR = "c:portable-vectors-of-four"
"""Vectors of four floats; likewise."""

_GENERIC = find_target("c:generic")
_STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1")


def portable(isa: str, *more: str) -> Target:
    """The vectors of ``isa``, compiled with all warnings and the flags ``more``."""
    flags = (*_GENERIC.flags, *_STRICT, *more)
    name = f"c:{isa}-anywhere"
    return Target(name, "c", "", _GENERIC.compilers, flags, host=True, isa=isa, threads=True)


def named() -> list[Target]:
    """The targets ``PORTABLE`` and ``PORTABLE_OF_FOUR``."""
    known = {PORTABLE: "avx2", PORTABLE_OF_FOUR: "neon"}
    return [
        Target(name, "c", "", _GENERIC.compilers, _GENERIC.flags, host=True, isa=isa)
        for name, isa in known.items()
    ]
