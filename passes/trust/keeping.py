"""Keeping reproducers: whatever goes wrong in a pipeline is written down before it is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir import Error, Module, verify
from burnish.ir.errors import VerifyError

from ..base import Pass, PassContext
from ..instruments import Instrument
from ..manager import run_pass
from ..pipeline import pipeline_text
from .equivalence import draws_for
from .failure import CRASH, INVALID, MISMATCH, Failure, find_failure, said
from .reproducer import Reproducer
from .semantic import SemanticMismatchError

Keep = Callable[[Reproducer], str]
"""Writes a reproducer somewhere and returns where, for people."""


class KeepReproducer(Instrument):
    """When a pass fails, or what it made is wrong, keeps a reproducer and lets the error name it.

    The module is copied once, before the first pass; what was there before the failing pass is
    computed again when it is needed.

    Args:
        keep: writes the reproducer.
        seed: of the inputs that the module is interpreted on.
        load: the Python files that define passes of the pipeline.
        version: of burnish.
    """

    def __init__(
        self, keep: Keep, *, seed: int = 0, load: Sequence[str] = (), version: str = ""
    ) -> None:
        self._keep = keep
        self._seed = seed
        self._load = tuple(load)
        self._version = version
        self._original: Module | None = None
        self._passes: list[Pass] = []

    def before(self, pass_: Pass, module: Module) -> None:
        """Remember what has been done to what."""
        if self._original is None:
            self._original = module.copy()
        self._passes.append(pass_)

    def failed(self, pass_: Pass, module: Module, error: Exception) -> None:
        """Keep a reproducer; ``error`` says where it is."""
        try:
            if self._original is None or not _is_valid(self._original):
                return  # no pass is to blame for what it was given
            place = self._keep(self._reproducer(pass_, error))
        except Exception as problem:  # what happened first must be reported all the same
            _add(error, f"no reproducer could be written ({said(problem)})")
            return
        _add(error, f"`burnish opt --replay {place}` repeats this, --reduce makes it small")

    def _reproducer(self, pass_: Pass, error: Exception) -> Reproducer:
        """Of the failing pass alone if that does it, else of all passes so far."""
        assert self._original is not None
        before = self._original.copy()
        for earlier in self._passes[:-1]:
            run_pass(earlier, before, PassContext())
        semantic = isinstance(error, SemanticMismatchError)
        found = find_failure(before, [pass_], draws_for(before, self._seed) if semantic else [])
        if found is not None:
            module, passes, failure = before, str(pass_), found[1]
        else:
            module, passes = self._original, pipeline_text(self._passes)
            failure = Failure(_kind(error), str(pass_), said(error))
        return Reproducer(module, passes, failure, self._seed, self._load, version=self._version)


def _is_valid(module: Module) -> bool:
    try:
        verify(module)
    except VerifyError:
        return False
    return True


def _kind(error: Exception) -> str:
    if isinstance(error, SemanticMismatchError):
        return MISMATCH
    return INVALID if isinstance(error, VerifyError) else CRASH


def _add(error: Exception, text: str) -> None:
    """Say more with an error: in its help, or beside the message of a foreign one."""
    if isinstance(error, Error):
        error.help = f"{error.help}; {text}" if error.help else text
    else:
        error.reproducer = text  # type: ignore[attr-defined]  # the command line shows it
        if hasattr(error, "add_note"):
            error.add_note(text)
