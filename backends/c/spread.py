"""How the kernels of a model are spread over C files, so that several compile at a time."""

from __future__ import annotations

from collections.abc import Sequence

PER_FILE = 128 << 10
"""Characters of kernels in a file, about, where their number is left open."""

MOST_FILES = 16
"""Files of kernels that large models are cut into."""


def file_count(size: int, wanted: int) -> int:
    """How many files to spread ``size`` characters of kernels over; ``wanted`` 0 leaves it open."""
    return wanted or max(1, min(MOST_FILES, size // PER_FILE))


def spread(sizes: Sequence[int], count: int) -> list[range]:
    """At most ``count`` runs of texts of these sizes, which are about equally long together."""
    total, start, done = sum(sizes), 0, 0
    runs: list[range] = []
    for number, size in enumerate(sizes):
        done += size
        if done * count >= total * (len(runs) + 1):
            runs.append(range(start, number + 1))
            start = number + 1
    return runs


def internal_header(name: str, includes: str, attributes: str, prototypes: Sequence[str]) -> str:
    """The header that the files of a model share."""
    guard = f"{name.upper()}_INTERNAL_H"
    return "\n".join(
        [
            f"/* What the C files of the model {name} share. */\n\n"
            f"#ifndef {guard}\n#define {guard}\n",
            includes,
            attributes,
            *prototypes,
            f"#endif /* {guard} */\n",
        ]
    )
