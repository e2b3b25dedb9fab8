"""Instruments: objects that watch a pipeline run (checking, printing, measuring)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence

from burnish.ir import Module
from burnish.ir.errors import Error

from .base import Pass, PassContext


class Instrument:
    """Hooks around every pass; override those you need.

    For nested instruments, ``before`` runs outermost first, ``after`` innermost first.

    Attributes:
        notes: what the reader of the report should know.
    """

    notes: Sequence[str] = ()

    def before(self, pass_: Pass, module: Module) -> None:
        """Called before ``pass_`` runs on ``module``."""

    def after(self, pass_: Pass, module: Module, *, changed: bool, context: PassContext) -> None:
        """Called after ``pass_`` ran; ``changed`` is what it said, ``context`` what it did."""

    def failed(self, pass_: Pass, module: Module, error: Exception) -> None:
        """Called when ``pass_`` or a later check on its result raised ``error``."""


class VerifyEach(Instrument):
    """Verifies the module before the first and after every pass."""

    def __init__(self) -> None:
        self._checked = False

    def before(self, pass_: Pass, module: Module) -> None:
        """Verify what the pipeline was given, so that no pass is blamed for it."""
        if not self._checked:
            self._verify(module, "before the first pass")
            self._checked = True

    def after(self, pass_: Pass, module: Module, *, changed: bool, context: PassContext) -> None:
        """Verify what the pass made."""
        self._verify(module, f"after pass {pass_}")

    @staticmethod
    def _verify(module: Module, when: str) -> None:
        from burnish.ir import verify

        try:
            verify(module)
        except Error as error:
            raise error.located(when) from None


class PrintAfter(Instrument):
    """Prints the IR after passes, or writes it to numbered files.

    Args:
        names: the passes; all of them when empty.
        changed_only: print only when the pass changed the module.
        write: gets a title, such as ``"07-fuse"``, and the text; by default, standard error does.
        to_text: how a module becomes text.
    """

    def __init__(
        self,
        names: Collection[str] = (),
        *,
        changed_only: bool = False,
        write: Callable[[str, str], None] | None = None,
        to_text: Callable[[Module], str] = str,
    ) -> None:
        self._names = frozenset(names)
        self._changed_only = changed_only
        self._write = write or _print
        self._to_text = to_text
        self._count = 0

    def after(self, pass_: Pass, module: Module, *, changed: bool, context: PassContext) -> None:
        """Print the module, under a heading that names the pass."""
        self._count += 1
        chosen = not self._names or pass_.name in self._names
        if chosen and (changed or not self._changed_only):
            text = f"// IR after {pass_}\n{self._to_text(module)}"
            self._write(f"{self._count:02}-{pass_.name}", text)


def _print(title: str, text: str) -> None:
    sys.stderr.write(f"{text}\n")
