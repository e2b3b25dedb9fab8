"""Every rule file and every pattern of every pass is attacked; what cannot be reached is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.ir import parse
from burnish.passes import Pattern, PatternPass, PatternSet, passes, run_pipeline
from burnish.passes.attack import attack_pattern, subjects_of
from burnish.passes.attack.search import attack
from burnish.passes.rules.compile import CompiledRule
from burnish.passes.trust import compare_modules

ROOT = Path(__file__).resolve().parents[2]
RULE_FILES = sorted(
    path
    for path in ROOT.rglob("*.rules")
    if not {part for part in path.relative_to(ROOT).parts if part.startswith((".", "build"))}
)

UNREACHED = {
    "decided-if": "it starts at an op with regions; tests/passes/test_golden.py",
    "constant-capture": "it starts at an op with regions; tests/passes/test_golden.py",
    "attention": "random trees hold no chain so long; tests/passes/test_attention_chains.py",
    "attention-of-selected": "likewise",
    "concat-of-slices": "two slices meet by chance only; tests/passes/test_golden.py",
}
"""Patterns in Python of which the attack draws no instances, why, and where they are tested."""


def python_patterns() -> dict[str, Pattern]:
    """The patterns that are written in Python, of all registered passes."""
    found = {}
    for cls in passes().values():
        patterns = getattr(cls, "patterns", None)
        if issubclass(cls, PatternPass) and isinstance(patterns, PatternSet):
            found.update({p.name: p for p in patterns if not isinstance(p.rewrite, CompiledRule)})
    return found


PATTERNS = python_patterns()
REACHED = [pattern for name, pattern in PATTERNS.items() if name not in UNREACHED]


def test_every_registered_pattern_has_an_attack() -> None:
    files = {(s.pattern.name, s.pattern.row) for f in RULE_FILES for _, s in subjects_of(f)}
    for cls in passes().values():
        patterns = getattr(cls, "patterns", None)
        if not isinstance(patterns, PatternSet):
            continue
        missing = [
            p.name for p in patterns if p.name not in PATTERNS and (p.name, p.row) not in files
        ]
        assert not missing, cls.name


def test_what_is_not_reached_exists() -> None:
    assert not UNREACHED.keys() - PATTERNS.keys()


@pytest.mark.parametrize("pattern", REACHED, ids=lambda pattern: pattern.name)
def test_a_python_pattern_withstands_an_attack(pattern: Pattern) -> None:
    verdict = attack_pattern(pattern, instances=6)
    assert verdict.holds, str(verdict)


def test_transposed_constants_are_not_rearranged_twice() -> None:
    """What the attack found: exp(transpose(c)) of a square constant c was exp(c)."""
    text = """
module "m" {
  func @main() -> ("y": tensor<f32[2, 2]>) {
    %c = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
    %t = tensor.transpose(%c) {permutation = [1, 0]}
    %y = math.exp(%t)
    core.return(%y)
  }
}
"""
    before, after = parse(text), parse(text)
    run_pipeline(after, "shape-cleanup")
    assert compare_modules(before, after) is None


def test_transposed_constants_are_not_rearranged_in_turn() -> None:
    """Each of two constants, neither folded yet, once took the transpose from the other."""
    text = """
module "m" {
  func @main() -> ("y": tensor<f32[2, 2]>) {
    %0 = core.constant() {value = dense<f32[2, 2], [1.0, 2.0, 3.0, 4.0]>}
    %1 = tensor.transpose(%0) {permutation = [1, 0]}
    %2 = core.constant() {value = dense<f32[2, 2], [5.0, 6.0, 7.0, 8.0]>}
    %3 = math.sub(%1, %2)
    core.return(%3)
  }
}
"""
    before, after = parse(text), parse(text)
    run_pipeline(after, "conv-to-matmul")
    assert compare_modules(before, after) is None


def test_casts_through_floats_saturate() -> None:
    """What the attack found: i8 -1 as f32 as u16 is 0, but as u16 at once 65535."""
    text = """
module "m" {
  func @main(%x: tensor<i8[4]>) -> ("y": tensor<u16[4]>) {
    %f = math.cast(%x) {to = f32}
    %y = math.cast(%f) {to = u16}
    core.return(%y)
  }
}
"""
    before, after = parse(text), parse(text)
    run_pipeline(after, "canonicalize")
    assert compare_modules(before, after) is None


def test_a_pattern_of_regions_cannot_be_attacked() -> None:
    verdict = attack_pattern(PATTERNS["decided-if"])
    assert verdict.is_starved
    assert "regions" in str(verdict)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", REACHED, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_python_pattern_withstands_a_long_attack(pattern: Pattern, seed: int) -> None:
    verdict = attack_pattern(pattern, instances=150, seed=seed)
    assert verdict.holds, str(verdict)


@pytest.mark.slow
@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_rules_withstand_a_long_attack(file: Path, seed: int) -> None:
    verdicts = []
    for label, subject in subjects_of(file):
        verdict = attack(subject, instances=150, seed=seed)
        verdict.name = label
        verdicts.append(verdict)
    wrong = [str(verdict) for verdict in verdicts if not verdict.holds]
    assert not wrong, "\n\n".join(wrong)
