"""Reading rule files: those of burnish by set, those of users by path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from burnish.ir.errors import UsageError, clip

from ..pattern.table import Pattern, PatternSet
from .compile import compile_file
from .errors import rule_error
from .overlap import check_overlaps
from .parser import parse_rules
from .syntax import Position, RuleFile

_SET = re.compile(r"^\s*set\s+([a-z0-9-]+)", re.MULTILINE)


def read_rules(path: str | Path) -> RuleFile:
    """The rule file at ``path``, parsed.

    Raises:
        UsageError: it cannot be read.
        RuleError: it does not parse.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"the rule file cannot be read: {reason}", at=clip(str(path))) from None
    return parse_rules(text, path)


def load_rules(path: str | Path) -> PatternSet:
    """The rules of a file as a set of patterns, named after the file.

    Raises:
        UsageError: the file cannot be read.
        RuleError: it does not parse, or a rule in it is wrong.
    """
    return pattern_set(read_rules(path), Path(path).stem)


def pattern_set(file: RuleFile, name: str) -> PatternSet:
    """The rules of a file as a set of patterns.

    Raises:
        RuleError: a rule is wrong, two have one name, or one of two that overlap must be chosen.
    """
    patterns = PatternSet(name)
    places: dict[str, Position] = {}
    for rule, pattern in zip(file.rules, compile_file(file)):
        first = places.setdefault(rule.name, rule.at)
        if first != rule.at:
            message = f"rule {rule.name} is defined twice, first in line {first.line}"
            raise rule_error(message, rule.at, file.text, "give each rule a name of its own")
        patterns.add(pattern)
    check_overlaps((rule, file.text) for rule in file.rules)
    return patterns


@cache
def rule_files() -> dict[Path, str]:
    """The rule files that come with burnish, and the set of each."""
    folder = files(__package__)
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".rules"):
            match = _SET.search(entry.read_text(encoding="utf-8"))
            found[Path(str(entry))] = match.group(1) if match else ""
    return found


def rules_of_set(name: str) -> Iterator[Pattern]:
    """The rules that come with burnish for the pattern set ``name``."""
    for path, set_name in rule_files().items():
        if set_name == name:
            yield from pattern_set(read_rules(path), name)
