"""What was found by tuning, kept for later: one file for each function, target and processor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..c.host import processor
from ..cache import cache_folder, keep_text
from .package import tvm_package


@dataclass(frozen=True)
class Record:
    """The fastest schedule of a function that was found.

    Attributes:
        trace: its trace, as ``Trace.as_json`` writes it; None if none is faster than the untuned.
        seconds: what a run takes with it.
        untuned: what a run takes without.
        trials: how many schedules were tried.
    """

    trace: list[Any] | None
    seconds: float
    untuned: float
    trials: int


def record_key(text: str, target: Mapping[str, Any]) -> str:
    """Of a function's text, the target, TVM's version, and this machine's processor."""
    digest = hashlib.sha256()
    facts = (text, json.dumps(target, sort_keys=True), tvm_package().__version__, processor())
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()[:32]


def _place(key: str) -> Path:
    return cache_folder() / "tvm" / f"{key}.json"


def remembered(key: str, trials: int) -> Record | None:
    """What is known from at least so many trials; None where nothing is, or it is broken."""
    try:
        found = json.loads(_place(key).read_text("utf-8"))
        trace = found["trace"]
        if trace is not None and not isinstance(trace, list):
            return None
        record = Record(
            trace, float(found["seconds"]), float(found["untuned"]), int(found["trials"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if record.trials >= trials else None


def remember(key: str, record: Record) -> None:
    """Keep a record, as a whole or not at all.

    Raises:
        ToolchainError: the cache folder cannot be written.
    """
    keep_text(_place(key), json.dumps(asdict(record)))
