"""Drawing an instance of a rule's pattern: ops that the pattern matches, of random types.

A pattern is drawn from the root down: ops in it first, then the values between them, so that each
op sees the types it has to fit (:mod:`.operations`).  Most draws fit; those that do not end with
an :class:`~.operands.UnfitError`, and are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Attributes, DType, OpDef, TensorType, Trait, lookup, registry
from burnish.ir.elementwise import BOOL, TO, ElementwiseOp
from burnish.ir.errors import Error

from ..rules import syntax
from .choices import Choices
from .drawing import MAX_ELEMENTS, Base, Wish, constant, filled
from .expressions import Environment, evaluate
from .hints import Hints
from .operands import CONST, VALUE, Drawing, Slot, UnfitError
from .operations import complete
from .plan import Plan, PlannedOp, PlannedValue

MAKERS = ("math.neg", "math.relu", "math.exp", "math.logical_not", "math.bit_not")
"""Ops that make values which the pattern says nothing about."""

MOST_REST = 3
"""How many operands a list in a pattern stands for, at most."""


class Instance:
    """One draw.

    Attributes:
        progress: how many ops were drawn, for the search.
    """

    def __init__(self, rule: syntax.Rule, hints: Hints, choices: Choices) -> None:
        self.progress = 0
        self._rule = rule
        self._hints = hints
        self._choices = choices
        self._base = Base.drawn(choices)
        self._names: Environment = {}
        self._ops: list[PlannedOp] = []
        self._leaves: list[PlannedValue] = []

    def plan(self) -> Plan:
        """Draw it.

        Raises:
            UnfitError: what was drawn does not fit together.
        """
        wish = Wish(self._base.dtype, self._base.shape)
        root = self._op(self._rule.pattern, wish, "root")
        plan = Plan(root)
        for index, op in enumerate(self._ops):
            if op is not root and not op.once and self._choices.chance(f"users.{index}", 0.15):
                plan.also.append(op.results[0])
        for index, leaf in enumerate(self._leaves):
            if leaf.data is None and self._choices.chance(f"leaves.{index}", 0.05):
                plan.also.append(leaf)
        return plan

    # Ops -----------------------------------------------------------------------------

    def _op(self, pattern: syntax.OpPattern, wish: Wish, site: str) -> PlannedOp:
        definition = self._definition(pattern, wish, site)
        parts = self._parts(pattern, definition, site)
        drawing = Drawing(
            self._choices,
            site,
            self._base,
            _possible(wish, definition),
            definition,
            [part.slot for part in parts],
            self._fixed(pattern, definition),
            lambda name, value: self._adapted(pattern, parts, name, value),
            lambda index, type_: self._adapted_type(parts[index].pattern, type_),
        )
        self._inner(drawing, parts)
        complete(drawing)
        self._bind_attributes(pattern, drawing.attributes)
        for index, part in enumerate(parts):
            if part.value is None and not part.slot.absent:
                part.value = self._leaf(part, f"{site}.{index}")
        return self._planned(pattern, definition, parts, drawing.attributes)

    def _planned(
        self,
        pattern: syntax.OpPattern,
        definition: OpDef,
        parts: Sequence[_Part],
        attributes: Mapping[str, object],
    ) -> PlannedOp:
        try:
            checked: Attributes = definition.complete(attributes)
            kept = [part.value for part in parts]
            while kept and kept[-1] is None:
                kept.pop()
            types = definition.result_types(checked, [None if v is None else v.type for v in kept])
        except Error as error:
            raise UnfitError(error.message) from None
        except IndexError:
            raise UnfitError(f"{definition.name}: an axis that its operand lacks") from None
        for type_ in types:
            count = type_.elements
            if isinstance(count, int) and count > MAX_ELEMENTS:
                raise UnfitError("a result is too large")
        name = pattern.bind or definition.name.partition(".")[2]
        op = PlannedOp(definition, kept, checked, name, pattern.once)
        op.results = [PlannedValue(t, name, None, op, index) for index, t in enumerate(types)]
        self._ops.append(op)
        self.progress += 1
        if pattern.bind:
            self._bind(pattern.bind, op, listed=pattern.each)
        return op

    def _definition(self, pattern: syntax.OpPattern, wish: Wish, site: str) -> OpDef:
        if pattern.ops:
            return lookup(self._choices.pick(f"{site}.op", pattern.ops))
        trait = Trait[pattern.trait.upper()]
        fixed = [p for p in pattern.operands if not isinstance(p, syntax.Variable) or not p.rest]
        open_ = len(fixed) < len(pattern.operands) or any(
            isinstance(p, syntax.OpPattern) and p.each for p in fixed
        )
        fitting = [
            definition
            for name, definition in sorted(registry().items())
            if trait in definition.traits
            and not definition.regions
            and (open_ or len(definition.operands) == len(fixed))
            and (wish.dtype is None or _can_be(definition, wish.dtype))
        ]
        if not fitting:
            raise UnfitError(f"no op with trait {pattern.trait} fits")
        return self._choices.pick(f"{site}.op", fitting)

    def _fixed(self, pattern: syntax.OpPattern, definition: OpDef) -> dict[str, object]:
        """Attributes that the pattern determines."""
        fixed = {}
        for attribute in pattern.attributes:
            try:
                fixed[attribute.name] = evaluate(attribute.value, self._names)
            except LookupError:
                continue
        return {name: value for name, value in fixed.items() if name in definition.attributes}

    def _bind_attributes(self, pattern: syntax.OpPattern, values: Mapping[str, object]) -> None:
        for attribute in pattern.attributes:
            expression = attribute.value
            if isinstance(expression, syntax.Name) and attribute.name in values:
                self._names.setdefault(expression.name, values[attribute.name])

    def _adapted(
        self, pattern: syntax.OpPattern, parts: Sequence[_Part], name: str, value: object
    ) -> object:
        """An attribute as the conditions ask for it, given what its operands' types are."""
        roots: dict[str, tuple[str | int | slice, ...]] = {
            attribute.value.name: ()
            for attribute in pattern.attributes
            if attribute.name == name and isinstance(attribute.value, syntax.Name)
        }
        if pattern.bind:
            roots[pattern.bind] = (name,)
        if self._choices.chance("ignored", 0.05):
            return value
        known: Environment = {name: value for name, path in roots.items() if not path}
        for part in parts:
            if isinstance(part.pattern, syntax.Variable) and part.slot.type is not None:
                known[part.pattern.name] = PlannedValue(part.slot.type)
        known |= self._names
        return self._hints.value(roots, value, lambda e: evaluate(e, known))

    def _adapted_type(self, leaf: syntax.Pattern, type_: TensorType) -> TensorType:
        """The type of an operand as the conditions ask for it."""
        if not isinstance(leaf, syntax.Variable) or self._choices.chance("ignored", 0.05):
            return type_
        return self._hints.type(leaf.name, type_, lambda e: evaluate(e, self._names))

    # Operands ------------------------------------------------------------------------

    def _parts(self, pattern: syntax.OpPattern, definition: OpDef, site: str) -> list[_Part]:
        """The operands, as far as the pattern and what is drawn already determine them."""
        patterns = list(pattern.operands)
        if (
            Trait.COMMUTATIVE in definition.traits
            and not pattern.ordered
            and len(patterns) >= 2
            and self._choices.chance(f"{site}.swapped", 0.4)
        ):
            patterns[:2] = patterns[1::-1]
        parts: list[_Part] = []
        for position, operand in enumerate(patterns):
            place = f"{site}.{position}"
            if isinstance(operand, syntax.Variable) and operand.rest:
                parts += self._rest(operand, definition, len(parts), place)
            elif isinstance(operand, syntax.OpPattern) and operand.each:
                count = 1 + self._choices.below(f"{place}.count", MOST_REST)
                room = _room(definition, len(parts), count)
                parts += [_Part(Slot(), operand) for _ in range(room)]
            else:
                parts.append(self._part(operand, place))
        if len(parts) > _room(definition, 0, len(parts)):
            raise UnfitError(f"{definition.name} takes fewer operands")
        return parts

    def _part(self, operand: syntax.Pattern, site: str) -> _Part:
        if isinstance(operand, syntax.Absent):
            return _Part(Slot(absent=True), operand)
        if isinstance(operand, syntax.Number):
            return _Part(Slot(CONST), operand)
        if isinstance(operand, syntax.OpPattern):
            return _Part(Slot(), operand)
        if operand.name in self._names:
            return _bound(operand, self._names[operand.name])
        if operand.optional and self._choices.chance(f"{site}.absent", 0.5):
            self._names[operand.name] = None
            return _Part(Slot(absent=True), operand)
        return _Part(Slot(operand.kind), operand)

    def _rest(
        self, operand: syntax.Variable, definition: OpDef, before: int, site: str
    ) -> list[_Part]:
        """All further operands, of which optional ones may be missing."""
        known = self._names.get(operand.name)
        if isinstance(known, list):
            return [_bound(operand, value) for value in known]
        specs = list(definition.operands.values())
        least = sum(not spec.optional and not spec.variadic for spec in specs[before:])
        if before == 0 and specs and specs[-1].variadic and not specs[-1].optional:
            least = max(least, 1)
        most = max(least, _room(definition, before, MOST_REST))
        count = least + self._choices.below(f"{site}.count", most - least + 1)
        self._names[operand.name] = []
        return [_Part(Slot(), operand) for _ in range(count)]

    def _inner(self, drawing: Drawing, parts: Sequence[_Part]) -> None:
        """Draw the operands that are ops in the pattern, those that others name first."""
        for index, pattern in _in_order(parts):
            part = parts[index]
            known = next((p.slot.type for p in parts if p.slot.type is not None), None)
            near = drawing.wish.shape
            if known is not None and Trait.ELEMENTWISE in drawing.definition.traits:
                near = known.shape
            dtype = self._operand_dtype(drawing, index)
            op = self._op(pattern, Wish(dtype, near), f"{drawing.site}.{index}")
            if pattern.result >= len(op.results):
                raise UnfitError(f"{op.definition.name} has fewer results")
            part.value = op.results[pattern.result]
            part.slot.type = part.value.type

    def _operand_dtype(self, drawing: Drawing, index: int) -> DType | None:
        """The element type that an op in the place of an operand should have."""
        spec = drawing.spec(index)
        if len(spec.dtypes) == 1:
            return next(iter(spec.dtypes))
        return drawing.dtype_of(index)

    # Leaves --------------------------------------------------------------------------

    def _leaf(self, part: _Part, site: str) -> PlannedValue:
        leaf, type_ = part.pattern, part.slot.type
        assert type_ is not None
        if isinstance(leaf, syntax.Number):
            return PlannedValue(type_, "", filled(leaf.value, type_))
        assert isinstance(leaf, syntax.Variable)
        bound = self._names.get(leaf.name)
        if isinstance(bound, PlannedValue) and bound.type == type_:
            return bound  # drawn meanwhile, for another operand of the same op
        value = self._variable(leaf, part.slot, type_, site)
        self._bind(leaf.name, value, listed=leaf.rest or isinstance(bound, list))
        return value

    def _variable(
        self, leaf: syntax.Variable, slot: Slot, type_: TensorType, site: str
    ) -> PlannedValue:
        if slot.kind == VALUE:
            twins = [v for v in self._leaves if v.type == type_]
            if twins and self._choices.chance(f"{site}.shared", 0.08):
                return self._choices.pick(f"{site}.twin", twins)
            made = self._made(leaf, type_, site)
            if made is not None:
                return made
            share = 0.8 if self._hints.is_constant(leaf.name) else 0.06
            if not type_.is_static or not self._choices.chance(f"{site}.constant", share):
                value = PlannedValue(type_, leaf.name)
                self._leaves.append(value)
                return value
        if slot.data is not None:
            data = slot.data(self._choices, site, type_)
        elif (table := self._hints.table(leaf.name, type_)) is not None:
            data = table
        else:
            likely = self._likely(leaf, type_)
            data = constant(self._choices, site, type_, self._rule.promise, likely)
        value = PlannedValue(type_, leaf.name, data)
        self._leaves.append(value)
        return value

    def _made(self, leaf: syntax.Variable, type_: TensorType, site: str) -> PlannedValue | None:
        """A value that an op makes which is not in the pattern; None mostly."""
        makers = self._hints.makers(leaf.name)
        if not self._choices.chance(f"{site}.made", 0.7 if makers else 0.04):
            return None
        name = self._choices.pick(f"{site}.maker", makers or MAKERS)
        operand = PlannedValue(type_, leaf.name)
        definition = lookup(name)
        try:
            (result,) = definition.result_types(definition.complete({}), [type_])
        except Error:
            return None
        if result != type_:
            return None
        op = PlannedOp(definition, [operand], definition.complete({}), leaf.name)
        op.results = [PlannedValue(result, leaf.name, None, op)]
        self._leaves.append(operand)
        return op.results[0]

    def _likely(self, leaf: syntax.Variable, type_: TensorType) -> list[float]:
        """Numbers that the conditions mention."""
        numbers = self._hints.numbers(leaf.name)
        if type_.dtype.is_float or not numbers:
            return numbers
        return [int(n) for n in numbers if float(n).is_integer()]

    def _bind(self, name: str, value: object, *, listed: bool) -> None:
        if not listed:
            self._names[name] = value
            return
        items = self._names.setdefault(name, [])
        if isinstance(items, list):
            items.append(value)


@dataclass
class _Part:
    """An operand while its op is drawn: what it must be, its pattern, and what it has become."""

    slot: Slot
    pattern: syntax.Pattern
    value: PlannedValue | None = None


def _in_order(parts: Sequence[_Part]) -> list[tuple[int, syntax.OpPattern]]:
    """Operands that are ops, those that name a value before those that use the name."""
    left = [(i, p.pattern) for i, p in enumerate(parts) if isinstance(p.pattern, syntax.OpPattern)]
    ordered = []
    while left:
        binding = {index: _binds(pattern) for index, pattern in left}
        ready = [
            (index, pattern)
            for index, pattern in left
            if not any(_uses(pattern) & binds for i, binds in binding.items() if i != index)
        ]
        chosen = (ready or left)[0]
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def _binds(pattern: syntax.Pattern) -> set[str]:
    """Names that ops in ``pattern`` have."""
    if not isinstance(pattern, syntax.OpPattern):
        return set()
    inner = set().union(*map(_binds, pattern.operands)) if pattern.operands else set()
    return inner | {pattern.bind} if pattern.bind else inner


def _uses(pattern: syntax.Pattern) -> set[str]:
    """Names that stand for operands in ``pattern``."""
    if isinstance(pattern, syntax.Variable):
        return {pattern.name}
    if not isinstance(pattern, syntax.OpPattern) or not pattern.operands:
        return set()
    return set().union(*map(_uses, pattern.operands))


def _bound(operand: syntax.Variable, value: object) -> _Part:
    """An operand that has been drawn before, under the same name."""
    if isinstance(value, PlannedOp):
        value = value.results[0]
    if not isinstance(value, PlannedValue):
        return _Part(Slot(absent=True), operand)
    return _Part(Slot(operand.kind, value.type), operand, value)


def _room(definition: OpDef, before: int, count: int) -> int:
    """How many of ``count`` more operands the op takes."""
    specs = list(definition.operands.values())
    return count if specs and specs[-1].variadic else min(count, len(specs) - before)


def _possible(wish: Wish, definition: OpDef) -> Wish:
    """``wish`` without an element type that the op's result cannot have."""
    if wish.dtype is not None and not _can_be(definition, wish.dtype):
        return Wish(None, wish.shape)
    return wish


def _can_be(definition: OpDef, dtype: DType) -> bool:
    if not isinstance(definition, ElementwiseOp):
        return True
    if definition.result == BOOL:
        return dtype is DType.BOOL
    if definition.result == TO:
        return True
    return any(s.group == "T" and dtype in s.dtypes for s in definition.operands.values())
