"""Instruments: objects that watch a pipeline run (checking, printing, measuring)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import TextIO

from burnish.ir import Module
from burnish.ir.errors import Error

from .base import Pass, PassContext


class Instrument:
    """Hooks around every pass; override those you need.

    For nested instruments, ``before`` runs outermost first, ``after`` innermost first.
    """

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
    """Prints the IR after the passes named in ``names`` (all when empty) that changed it."""

    def __init__(
        self,
        names: Collection[str] = (),
        stream: TextIO | None = None,
        to_text: Callable[[Module], str] = str,
    ) -> None:
        self._names = frozenset(names)
        self._stream = stream
        self._to_text = to_text

    def after(self, pass_: Pass, module: Module, *, changed: bool, context: PassContext) -> None:
        """Print the module, under a heading that names the pass."""
        if not changed or (self._names and pass_.name not in self._names):
            return
        stream = self._stream or sys.stderr
        stream.write(f"// IR after {pass_}\n{self._to_text(module)}\n")
