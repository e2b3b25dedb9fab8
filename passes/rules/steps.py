"""The steps of a compiled match: closures that look at one thing and call the next.

A step that can go on in several ways (operands of a commutative op in either order, a place in a
list of operands) tries the next step for each.  So conditions take part in the search, and
nothing is copied: all that was found lies in slots, which a later attempt overwrites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.ir import OpDef, Trait, Value
from burnish.ir.errors import DimensionError, TypeInferenceError

from ..pattern.match import Refusal
from .expressions import Evaluate, same_attribute
from .functions import Undecided
from .scope import NO_OP, Slots
from .syntax import Absent, OpPattern, Pattern, Variable


@dataclass(frozen=True, eq=False, slots=True)
class Reason:
    """Why a match failed, and how far it had come."""

    text: str
    depth: int


Step = Callable[[Slots], "Reason | None"]
"""Goes on with a match: None when all of it holds."""

Link = Callable[[Step], Step]

UNSET: Any = object()
"""What a slot holds that the first of many operands is going to fill."""

QUESTION_ERRORS = (
    IndexError,
    ZeroDivisionError,
    OverflowError,
    TypeInferenceError,
    DimensionError,
)
"""What evaluating an expression may raise: the question has no answer, so the rule refuses."""


def succeed(s: Slots) -> Reason | None:
    """The end of a chain."""
    return None


def chained(links: Sequence[Link], last: Step) -> Step:
    """The first step of a chain of links that ends in ``last``."""
    step = last
    for link in reversed(links):
        step = link(step)
    return step


def deeper(a: Reason | None, b: Reason) -> Reason:
    """The reason of the attempt that came further."""
    return b if a is None or b.depth > a.depth else a


def assigned(slot: int, evaluate: Evaluate, next: Step) -> Step:
    """Keeps what is known already."""

    def step(s: Slots) -> Reason | None:
        s[slot] = evaluate(s)
        return next(s)

    return step


def tested(test: Callable[[Slots], bool], reason: Reason, next: Step) -> Step:
    """Asks a question that always has an answer."""
    return lambda s: next(s) if test(s) else reason


def asked(test: Evaluate, text: str, at: int, next: Step) -> Step:
    """Asks a condition of the rule; without an answer it refuses."""
    failed = Reason(text, at)
    undecided = Reason(f"{text}: undecided for symbolic dimensions", at)

    def step(s: Slots) -> Reason | None:
        try:
            if not test(s):
                return failed
        except Refusal as refusal:
            return Reason(refusal.reason, at)
        except Undecided:
            return undecided
        except QUESTION_ERRORS:
            return failed
        return next(s)

    return step


def computed(slot: int, name: str, evaluate: Evaluate, at: int, next: Step) -> Step:
    """Computes a ``let``; without an answer it refuses."""
    undecided = Reason(f"{name}: undecided for symbolic dimensions", at)

    def step(s: Slots) -> Reason | None:
        try:
            s[slot] = evaluate(s)
        except Refusal as refusal:
            return Reason(refusal.reason, at)
        except Undecided:
            return undecided
        except QUESTION_ERRORS:
            return Reason(f"{name} cannot be computed", at)
        return next(s)

    return step


# Ops and attributes ----------------------------------------------------------------------


def produced(
    slot: int,
    op_slot: int,
    opdefs: frozenset[OpDef],
    result: int,
    places: int,
    named: str,
    at: int,
    next: Step,
) -> Step:
    """The value in ``slot`` is a result of one of ``opdefs``.

    It has exactly ``places`` uses, if that is not 0.
    """
    other = Reason(f"an operand is not made by {named}", at)
    shared = Reason(f"the result of {named} has other users", at)

    def step(s: Slots) -> Reason | None:
        value = s[slot]
        op = None if value is None else value.op
        if op is None or op.opdef not in opdefs or value.index != result:
            return other
        if places and value.use_count != places:
            return shared
        s[op_slot] = op
        return next(s)

    return step


def bound_attribute(op_slot: int, name: str, slot: int, next: Step) -> Step:
    """Keeps an attribute."""

    def step(s: Slots) -> Reason | None:
        s[slot] = s[op_slot].attributes[name]
        return next(s)

    return step


def common_attribute(op_slot: int, name: str, slot: int, at: int, next: Step) -> Step:
    """Keeps an attribute of the first of many operands, which all others must have too."""
    differ = Reason(f"attributes differ: {name}", at)

    def step(s: Slots) -> Reason | None:
        value = s[op_slot].attributes[name]
        if s[slot] is UNSET:
            s[slot] = value
        elif s[slot] != value:
            return differ
        return next(s)

    return step


def compared_attribute(op_slot: int, name: str, evaluate: Evaluate, at: int, next: Step) -> Step:
    """An attribute has the value that an expression gives."""
    differ = Reason(f"the attribute {name} is different", at)

    def step(s: Slots) -> Reason | None:
        try:
            if not same_attribute(s[op_slot].attributes[name], evaluate(s)):
                return differ
        except (Refusal, Undecided, *QUESTION_ERRORS):
            return differ
        return next(s)

    return step


# Operands --------------------------------------------------------------------------------


def takes_list(pattern: Pattern) -> bool:
    """Whether a pattern stands for many operands."""
    return (
        pattern.each
        if isinstance(pattern, OpPattern)
        else (isinstance(pattern, Variable) and pattern.rest)
    )


def _required(patterns: Sequence[Pattern]) -> tuple[int, ...]:
    """Places of operands that must be present."""
    return tuple(
        index
        for index, pattern in enumerate(patterns)
        if not isinstance(pattern, Absent)
        and not (isinstance(pattern, Variable) and pattern.optional)
    )


def fixed_operands(
    op_slot: int, first: int, patterns: Sequence[Pattern], at: int, next: Step
) -> Step:
    """As many operands as there are patterns, into slots from ``first`` on."""
    count, end = len(patterns), first + len(patterns)
    required = _required(patterns)
    missing = Reason("an optional operand is absent", at)
    more = Reason("there are more operands", at)

    def step(s: Slots) -> Reason | None:
        operands: tuple[Value | None, ...] = s[op_slot].operands
        if len(operands) != count:
            if any(value is not None for value in operands[count:]):
                return more
            operands = (*operands, *[None] * (count - len(operands)))[:count]
        for index in required:
            if operands[index] is None:
                return missing
        s[first:end] = operands
        return next(s)

    return step


def operands_and_rest(
    op_slot: int, first: int, patterns: Sequence[Pattern], rest: int, at: int, next: Step
) -> Step:
    """Some operands, and a list of all others."""
    count, end = len(patterns), first + len(patterns)
    required = _required(patterns)
    missing = Reason("an optional operand is absent", at)

    def step(s: Slots) -> Reason | None:
        operands: tuple[Value | None, ...] = s[op_slot].operands
        s[rest] = operands[count:]
        if len(operands) < count:
            operands = (*operands, *[None] * (count - len(operands)))
        for index in required:
            if operands[index] is None:
                return missing
        s[first:end] = operands[:count]
        return next(s)

    return step


def searched_operands(
    op_slot: int,
    first: int,
    before: Sequence[Pattern],
    places: tuple[int, int, int],
    between: int,
    maker: frozenset[OpDef],
    has_right: bool,
    at: int,
    next: Step,
) -> Step:
    """Operands ``before``; then a list, ``between`` operands, and perhaps a list again.

    ``places`` are the slots of the left list, the operands between, and the right list.
    Unless ``maker`` is empty, one of its ops makes the first operand between.
    """
    count, end = len(before), first + len(before)
    left, middle, right = places
    fewer = Reason("there are fewer operands", at)

    def step(s: Slots) -> Reason | None:
        operands: tuple[Value | None, ...] = s[op_slot].operands
        last = len(operands) - between
        if last < count or None in operands:
            return fewer
        s[first:end] = operands[:count]
        reason: Reason = fewer
        for start in range(count if has_right else last, last + 1):
            if maker and not _is_made_by(operands[start], maker):
                continue
            s[left] = operands[count:start]
            s[middle : middle + between] = operands[start : start + between]
            if has_right:
                s[right] = operands[start + between :]
            failed = next(s)
            if failed is None:
                return None
            reason = deeper(reason, failed)
        return reason

    return step


def _is_made_by(value: Value | None, opdefs: frozenset[OpDef]) -> bool:
    op = None if value is None else value.op
    return op is not None and op.opdef in opdefs


def either_order(op_slot: int, first: int, next: Step) -> Step:
    """The first two operands of a commutative op, as they are and the other way round."""

    def step(s: Slots) -> Reason | None:
        reason = next(s)
        if reason is None or Trait.COMMUTATIVE not in s[op_slot].opdef.traits:
            return reason
        x, y = s[op_slot].operands[:2]
        if x is y:
            return reason
        s[first], s[first + 1] = y, x
        failed = next(s)
        return None if failed is None else deeper(reason, failed)

    return step


def for_each(
    slot: int,
    element: int,
    only_user: int,
    inner: Step,
    attributes: Sequence[int],
    collected: Sequence[int],
    at: int,
    next: Step,
) -> Step:
    """``inner`` for every value of the list in ``slot``, at least one, put into ``element``.

    What ``inner`` leaves in the slots ``collected`` is kept in lists.  Unless ``only_user`` is
    :data:`NO_OP`, no op but the one in that slot may use the values.
    """
    none = Reason("there are no operands", at)
    shared = Reason("an operand has other users", at)

    def step(s: Slots) -> Reason | None:
        values = s[slot]
        if not values:
            return none
        for index in attributes:
            s[index] = UNSET
        lists: list[list[Any]] = [[] for _ in collected]
        for value in values:
            if only_user != NO_OP and value is not None and value.use_count > 1:
                uses = s[only_user].operands.count(value)
                if value.use_count != uses:
                    return shared
            s[element] = value
            failed = inner(s)
            if failed is not None:
                return failed
            for items, index in zip(lists, collected):
                items.append(s[index])
        for items, index in zip(lists, collected):
            s[index] = tuple(items)
        return next(s)

    return step
