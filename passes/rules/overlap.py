"""Rules of which one matches all that another matches: which is applied must not be chance.

A pattern covers another if it matches it when read as a tree of ops.  Of two rules that start at
one op with equal benefit, neither may cover the other, unless conditions tell them apart.  Where
one of them is the other without an assumption, the one that asks comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

from burnish.ir import Trait, registry

from .errors import rule_error
from .syntax import (
    Absent,
    Binding,
    Condition,
    Expression,
    Literal,
    Name,
    Number,
    OpPattern,
    Pattern,
    Rule,
    Variable,
)

Bound = dict[str, object]
"""What names of the covering rule stand for in the other one, as keys of patterns and names."""


def check_overlaps(rules: Iterable[tuple[Rule, str]]) -> None:
    """Check rules with the texts of their files; those of one name are rows of one table.

    Raises:
        RuleError: all that a rule matches, another one of equal benefit matches too.
    """
    by_root: dict[tuple[str, int], list[tuple[Rule, str]]] = {}
    for rule, text in rules:
        for root in rule.pattern.ops or (f"any {rule.pattern.trait}",):
            by_root.setdefault((root, rule.benefit), []).append((rule, text))
    for group in by_root.values():
        for (one, text), (other, _) in permutations(group, 2):
            if (other.at, other.columns) != (one.at, one.columns) and covers(other, one):
                raise rule_error(
                    f"all that rule {one.name} matches, {other.name} ({other.at}) matches too, "
                    f"and both have benefit {one.benefit}",
                    one.at,
                    text,
                    "give the more special rule a higher benefit",
                )


def covers(general: Rule, special: Rule) -> bool:
    """Whether ``general`` applies wherever ``special`` does, as far as the text shows."""
    bound: Bound = {}
    if not _pattern_covers(general.pattern, special.pattern, bound, root=True):
        return False
    known = {_key(step, {}) for step in special.steps}
    return all(_key(step, bound) in known for step in general.steps)


def _pattern_covers(
    general: Pattern, special: Pattern, bound: Bound, *, root: bool = False
) -> bool:
    if isinstance(general, Variable):
        return _variable_covers(general, special, bound)
    if isinstance(general, Number):
        return isinstance(special, Number) and repr(general.value) == repr(special.value)
    if isinstance(general, Absent) or not isinstance(special, OpPattern):
        return isinstance(general, Absent) and isinstance(special, Absent)
    if general.each != special.each or general.result != special.result:
        return False
    if (general.once and not special.once and not root) or not _ops_cover(general, special):
        return False
    if general.bind:
        bound[general.bind] = special.bind or object()
    return all(
        _attribute_covers(name, value, special, bound) for name, value in _attributes(general)
    ) and _operands_cover(general, special, bound)


def _variable_covers(general: Variable, special: Pattern, bound: Bound) -> bool:
    if isinstance(special, Variable):
        if (general.rest, general.optional) != (special.rest, special.optional):
            return False
        kinds = ("value", "const", "scalar")
        if kinds.index(general.kind) > kinds.index(special.kind):
            return False
        what: object = special.name
    else:
        constant = isinstance(special, Number) and general.kind != "scalar"
        takes_list = isinstance(special, OpPattern) and special.each
        if general.rest or takes_list or not (general.kind == "value" or constant):
            return False
        if isinstance(special, Absent) and not general.optional:
            return False
        what = (special.bind if isinstance(special, OpPattern) else "") or object()
    return bound.setdefault(general.name, what) == what


def _ops_cover(general: OpPattern, special: OpPattern) -> bool:
    if not general.trait:
        return bool(special.ops) and set(special.ops) <= set(general.ops)
    if special.trait:
        return special.trait == general.trait
    trait = Trait[general.trait.upper()]
    return all(trait in registry()[name].traits for name in special.ops)


def _attributes(node: OpPattern) -> list[tuple[str, Expression]]:
    return [(attribute.name, attribute.value) for attribute in node.attributes]


def _attribute_covers(name: str, value: Expression, special: OpPattern, bound: Bound) -> bool:
    there = dict(_attributes(special)).get(name)
    if isinstance(value, Name) and value.name not in bound:
        bound[value.name] = there.name if isinstance(there, Name) else object()
        return True
    return there is not None and _key(value, bound) == _key(there, {})


def _operands_cover(general: OpPattern, special: OpPattern, bound: Bound) -> bool:
    if len(general.operands) != len(special.operands):
        return False
    names = special.ops or general.ops
    swaps = bool(names) and all(Trait.COMMUTATIVE in registry()[name].traits for name in names)
    orders = [special.operands]
    if swaps and not general.ordered and len(special.operands) >= 2:
        first, second, *others = special.operands
        orders.append((second, first, *others))
    for order in orders:
        attempt = dict(bound)
        if all(_pattern_covers(g, s, attempt) for g, s in zip(general.operands, order)):
            bound.update(attempt)
            return True
    return False


def _key(node: object, bound: Bound) -> object:
    """A condition or expression without positions, its names replaced by what they stand for."""
    if isinstance(node, Name):
        return ("name", bound.get(node.name, node.name))
    if isinstance(node, Literal):
        return ("literal", repr(node.value))
    if isinstance(node, tuple):
        return tuple(_key(item, bound) for item in node)
    if isinstance(node, (Condition, Binding)):
        return (getattr(node, "name", ""), _key(node.value, bound))
    fields = getattr(node, "__dataclass_fields__", None)
    if fields is None:
        return node
    return (type(node).__name__, *(_key(getattr(node, f), bound) for f in fields if f != "at"))
