"""docs/ops.md is what the registry says."""

from __future__ import annotations

from pathlib import Path

from burnish.reference import ops_reference


def test_the_reference_is_not_stale(root: Path) -> None:
    stored = (root / "docs" / "ops.md").read_text("utf-8")
    assert stored == ops_reference(), "run: burnish ops --markdown > docs/ops.md"
