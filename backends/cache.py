"""The folder of what is kept between compilations: builds, measurements, schedules."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from burnish.ir.errors import ToolchainError


def cache_folder() -> Path:
    """Where it is: ``BURNISH_CACHE``, else the platform's folder for caches."""
    if chosen := os.environ.get("BURNISH_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "burnish"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "burnish"


def keep_text(place: Path, text: str) -> None:
    """Write a file of the cache, as a whole or not at all.

    Raises:
        ToolchainError: the cache folder cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(f".{os.getpid()}")
        fresh.write_text(text, "utf-8")
        fresh.replace(place)
    except OSError as error:
        raise unwritable(place.parent, error) from None


def unwritable(folder: Path, error: OSError) -> ToolchainError:
    """What there is to say of a folder that cannot be written."""
    return ToolchainError(
        f"the cache folder {folder} cannot be written: {error.strerror}",
        help="set BURNISH_CACHE to a folder that can",
    )
