"""Checks Relay functions without TVM: names, operators, attributes, types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from burnish.ir.errors import TypeInferenceError

from .operators import VERSIONS, Attribute, Operator, find_operator
from .syntax import (
    Apply,
    AttributeValue,
    Body,
    Call,
    Expr,
    Function,
    FunctionType,
    If,
    Lambda,
    Let,
    Literal,
    Projection,
    Ref,
    Tensor,
    Tuple,
    TupleExpr,
    Type,
    Var,
)
from .type_rules import DTYPES, RelayTypeError, Signature, require

KEY = "attrs_type_key"
PRIMITIVE = "Primitive"
"""Attribute of functions that become one kernel."""
COMPOSITE = "Composite"
"""Attribute of functions that a code generator may take: its name, a dot, and that of a pattern."""
PATTERN = "PartitionedFromPattern"
"""Attribute of such functions: the operators, each with ``_`` behind it."""

_CLOSED: Mapping[str, Callable[[object], bool]] = {
    PRIMITIVE: lambda value: value == 1,
    COMPOSITE: lambda value: isinstance(value, str) and "." in value.strip("."),
    PATTERN: lambda value: isinstance(value, str),
}
"""Attributes of functions that see nothing around them, and what they may be."""


def check_functions(functions: Sequence[Function], version: str = VERSIONS[0]) -> None:
    """Check the functions of a module as release ``version`` would.

    Raises:
        TypeInferenceError: one does not type-check; the error says in which line.
    """
    names = [function.name for function in functions]
    if "main" not in names:
        raise TypeInferenceError("the Relay module has no @main")
    for function in functions:
        _check_function(function, version)


def _check_function(function: Function, version: str) -> None:
    scope = _Scope(version)
    place = f"@{function.name}"
    for parameter in function.parameters:
        if parameter.name in scope.variables:
            raise TypeInferenceError(f"Relay text: two parameters are called %{parameter.name}")
        scope.located(place, partial(check_type, parameter.type))
        scope.variables[parameter.name] = parameter.type
    result = scope.body(function.body)
    if result != function.result:
        raise TypeInferenceError(
            f"Relay text: the result of @{function.name} is {result}, not {function.result}"
        )


def check_type(type_: Type) -> Type:
    """The type, if Relay has it."""
    if isinstance(type_, FunctionType):
        return FunctionType(tuple(map(check_type, type_.parameters)), check_type(type_.result))
    if isinstance(type_, Tuple):
        return Tuple(tuple(map(check_type, type_.fields)))
    require(type_.dtype in DTYPES, f"there is no type {type_.dtype}")
    return type_


@dataclass
class _Scope:
    """What is bound where a body is checked."""

    version: str
    variables: dict[str, Type] = field(default_factory=dict)
    numbered: dict[int, Type] = field(default_factory=dict)

    def located(self, place: str, check: Callable[[], Type]) -> Type:
        """What ``check`` gives; its failure with the place."""
        try:
            return check()
        except RelayTypeError as error:
            raise TypeInferenceError(f"Relay text: {error}", at=place) from None

    def body(self, body: Body) -> Type:
        """The type of a body's result."""
        for binding in body.bindings:
            place = f"line {binding.line}"
            if isinstance(binding, Let):
                self.located(place, partial(self.bind, binding))
                continue
            self.numbered[binding.number] = self.located(
                place, partial(self.type_of, binding.value)
            )
        return self.located(f"line {body.line}", partial(self.type_of, body.result))

    def type_of(self, expr: Expr) -> Type:
        """The type of an expression."""
        if isinstance(expr, Var):
            require(expr.name in self.variables, f"%{expr.name} is not bound")
            return self.variables[expr.name]
        if isinstance(expr, Ref):
            require(expr.number in self.numbered, f"%{expr.number} is not bound")
            return self.numbered[expr.number]
        if isinstance(expr, Literal):
            return literal_type(expr)
        if isinstance(expr, TupleExpr):
            return Tuple(tuple(map(self.type_of, expr.fields)))
        if isinstance(expr, Projection):
            return field_type(self.type_of(expr.tuple), expr.index)
        if isinstance(expr, If):
            return self.branches(expr)
        if isinstance(expr, Lambda):
            return self.function(expr)
        if isinstance(expr, Apply):
            types = tuple(map(self.type_of, expr.args))
            return applied_type(self.type_of(expr.function), types)
        return call_type(expr, [self.type_of(arg) for arg in expr.args], self.version)

    def branches(self, expr: If) -> Type:
        """The common type of both branches."""
        condition = self.type_of(expr.condition)
        require(condition == Tensor((), "bool"), f"the condition is {condition}")
        then, otherwise = (
            _Scope(self.version, dict(self.variables), dict(self.numbered)).body(body)
            for body in (expr.then, expr.otherwise)
        )
        require(then == otherwise, f"branches of types {then} and {otherwise}")
        return then

    def bind(self, let: Let) -> Type:
        """The type of a function that may call itself, and is bound from here on."""
        self.variables[let.name] = check_type(let.type)
        found = self.type_of(let.value)
        require(found == let.type, f"%{let.name} is declared as {let.type}, not {found}")
        return found

    def function(self, function: Lambda) -> Type:
        """The type of a function, which sees what is around it unless it has attributes."""
        for name, value in function.attributes:
            require(name in _CLOSED, f"functions have no attribute {name}")
            require(_CLOSED[name](value), f"attribute {name} of a function is {value!r}")
        inner = _Scope(self.version)
        if not function.attributes:
            inner = _Scope(self.version, dict(self.variables), dict(self.numbered))
        for parameter in function.parameters:
            inner.variables[parameter.name] = check_type(parameter.type)
        result = inner.body(function.body)
        require(result == function.result, f"the function gives {result}, not {function.result}")
        return function.type


_LARGEST = {"float16": 65504.0, "float32": float(np.finfo(np.float32).max)}


def literal_type(literal: Literal) -> Tensor:
    """The type of a scalar, which must be able to hold it."""
    largest = _LARGEST.get(literal.dtype)
    if largest is not None and "inf" not in literal.text:
        value = float(literal.text.partition("f")[0])
        require(abs(value) <= largest, f"{literal.text} is beyond {literal.dtype}")
    return Tensor((), literal.dtype)


def applied_type(function: Type, types: tuple[Type, ...]) -> Type:
    """The type of a call of a function that is bound."""
    if not isinstance(function, FunctionType):
        raise RelayTypeError(f"{function} is called")
    expected = function.parameters
    require(types == expected, f"a function of {Tuple(expected)} is given {Tuple(types)}")
    return function.result


def field_type(type_: Type, index: int) -> Type:
    """The type of one field of a tuple."""
    if not isinstance(type_, Tuple):
        raise RelayTypeError(f"field {index} of {type_}")
    require(index < len(type_.fields), f"field {index} of {type_}")
    return type_.fields[index]


def call_type(call: Call, types: Sequence[Type], version: str) -> Type:
    """The type of a call, from those of its operands.

    Raises:
        RelayTypeError: the release has no such operator, or attributes or operands do not fit.
    """
    operator = find_operator(call.op, version)
    if operator is None:
        raise RelayTypeError(f"release {version} has no operator {call.op}")
    try:
        require(len(types) == operator.operands, f"takes {operator.operands} operands")
        return operator.rule(Signature(types, complete_attributes(operator, call.attributes)))
    except RelayTypeError as error:
        raise RelayTypeError(f"{call.op}: {error}") from None


def complete_attributes(
    operator: Operator, given: Sequence[tuple[str, AttributeValue]]
) -> Mapping[str, object]:
    """All attributes, those that are not given by their defaults."""
    values = dict(given)
    require(len(values) == len(given), "an attribute is given twice")
    key = values.pop(KEY, "")
    wanted = f"relay.attrs.{operator.key}" if operator.key else ""
    require(key == wanted, f"{KEY} is {key!r}, not {wanted!r}")
    for name in values:
        require(name in operator.attributes, f"there is no attribute {name}")
    return {name: _checked(attribute, values) for name, attribute in operator.attributes.items()}


def _checked(attribute: Attribute, values: Mapping[str, AttributeValue]) -> object:
    if attribute.name not in values:
        require(not attribute.required, f"attribute {attribute.name} is missing")
        return attribute.default
    value = values[attribute.name]
    fits = attribute.nullable if value is None else _KINDS[attribute.kind](value)
    require(fits, f"attribute {attribute.name} is {value!r}, not of kind {attribute.kind}")
    return value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and not math.isnan(value))


def _each(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(map(check, value))


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "bool": lambda value: value in (0, 1),
    "int": _is_int,
    "float": _is_float,
    "str": lambda value: isinstance(value, str) and '"' not in value,
    "ints": _each(_is_int),
    "floats": _each(_is_float),
    "pairs": _each(
        lambda pair: isinstance(pair, tuple) and len(pair) == 2 and _each(_is_int)(pair)
    ),
}
