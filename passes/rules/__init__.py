"""Rules: local rewrites as text (docs/rules.md)."""

from .errors import RuleError
from .functions import RuleFunction, rule_function, rule_functions
from .load import load_rules, read_rules, rule_files, rules_of_set
from .parser import parse_rules
from .syntax import Rule, RuleFile

__all__ = [
    "Rule",
    "RuleError",
    "RuleFile",
    "RuleFunction",
    "load_rules",
    "parse_rules",
    "read_rules",
    "rule_files",
    "rule_function",
    "rule_functions",
    "rules_of_set",
]
