"""Fixtures of the tests of passes."""

from __future__ import annotations

import pytest

from burnish.passes import base


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes registered by a test are forgotten after it."""
    monkeypatch.setattr(base, "_PASSES", dict(base._PASSES))
