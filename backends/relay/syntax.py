"""Relay modules as data: types, expressions, functions.

Only what burnish emits: static tensors and tuples of them, bindings by number (``%0 = ...;``),
calls of operators, tuples, projections, ``if``, scalar literals, and functions as values, which
``let`` binds by name where they call themselves.  Everything is immutable and compared by value,
so that equal expressions are found by hashing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Union


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor type; ``dtype`` as Relay writes it (``float32``)."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        if not self.shape:
            return self.dtype
        return f"Tensor[({', '.join(map(str, self.shape))}), {self.dtype}]"


@dataclass(frozen=True, slots=True)
class Tuple:
    """The type of a tuple."""

    fields: tuple[Type, ...]

    def __str__(self) -> str:
        return tuple_text([str(field) for field in self.fields])


@dataclass(frozen=True, slots=True)
class FunctionType:
    """The type of a function."""

    parameters: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        return f"fn ({', '.join(map(str, self.parameters))}) -> {self.result}"


Type = Union[Tensor, Tuple, FunctionType]  # noqa: UP007 - they name each other


def tuple_text(items: list[str]) -> str:
    """Items between parentheses, a single one with a comma behind it."""
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


@dataclass(frozen=True, slots=True)
class Var:
    """A parameter, ``%x``."""

    name: str


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of the binding of that number, ``%3``."""

    number: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A scalar; the text says its type, too."""

    text: str
    dtype: str


@dataclass(frozen=True, slots=True)
class TupleExpr:
    """A tuple of values."""

    fields: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """One field of a tuple, ``%3.0``."""

    tuple: Expr
    index: int


AttributeValue = Union[bool, int, float, str, None, tuple["AttributeValue", ...]]  # noqa: UP007


@dataclass(frozen=True, slots=True)
class Call:
    """An operator applied to operands, with attributes in the order they are written."""

    op: str
    args: tuple[Expr, ...]
    attributes: tuple[tuple[str, AttributeValue], ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    """``if (condition) { then } else { otherwise }``."""

    condition: Expr
    then: Body
    otherwise: Body


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function as a value, ``fn (%p: T, Primitive=1) -> T { body }``."""

    parameters: tuple[Parameter, ...]
    result: Type
    body: Body
    attributes: tuple[tuple[str, AttributeValue], ...] = ()

    @property
    def type(self) -> FunctionType:
        return FunctionType(tuple(each.type for each in self.parameters), self.result)


@dataclass(frozen=True, slots=True)
class Apply:
    """A call of a function that is bound, ``%0(%x)``."""

    function: Expr
    args: tuple[Expr, ...]


Expr = Union[  # noqa: UP007 - some are defined further down
    Var, Ref, Literal, TupleExpr, Projection, Call, If, Lambda, Apply
]


@dataclass(frozen=True, slots=True)
class Binding:
    """``%number = value;``; ``line`` is where it was parsed, 0 for none."""

    number: int
    value: Expr
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Let:
    """``let %name: type = function;``: a function that may call itself."""

    name: str
    type: FunctionType
    value: Lambda
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Body:
    """Bindings and the value they lead to."""

    bindings: tuple[Binding | Let, ...]
    result: Expr
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function with its type."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Function:
    """``def @name(parameters) -> type { body }``."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    body: Body


def parts(expr: Expr) -> Iterator[Expr]:
    """The expressions right below one, those in bodies left out."""
    if isinstance(expr, TupleExpr):
        yield from expr.fields
    elif isinstance(expr, Projection):
        yield expr.tuple
    elif isinstance(expr, Call):
        yield from expr.args
    elif isinstance(expr, If):
        yield expr.condition
    elif isinstance(expr, Apply):
        yield expr.function
        yield from expr.args


def bodies(expr: Expr) -> tuple[Body, ...]:
    """The bodies right below an expression."""
    if isinstance(expr, If):
        return expr.then, expr.otherwise
    return (expr.body,) if isinstance(expr, Lambda) else ()


def with_parts(expr: Expr, change: Callable[[Expr], Expr], inside: Callable[[Body], Body]) -> Expr:
    """``expr`` with the expressions and the bodies right below it changed, in order."""
    if isinstance(expr, TupleExpr):
        return TupleExpr(tuple(map(change, expr.fields)))
    if isinstance(expr, Projection):
        return Projection(change(expr.tuple), expr.index)
    if isinstance(expr, Call):
        return Call(expr.op, tuple(map(change, expr.args)), expr.attributes)
    if isinstance(expr, If):
        return If(change(expr.condition), inside(expr.then), inside(expr.otherwise))
    if isinstance(expr, Lambda):
        return replace(expr, body=inside(expr.body))
    if isinstance(expr, Apply):
        return Apply(change(expr.function), tuple(map(change, expr.args)))
    return expr


def called_operators(body: Body) -> Iterator[str]:
    """The operators that a body calls, those in bodies inside included."""

    def visit(expr: Expr) -> Iterator[str]:
        if isinstance(expr, Call):
            yield expr.op
        for part in parts(expr):
            yield from visit(part)
        for inner in bodies(expr):
            yield from called_operators(inner)

    for binding in body.bindings:
        yield from visit(binding.value)
    yield from visit(body.result)
