from __future__ import annotations

import io
import time

import pytest

from burnish import progress
from burnish.progress import reporting, silent, terminal_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("wanted", [None, False])
def test_nothing_is_reported_unasked(wanted: bool | None) -> None:
    with reporting(wanted) as callback:
        assert callback is silent


def test_a_callback_of_ones_own() -> None:
    told: list[tuple[str, float]] = []
    with reporting(lambda stage, fraction: told.append((stage, fraction))) as callback:
        callback("emit", 0.5)
    assert told == [("emit", 0.5)]


def test_no_terminal_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with terminal_progress() as callback:
        assert callback is silent


@pytest.mark.parametrize("delay", [0.0, 30.0])
def test_a_terminal_shows_work_that_takes_long(
    monkeypatch: pytest.MonkeyPatch, delay: float
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY", delay)
    monkeypatch.setenv("TERM", "xterm")
    with reporting(True) as callback:
        callback("optimize: [bold]", 0.25)
        time.sleep(0.4)
        callback("emit", 0.75)
        time.sleep(0.2)
    shown = terminal.getvalue()
    assert ("optimize: [bold]" in shown) == (delay == 0)
    assert ("emit" in shown) == (delay == 0)
