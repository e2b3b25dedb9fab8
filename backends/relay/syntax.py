"""Relay modules as data: types, expressions, functions.

Only what burnish emits: static tensors and tuples of them, bindings by number (``%0 = ...;``),
calls of operators, tuples, projections, ``if`` and scalar literals.  Everything is immutable and
compared by value, so that equal expressions are found by hashing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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


Type = Union[Tensor, Tuple]  # noqa: UP007 - both name each other


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


Expr = Union[Var, Ref, Literal, TupleExpr, Projection, Call, If]  # noqa: UP007


@dataclass(frozen=True, slots=True)
class Binding:
    """``%number = value;``; ``line`` is where it was parsed, 0 for none."""

    number: int
    value: Expr
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Body:
    """Bindings and the value they lead to."""

    bindings: tuple[Binding, ...]
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
    """The expressions right below one, those in bodies of ``if`` left out."""
    if isinstance(expr, TupleExpr):
        yield from expr.fields
    elif isinstance(expr, Projection):
        yield expr.tuple
    elif isinstance(expr, Call):
        yield from expr.args
    elif isinstance(expr, If):
        yield expr.condition
