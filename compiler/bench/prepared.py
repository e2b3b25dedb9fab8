"""A model that is ready to run, in whatever engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.ir import Array
from burnish.ir.errors import Error


class EngineError(Error):
    """An engine that burnish is compared with does not run the model."""

    code = "E-ENGINE"


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to run: ``call`` runs it once, ``outputs`` are what it wrote.

    ``in_caller`` says that all its work is done in the thread that calls.
    """

    engine: str
    threads: int
    call: Callable[[], object]
    outputs: Sequence[Array]
    in_caller: bool


Prepare = Callable[[Path, Mapping[str, Array], int], Prepared]
"""Makes a model ready for inputs by name and a number of threads."""
