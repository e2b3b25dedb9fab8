"""Progress: who works asks for it by stage and fraction; a terminal shows it when it matters."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

ProgressCallback = Callable[[str, float], None]
"""Called with the stage at work (``"import"``, ``"optimize"``, …) and its fraction done, 0 to 1."""

DELAY = 1.0
"""Seconds of work before a terminal shows anything."""


def silent(stage: str, fraction: float) -> None:
    """The callback of those who do not want to know."""


@contextmanager
def reporting(progress: bool | ProgressCallback | None) -> Iterator[ProgressCallback]:
    """A callback from what users pass: None or False, True (the terminal), or their own."""
    if progress is None or progress is False:
        yield silent
    elif progress is True:
        with terminal_progress() as callback:
            yield callback
    else:
        yield progress


@contextmanager
def terminal_progress() -> Iterator[ProgressCallback]:
    """Show stages on standard error once the work takes longer than :data:`DELAY`.

    Nothing is shown where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    display = _Display()
    try:
        yield display.update
    finally:
        display.close()


class _Display:
    """A bar that appears after the delay; safe to update from the working thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stage, self._fraction = "", 0.0
        self._bar: RichProgress | None = None
        self._closed = False
        self._timer = threading.Timer(DELAY, self._show)
        self._timer.daemon = True
        self._timer.start()

    def update(self, stage: str, fraction: float) -> None:
        with self._lock:
            self._stage, self._fraction = stage, fraction
            self._draw()

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._closed:
                return
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task("", total=1.0)
            self._bar.start()
            self._draw()

    def _draw(self) -> None:
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, description=self._stage, completed=self._fraction)
