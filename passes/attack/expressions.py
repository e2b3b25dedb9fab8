"""Values of expressions while an instance is drawn, as far as they are known then."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from burnish.ir.errors import Error

from ..pattern import Refusal
from ..rules import syntax
from ..rules.functions import rule_functions
from .plan import PlannedOp, PlannedValue

Environment = dict[str, object]
"""What is drawn already, by name: values, ops, attributes, lists."""


class UnknownError(LookupError):
    """Something in the expression is not known yet, or not known here."""


_BINARY: Mapping[str, Callable[[Any, Any], object]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "/": operator.truediv,
    "%": operator.mod,
}


def evaluate(expression: syntax.Expression, names: Mapping[str, object]) -> object:
    """The value of ``expression``.

    Raises:
        UnknownError: it is not known.
    """
    try:
        return _evaluate(expression, names)
    except UnknownError:
        raise
    except (Refusal, Error, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise UnknownError(str(error)) from None
    except LookupError as error:
        raise UnknownError(str(error)) from None


def _evaluate(expression: syntax.Expression, names: Mapping[str, object]) -> Any:
    if isinstance(expression, syntax.Literal):
        return expression.value
    if isinstance(expression, syntax.Name):
        return names[expression.name]
    if isinstance(expression, syntax.Sequence):
        return tuple(_evaluate(item, names) for item in expression.items)
    if isinstance(expression, syntax.Member):
        return _member(_evaluate(expression.of, names), expression.name)
    if isinstance(expression, syntax.Index):
        of = _evaluate(expression.of, names)
        if isinstance(expression.index, tuple):
            low, high = (None if b is None else _evaluate(b, names) for b in expression.index)
            return of[low:high]
        return of[_evaluate(expression.index, names)]
    if isinstance(expression, syntax.Operation):
        values = [_evaluate(operand, names) for operand in expression.operands]
        if expression.operator == "-" and len(values) == 1:
            return -values[0]
        if expression.operator in _BINARY:
            return _BINARY[expression.operator](*values)
    if isinstance(expression, syntax.Call):
        function = rule_functions()[expression.function]
        return function.call(*(_evaluate(argument, names) for argument in expression.arguments))
    raise UnknownError("not evaluated while drawing")


def _member(of: object, name: str) -> object:
    if isinstance(of, PlannedOp) and name in of.attributes:
        return of.attributes[name]
    if isinstance(of, PlannedOp):
        of = of.results[0]
    if isinstance(of, PlannedValue):
        if name == "value" and of.data is not None:
            return of.data.reshape(()).item()
        if name == "type":
            return of.type
        return getattr(of.type, name)
    return getattr(of, name)
