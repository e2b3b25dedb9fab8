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
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from burnish.ir import Module, Op, OpDef, Trait

from ..base import Pass, PassContext
from ..promises import EXACT, FAST_MATH, ROUNDING
from .match import Match, Outcome

RewriteFunction = Callable[[Match], Outcome]
Root = str | Trait

__all__ = [
    "EXACT",
    "FAST_MATH",
    "ROUNDING",
    "Pattern",
    "PatternPass",
    "PatternSet",
    "RewriteFunction",
    "Root",
]


@dataclass(frozen=True)
class Pattern:
    """One local rewrite.

    Attributes:
        name: kebab-case, unique in its set.
        roots: op names, or traits, of the ops it may start at.
        benefit: of two patterns for one root, the higher benefit is tried first.
        promise: one of :data:`burnish.passes.promises.PROMISES`.
        where: file and line of its definition.
        needs: sets of names of ops; of each, one must make an operand of the root.
        depth: how many ops deep it looks, counted from the root's operands.
        row: which row of a rule's table this is, as text; "" if there is none.
    """

    name: str
    roots: tuple[Root, ...]
    rewrite: RewriteFunction
    benefit: int
    promise: str
    doc: str
    where: str
    needs: tuple[frozenset[str], ...] = ()
    depth: int = 1
    row: str = ""

    def starts_at(self, opdef: OpDef) -> bool:
        """Whether ops of that definition can be the root."""
        return any(
            root in opdef.traits if isinstance(root, Trait) else root == opdef.name
            for root in self.roots
        )


class PatternSet:
    """Patterns that are applied together, indexed by root op and by what makes its operands.

    Args:
        name: for messages; kebab-case.
        patterns: what it holds from the start.
        includes: sets whose patterns belong to it too, before its own.
        load: gives further patterns when they are first asked for.
    """

    def __init__(
        self,
        name: str,
        patterns: Iterable[Pattern] = (),
        *,
        includes: Iterable[PatternSet] = (),
        load: Callable[[], Iterable[Pattern]] | None = None,
    ) -> None:
        self.name = name
        self._own: list[Pattern] = []
        self._places: dict[tuple[str, str], str] = {}
        self._includes = tuple(includes)
        self._load = load
        self._candidates: dict[tuple[OpDef, frozenset[str]], tuple[Pattern, ...]] = {}
        for pattern in patterns:
            self.add(pattern)

    def __iter__(self) -> Iterator[Pattern]:
        """All patterns; the rows of a rule's table are one pattern each, of one name."""
        if self._load is not None:
            load, self._load = self._load, None
            for pattern in load():
                self.add(pattern)
        for included in self._includes:
            yield from included
        yield from self._own

    def add(self, pattern: Pattern) -> None:
        """Enter a pattern.

        Raises:
            ValueError: its name is taken by one that is defined elsewhere.
        """
        key = (pattern.name, pattern.row)
        if key in self._places:
            other = self._places[key]
            raise ValueError(f"pattern {pattern.name} is defined at {other} and {pattern.where}")
        self._places[key] = pattern.where
        self._own.append(pattern)
        self._candidates.clear()

    @cached_property
    def careful(self) -> PatternSet:
        """The set without the patterns that promise :data:`FAST_MATH` only."""
        return PatternSet(self.name, load=lambda: (p for p in self if p.promise != FAST_MATH))

    def pattern(
        self, name: str, *roots: Root, benefit: int = 1, promise: str = EXACT, depth: int = 1
    ) -> Callable[[RewriteFunction], RewriteFunction]:
        """Decorator that enters a function as the pattern ``name`` for ``roots``.

        ``depth`` is more than 1 where it looks further than at what makes the root's operands.
        """

        def enter(function: RewriteFunction) -> RewriteFunction:
            code = function.__code__
            where = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
            doc = inspect.cleandoc(function.__doc__ or "")
            self.add(Pattern(name, roots, function, benefit, promise, doc, where, depth=depth))
            return function

        return enter

    def candidates(self, op: Op) -> tuple[Pattern, ...]:
        """The patterns that may apply at an op, best first.

        Decided by the op and by which ops make its operands, once for each such combination: the
        cost is independent of how many patterns there are.
        """
        makers = frozenset(value.owner.name for value in op.inputs if isinstance(value.owner, Op))
        found = self._candidates.get((op.opdef, makers))
        if found is None:
            fitting = [
                pattern
                for pattern in self
                if pattern.starts_at(op.opdef)
                and not any(names.isdisjoint(makers) for names in pattern.needs)
            ]
            found = tuple(sorted(fitting, key=lambda p: -p.benefit))
            self._candidates[op.opdef, makers] = found
        return found


@dataclass(frozen=True)
class PatternPass(Pass):
    """A pass that applies a set of patterns until none applies.

    Options:
        fast_math: apply patterns too that hold in real arithmetic only (promise fast-math).
    """

    patterns: ClassVar[PatternSet]
    fast_math: bool = False

    def run(self, module: Module, context: PassContext) -> bool:
        """Apply the patterns to all functions and all regions in them."""
        from .driver import apply_patterns

        patterns = self.pattern_set() if self.fast_math else self.pattern_set().careful
        changed = False
        for function in list(module.functions.values()):
            changed |= apply_patterns(function, patterns, context)
        return changed

    def pattern_set(self) -> PatternSet:
        """The patterns to choose from."""
        return self.patterns
