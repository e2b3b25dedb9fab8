"""docs/passes.md and the patterns' own words keep up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from burnish.passes import STAGES, Pattern, PatternPass, passes, standard_pipeline
from burnish.passes.pattern.table import EXACT, FAST_MATH, ROUNDING
from burnish.passes.rules import RuleError, load_rules, parse_rules, rule_functions
from burnish.passes.rules.load import pattern_set

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


def test_the_c_pipeline_has_all_stages_but_those_of_one_backend() -> None:
    others = ("horizontal", "rows", "unroll")
    stages = [text for name, text in STAGES.items() if name not in others]
    assert standard_pipeline("c") == ",".join(stages)
    assert standard_pipeline("onnx").endswith(f"{STAGES['horizontal']},{STAGES['rows']}")
    assert standard_pipeline("relay").endswith(STAGES["unroll"])


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=list(PATTERNS))
def test_every_pattern_is_described(pattern: Pattern) -> None:
    assert pattern.doc.endswith(".")
    assert pattern.promise in (EXACT, ROUNDING, FAST_MATH)
    assert ".py:" in pattern.where or ".rules:" in pattern.where


def test_rule_functions_are_in_the_docs(root: Path) -> None:
    page = (root / "docs" / "rules.md").read_text("utf-8")
    section = page.partition("## Functions")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `.*\|$", section, re.MULTILINE)
    functions = rule_functions().values()
    assert found == [f"| `{f.signature}` | {' '.join(f.doc.split())} |" for f in functions]


def test_rules_in_the_docs_load(root: Path) -> None:
    page = (root / "docs" / "rules.md").read_text("utf-8")
    blocks = re.findall(r"^```rules\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        assert list(pattern_set(parse_rules(block), "docs"))


def test_errors_in_the_docs_are_so(root: Path, tmp_path: Path) -> None:
    page = (root / "docs" / "rules.md").read_text("utf-8")
    shown = re.findall(r"^```text\n(error.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "my.rules"
    path.write_text(
        'rule subtract-negated {\n  "x - -y is x + y."\n  match math.sbu(x, math.neg(y))\n'
        "  rewrite math.add(x, y)\n}\n"
    )
    with pytest.raises(RuleError) as caught:
        load_rules(path)
    assert shown == [f"{caught.value}\n"]
