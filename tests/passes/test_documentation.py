"""docs/passes.md and the patterns' own words keep up with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.passes import STAGES, Pattern, PatternPass, passes, standard_pipeline
from burnish.passes.pattern.table import EXACT, FAST_MATH, ROUNDING

PATTERNS = {
    pattern.name: pattern
    for cls in passes().values()
    if issubclass(cls, PatternPass) and hasattr(cls, "patterns")
    for pattern in cls.patterns
}


def test_every_pass_and_stage_is_in_the_docs(root: Path) -> None:
    text = (root / "docs" / "passes.md").read_text("utf-8")
    missing = [name for name in passes() if f"| `{name}` |" not in text]
    assert not missing
    assert all(f"`{stage}`" in text for stage in STAGES.values())


def test_the_c_pipeline_has_all_stages() -> None:
    assert standard_pipeline("c") == ",".join(STAGES.values())


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=list(PATTERNS))
def test_every_pattern_is_described(pattern: Pattern) -> None:
    assert pattern.doc.endswith(".")
    assert pattern.promise in (EXACT, ROUNDING, FAST_MATH)
    assert ".py:" in pattern.where or ".rules:" in pattern.where
