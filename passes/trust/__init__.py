"""Passes one can trust: comparison of modules, bisection, reproducers, reduction."""

from .draws import Draw, draws
from .equivalence import CounterExample, Difference, Execution, compare, compare_modules, draws_for
from .failure import CRASH, INVALID, MISMATCH, Failure, attempt, find_failure, located
from .semantic import SemanticCheck, SemanticMismatchError

__all__ = [
    "CRASH",
    "INVALID",
    "MISMATCH",
    "CounterExample",
    "Difference",
    "Draw",
    "Execution",
    "Failure",
    "SemanticCheck",
    "SemanticMismatchError",
    "attempt",
    "compare",
    "compare_modules",
    "draws",
    "draws_for",
    "find_failure",
    "located",
]
