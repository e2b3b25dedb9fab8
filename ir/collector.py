"""Pausing Python's cyclic garbage collector while a graph is built or rewritten.

Values, ops and blocks refer to each other, and all of them stay alive: the collector scans the
growing graph again and again and frees nothing, which costs up to half the time of an import.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """No cyclic garbage collection in the block; afterwards as before."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
