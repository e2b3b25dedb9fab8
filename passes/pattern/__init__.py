"""Local rewrites: patterns as data, one driver that applies them to a fixpoint."""

from .driver import apply_patterns
from .match import Match, Outcome, Refusal
from .table import Pattern, PatternPass, PatternSet

__all__ = [
    "Match",
    "Outcome",
    "Pattern",
    "PatternPass",
    "PatternSet",
    "Refusal",
    "apply_patterns",
]
