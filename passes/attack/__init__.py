"""Attacks on rewrites: random instances of what they match, interpreted before and after."""

from .files import attack_file, subjects_of
from .probe import attack_pattern
from .search import RuleSubject, Subject, Verdict, attack, attack_rule
from .shrink import Refutation

__all__ = [
    "Refutation",
    "RuleSubject",
    "Subject",
    "Verdict",
    "attack",
    "attack_file",
    "attack_pattern",
    "attack_rule",
    "subjects_of",
]
