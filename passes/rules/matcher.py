"""Patterns and conditions of a rule, checked and compiled to a chain of steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from burnish.ir import Kind, OpDef, Trait, lookup, registry
from burnish.ir.attributes import BadAttributeError

from ..pattern.constants import filled_with, plain_constant
from . import steps
from .errors import did_you_mean
from .expressions import always, attribute_sort, compile_expression, wanted
from .functions import Sort
from .scope import NO_OP, Scope, Slots
from .steps import Link, Reason, Step, takes_list
from .syntax import (
    Absent,
    AttributePattern,
    Binding,
    Condition,
    Expression,
    Literal,
    Name,
    Number,
    OpPattern,
    Pattern,
    Variable,
)


class PatternCompiler:
    """Compiles the pattern and the steps of one rule."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._of_many = False
        self._links: list[Link] = []
        self._mentions: dict[str, int] = {}
        self.root = scope.slot()
        self.op_slots: list[int] = []
        """Slots of the ops (or lists of ops) that the pattern matches beside the root."""

    def pattern(self, root: OpPattern) -> None:
        """Compile the whole left side."""
        self._count_mentions(root)
        opdefs = self._opdefs(root)
        if root.bind:
            value = self._scope.slot()
            self._bind_op(root, value, self.root, opdefs)
            source, result = self.root, root.result
            self._add(
                lambda next, at: steps.assigned(value, lambda s: s[source].results[result], next)
            )
        self._inside(root, self.root, opdefs)

    def steps(self, steps: Sequence[Binding | Condition]) -> None:
        """Compile conditions and bindings, in order."""
        for step in steps:
            if isinstance(step, Condition):
                self._condition(step)
            else:
                self._binding(step)

    def grant(self, conditions: Sequence[Condition]) -> None:
        """Check conditions that nobody will ask for; the names in them are used."""
        for condition in conditions:
            wanted(condition.value, Sort.TRUTH, self._scope)

    def chain(self, last: Step) -> Step:
        """The first step of the whole chain, which ends in ``last``."""
        return steps.chained(self._links, last)

    def _add(self, link: Callable[[Step, int], Step]) -> None:
        """Append a link; it is told how deep in the chain it is."""
        depth = len(self._links)
        self._links.append(lambda next: link(next, depth))

    # Ops -----------------------------------------------------------------------------

    def _count_mentions(self, pattern: Pattern) -> None:
        """How often each name stands in the pattern as an operand."""
        if isinstance(pattern, Variable):
            self._mentions[pattern.name] = self._mentions.get(pattern.name, 0) + 1
        elif isinstance(pattern, OpPattern):
            if pattern.bind:
                self._mentions[pattern.bind] = self._mentions.get(pattern.bind, 0) + 1
            for operand in pattern.operands:
                self._count_mentions(operand)

    def _opdefs(self, node: OpPattern) -> tuple[OpDef, ...]:
        """The definitions that ``node`` names; empty for a trait."""
        if node.trait:
            if trait_named(node.trait) is None:
                known = [trait.name.lower() for trait in Trait]
                help = did_you_mean(node.trait, known)
                self._scope.fail(f"there is no trait {node.trait}", node.at, help)
            if node.attributes:
                self._scope.fail("ops with a trait have no common attributes", node.at)
            return ()
        opdefs = []
        for name in node.ops:
            if name not in registry():
                self._scope.fail(f"there is no op {name}", node.at, did_you_mean(name, registry()))
            opdefs.append(lookup(name))
        return tuple(opdefs)

    def _bind_op(self, node: OpPattern, slot: int, op_slot: int, opdefs: tuple[OpDef, ...]) -> None:
        symbol = self._scope.define(node.bind, slot, Sort.VALUE, node.at)
        symbol.op_slot, symbol.opdefs = op_slot, opdefs

    def _op(self, node: OpPattern, slot: int) -> None:
        """An operand (in ``slot``) that is made by an op."""
        opdefs = self._opdefs(node)
        op_slot = self._scope.slot()
        self.op_slots.append(op_slot)
        if node.bind:
            self._bind_op(node, slot, op_slot, opdefs)
        wanted_opdefs = frozenset(opdefs or with_trait(node.trait))
        self._check_result(node, wanted_opdefs)
        places = self._mentions.get(node.bind, 1) if node.once else 0
        named = " or ".join(node.ops) or f"an {node.trait} op"
        result = node.result

        self._add(
            lambda next, at: steps.produced(
                slot, op_slot, wanted_opdefs, result, places, named, at, next
            )
        )
        self._inside(node, op_slot, opdefs)

    def _check_result(self, node: OpPattern, opdefs: Collection[OpDef]) -> None:
        if node.result and any(len(opdef.result_names) <= node.result for opdef in opdefs):
            named = " or ".join(node.ops)
            self._scope.fail(f"{named} has no result {node.result}", node.at, "they count from 0")

    def _inside(self, node: OpPattern, op_slot: int, opdefs: tuple[OpDef, ...]) -> None:
        for attribute in node.attributes:
            self._attribute(attribute, op_slot, opdefs)
        self._operands(node, op_slot, opdefs)

    # Attributes ----------------------------------------------------------------------

    def _attribute(
        self, pattern: AttributePattern, op_slot: int, opdefs: tuple[OpDef, ...]
    ) -> None:
        name, value = pattern.name, pattern.value
        for opdef in opdefs:
            if name not in opdef.attributes:
                help = did_you_mean(name, opdef.attributes)
                self._scope.fail(f"{opdef.name} has no attribute {name}", pattern.at, help)
        kind = opdefs[0].attributes[name].kind
        if isinstance(value, Name) and self._scope.find(value.name) is None:
            slot = self._scope.slot()
            self._scope.define(value.name, slot, attribute_sort(kind), value.at)
            if self._of_many:
                self._add(lambda next, at: steps.common_attribute(op_slot, name, slot, at, next))
            else:
                self._add(lambda next, at: steps.bound_attribute(op_slot, name, slot, next))
            return
        evaluate = wanted(value, attribute_sort(kind), self._scope)
        if isinstance(value, Literal):
            try:
                normal = kind.normalize(value.value)
            except BadAttributeError as error:
                self._scope.fail(f"attribute {name}: {error}", value.at)
            evaluate = always(normal)  # as the op holds it
        self._add(lambda next, at: steps.compared_attribute(op_slot, name, evaluate, at, next))

    # Operands ------------------------------------------------------------------------

    def _operands(self, node: OpPattern, op_slot: int, opdefs: tuple[OpDef, ...]) -> None:
        self._check_arity(node, opdefs)
        patterns = list(node.operands)
        first_list = next((i for i, p in enumerate(patterns) if takes_list(p)), len(patterns))
        before, lists = patterns[:first_list], patterns[first_list:]
        between = [p for p in lists if not takes_list(p)]
        if len(lists) - len(between) > 2 or (len(lists) > 1 and takes_list(lists[1])):
            self._scope.fail("at most two lists of operands, with something between", node.at)
        if between and len(lists) - len(between) == 2 and not takes_list(lists[-1]):
            self._scope.fail("the second list of operands must be the last", node.at)
        fixed = self._scope.slot(len(before))
        if not lists:
            self._add(lambda next, at: steps.fixed_operands(op_slot, fixed, before, at, next))
        elif not between:
            rest = self._scope.slot()
            self._add(
                lambda next, at: steps.operands_and_rest(op_slot, fixed, before, rest, at, next)
            )
        else:
            rest = self._search(node, op_slot, fixed, before, lists, between)
        if len(before) >= 2 and not node.ordered and _may_commute(opdefs, node):
            self._add(lambda next, at: steps.either_order(op_slot, fixed, next))
        for index, pattern in enumerate(before):
            self._operand(pattern, fixed + index)
        if lists and not between:
            self._list(lists[0], rest, op_slot)

    def _search(
        self,
        node: OpPattern,
        op_slot: int,
        fixed: int,
        before: Sequence[Pattern],
        lists: Sequence[Pattern],
        between: Sequence[Pattern],
    ) -> int:
        """``xs..., pattern, zs...``: the patterns at every place of the list."""
        if any(isinstance(p, OpPattern) for p in lists if takes_list(p)):
            self._scope.fail("only rest variables stand beside other patterns", node.at)
        left, right = self._scope.slot(), self._scope.slot()
        middle = self._scope.slot(len(between))
        has_right = takes_list(lists[-1]) and len(lists) > 1
        sought = between[0]
        maker = frozenset(self._opdefs(sought) if isinstance(sought, OpPattern) else ())
        places = (left, middle, right)
        self._add(
            lambda next, at: steps.searched_operands(
                op_slot, fixed, before, places, len(between), maker, has_right, at, next
            )
        )
        self._list(lists[0], left, op_slot)
        for index, pattern in enumerate(between):
            self._operand(pattern, middle + index)
        if has_right:
            self._list(lists[-1], right, op_slot)
        return left

    def _check_arity(self, node: OpPattern, opdefs: tuple[OpDef, ...]) -> None:
        has_list = any(takes_list(pattern) for pattern in node.operands)
        fixed = sum(not takes_list(pattern) for pattern in node.operands)
        for opdef in opdefs:
            low, high = arity(opdef)
            if (high is not None and fixed > high) or (fixed < low and not has_list):
                takes = (
                    str(low) if low == high else f"{low} to {high}" if high else f"{low} or more"
                )
                self._scope.fail(f"{opdef.name} takes {takes} operands, not {fixed}", node.at)

    def _operand(self, pattern: Pattern, slot: int) -> None:
        if isinstance(pattern, OpPattern):
            self._op(pattern, slot)
        elif isinstance(pattern, Absent):
            self._test(lambda s: s[slot] is None, "an operand is there that must be absent")
        elif isinstance(pattern, Number):
            number = pattern.value
            self._test(lambda s: filled_with(s[slot], number), f"an operand is not {number}")
        else:
            self._variable(pattern, slot)

    def _variable(self, pattern: Variable, slot: int) -> None:
        known = self._scope.find(pattern.name)
        if known is not None:
            if known.sort is not Sort.VALUE:
                self._scope.fail(f"{pattern.name} is {known.sort.value}, not a value", pattern.at)
            other = known.slot
            self._test(lambda s: s[slot] is s[other], f"operands differ: {pattern.name}")
        else:
            symbol = self._scope.define(pattern.name, slot, Sort.VALUE, pattern.at)
            symbol.is_constant = pattern.kind != "value"
            symbol.is_scalar = pattern.kind == "scalar"
            symbol.optional = pattern.optional
        if pattern.kind != "value":
            self._constant(pattern, slot)

    def _constant(self, pattern: Variable, slot: int) -> None:
        one, optional = pattern.kind == "scalar", pattern.optional

        def test(s: Slots) -> bool:
            data = plain_constant(s[slot])
            if data is None:
                return optional and s[slot] is None
            return not one or (data.size == 1 and data.dtype.kind is not Kind.COMPLEX)

        self._test(test, f"{pattern.name} is not a constant{' of one element' if one else ''}")

    # Lists of operands ---------------------------------------------------------------

    def _list(self, pattern: Pattern, slot: int, op_slot: int) -> None:
        if isinstance(pattern, Variable):
            known = self._scope.find(pattern.name)
            if known is None:
                self._scope.define(pattern.name, slot, Sort.VALUES, pattern.at)
            elif known.sort is not Sort.VALUES:
                self._scope.fail(f"{pattern.name} is not a list", pattern.at)
            else:
                other = known.slot
                self._test(lambda s: s[slot] == s[other], f"operands differ: {pattern.name}")
            return
        assert isinstance(pattern, OpPattern)
        self._each(pattern, slot, op_slot)

    def _each(self, pattern: OpPattern, slot: int, user: int) -> None:
        """One pattern for all operands of a list; names inside become lists."""
        if pattern.bind:
            self._scope.fail("a pattern of many operands has no name", pattern.at)
        outer, self._links = self._links, []
        names_before, ops_before = {s.name for s in self._scope.symbols}, len(self.op_slots)
        element = self._scope.slot()
        once = pattern.once
        self._of_many = True
        self._op(replace(pattern, once=False, each=False), element)
        inner, self._links = steps.chained(self._links, steps.succeed), outer
        self._of_many = False
        new = [s for s in self._scope.symbols if s.name not in names_before]
        values = [symbol for symbol in new if symbol.sort is Sort.VALUE]
        for symbol in values:
            if symbol.op_slot != NO_OP:
                self._scope.fail("a pattern of many operands has no names of ops", symbol.at)
            symbol.sort = Sort.VALUES
        attributes = [symbol.slot for symbol in new if symbol not in values]
        collected = [symbol.slot for symbol in values] + self.op_slots[ops_before:]
        self._add(
            lambda next, at: steps.for_each(
                slot, element, user if once else NO_OP, inner, attributes, collected, at, next
            )
        )

    # Conditions ----------------------------------------------------------------------

    def _test(self, test: Callable[[Slots], bool], reason: str) -> None:
        self._add(lambda next, at: steps.tested(test, Reason(reason, at), next))

    def _condition(self, condition: Condition) -> None:
        test = wanted(condition.value, Sort.TRUTH, self._scope)
        self._add(lambda next, at: steps.asked(test, condition.text, at, next))

    def _binding(self, binding: Binding) -> None:
        evaluate, sort = compile_expression(binding.value, self._scope)
        slot = self._scope.slot()
        symbol = self._scope.define(binding.name, slot, sort, binding.at)
        self._carry_facts(binding.value, symbol.name)

        self._add(lambda next, at: steps.computed(slot, binding.name, evaluate, at, next))

    def _carry_facts(self, value: Expression, name: str) -> None:
        """``let c = x``: what is known of x is known of c."""
        source = self._scope.find(value.name) if isinstance(value, Name) else None
        target = self._scope.peek(name)
        if source is not None and target is not None:
            target.op_slot, target.opdefs = source.op_slot, source.opdefs
            target.is_constant, target.is_scalar = source.is_constant, source.is_scalar


def trait_named(name: str) -> Trait | None:
    """The trait that ``any name`` means."""
    return Trait.__members__.get(name.upper()) if name.islower() else None


def with_trait(name: str) -> list[OpDef]:
    """The ops that have the trait ``any name`` means."""
    trait = trait_named(name)
    return [opdef for opdef in registry().values() if trait in opdef.traits]


def arity(opdef: OpDef) -> tuple[int, int | None]:
    """Fewest and most operands of an op; None for any number."""
    specs = list(opdef.operands.values())
    variadic = bool(specs) and specs[-1].variadic
    needed = sum(not spec.optional and not spec.variadic for spec in specs)
    return needed, None if variadic else len(specs)


def _may_commute(opdefs: Sequence[OpDef], node: OpPattern) -> bool:
    if node.trait:
        return True
    return any(Trait.COMMUTATIVE in opdef.traits for opdef in opdefs)
