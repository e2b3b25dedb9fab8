"""Passes one can trust: comparison of modules, bisection, reproducers, reduction."""

from .draws import Draw, draws
from .equivalence import CounterExample, Difference, Execution, compare, compare_modules, draws_for
from .failure import CRASH, INVALID, MISMATCH, Failure, attempt, find_failure, located
from .keeping import Keep, KeepReproducer
from .reduce import BUDGET, Predicate, measure, reduce, reduce_with_inputs
from .reproducer import Reproducer, is_reproducer, parse_reproducer
from .semantic import SemanticCheck, SemanticMismatchError
from .shrink import Finder, PassFailure, shrink, simpler_draw

__all__ = [
    "BUDGET",
    "CRASH",
    "INVALID",
    "MISMATCH",
    "CounterExample",
    "Difference",
    "Draw",
    "Execution",
    "Failure",
    "Finder",
    "Keep",
    "KeepReproducer",
    "PassFailure",
    "Predicate",
    "Reproducer",
    "SemanticCheck",
    "SemanticMismatchError",
    "attempt",
    "compare",
    "compare_modules",
    "draws",
    "draws_for",
    "find_failure",
    "is_reproducer",
    "located",
    "measure",
    "parse_reproducer",
    "reduce",
    "reduce_with_inputs",
    "shrink",
    "simpler_draw",
]
