"""Templates of a rule, checked and compiled to closures that plan what they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from burnish.ir import DType, OpDef, lookup, registry
from burnish.ir.attributes import BadAttributeError
from burnish.ir.opdef import REQUIRED

from ..pattern.match import Refusal
from .errors import did_you_mean
from .expressions import Evaluate, attribute_sort, wanted
from .functions import Sort
from .matcher import arity
from .scope import NO_OP, Scope, Slots
from .syntax import Expression, Literal, NumberTemplate, OpTemplate, Template, ValueTemplate
from .templates import NewOp, Planned, Result, plan_number, plan_op

Planner = Callable[[Slots], Any]
"""Gives what a template stands for: one planned value, or a tuple of them."""


class ReplacementCompiler:
    """Compiles the templates of one rule; equal ones are planned, and made, once."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._planned: dict[object, int] = {}

    def roots(self, templates: Sequence[Template], root: int) -> Planner:
        """Plans all templates of a rule; ``root`` is the slot of the op to be replaced."""
        planners = [self._whole(template, root, i) for i, template in enumerate(templates)]
        return lambda s: [planner(s) for planner in planners]

    def _whole(self, template: Template, root: int, index: int) -> Planner:
        """The replacement of one result of the root."""
        if isinstance(template, NumberTemplate):
            number = wanted(template.value, Sort.ANY, self._scope)
            return lambda s: plan_number(number(s), s[root].results[index].type.dtype)
        planner, sort = self._compile(template)
        if sort is not Sort.VALUE:
            self._scope.fail("a list of values replaces one", template.at)
        if (
            isinstance(template, ValueTemplate)
            and self._scope.get(template.name, template.at).optional
        ):
            self._scope.fail(f"{template.name} may be absent", template.at)
        return planner

    def _compile(self, template: Template) -> tuple[Planner, Sort]:
        if isinstance(template, ValueTemplate):
            return self._value(template)
        if isinstance(template, NumberTemplate):
            self._scope.fail("the element type of this number is not known", template.at)
        key = template_key(template)
        if key not in self._planned:
            planner, sort = self._op(template)
            slot = self._scope.slot()
            self._planned[key] = slot
            return _kept(planner, slot), sort
        slot = self._planned[key]
        sort = Sort.VALUES if template.each else Sort.VALUE
        return lambda s: s[slot], sort

    def _value(self, template: ValueTemplate) -> tuple[Planner, Sort]:
        symbol = self._scope.get(template.name, template.at)
        slot = symbol.slot
        if template.rest:
            if symbol.sort is not Sort.VALUES:
                self._scope.fail(f"{template.name} is {symbol.sort.value}, not a list", template.at)
        elif symbol.sort not in (Sort.VALUE, Sort.VALUES):
            help = f"write ({template.name}) for a constant of that number"
            hint = help if symbol.sort is Sort.NUMBER else ""
            self._scope.fail(f"{template.name} is {symbol.sort.value}", template.at, hint)
        return lambda s: s[slot], symbol.sort

    # Ops -----------------------------------------------------------------------------

    def _op(self, template: OpTemplate) -> tuple[Planner, Sort]:
        opdef, source = self._callee(template)
        operands = [self._operand(operand, template) for operand in template.operands]
        changes = self._attributes(template, opdef, source)
        index, fold, lists = template.result, template.fold, [is_list for _, is_list in operands]
        planners = [planner for planner, _ in operands]
        self._check_result(template, opdef)

        def plan(s: Slots, values: Sequence[Any]) -> Planned:
            definition = s[source].opdef if opdef is None else opdef
            attributes: Any = s[source].attributes if source != NO_OP else {}
            if changes:
                attributes = {**attributes, **{name: evaluate(s) for name, evaluate in changes}}
            typed = with_numbers(definition, values)
            new = plan_op(definition, typed, attributes, fold=fold)
            return Result(new, index) if isinstance(new, NewOp) else new

        if template.each:
            if not any(lists):
                self._scope.fail("none of the operands is a list", template.at)
            return lambda s: _of_each(s, planners, lists, plan), Sort.VALUES
        splice = [_is_spliced(operand) for operand in template.operands]
        for operand, is_list, is_spliced in zip(template.operands, lists, splice):
            if is_list and not is_spliced:
                self._scope.fail("a list stands where one value is needed", operand.at, "add ...")
        if not any(splice):
            return lambda s: plan(s, [planner(s) for planner in planners]), Sort.VALUE

        def spliced(s: Slots) -> Planned:
            values: list[Any] = []
            for planner, is_spliced in zip(planners, splice):
                if is_spliced:
                    values += planner(s)
                else:
                    values.append(planner(s))
            return plan(s, values)

        return spliced, Sort.VALUE

    def _callee(self, template: OpTemplate) -> tuple[OpDef | None, int]:
        """The definition, if it is known now, and the slot of the op whose attributes are kept."""
        name = template.op
        if "." in name:
            if name not in registry():
                self._scope.fail(
                    f"there is no op {name}", template.at, did_you_mean(name, registry())
                )
            opdef = lookup(name)
            self._check_arity(template, [opdef])
            return opdef, NO_OP
        symbol = self._scope.get(name, template.at)
        if symbol.op_slot == NO_OP:
            self._scope.fail(
                f"{name} is not an op", template.at, f"name one like {name}: math.add(x, y)"
            )
        self._check_arity(template, symbol.opdefs)
        return (symbol.opdefs[0] if len(symbol.opdefs) == 1 else None), symbol.op_slot

    def _check_arity(self, template: OpTemplate, opdefs: Sequence[OpDef]) -> None:
        spliced = any(map(_is_spliced, template.operands))
        count = len(template.operands)
        for opdef in opdefs:
            if opdef.regions or opdef.variadic_regions:
                self._scope.fail(f"{opdef.name} has regions: no rule makes it", template.at)
            low, high = arity(opdef)
            if not spliced and (count < low or (high is not None and count > high)):
                takes = (
                    str(low) if low == high else f"{low} to {high}" if high else f"{low} or more"
                )
                self._scope.fail(f"{opdef.name} takes {takes} operands, not {count}", template.at)

    def _check_result(self, template: OpTemplate, opdef: OpDef | None) -> None:
        if opdef is not None and template.result >= len(opdef.result_names):
            self._scope.fail(f"{opdef.name} has no result {template.result}", template.at)
        if template.fold and template.result:
            self._scope.fail("only the first result can be folded", template.at)

    def _attributes(
        self, template: OpTemplate, opdef: OpDef | None, source: int
    ) -> list[tuple[str, Evaluate]]:
        changes = []
        symbol = self._scope.find(template.op)
        opdefs = [opdef] if opdef is not None else list(symbol.opdefs if symbol else ())
        given = set()
        for name, value in template.attributes:
            if name in given:
                self._scope.fail(f"the attribute {name} is given twice", value.at)
            given.add(name)
            if not opdefs:
                self._scope.fail("ops with a trait have no common attributes", value.at)
            for definition in opdefs:
                if name not in definition.attributes:
                    help = did_you_mean(name, definition.attributes)
                    self._scope.fail(f"{definition.name} has no attribute {name}", value.at, help)
            changes.append((name, self._attribute(opdefs[0], name, value)))
        if source == NO_OP and opdef is not None:
            for name, spec in opdef.attributes.items():
                if spec.default is REQUIRED and name not in given:
                    self._scope.fail(f"{opdef.name} needs the attribute {name}", template.at)
        return changes

    def _attribute(self, opdef: OpDef, name: str, value: Expression) -> Evaluate:
        kind = opdef.attributes[name].kind
        if isinstance(value, Literal):
            try:
                kind.normalize(value.value)
            except BadAttributeError as error:
                self._scope.fail(f"attribute {name}: {error}", value.at)
        return wanted(value, attribute_sort(kind), self._scope)

    def _operand(self, operand: Template, template: OpTemplate) -> tuple[Planner, bool]:
        if isinstance(operand, NumberTemplate):
            number = wanted(operand.value, Sort.ANY, self._scope)
            return lambda s: Pending(number(s)), False
        if template.fold:
            self._check_constant(operand)
        planner, sort = self._compile(operand)
        return planner, sort is Sort.VALUES

    def _check_constant(self, operand: Template) -> None:
        if isinstance(operand, ValueTemplate):
            symbol = self._scope.get(operand.name, operand.at)
            if symbol.sort is Sort.VALUE and not symbol.is_constant:
                name = operand.name
                self._scope.fail(
                    f"{name} is folded, but need not be a constant",
                    operand.at,
                    f"write const {name}",
                )
        elif isinstance(operand, OpTemplate) and not operand.fold:
            self._scope.fail("this is folded, but not computed now", operand.at, "add fold")


class Pending:
    """A number whose element type the other operands decide."""

    __slots__ = ("number",)

    def __init__(self, number: Any) -> None:
        self.number = number


def with_numbers(
    opdef: OpDef, operands: Sequence[Planned | Pending | None]
) -> list[Planned | None]:
    """``operands`` with numbers made constants, of the element type of their group.

    Raises:
        Refusal: no other operand says what type that is.
    """
    planned = [operand for operand in operands if not isinstance(operand, Pending)]
    if len(planned) == len(operands):
        return planned
    specs = list(opdef.operands.values())
    groups = [specs[min(index, len(specs) - 1)].group for index in range(len(operands))]
    dtypes: Mapping[str, DType] = {
        group: operand.type.dtype
        for group, operand in zip(groups, operands)
        if operand is not None and not isinstance(operand, Pending)
    }
    typed: list[Planned | None] = []
    for group, operand in zip(groups, operands):
        if isinstance(operand, Pending):
            if not group or group not in dtypes:
                raise Refusal("the element type of a number is not known")
            typed.append(plan_number(operand.number, dtypes[group]))
        else:
            typed.append(operand)
    return typed


def _is_spliced(template: Template) -> bool:
    """Whether a template stands for many operands."""
    if isinstance(template, ValueTemplate):
        return template.rest
    return isinstance(template, OpTemplate) and template.each


def _kept(planner: Planner, slot: int) -> Planner:
    def plan(s: Slots) -> Any:
        s[slot] = planner(s)
        return s[slot]

    return plan


def _of_each(
    s: Slots,
    planners: Sequence[Planner],
    lists: Sequence[bool],
    plan: Callable[[Slots, Sequence[Any]], Planned],
) -> tuple[Planned, ...]:
    """One op per element of the lists; other operands are the same for all."""
    values = [planner(s) for planner in planners]
    lengths = {len(value) for value, is_list in zip(values, lists) if is_list}
    if len(lengths) != 1:
        raise Refusal("lists of operands have different lengths")
    return tuple(
        plan(s, [value[i] if is_list else value for value, is_list in zip(values, lists)])
        for i in range(lengths.pop())
    )


def template_key(template: object) -> object:
    """A template without positions: equal for templates that mean the same."""
    if isinstance(template, tuple):
        return tuple(map(template_key, template))
    fields = getattr(template, "__dataclass_fields__", None)
    if fields is None:
        return (type(template).__name__, repr(template))
    return (
        type(template).__name__,
        *(template_key(getattr(template, name)) for name in fields if name != "at"),
    )
