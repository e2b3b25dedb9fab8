"""Relay text of functions."""

from __future__ import annotations

from collections.abc import Iterator

from .syntax import (
    Apply,
    AttributeValue,
    Binding,
    Body,
    Call,
    Expr,
    Function,
    If,
    Lambda,
    Let,
    Literal,
    Projection,
    Ref,
    TupleExpr,
    Var,
    tuple_text,
)

VERSION = "0.0.5"
"""Of the text format; parsers of all releases ask for exactly this one."""

_INDENT = "  "


def module_text(*functions: Function) -> str:
    """A module of these functions."""
    return "".join(_lines([f'#[version = "{VERSION}"]', *map(_function, functions)]))


def _lines(pieces: list[str]) -> Iterator[str]:
    return (f"{piece}\n" for piece in pieces)


def _function(function: Function) -> str:
    parameters = ",\n".join(f"{_INDENT}%{p.name}: {p.type}" for p in function.parameters)
    opening = f"(\n{parameters}\n)" if parameters else "()"
    body = _body(function.body, 1)
    return f"def @{function.name}{opening} -> {function.result} {{\n{body}}}"


def _body(body: Body, depth: int) -> str:
    indent = _INDENT * depth
    lines = [f"{indent}{_left(b)} = {_expr(b.value, depth)};\n" for b in body.bindings]
    return "".join([*lines, f"{indent}{_expr(body.result, depth)}\n"])


def _left(binding: Binding | Let) -> str:
    if isinstance(binding, Let):
        return f"let %{binding.name}: {binding.type}"
    return f"%{binding.number}"


def _expr(expr: Expr, depth: int) -> str:
    if isinstance(expr, Var):
        return f"%{expr.name}"
    if isinstance(expr, Ref):
        return f"%{expr.number}"
    if isinstance(expr, Literal):
        return expr.text
    if isinstance(expr, TupleExpr):
        return tuple_text([_expr(field, depth) for field in expr.fields])
    if isinstance(expr, Projection):
        return f"{_expr(expr.tuple, depth)}.{expr.index}"
    if isinstance(expr, Call):
        given = [_expr(arg, depth) for arg in expr.args]
        given += [f"{name}={_value(value)}" for name, value in expr.attributes]
        return f"{expr.op}({', '.join(given)})"
    if isinstance(expr, Apply):
        args = ", ".join(_expr(arg, depth) for arg in expr.args)
        return f"{_expr(expr.function, depth)}({args})"
    return _lambda(expr, depth) if isinstance(expr, Lambda) else _if(expr, depth)


def _lambda(expr: Lambda, depth: int) -> str:
    items = [f"%{p.name}: {p.type}" for p in expr.parameters]
    items += [f"{name}={_value(value)}" for name, value in expr.attributes]
    closing = _INDENT * depth + "}"
    body = _body(expr.body, depth + 1)
    return f"fn ({', '.join(items)}) -> {expr.result} {{\n{body}{closing}"


def _if(expr: If, depth: int) -> str:
    closing = _INDENT * depth + "}"
    then, otherwise = (_body(body, depth + 1) for body in (expr.then, expr.otherwise))
    condition = _expr(expr.condition, depth)
    return f"if ({condition}) {{\n{then}{closing} else {{\n{otherwise}{closing}"


def _value(value: AttributeValue) -> str:
    """An attribute's value; floats carry the ``f`` without which they do not parse."""
    if value is None or isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(map(_value, value))}]"


def float_text(value: float, digits: int = 0) -> str:
    """A float as Relay reads it, with as many digits as given or needed."""
    if value in (float("inf"), float("-inf")):
        return "inff" if value > 0 else "-inff"
    text = f"{value:.{digits}g}" if digits else repr(value)
    return f"{text.removesuffix('.0')}f"
