"""Scalar expressions in other languages: one walk, and a table of spellings for each language.

A *language* says how a number and how a primitive read; :func:`render` does the rest.  Arithmetic
on nothing but numbers is done at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from burnish.ir import DType, scalar

Number = float | int | bool

TermT = TypeVar("TermT")
ContextT = TypeVar("ContextT")

MATH_FUNCTIONS: Mapping[str, str] = {
    name: name
    for name in (
        *("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan"),
        *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "floor", "ceil", "trunc"),
    )
}
"""Primitives of floats that are called in most languages as in C's ``<math.h>``."""


class Language(Protocol[TermT]):
    """How numbers and primitives read; a term is whatever stands for a value."""

    def literal(self, value: Number, dtype: DType) -> TermT:
        """A number; a bool if ``dtype`` is one."""

    def primitive(self, name: str, arguments: Sequence[TermT], dtype: DType) -> TermT:
        """A primitive of :data:`burnish.ir.scalar.PRIMITIVES`, with arithmetic in ``dtype``."""


def render(
    expression: str | scalar.Expr,
    values: Mapping[str, TermT | Number],
    dtype: DType,
    language: Language[TermT],
) -> TermT:
    """``expression`` with arithmetic in ``dtype``; ``values`` are its variables.

    Numbers among the values, as attributes are, take ``dtype``.
    """
    parsed = scalar.parse(expression) if isinstance(expression, str) else expression

    def visit(expr: scalar.Expr) -> TermT | Number:
        if isinstance(expr, scalar.Literal):
            return expr.value
        if isinstance(expr, scalar.Var):
            return values[expr.name]
        arguments = [visit(argument) for argument in expr.args]
        numbers = [argument for argument in arguments if isinstance(argument, Number)]
        if len(numbers) == len(arguments):
            return _folded(expr.function, numbers, dtype)
        return language.primitive(expr.function, [term(each) for each in arguments], dtype)

    def term(value: TermT | Number) -> TermT:
        if not isinstance(value, Number):
            return value
        return language.literal(value, DType.BOOL if isinstance(value, bool) else dtype)

    return term(visit(parsed))


def _folded(function: str, numbers: Sequence[Number], dtype: DType) -> Number:
    """The primitive of numbers."""
    literals = map(scalar.Literal, numbers)
    result: Number = scalar.evaluate(scalar.call(function, *literals), {}, dtype).item()
    return result


Spelling = str | Callable[..., TermT]
"""An operator's name, or a function from a context and terms to the term that is composed."""


def spelled(
    spellings: Mapping[str, Spelling[TermT]],
    name: str,
    context: ContextT,
    arguments: Sequence[TermT],
    call: Callable[..., TermT],
) -> TermT | None:
    """A primitive by its entry in a table, None where it has none.

    ``call`` makes a term of the name of an operator and its arguments.
    """
    spelling = spellings.get(name)
    if spelling is None:
        return None
    if isinstance(spelling, str):
        return call(spelling, *arguments)
    return spelling(context, *arguments)
