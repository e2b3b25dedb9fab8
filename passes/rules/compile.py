"""Rules compiled to the records that the pattern driver applies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from burnish.ir import Op, Trait, Value, registry
from burnish.ir.errors import TypeInferenceError

from ..pattern.match import Match, Outcome, Refusal
from ..pattern.table import Pattern, Root
from .functions import Undecided
from .matcher import PatternCompiler, trait_named
from .replacement import Planner, ReplacementCompiler
from .scope import Scope, Slots
from .steps import QUESTION_ERRORS, Reason
from .syntax import Number, OpPattern, Rule, RuleFile, Variable
from .syntax import Pattern as PatternNode
from .templates import Planned, build, plan_replacement


class CompiledRule:
    """A rule as a function of a match: what :class:`~..pattern.table.Pattern` calls."""

    def __init__(self, rule: Rule, text: str) -> None:
        """Compile ``rule`` of the file ``text``.

        Raises:
            RuleError: a name, an operand or an attribute in it is wrong.
        """
        scope = Scope(text)
        left = PatternCompiler(scope)
        left.pattern(rule.pattern)
        left.steps(rule.steps)
        left.grant(rule.granted)
        right = ReplacementCompiler(scope)
        self._root = left.root
        self._ops = left.op_slots
        self._plan: Planner = right.roots(rule.rewrite, left.root)
        self._result = scope.slot()
        self._check_results(rule, scope)
        scope.check_all_used()
        self._size = scope.size
        self._start = left.chain(self._planned)

    @staticmethod
    def _check_results(rule: Rule, scope: Scope) -> None:
        for name in rule.pattern.ops:
            results = len(registry()[name].result_names)
            if results != len(rule.rewrite):
                scope.fail(
                    f"{name} has {results} results, but is replaced by {len(rule.rewrite)} values",
                    rule.rewrite[0].at,
                )

    def __call__(self, m: Match) -> Outcome:
        """Match at the root of ``m``, and build the replacement.

        Raises:
            Refusal: the rule does not apply here.
        """
        slots: Slots = [None] * self._size
        slots[self._root] = m.op
        reason = self._start(slots)
        if reason is not None:
            raise Refusal(reason.text)
        m.absorb(*self._absorbed(slots))
        planned: Sequence[Planned] = slots[self._result]
        return [value if isinstance(value, Value) else build(value, m.builder) for value in planned]

    def _planned(self, s: Slots) -> Reason | None:
        """The last step: plan the replacement, which must have the types of the results."""
        root: Op = s[self._root]
        try:
            planned: Sequence[Planned] = self._plan(s)
            s[self._result] = [plan_replacement(v, r) for v, r in zip(planned, root.results)]
        except Refusal as refusal:
            return Reason(refusal.reason, _LAST)
        except Undecided:
            return _UNDECIDED
        except TypeInferenceError:
            return _UNTYPED
        except QUESTION_ERRORS:
            return _UNCOMPUTED
        return None

    def _absorbed(self, s: Slots) -> list[Op]:
        """The ops that the pattern matched beside the root."""
        ops: list[Op] = []
        for slot in self._ops:
            found = s[slot]
            ops += found if isinstance(found, tuple) else (found,)
        return ops


_LAST = 1 << 30
_UNDECIDED = Reason("an attribute is undecided for symbolic dimensions", _LAST)
_UNTYPED = Reason("the replacement has no type", _LAST)
_UNCOMPUTED = Reason("an attribute cannot be computed", _LAST)


def compile_file(file: RuleFile) -> list[Pattern]:
    """The rules of a file as patterns, in order.

    Raises:
        RuleError: a rule in it is wrong.
    """
    return [compile_rule(rule, file.text) for rule in file.rules]


def compile_rule(rule: Rule, text: str) -> Pattern:
    """One rule of the file ``text`` as a pattern."""
    path = rule.at.file or Path("<rules>")
    return Pattern(
        name=rule.name,
        roots=_roots(rule.pattern),
        rewrite=CompiledRule(rule, text),
        benefit=rule.benefit,
        promise=rule.promise,
        doc=rule.doc,
        where=f"{path.name}:{rule.at.line}",
        needs=_needs(rule.pattern),
        depth=max(1, _depth(rule.pattern)),
        row=_row(rule),
    )


def _row(rule: Rule) -> str:
    """What tells a rule from others that are written with it."""
    cells = [str(cell) for _, cell in rule.columns]
    return ", ".join([*cells, rule.promise] if rule.granted else cells)


def _roots(pattern: OpPattern) -> tuple[Root, ...]:
    trait = trait_named(pattern.trait) if pattern.trait else None
    return pattern.ops if trait is None else (trait,)


def _depth(node: PatternNode) -> int:
    """How many ops lie below one, on the longest way."""
    below = node.operands if isinstance(node, OpPattern) else ()
    return max(
        (1 + _depth(operand) for operand in below if isinstance(operand, OpPattern)), default=0
    )


def _needs(root: OpPattern) -> tuple[frozenset[str], ...]:
    """Per operand of the root that must be made by certain ops: their names."""
    return tuple(names for operand in root.operands if (names := _makers(operand)))


def _makers(operand: PatternNode) -> frozenset[str]:
    """Names of the ops of which one makes ``operand``; empty for any op, or none."""
    if isinstance(operand, OpPattern):
        return frozenset(operand.ops) or _with_trait(trait_named(operand.trait))
    constant = isinstance(operand, Number) or (
        isinstance(operand, Variable) and operand.kind != "value" and not operand.optional
    )
    return _with_trait(Trait.CONSTANT) if constant else frozenset()


def _with_trait(trait: Trait | None) -> frozenset[str]:
    return frozenset(name for name, opdef in registry().items() if trait in opdef.traits)
