"""Pipelines as text: ``canonicalize,fuse{max-inputs=8}``.  Round-trips exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from burnish.ir.errors import ParseError, PassError, clip

from .base import OptionValue, Pass, make_pass

_EXPECTED = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a quoted string",
    "COMMA": '","',
    "LBRACE": '"{"',
    "RBRACE": '"}"',
    "EQUAL": '"="',
    "$END": "the end",
}


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = Path(__file__).with_name("pipeline.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def parse_pipeline(text: str) -> list[Pass]:
    """The passes that ``text`` names, with their options.

    Raises:
        ParseError: malformed text; carries line and column.
        PassError: unknown pass or option, or a bad value; ``at`` says where in the text.
    """
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        _fail(text, error)
    return [_pass(item) for item in tree.children if isinstance(item, Tree)]


def pipeline_text(pipeline: Iterable[Pass]) -> str:
    """The text that :func:`parse_pipeline` turns into equal passes."""
    return ",".join(map(str, pipeline))


def with_fast_math(pipeline: Iterable[Pass]) -> list[Pass]:
    """The passes, each that has an option ``fast_math`` with it."""
    return with_option(pipeline, "fast_math", True)


def with_option(pipeline: Iterable[Pass], name: str, value: OptionValue) -> list[Pass]:
    """The passes, each that has an option ``name`` with that value."""
    wanted = {name: value}
    return [
        dataclasses.replace(pass_, **wanted)
        if any(option.name == name for option in pass_.options())
        else pass_
        for pass_ in pipeline
    ]


def _pass(item: Tree[Token]) -> Pass:
    name, *rest = item.children
    assert isinstance(name, Token)
    options: dict[str, OptionValue] = {}
    for option in rest:
        assert isinstance(option, Tree)
        key, value = option.children
        assert isinstance(key, Token)
        assert isinstance(value, Tree)
        if str(key) in options:
            raise PassError(f"option {key} of pass {name} is given twice", at=_place(key))
        options[str(key)] = _value(value)
    try:
        return make_pass(str(name), options)
    except PassError as error:
        raise error.located(_place(name)) from None


def _value(tree: Tree[Token]) -> OptionValue:
    text = str(tree.children[0])
    if tree.data == "string":
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if tree.data == "word":
        return {"true": True, "false": False}.get(text, text)
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _place(token: Token) -> str:
    return f"pipeline:{token.line}:{token.column}"


def _fail(text: str, error: UnexpectedInput) -> NoReturn:
    line, column = error.line, error.column
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        lines = text.split("\n")
        line, column = len(lines), len(lines[-1]) + 1
    allowed = getattr(error, "accepts", None) or getattr(error, "expected", None)
    allowed = allowed or getattr(error, "allowed", None) or ()
    expected = " or ".join(sorted(_EXPECTED.get(name, name) for name in allowed))
    rest = text.split("\n")[line - 1][column - 1 :]
    found = f'"{clip(rest, 40)}"' if rest else "the end"
    raise ParseError(
        f"pipeline does not parse: expected {expected}, found {found}",
        line=line,
        column=column,
        at=f"pipeline:{line}:{column}",
        help="write it like canonicalize,fuse{max-inputs=8}",
    ) from None
