"""Attacking patterns written in Python, whose form nobody can read off them.

Their instances are random trees of ops.  The ops are those whose names occur in the pattern's
code, and the search varies those trees that take the pattern's code furthest before it refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import CodeType, FunctionType, TracebackType
from typing import Any

from burnish.ir import OpDef, Trait, lookup, registry

from ..pattern import Match, Outcome, Pattern, Refusal
from ..rules.syntax import Absent, AttributePattern, Number, OpPattern, Position, Rule, Variable
from ..rules.syntax import Pattern as Tree
from .choices import Choices
from .hints import Hints
from .instance import Instance
from .search import Verdict, attack
from .trial import Trial

DEPTH = 3
"""How many ops below one another a tree has, at most."""

_HERE = Position(None, 1, 1)
_NOTHING = Hints(Rule("none", "", OpPattern((), "", (), (), "", False, False, 0, False, _HERE),
                      (), (), 1, "exact", (), _HERE))  # fmt: skip


def attack_pattern(pattern: Pattern, *, instances: int = 20, seed: int = 0) -> Verdict:
    """Try to refute a pattern written in Python, by random trees of ops.

    A pattern that starts at ops with regions only is starved: such ops are not drawn.
    """
    if not any(pattern.starts_at(definition) for definition in _definitions()):
        verdict = Verdict(pattern.name, pattern.promise, pattern.where, instances, seed)
        verdict.stuck = "it starts at ops with regions, which are not drawn"
        return verdict
    return attack(PatternSubject(pattern), instances=instances, seed=seed)


class PatternSubject:
    """A pattern written in Python."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = replace(pattern, rewrite=self._rewrite)
        self.key = pattern.name
        self._original = pattern
        self._reached = 0
        self._roots = [d.name for d in _definitions() if pattern.starts_at(d)]
        named = dict.fromkeys(_ops_in(pattern.rewrite, set()))
        self._ops = [name for name in named if not lookup(name).regions]
        # Questions come before building: the ops that a pattern asks for are named first.
        self._weights = [1 + 8 * 0.5**index for index in range(len(self._ops))]

    def _rewrite(self, m: Match) -> Outcome:
        try:
            return self._original.rewrite(m)
        except Refusal as refusal:
            self._reached = _line(refusal.__traceback__, self._original.rewrite)
            raise

    def instance(self, choices: Choices) -> Instance:
        """A tree whose root the pattern may start at."""
        root = choices.pick("tree.root", self._roots)
        tree = self._tree(choices, root, "tree", DEPTH)
        rule = Rule(self.key, "", tree, (), (), 1, self.pattern.promise, (), _HERE)
        return Instance(rule, _NOTHING, choices)

    def progress(self, trial: Trial) -> int:
        """The line of the pattern's code that refused."""
        return max(self._reached, 1)

    def _tree(self, choices: Choices, op: str, site: str, depth: int) -> OpPattern:
        definition = lookup(op)
        operands: list[Tree] = []
        constants = choices.chance(f"{site}.constants", 0.35)
        for name, spec in definition.operands.items():
            place = f"{site}.{name}"
            count = choices.below(f"{place}.count", 3) + 1 if spec.variadic else 1
            for index in range(count):
                if spec.optional and choices.chance(f"{place}.absent", 0.6):
                    operands.append(Absent(_HERE))
                else:
                    kinds = _CONSTANTS if constants and operands else _KINDS
                    operands.append(self._operand(choices, f"{place}.{index}", op, depth, kinds))
        attributes: tuple[AttributePattern, ...] = ()
        return OpPattern((op,), "", tuple(operands), attributes, "", False, True, 0, False, _HERE)

    def _operand(
        self, choices: Choices, site: str, parent: str, depth: int, kinds: Mapping[str, float]
    ) -> Tree:
        possible = {k: w for k, w in kinds.items() if depth > 1 or k not in ("op", "same")}
        kind = choices.pick(f"{site}.kind", list(possible), list(possible.values()))
        if kind == "same":
            return self._tree(choices, parent, site, depth - 1)
        if kind == "op" and self._ops:
            chosen = choices.pick(f"{site}.op", self._ops, self._weights)
            return self._tree(choices, chosen, site, depth - 1)
        if kind == "number":
            return Number(choices.pick(f"{site}.number", (1, 0, 2, -1, 0.5)), _HERE)
        name = "x" if kind == "again" else site.replace(".", "_")
        plain = kind if kind in ("const", "scalar") else "value"
        return Variable(name, plain, False, False, _HERE)


_KINDS = {"value": 4, "const": 2, "scalar": 1, "number": 1, "again": 0.5, "op": 6, "same": 1}
_CONSTANTS = {"const": 8, "scalar": 1, "value": 0.5}
"""What an operand in a tree is, how often; ``again`` is a value that other operands are, too,
``same`` the op that it is an operand of."""


def _definitions() -> Iterator[OpDef]:
    for definition in registry().values():
        if not definition.regions and Trait.TERMINATOR not in definition.traits:
            yield definition


def _ops_in(function: Any, seen: set[int]) -> Iterator[str]:
    """Names of ops that a function's code mentions, and that of what it uses of its module."""
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    yield from _constants_in(function.__code__)
    for name in _names_in(function.__code__):
        used = function.__globals__.get(name)
        if isinstance(used, FunctionType) and used.__module__ == function.__module__:
            yield from _ops_in(used, seen)
        elif isinstance(used, type) and used.__module__ == function.__module__:
            for member in vars(used).values():
                yield from _ops_in(getattr(member, "func", member), seen)
        else:
            yield from _op_names(used)


def _constants_in(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _constants_in(constant)
        else:
            yield from _op_names(constant)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _op_names(value: object) -> Iterator[str]:
    """Names of ops in a constant of the code."""
    if isinstance(value, str):
        if value in registry():
            yield value
    elif isinstance(value, (Mapping, Iterable)) and not isinstance(value, bytes):
        for item in sorted(map(str, value)):
            yield from _op_names(item)


def _line(traceback: TracebackType | None, function: Any) -> int:
    """The line of ``function``, counted from its first, that was being executed."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code is function.__code__:
            line = traceback.tb_lineno - function.__code__.co_firstlineno
        traceback = traceback.tb_next
    return line
