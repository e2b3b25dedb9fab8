"""Patterns as data, and sets of them.

CANONICAL = PatternSet("canonicalize")

@CANONICAL.pattern("neg-neg", "math.neg")
def neg_neg(m: Match) -> Outcome:
    '''-(-x) is x.'''
    return m.producer(m.operand(0), "math.neg").operands[0]
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from burnish.ir import Function, OpDef, Trait

from ..base import FunctionPass, PassContext
from ..promises import EXACT, ROUNDING
from .match import Match, Outcome

RewriteFunction = Callable[[Match], Outcome]
Root = str | Trait

__all__ = ["EXACT", "ROUNDING", "Pattern", "PatternPass", "PatternSet", "RewriteFunction", "Root"]


@dataclass(frozen=True)
class Pattern:
    """One local rewrite.

    Attributes:
        name: kebab-case, unique in its set.
        roots: op names, or traits, of the ops it may start at.
        benefit: of two patterns for one root, the higher benefit is tried first.
        promise: one of :data:`burnish.passes.promises.PROMISES`.
        where: file and line of its definition.
    """

    name: str
    roots: tuple[Root, ...]
    rewrite: RewriteFunction
    benefit: int
    promise: str
    doc: str
    where: str

    def starts_at(self, opdef: OpDef) -> bool:
        """Whether ops of that definition can be the root."""
        return any(
            root in opdef.traits if isinstance(root, Trait) else root == opdef.name
            for root in self.roots
        )


class PatternSet:
    """Patterns that are applied together, indexed by root op."""

    def __init__(self, name: str, patterns: Iterable[Pattern] = ()) -> None:
        self.name = name
        self._patterns: dict[str, Pattern] = {}
        self._by_root: dict[OpDef, tuple[Pattern, ...]] = {}
        for pattern in patterns:
            self.add(pattern)

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self._patterns.values())

    def add(self, pattern: Pattern) -> None:
        """Enter a pattern.

        Raises:
            ValueError: its name is taken.
        """
        if pattern.name in self._patterns:
            other = self._patterns[pattern.name].where
            raise ValueError(f"pattern {pattern.name} is defined at {other} and {pattern.where}")
        self._patterns[pattern.name] = pattern
        self._by_root.clear()

    def pattern(
        self, name: str, *roots: Root, benefit: int = 1, promise: str = EXACT
    ) -> Callable[[RewriteFunction], RewriteFunction]:
        """Decorator that enters a function as the pattern ``name`` for ``roots``."""

        def enter(function: RewriteFunction) -> RewriteFunction:
            code = function.__code__
            where = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
            doc = inspect.cleandoc(function.__doc__ or "")
            self.add(Pattern(name, roots, function, benefit, promise, doc, where))
            return function

        return enter

    def starting_at(self, opdef: OpDef) -> tuple[Pattern, ...]:
        """The patterns to try at an op, best first."""
        found = self._by_root.get(opdef)
        if found is None:
            fitting = [p for p in self._patterns.values() if p.starts_at(opdef)]
            found = tuple(sorted(fitting, key=lambda p: -p.benefit))
            self._by_root[opdef] = found
        return found


@dataclass(frozen=True)
class PatternPass(FunctionPass):
    """A pass that applies a set of patterns until none applies."""

    patterns: ClassVar[PatternSet]

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Apply the patterns to a function and all regions in it."""
        from .driver import apply_patterns

        return apply_patterns(function, self.patterns, context)
