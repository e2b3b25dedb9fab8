"""Relay text to data: the inverse of the printer, for the subset that burnish emits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from burnish.ir.errors import ParseError, clip

from .printer import VERSION
from .syntax import (
    Apply,
    Binding,
    Body,
    Call,
    Function,
    FunctionType,
    If,
    Lambda,
    Let,
    Literal,
    Parameter,
    Projection,
    Ref,
    Tensor,
    Tuple,
    TupleExpr,
    Var,
)

_SUFFIXES = {
    "f64": "float64",
    "f16": "float16",
    "f": "float32",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
}


def parse_relay(text: str) -> tuple[Function, ...]:
    """The functions of a module.

    Raises:
        ParseError: the text is none of the subset; the error says where.
    """
    try:
        tree = _parser().parse(text)
    except UnexpectedEOF as error:
        raise ParseError("Relay text ends too early", help=_expected(error.expected)) from None
    except UnexpectedToken as error:
        found = "the end of the text" if error.token.type == "$END" else f'"{clip(error.token)}"'
        raise _error(
            f"{found} cannot stand here", error.line, error.column, _expected(error.accepts or ())
        ) from None
    except UnexpectedCharacters as error:
        raise _error(f'no token begins with "{error.char}"', error.line, error.column) from None
    version, *functions = _Builder().transform(tree).children
    if version != VERSION:
        raise ParseError(f"the text is of version {version}, not {VERSION}", at="line 1")
    return tuple(functions)


def _error(message: str, line: int, column: int, help_: str = "") -> ParseError:
    return ParseError(f"Relay text: {message}", at=f"line {line}, column {column}", help=help_)


def _expected(tokens: Any) -> str:
    return f"expected one of {', '.join(sorted(map(str, tokens)))}" if tokens else ""


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False, propagate_positions=True)


def _number(text: str) -> tuple[str, str]:
    """A number without its suffix, and the type that the suffix means."""
    for suffix, dtype in _SUFFIXES.items():
        if text.endswith(suffix) and not (suffix == "f" and text.endswith("inf")):
            return text.removesuffix(suffix), dtype
    return text, "int32"


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Trees to syntax; every method is a rule of the grammar."""

    def version(self, text: Token) -> str:
        return text[1:-1]

    def function(self, name: Token, *items: Any) -> Function:
        *parameters, result, body = items
        return Function(name[1:], tuple(parameters), result, body)

    def parameter(self, name: Token, type_: Any) -> Parameter:
        return Parameter(name[1:], type_)

    def tensor(self, *items: Token) -> Tensor:
        *shape, dtype = items
        return Tensor(tuple(map(int, shape)), str(dtype))

    def scalar(self, dtype: Token) -> Tensor:
        return Tensor((), str(dtype))

    def tuple_type(self, *fields: Any) -> Tuple:
        return Tuple(fields)

    def function_type(self, *items: Any) -> FunctionType:
        *parameters, result = items
        return FunctionType(tuple(parameters), result)

    @v_args(inline=False, meta=True)
    def body(self, meta: Any, items: list[Any]) -> Body:
        *bindings, result = items
        return Body(tuple(bindings), result, meta.end_line)

    def binding(self, number: Token, value: Any) -> Binding:
        return Binding(int(number[1:]), value, number.line or 0)

    def let(self, name: Token, type_: Any, value: Lambda) -> Let:
        return Let(name[1:], type_, value, name.line or 0)

    def lambda_(self, *items: Any) -> Lambda:
        *items_, result, body = items
        parameters = tuple(item for item in items_ if isinstance(item, Parameter))
        attributes = tuple(item for item in items_ if isinstance(item, tuple))
        return Lambda(parameters, result, body, attributes)

    def apply(self, function: Any, *args: Any) -> Apply:
        return Apply(function, args)

    def call(self, op: Token, *items: Any) -> Call:
        attributes = tuple(item for item in items if isinstance(item, tuple))
        args = tuple(item for item in items if not isinstance(item, tuple))
        return Call(str(op), args, attributes)

    def attribute(self, name: Token, value: Any) -> tuple[str, Any]:
        return str(name), value

    def if_(self, condition: Any, then: Body, otherwise: Body) -> If:
        return If(condition, then, otherwise)

    def projection(self, place: Any, index: Token) -> Projection:
        return Projection(place, int(index))

    def variable(self, name: Token) -> Var:
        return Var(name[1:])

    def reference(self, number: Token) -> Ref:
        return Ref(int(number[1:]))

    def literal(self, token: Token) -> Literal:
        dtype = "bool" if token in ("True", "False") else _number(token)[1]
        return Literal(str(token), dtype)

    def tuple_(self, *fields: Any) -> TupleExpr:
        return TupleExpr(fields)

    def number_value(self, token: Token) -> int | float:
        text, dtype = _number(token)
        return int(text) if dtype.startswith("int") else float(text)

    def true_value(self, _: Token) -> bool:
        return True

    def false_value(self, _: Token) -> bool:
        return False

    def none_value(self, _: Token) -> None:
        return None

    def string_value(self, token: Token) -> str:
        return token[1:-1]

    def list_value(self, *items: Any) -> tuple[Any, ...]:
        return items
