"""The pass ``rules``: rewrites from a file of the user's own."""

from __future__ import annotations

from dataclasses import dataclass

from .base import register_pass
from .pattern import PatternPass, PatternSet
from .rules import load_rules


@register_pass
@dataclass(frozen=True)
class Rules(PatternPass):
    """Apply the rules of a file until none applies: ``rules{file="my.rules"}``.

    Options:
        file: path of the rule file (docs/rules.md).
        fast_math: apply rules too that hold in real arithmetic only.
    """

    name = "rules"
    needs = ("file",)
    file: str = ""

    def pattern_set(self) -> PatternSet:
        """The rules of the file."""
        return load_rules(self.file)
