"""Errors in rule files: what is wrong, the line it is in, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from burnish.ir.errors import ParseError, clip

from .syntax import Position

SHOWN = 100
"""Characters of a source line that an error shows."""


class RuleError(ParseError):
    """A rule file does not parse, or a rule in it cannot be right; carries line and column."""

    code = "E-RULE"


def rule_error(message: str, at: Position, text: str, help: str = "") -> RuleError:
    """An error at a place of the rule file ``text``, showing its line with a caret."""
    lines = text.split("\n")
    line = lines[min(at.line, len(lines)) - 1]
    start = max(0, at.column - SHOWN + 20)
    shown = clip(line[start : start + SHOWN].rstrip(), SHOWN + 20)
    indent = " " * 6
    excerpt = f"{at}\n{indent}{shown}\n{indent}{' ' * (at.column - 1 - start)}^"
    return RuleError(message, line=at.line, column=at.column, at=excerpt, help=help)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not one of ``known``."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    listed = ", ".join(names)
    return f"there is {clip(listed, 200)}" if names else ""
