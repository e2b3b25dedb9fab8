"""Attacking all rules of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..rules.compile import compile_rule
from ..rules.load import read_rules
from .search import RuleSubject, Verdict, attack


def subjects_of(path: str | Path) -> list[tuple[str, RuleSubject]]:
    """The rules of a file with their names; rows of a table are told apart by what is in them.

    Raises:
        UsageError: the file cannot be read.
        RuleError: it does not parse, or a rule in it does not compile.
    """
    file = read_rules(path)
    subjects = []
    for rule in file.rules:
        pattern = compile_rule(rule, file.text)
        label = f"{pattern.name}[{pattern.row}]" if pattern.row else pattern.name
        subjects.append((label, RuleSubject(rule, pattern)))
    return subjects


def attack_file(path: str | Path, *, instances: int = 20, seed: int = 0) -> Iterator[Verdict]:
    """Try to refute every rule of a file, one after another.

    Raises:
        UsageError: the file cannot be read.
        RuleError: it does not parse, or a rule in it does not compile.
    """
    for label, subject in subjects_of(path):
        verdict = attack(subject, instances=instances, seed=seed)
        verdict.name = label
        yield verdict
