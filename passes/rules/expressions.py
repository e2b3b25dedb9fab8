"""Expressions of rules, checked and compiled to closures over the slots of a match.

Dimensions may be symbolic.  A comparison that holds for some sizes only cannot be decided; it
raises :class:`Undecided`, which refuses the rule, unless ``and`` or ``or`` is decided without it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from burnish.ir import AttributeValue, DType, Kind, Value
from burnish.ir.attributes import AttributeKind, value_key
from burnish.ir.dims import DimExpr, is_nonnegative

from ..pattern.match import Refusal
from .errors import did_you_mean
from .functions import RuleFunction, Sort, Undecided, rule_functions
from .scope import NO_OP, Scope, Slots, Symbol
from .syntax import Call, Expression, Index, Literal, Member, Name, Operation, Sequence

Evaluate = Callable[[Slots], Any]

ATTRIBUTE_SORTS: Mapping[str, Sort] = {
    "int": Sort.NUMBER,
    "float": Sort.NUMBER,
    "dim": Sort.NUMBER,
    "bool": Sort.TRUTH,
    "string": Sort.TEXT,
    "dtype": Sort.DTYPE,
    "ints": Sort.LIST,
    "floats": Sort.LIST,
    "strings": Sort.LIST,
    "dims": Sort.LIST,
}

VALUE_MEMBERS: Mapping[str, tuple[Sort, Callable[[Value], Any]]] = {
    "shape": (Sort.LIST, lambda value: value.type.shape),
    "dtype": (Sort.DTYPE, lambda value: value.type.dtype),
    "rank": (Sort.NUMBER, lambda value: value.type.rank),
    "elements": (Sort.NUMBER, lambda value: value.type.elements),
    "type": (Sort.ANY, lambda value: value.type),
    "uses": (Sort.NUMBER, lambda value: value.use_count),
    "is_encoded": (Sort.TRUTH, lambda value: value.type.encoding is not None),
    "value": (Sort.NUMBER, lambda value: _data(value).reshape(()).item()),
}

DTYPE_MEMBERS: Mapping[str, tuple[Sort, Callable[[DType], Any]]] = {
    "is_float": (Sort.TRUTH, lambda dtype: dtype.is_float),
    "is_integer": (Sort.TRUTH, lambda dtype: dtype.is_integer),
    "is_signed": (Sort.TRUTH, lambda dtype: dtype.is_signed),
    "is_bool": (Sort.TRUTH, lambda dtype: dtype.kind is Kind.BOOL),
    "bits": (Sort.NUMBER, lambda dtype: dtype.bits),
}

_LITERALS: tuple[tuple[type, Sort], ...] = (
    (bool, Sort.TRUTH),
    (int, Sort.NUMBER),
    (float, Sort.NUMBER),
    (str, Sort.TEXT),
    (DType, Sort.DTYPE),
)

_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def attribute_sort(kind: AttributeKind) -> Sort:
    """What an expression for an attribute of that kind must give."""
    if " | " in kind.name:
        return Sort.TEXT
    return ATTRIBUTE_SORTS.get(kind.name, Sort.ANY)


def compile_expression(expression: Expression, scope: Scope) -> tuple[Evaluate, Sort]:
    """A closure that evaluates ``expression``, and what it gives.

    Raises:
        RuleError: an unknown name, member or function, or operands of a wrong sort.
    """
    if isinstance(expression, Literal):
        return _literal(expression)
    if isinstance(expression, Name):
        symbol = scope.get(expression.name, expression.at)
        return operator.itemgetter(symbol.slot), symbol.sort
    if isinstance(expression, Member):
        return _member(expression, scope)
    if isinstance(expression, Index):
        return _index(expression, scope)
    if isinstance(expression, Call):
        return _call(expression, scope)
    if isinstance(expression, Sequence):
        items = [compile_expression(item, scope)[0] for item in expression.items]
        return lambda s: tuple([item(s) for item in items]), Sort.LIST
    return _operation(expression, scope)


def wanted(expression: Expression, sort: Sort, scope: Scope) -> Evaluate:
    """Compile an expression that must give ``sort``."""
    evaluate, found = compile_expression(expression, scope)
    if not sort.accepts(found):
        scope.fail(f"this is {found.value}, but must be {sort.value}", expression.at)
    return evaluate


def _literal(literal: Literal) -> tuple[Evaluate, Sort]:
    value = literal.value
    sort = next(sort for kind, sort in _LITERALS if isinstance(value, kind))
    return always(value), sort


def always(value: object) -> Evaluate:
    """The expression that is ``value`` whatever was matched."""
    return lambda s: value


def _member(member: Member, scope: Scope) -> tuple[Evaluate, Sort]:
    name = member.name
    symbol = scope.find(member.of.name) if isinstance(member.of, Name) else None
    if symbol is not None and symbol.op_slot != NO_OP:
        attribute = _attribute_member(symbol, name)
        if attribute is not None:
            return attribute
    of, sort = compile_expression(member.of, scope)
    members: Mapping[str, tuple[Sort, Callable[[Any], Any]]]
    if sort is Sort.VALUE:
        members = VALUE_MEMBERS
        if name == "value" and not (symbol is not None and symbol.is_scalar):
            scope.fail("only a scalar has a value", member.at, "write scalar before its name")
    elif sort is Sort.DTYPE:
        members = DTYPE_MEMBERS
    else:
        scope.fail(f"{sort.value} has no members", member.at)
    if name not in members:
        known = [*members, *_attributes_of(symbol)]
        scope.fail(f"{sort.value} has no {name}", member.at, did_you_mean(name, known))
    result, get = members[name]

    def evaluate(s: Slots) -> Any:
        value = of(s)
        if value is None:
            raise Refusal("an optional operand is absent")
        return get(value)

    return evaluate, result


def _attributes_of(symbol: Symbol | None) -> list[str]:
    if symbol is None or not symbol.opdefs:
        return []
    return [n for n in symbol.opdefs[0].attributes if all(n in d.attributes for d in symbol.opdefs)]


def _attribute_member(symbol: Symbol, name: str) -> tuple[Evaluate, Sort] | None:
    if name not in _attributes_of(symbol):
        return None
    slot = symbol.op_slot
    sort = attribute_sort(symbol.opdefs[0].attributes[name].kind)
    return lambda s: s[slot].attributes[name], sort


def _index(index: Index, scope: Scope) -> tuple[Evaluate, Sort]:
    of, sort = compile_expression(index.of, scope)
    if sort not in (Sort.LIST, Sort.VALUES, Sort.ANY):
        scope.fail(f"{sort.value} has no elements", index.at)
    if not isinstance(index.index, tuple):
        at = wanted(index.index, Sort.NUMBER, scope)
        element = Sort.VALUE if sort is Sort.VALUES else Sort.ANY
        return lambda s: of(s)[at(s)], element
    low, high = (None if b is None else wanted(b, Sort.NUMBER, scope) for b in index.index)

    def evaluate(s: Slots) -> Any:
        return of(s)[None if low is None else low(s) : None if high is None else high(s)]

    return evaluate, sort


def _call(call: Call, scope: Scope) -> tuple[Evaluate, Sort]:
    functions = rule_functions()
    if call.function not in functions:
        help = did_you_mean(call.function, functions)
        scope.fail(f"there is no function {call.function}", call.at, help)
    function = functions[call.function]
    if len(call.arguments) != len(function.parameters):
        scope.fail(
            f"{function.signature} takes {len(function.parameters)} arguments, "
            f"not {len(call.arguments)}",
            call.at,
        )
    arguments = [
        _argument(function, name, sort, argument, scope)
        for (name, sort), argument in zip(function.parameters, call.arguments)
    ]
    target = function.call
    if len(arguments) == 1:
        (only,) = arguments
        return lambda s: target(only(s)), function.result
    if len(arguments) == 2:
        first, second = arguments
        return lambda s: target(first(s), second(s)), function.result
    return lambda s: target(*[argument(s) for argument in arguments]), function.result


def _argument(
    function: RuleFunction, name: str, sort: Sort, argument: Expression, scope: Scope
) -> Evaluate:
    if sort is Sort.OP:
        symbol = scope.find(argument.name) if isinstance(argument, Name) else None
        if symbol is None or symbol.op_slot == NO_OP:
            scope.fail(f"{function.signature}: {name} must be the name of an op", argument.at)
        return operator.itemgetter(symbol.op_slot)
    evaluate, found = compile_expression(argument, scope)
    if not sort.accepts(found):
        scope.fail(
            f"{function.signature}: {name} is {found.value}, but must be {sort.value}", argument.at
        )
    if sort is Sort.CONSTANT:
        return lambda s: _data(evaluate(s))
    if sort is Sort.VALUE and name not in function.may_be_absent:
        return lambda s: _present(evaluate(s))
    return evaluate


def _present(value: Value | None) -> Value:
    if value is None:
        raise Refusal("an optional operand is absent")
    return value


def _data(value: Value | None) -> Any:
    data = _present(value).constant
    if data is None or value is None or value.type.encoding is not None:
        raise Refusal("an operand is not a constant")
    return data.array


# Operators -------------------------------------------------------------------------------


def _operation(operation: Operation, scope: Scope) -> tuple[Evaluate, Sort]:
    name = operation.operator
    if name in ("and", "or", "not"):
        parts = [wanted(operand, Sort.TRUTH, scope) for operand in operation.operands]
        if name == "not":
            return lambda s: not parts[0](s), Sort.TRUTH
        return _connective(parts, until=name == "or"), Sort.TRUTH
    if name in ("in", "not in"):
        return _membership(operation, scope, negated=name == "not in"), Sort.TRUTH
    if name in ("==", "!="):
        return _equality(operation, scope, negated=name == "!="), Sort.TRUTH
    operands = [wanted(operand, Sort.NUMBER, scope) for operand in operation.operands]
    if len(operands) == 1:
        (negated,) = operands
        return lambda s: -negated(s), Sort.NUMBER
    left, right = operands
    if name in _ARITHMETIC:
        compute = _ARITHMETIC[name]
        return lambda s: compute(left(s), right(s)), Sort.NUMBER
    if name in (">", ">="):
        left, right = right, left
    if name in ("<", ">"):
        return lambda s: _is_less(left(s), right(s)), Sort.TRUTH
    return lambda s: _is_at_most(left(s), right(s)), Sort.TRUTH


def _connective(parts: list[Evaluate], *, until: bool) -> Evaluate:
    """``or`` (until=True) and ``and``: what one part decides, others may leave undecided."""

    def evaluate(s: Slots) -> bool:
        undecided = False
        for part in parts:
            try:
                if bool(part(s)) is until:
                    return until
            except Undecided:
                undecided = True
        if undecided:
            raise Undecided
        return not until

    return evaluate


def _equality(operation: Operation, scope: Scope, *, negated: bool) -> Evaluate:
    (left, a), (right, b) = (compile_expression(side, scope) for side in operation.operands)
    if not (a.accepts(b) or b.accepts(a)):
        scope.fail(f"{a.value} and {b.value} are never equal", operation.at)
    if negated:
        return lambda s: not are_equal(left(s), right(s))
    return lambda s: are_equal(left(s), right(s))


def _membership(operation: Operation, scope: Scope, *, negated: bool) -> Evaluate:
    item, _ = compile_expression(operation.operands[0], scope)
    items = wanted(operation.operands[1], Sort.LIST, scope)

    def evaluate(s: Slots) -> bool:
        undecided, wanted_item = False, item(s)
        for other in items(s):
            try:
                if are_equal(wanted_item, other):
                    return not negated
            except Undecided:
                undecided = True
        if undecided:
            raise Undecided
        return negated

    return evaluate


def are_equal(a: object, b: object) -> bool:
    """Whether numbers, dimensions, lists of them, values … are equal.

    Raises:
        Undecided: for some sizes they are, for others not.
    """
    if isinstance(a, tuple) and isinstance(b, tuple):
        return _lists_are_equal(a, b)
    if isinstance(a, DimExpr) or isinstance(b, DimExpr):
        if a == b:
            return True
        if isinstance(a, (int, DimExpr)) and isinstance(b, (int, DimExpr)):
            if is_nonnegative(a - b - 1) or is_nonnegative(b - a - 1):
                return False
            raise Undecided
    return bool(a == b)


def _lists_are_equal(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    if len(a) != len(b):
        return False
    undecided = False
    for p, q in zip(a, b):
        try:
            if not are_equal(p, q):
                return False
        except Undecided:
            undecided = True
    if undecided:
        raise Undecided
    return True


def _is_less(a: Any, b: Any) -> bool:
    if not isinstance(a, DimExpr) and not isinstance(b, DimExpr):
        return bool(a < b)
    if is_nonnegative(b - a - 1):
        return True
    if is_nonnegative(a - b):
        return False
    raise Undecided


def _is_at_most(a: Any, b: Any) -> bool:
    if not isinstance(a, DimExpr) and not isinstance(b, DimExpr):
        return bool(a <= b)  # not the negation of <, because of NaN
    return not _is_less(b, a)


def same_attribute(a: AttributeValue, b: object) -> bool:
    """Whether two attribute values are the same: 0.0 is not -0.0, NaN is NaN.

    Raises:
        Undecided: for some sizes they are, for others not.
    """
    if isinstance(a, float) or isinstance(b, float):
        return value_key(a) == value_key(b)
    return are_equal(a, b)
