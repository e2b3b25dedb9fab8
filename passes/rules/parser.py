"""Parsing rule files: text to the tree of :mod:`.syntax`, rows of tables put in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from burnish.ir import DType

from ..promises import FAST_MATH
from . import syntax
from .errors import rule_error
from .syntax import Position

Node = Tree[Token]
Number = float | int | bool


class OpName(str):
    """The name of an op, as a cell of a table."""

    __slots__ = ()


Cell = OpName | str | Number | DType

DTYPES = {dtype.text: dtype for dtype in DType}
_WORDS: dict[str, Number] = {"inf": math.inf, "nan": math.nan, "true": True, "false": False}
_SPOKEN = {
    "NAME": "a name",
    "KEBAB": "a name like move-pads",
    "OPNAME": "an op like math.add",
    "STRING": "a quoted string",
    "INT": "a number",
    "FLOAT": "a number",
    "WORD": "a number",
    "SIGN": "a number",
    "KIND": "const or scalar",
    "PROMISE": "exact, rounding or fast-math",
    "$END": "the end of the file",
    "LPAR": "(",
    "RPAR": ")",
    "LBRACE": "{",
    "RBRACE": "}",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": ",",
    "COLON": ":",
    "EQUAL": "=",
    "DOT": ".",
    "EACH": "...",
    "OPTIONAL": "?",
    "VBAR": "|",
    "COMPARE": "a comparison",
    "TIMES": "* or /",
    "UNDERSCORE": "_",
}


@cache
def _lark() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def parse_rules(text: str, path: Path | None = None) -> syntax.RuleFile:
    """The rules of ``text``, one per row of a ``for`` table; names are not checked.

    Raises:
        RuleError: syntax, a row of another length than the table, a bad string.
    """
    try:
        tree = _lark().parse(text)
    except UnexpectedInput as error:
        _syntax_error(error, text, path)
    return _FileReader(text, path).file(tree)


def _syntax_error(error: UnexpectedInput, text: str, path: Path | None) -> NoReturn:
    line, column = max(error.line, 1), max(error.column, 1)
    if isinstance(error, UnexpectedToken):
        at_end = error.token.type == "$END"
        got = "the end of the file" if at_end else json.dumps(str(error.token))
        expected = set(error.accepts or error.expected)
    else:
        assert isinstance(error, UnexpectedCharacters)
        at_end, got = False, json.dumps(error.char)
        expected = set(error.allowed or ())
    if at_end:
        stripped = text.rstrip()
        line, column = stripped.count("\n") + 1, len(stripped.rpartition("\n")[2]) + 1
    spoken = sorted({_SPOKEN.get(name, name.lower()) for name in expected})
    help = f"expected {', '.join(spoken)}"
    raise rule_error(f"unexpected {got}", Position(path, line, column), text, help) from None


def _trees(tree: Node, data: str) -> list[Node]:
    return [child for child in tree.children if isinstance(child, Tree) and child.data == data]


def _tokens(tree: Node, kind: str) -> list[str]:
    return [str(c) for c in tree.children if isinstance(c, Token) and c.type == kind]


def _all_trees(tree: Node) -> list[Node]:
    return [child for child in tree.children if isinstance(child, Tree)]


class _FileReader:
    """Reads one file: header and tables; rules are left to :class:`_RuleReader`."""

    def __init__(self, text: str, path: Path | None) -> None:
        self.text = text
        self.path = path

    def file(self, tree: Node) -> syntax.RuleFile:
        rules: list[syntax.Rule] = []
        for rule in _trees(tree, "rule"):
            rules += self._rows(rule)
        doc = "".join(self.doc(doc) for doc in _trees(tree, "doc"))
        sets = [_tokens(name, "KEBAB")[0] for name in _trees(tree, "set")]
        return syntax.RuleFile(self.path, self.text, sets[0] if sets else "", doc, tuple(rules))

    def _rows(self, tree: Node) -> list[syntax.Rule]:
        tables = _trees(tree, "table")
        if not tables:
            return _RuleReader(self, {}).rules(tree)
        columns = _tokens(_trees(tables[0], "columns")[0], "NAME")
        rules = []
        for row in _trees(tables[0], "row"):
            cells = [self._cell(cell) for cell in _all_trees(row)]
            if len(cells) != len(columns):
                self.fail(row, f"the row has {len(cells)} entries, the table {len(columns)} names")
            rules += _RuleReader(self, dict(zip(columns, cells))).rules(tree)
        return rules

    def _cell(self, tree: Node) -> Cell:
        if tree.data == "opname":
            return OpName(tree.children[0])
        if tree.data == "text":
            return self.string(tree)
        if tree.data == "number":
            return number(tree)
        name = str(tree.children[0])
        if name not in DTYPES:
            self.fail(tree, f"{name} is not an op, a number, a string or an element type")
        return DTYPES[name]

    def doc(self, tree: Node) -> str:
        """Adjacent strings are one text."""
        return " ".join(self._unquoted(tree, token) for token in _tokens(tree, "STRING"))

    def string(self, tree: Node) -> str:
        return self._unquoted(tree, str(tree.children[0]))

    def _unquoted(self, tree: Node, token: str) -> str:
        try:
            text = json.loads(token)
        except json.JSONDecodeError as error:
            self.fail(tree, f"bad string: {error.msg}")
        return str(text)

    def at(self, tree: Node) -> Position:
        return Position(self.path, tree.meta.line, tree.meta.column)

    def fail(self, tree: Node, message: str, help: str = "") -> NoReturn:
        raise rule_error(message, self.at(tree), self.text, help)


def number(tree: Node) -> Number:
    """The number of a ``number`` or ``unsigned`` node."""
    *sign, token = tree.children
    assert isinstance(token, Token)
    value: Number
    if token.type == "WORD":
        value = _WORDS[token]
    else:
        value = int(token) if token.type == "INT" else float(token)
    return -value if sign and str(sign[0]) == "-" else value


class _RuleReader:
    """Reads one rule, with the cells of one row of its table in place of the columns."""

    def __init__(self, file: _FileReader, row: Mapping[str, Cell]) -> None:
        self._file = file
        self._row = row

    def rules(self, tree: Node) -> list[syntax.Rule]:
        """The rule; if it assumes something, also the one that takes it for granted.

        Raises:
            RuleError: nothing would be left of a promise that is fast-math anyway.
        """
        careful, assumed = self._rule(tree)
        if not assumed:
            return [careful]
        if careful.promise == FAST_MATH:
            self._file.fail(
                _trees(tree, "assume")[0],
                "a rule that promises fast-math assumes that all is finite anyway",
                "say what it promises where the assumption holds: exact or rounding",
            )
        steps = tuple(step for step in careful.steps if step not in assumed)
        return [careful, replace(careful, steps=steps, promise=FAST_MATH, granted=tuple(assumed))]

    def _rule(self, tree: Node) -> tuple[syntax.Rule, list[syntax.Condition]]:
        """The rule that asks for all it assumes, and what it assumes."""
        benefits = [int(_tokens(b, "INT")[0]) for b in _trees(tree, "benefit")]
        promises = [_tokens(p, "PROMISE")[0] for p in _trees(tree, "promise")]
        (match,) = _trees(tree, "match")
        (rewrite,) = _trees(tree, "rewrite")
        pattern = self._op_pattern(_all_trees(match)[0])
        steps: list[syntax.Binding | syntax.Condition] = []
        assumed: list[syntax.Condition] = []
        for step in _all_trees(tree):
            if step.data == "let":
                value = self._expression(_all_trees(step)[0])
                name = _tokens(step, "NAME")[0]
                steps.append(syntax.Binding(name, value, self._file.at(step)))
            elif step.data in ("where", "assume"):
                conditions = [self._condition(condition) for condition in _all_trees(step)]
                steps += conditions
                assumed += conditions if step.data == "assume" else []
        rule = syntax.Rule(
            name=_tokens(tree, "KEBAB")[0],
            doc=self._file.doc(_trees(tree, "doc")[0]),
            pattern=pattern,
            steps=tuple(steps),
            rewrite=tuple(self._template(child) for child in _all_trees(rewrite)),
            benefit=benefits[-1] if benefits else 1,
            promise=promises[-1] if promises else "exact",
            columns=tuple(self._row.items()),
            at=self._file.at(tree),
        )
        return rule, assumed

    def _condition(self, tree: Node) -> syntax.Condition:
        text = " ".join(self._file.text[tree.meta.start_pos : tree.meta.end_pos].split())
        value = self._expression(_all_trees(tree)[0])
        return syntax.Condition(value, text, self._file.at(tree))

    # Patterns ------------------------------------------------------------------------

    def _pattern(self, tree: Node) -> syntax.Pattern:
        at = self._file.at(tree)
        if tree.data == "op_pattern":
            return self._op_pattern(tree)
        if tree.data == "absent":
            return syntax.Absent(at)
        if tree.data == "number_pattern":
            return syntax.Number(number(_all_trees(tree)[0]), at)
        name = _tokens(tree, "NAME")[0]
        if tree.data == "rest":
            return syntax.Variable(name, "value", False, True, at)
        kinds = _tokens(tree, "KIND")
        cell = self._row.get(name)
        if isinstance(cell, (int, float)) and not kinds:
            return syntax.Number(cell, at)
        optional = bool(_tokens(tree, "OPTIONAL"))
        return syntax.Variable(name, kinds[0] if kinds else "value", optional, False, at)

    def _op_pattern(self, tree: Node) -> syntax.OpPattern:
        ops: tuple[str, ...] = ()
        trait = ""
        operands: list[syntax.Pattern] = []
        attributes: list[syntax.AttributePattern] = []
        bind, result = "", 0
        for child in _all_trees(tree):
            if child.data == "bind":
                bind = _tokens(child, "NAME")[0]
            elif child.data in ("opname", "word"):
                ops = (self._callee(child),)
            elif child.data == "alternatives":
                ops = tuple(self._callee(name) for name in _all_trees(child))
            elif child.data == "trait":
                trait = _tokens(child, "NAME")[0]
            elif child.data == "attributes":
                attributes = [
                    syntax.AttributePattern(name, value, at)
                    for name, value, at in self._attributes(child)
                ]
            elif child.data == "result":
                result = int(_tokens(child, "INT")[0])
            else:
                operands.append(self._pattern(child))
        return syntax.OpPattern(
            ops=ops,
            trait=trait,
            operands=tuple(operands),
            attributes=tuple(attributes),
            bind=bind,
            once=bool(_tokens(tree, "ONCE")),
            ordered=bool(_tokens(tree, "ORDERED")),
            result=result,
            each=bool(_tokens(tree, "EACH")),
            at=self._file.at(tree),
        )

    def _callee(self, tree: Node) -> str:
        name = str(tree.children[0])
        cell = self._row.get(name, name)
        return str(cell) if isinstance(cell, OpName) else name

    def _attributes(self, tree: Node) -> list[tuple[str, syntax.Expression, Position]]:
        return [
            (
                _tokens(child, "NAME")[0],
                self._expression(_all_trees(child)[0]),
                self._file.at(child),
            )
            for child in _trees(tree, "attribute")
        ]

    # Templates -----------------------------------------------------------------------

    def _template(self, tree: Node) -> syntax.Template:
        at = self._file.at(tree)
        if tree.data == "number_template":
            inner = _all_trees(tree)[0]
            if inner.data == "number":
                return syntax.NumberTemplate(syntax.Literal(number(inner), at), at)
            return syntax.NumberTemplate(self._expression(inner), at)
        if tree.data in ("value_template", "rest"):
            name = _tokens(tree, "NAME")[0]
            cell = self._row.get(name)
            if isinstance(cell, (int, float)):
                return syntax.NumberTemplate(syntax.Literal(cell, at), at)
            return syntax.ValueTemplate(name, tree.data == "rest", at)
        op, result = "", 0
        operands: list[syntax.Template] = []
        attributes: list[tuple[str, syntax.Expression]] = []
        for child in _all_trees(tree):
            if child.data in ("opname", "word"):
                op = self._callee(child)
            elif child.data == "attributes":
                attributes = [(name, value) for name, value, _ in self._attributes(child)]
            elif child.data == "result":
                result = int(_tokens(child, "INT")[0])
            else:
                operands.append(self._template(child))
        return syntax.OpTemplate(
            op=op,
            operands=tuple(operands),
            attributes=tuple(attributes),
            result=result,
            fold=bool(_tokens(tree, "FOLD")),
            each=bool(_tokens(tree, "EACH")),
            at=at,
        )

    # Expressions ---------------------------------------------------------------------

    def _expression(self, tree: Node) -> syntax.Expression:
        at = self._file.at(tree)
        kind = str(tree.data)
        if kind in ("unsigned", "number"):
            return syntax.Literal(number(tree), at)
        if kind == "text":
            return syntax.Literal(self._file.string(tree), at)
        if kind == "word":
            return self._word(str(tree.children[0]), at)
        if kind == "slice":
            of, first, last = _all_trees(tree)
            bounds = (self._bound(first), self._bound(last))
            return syntax.Index(self._expression(of), bounds, at)
        parts = tuple(self._expression(child) for child in _all_trees(tree))
        if kind == "member":
            return syntax.Member(parts[0], _tokens(tree, "NAME")[0], at)
        if kind == "index":
            return syntax.Index(parts[0], parts[1], at)
        if kind == "list":
            return syntax.Sequence(parts, at)
        if kind == "call":
            return syntax.Call(_tokens(tree, "NAME")[0], parts, at)
        if kind in ("or_", "and_", "not_"):
            return syntax.Operation(kind.rstrip("_"), parts, at)
        operator = " ".join(str(c) for c in tree.children if isinstance(c, Token))
        if kind == "minus" and operator == "+":
            return parts[0]
        return syntax.Operation(operator, parts, at)

    def _bound(self, tree: Node) -> syntax.Expression | None:
        inner = _all_trees(tree)
        return self._expression(inner[0]) if inner else None

    def _word(self, name: str, at: Position) -> syntax.Expression:
        if name in self._row:
            cell = self._row[name]
            return syntax.Literal(str(cell) if isinstance(cell, OpName) else cell, at)
        if name in DTYPES:
            return syntax.Literal(DTYPES[name], at)
        return syntax.Name(name, at)
