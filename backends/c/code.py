"""Structured C text: expressions that fold constants, and nested blocks of statements.

An :class:`Expr` is C text with its precedence, so that operands get parentheses exactly where
C needs them (or where gcc's ``-Wparentheses`` wants them).  Python's operators on it are
**integer index arithmetic** and fold what is known: ``i * 1 + 0`` is ``i``, ``(i + 1) * 4 - 4``
is ``i * 4``.  Arithmetic on tensor elements goes through :mod:`.scalar`, which knows types.

A :class:`CodeWriter` holds statements in blocks.  Blocks that a constant decides vanish: a loop
that runs once leaves only its body, one that never runs leaves nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from burnish.ir.dims import Call, Dim, Interval, Symbol, bounds
from burnish.ir.errors import InternalError

# Precedence of C's operators, highest first.
PRIMARY = 15
UNARY = 14
MULTIPLICATIVE = 13
ADDITIVE = 12
SHIFT = 11
RELATIONAL = 10
EQUALITY = 9
BIT_AND = 8
BIT_XOR = 7
BIT_OR = 6
AND = 5
OR = 4
CONDITIONAL = 3

_PRECEDENCE: dict[str, int] = {
    "*": MULTIPLICATIVE,
    "/": MULTIPLICATIVE,
    "%": MULTIPLICATIVE,
    "+": ADDITIVE,
    "-": ADDITIVE,
    "<<": SHIFT,
    ">>": SHIFT,
    "<": RELATIONAL,
    "<=": RELATIONAL,
    ">": RELATIONAL,
    ">=": RELATIONAL,
    "==": EQUALITY,
    "!=": EQUALITY,
    "&": BIT_AND,
    "^": BIT_XOR,
    "|": BIT_OR,
    "&&": AND,
    "||": OR,
}

INDENT = "    "
MAX_LINE = 100

_NUMBER = re.compile(r"-?(INFINITY|HUGE_VAL|\d[\w.]*([eEpP][+-]\w+)?)")


class Expr:
    """C text of an expression.

    ``value`` is its value when it is an integer known now.  ``base`` and ``offset`` say that it
    is ``base + offset``, so that constants added one after another merge.
    """

    __slots__ = ("base", "offset", "precedence", "text", "value")

    def __init__(
        self,
        text: str,
        precedence: int = PRIMARY,
        value: int | None = None,
        base: Expr | None = None,
        offset: int = 0,
    ) -> None:
        self.text = text
        self.precedence = precedence
        self.value = value
        self.base = base
        self.offset = offset

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Expr({self.text})"

    @property
    def is_number(self) -> bool:
        """Whether this is a numeric literal (infinity included, NaN not)."""
        return _NUMBER.fullmatch(self.text) is not None

    def within(self, precedence: int) -> str:
        """The text as an operand of an operator: in parentheses when it binds less."""
        return f"({self.text})" if self.precedence < precedence else self.text

    # Integer arithmetic with folding -----------------------------------------------------

    def __add__(self, other: Index) -> Expr:
        other = index(other)
        if self.value is not None and other.value is not None:
            return integer(self.value + other.value)
        if self.value is not None:
            return other + self.value
        if other.value is not None:
            return _shifted(self.base or self, self.offset + other.value)
        if other.base is not None:
            return (self + other.base) + other.offset
        if self.base is not None:
            return (self.base + other) + self.offset
        if other.precedence == UNARY and other.text.startswith("-"):
            return binary("-", self, Expr(other.text[1:], UNARY))
        # Sums are associative for integers: the left side needs no parentheses, nor the right.
        return Expr(f"{self.within(ADDITIVE)} + {other.within(ADDITIVE)}", ADDITIVE)

    def __radd__(self, other: Index) -> Expr:
        return index(other) + self

    def __sub__(self, other: Index) -> Expr:
        other = index(other)
        if other.value is not None:
            return self + -other.value
        if other.base is not None:
            return (self - other.base) + -other.offset
        if self.base is not None:
            return (self.base - other) + self.offset
        if self.value == 0 and other.precedence == UNARY and other.text.startswith("-"):
            return Expr(other.text[1:], UNARY)
        if self.value == 0:
            return Expr(f"-{other.within(UNARY)}", UNARY)
        return binary("-", self, other)

    def __rsub__(self, other: Index) -> Expr:
        return index(other) - self

    def __neg__(self) -> Expr:
        return integer(0) - self

    def __mul__(self, other: Index) -> Expr:
        other = index(other)
        if self.value is not None and other.value is not None:
            return integer(self.value * other.value)
        if self.value is not None:
            return other * self.value
        if other.value is not None:
            if other.value == 0:
                return integer(0)
            if other.value == 1:
                return self
            if self.base is not None:
                return self.base * other.value + self.offset * other.value
        return binary("*", self, other)

    def __rmul__(self, other: Index) -> Expr:
        return index(other) * self

    def __floordiv__(self, other: Index) -> Expr:
        """C's ``/``; equal to Python's ``//`` for the non-negative operands of index code."""
        other = index(other)
        if other.value == 1:
            return self
        if self.value is not None and other.value is not None and self.value >= 0:
            return integer(self.value // other.value)
        return binary("/", self, other)

    def __mod__(self, other: Index) -> Expr:
        """C's ``%``; equal to Python's for the non-negative operands of index code."""
        other = index(other)
        if other.value == 1:
            return integer(0)
        if self.value is not None and other.value is not None and self.value >= 0:
            return integer(self.value % other.value)
        return binary("%", self, other)

    # Conditions --------------------------------------------------------------------------

    def _compare(self, operator: str, other: Index) -> Expr:
        other = index(other)
        if self.value is not None and other.value is not None:
            holds = {
                "<": self.value < other.value,
                "<=": self.value <= other.value,
                "==": self.value == other.value,
                "!=": self.value != other.value,
            }
            return integer(int(holds[operator]))
        return binary(operator, self, other)

    def __lt__(self, other: Index) -> Expr:
        return self._compare("<", other)

    def __le__(self, other: Index) -> Expr:
        return self._compare("<=", other)

    def __gt__(self, other: Index) -> Expr:
        return binary(">", self, index(other)) if not _known(self, other) else index(other) < self

    def __ge__(self, other: Index) -> Expr:
        return binary(">=", self, index(other)) if not _known(self, other) else index(other) <= self

    def equals(self, other: Index) -> Expr:
        """The condition ``self == other``."""
        return self._compare("==", other)

    def differs(self, other: Index) -> Expr:
        """The condition ``self != other``."""
        return self._compare("!=", other)

    def __and__(self, other: Expr) -> Expr:
        """Logical and (C's ``&&``)."""
        for one, two in ((self, other), (other, self)):
            if one.value is not None:
                return two if one.value else integer(0)
        return binary("&&", self, other)

    def __or__(self, other: Expr) -> Expr:
        """Logical or (C's ``||``)."""
        for one, two in ((self, other), (other, self)):
            if one.value is not None:
                return integer(1) if one.value else two
        return binary("||", self, other)


Index = Expr | Dim


def _known(a: Expr, b: Index) -> bool:
    return a.value is not None and index(b).value is not None


def _shifted(base: Expr, offset: int) -> Expr:
    if offset == 0:
        return base
    sign = "+" if offset > 0 else "-"
    text = f"{base.within(ADDITIVE)} {sign} {abs(offset)}"
    return Expr(text, ADDITIVE, None, base, offset)


def integer(value: int) -> Expr:
    """An integer literal."""
    return Expr(str(value), PRIMARY if value >= 0 else UNARY, value)


def index(value: Index) -> Expr:
    """``value`` as an expression; symbols of a dimension are names of C variables."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, int):
        return integer(value)
    return size(value)


def size(
    dim: Dim, name: Callable[[str], str] = str, ranges: Mapping[str, Interval] | None = None
) -> Expr:
    """A dimension as a C expression, symbols written as ``name`` says.

    C truncates quotients where dimensions round down: expressions that are not visibly at least
    0, and not by the ``ranges`` of their symbols, are divided in a way that is right for both.
    """
    if isinstance(dim, int):
        return integer(dim)
    total = integer(0)
    for atoms, coefficient in sorted(dim.terms, key=lambda term: term[1] < 0):
        term = integer(1)
        for atom in atoms:
            if isinstance(atom, Symbol):
                term = term * Expr(name(atom.name))
            else:
                term = term * _size_call(atom, name, ranges)
        term = term * abs(coefficient)
        total = total + term if coefficient > 0 else total - term
    return total


def _size_call(
    atom: Call, name: Callable[[str], str], ranges: Mapping[str, Interval] | None
) -> Expr:
    a, *others = (size(arg, name, ranges) for arg in atom.args)
    if atom.function in ("min", "max"):
        for b in others:
            a = conditional(a < b, a, b) if atom.function == "min" else conditional(a < b, b, a)
        return a
    first, _ = atom.args
    (b,) = others
    if _is_positive(first, ranges):
        return a // b if atom.function == "floordiv" else a % b
    remainder = binary("%", a, b)
    if atom.function == "mod":
        return binary("%", binary("+", remainder, b), b)
    if _is_positive(first * -1, ranges):
        return -((-a + (b - 1)) // b)
    return binary("-", binary("/", a, b), Expr(f"({remainder} < 0)"))


def _is_positive(dim: Dim, ranges: Mapping[str, Interval] | None) -> bool:
    """Whether a dimension is known to be at least 0."""
    if isinstance(dim, int):
        return dim >= 0
    if ranges is not None:
        return bounds(dim, ranges)[0] >= 0
    return all(coefficient > 0 for _, coefficient in dim.terms)


def binary(operator: str, left: Expr, right: Expr) -> Expr:
    """``left operator right``, evaluated as written (left-associative, nothing folded)."""
    precedence = _PRECEDENCE[operator]
    if precedence <= SHIFT and operator not in ("&&", "||"):
        # gcc warns on mixtures such as a << b + c, a & b == c, a < b < c.
        needed_left = needed_right = ADDITIVE if precedence >= EQUALITY else UNARY
        if precedence == SHIFT:
            needed_left = needed_right = UNARY
    elif operator == "||":
        needed_left, needed_right = BIT_OR, BIT_OR
        needed_left = OR if "&&" not in left.text else BIT_OR
    else:
        needed_left, needed_right = precedence, precedence + 1
    return Expr(f"{left.within(needed_left)} {operator} {right.within(needed_right)}", precedence)


def call(function: str, *args: Expr) -> Expr:
    """``function(args)``."""
    return Expr(f"{function}({', '.join(arg.text for arg in args)})")


def cast(c_type: str, value: Expr) -> Expr:
    """``(c_type)value``."""
    return Expr(f"({c_type}){value.within(UNARY)}", UNARY)


def conditional(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """``condition ? yes : no``, decided now when the condition is known."""
    if condition.value is not None:
        return yes if condition.value else no
    text = f"{condition.within(CONDITIONAL + 1)} ? {yes.within(CONDITIONAL + 1)}"
    return Expr(f"{text} : {no.within(CONDITIONAL + 1)}", CONDITIONAL)


def comment_text(text: str) -> str:
    """``text`` made safe for the inside of a C comment: printable ASCII, no end, no trigraph."""
    ascii_text = "".join(
        c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text
    )
    for bad, good in (("*/", "* /"), ("/*", "/ *"), ("??", "? ?")):
        while bad in ascii_text:
            ascii_text = ascii_text.replace(bad, good)
    return ascii_text


def wrapped(head: str, items: Sequence[str]) -> str:
    """``head`` and comma-separated items, broken into lines of at most the usual length."""
    lines = [head]
    for i, item in enumerate(items):
        piece = item + ("," if i + 1 < len(items) else "")
        if len(lines[-1]) + len(piece) + 1 > MAX_LINE - len(INDENT) and i:
            lines.append(INDENT + piece)
        else:
            lines[-1] += piece if i == 0 else f" {piece}"
    return "\n".join(lines)


class _Declaration(str):
    """Lines that declare a local variable."""

    name: str

    def __new__(cls, text: str, name: str) -> _Declaration:
        self = super().__new__(cls, text)
        self.name = name
        return self


_WORD = re.compile(r"[A-Za-z_]\w*")


def _without_unused(lines: list[str]) -> list[str]:
    """``lines`` without declarations of names that occur nowhere else."""
    if not any(isinstance(line, _Declaration) for line in lines):
        return lines
    counts = Counter(word for line in lines for word in _WORD.findall(line))
    return [x for x in lines if not isinstance(x, _Declaration) or counts[x.name] > 1]


def _free(hint: str, taken: set[str]) -> str:
    """``hint``, or ``hint`` with a number, whichever is not taken."""
    chosen, count = hint, 1
    while chosen in taken:
        count += 1
        chosen = f"{hint}{count}" if not hint[-1].isdigit() else f"{hint}_{count}"
    return chosen


class CodeWriter:
    """Statements of one function body, with scopes for names."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._blocks: list[list[str]] = [[]]
        self._depth = 0
        self._scopes: list[set[str]] = [set(reserved)]
        self._used: set[str] = set(reserved)

    def name(self, hint: str) -> str:
        """A name that clashes with none visible here; the first choice is ``hint`` itself."""
        chosen = _free(hint, set().union(*self._scopes))
        self._scopes[-1].add(chosen)
        self._used.add(chosen)
        return chosen

    def parameter(self, hint: str) -> str:
        """A name for a parameter: visible everywhere, so none that any block has used yet."""
        chosen = _free(hint, self._used)
        self._scopes[0].add(chosen)
        self._used.add(chosen)
        return chosen

    def line(self, text: str = "") -> None:
        """One line at the current depth, broken at spaces where it is too long."""
        if not text:
            self._blocks[-1].append("")
            return
        pad = INDENT * self._depth
        # Function bodies are indented once more when they are put between their braces.
        width = max(48, MAX_LINE - len(INDENT) - len(pad))
        parts = []
        while len(text) > width:
            cut = text.rfind(" ", 24, width)
            if cut < 0:
                break
            parts.append(pad + text[:cut])
            text = f"{INDENT}{text[cut + 1 :]}"
        self._blocks[-1].append("\n".join([*parts, pad + text]))

    def declare(self, c_type: str, hint: str, value: Expr) -> Expr:
        """``c_type name = value;``, dropped from the text when nothing reads the name."""
        name = self.name(hint)
        self.line(f"{c_type} {name} = {value};")
        self._blocks[-1][-1] = _Declaration(self._blocks[-1][-1], name)
        return Expr(name)

    def comment(self, text: str) -> None:
        """A comment, wrapped to the line length."""
        width = max(40, MAX_LINE - len(INDENT) * self._depth - 6)
        lines = textwrap.wrap(comment_text(text), width, break_long_words=True) or [""]
        for i, part in enumerate(lines):
            opening = "/* " if i == 0 else " * "
            closing = " */" if i == len(lines) - 1 else ""
            self._blocks[-1].append(f"{INDENT * self._depth}{opening}{part}{closing}")

    @property
    def text(self) -> str:
        """All lines so far."""
        if len(self._blocks) != 1:
            raise InternalError("a block is still open")
        lines = self._blocks[0]
        while True:
            kept = _without_unused(lines)
            if len(kept) == len(lines):
                return "".join(f"{line}\n" for line in kept)
            lines = kept

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """``header { ... }``; nothing at all when the block stays empty."""
        self._blocks.append([])
        self._scopes.append(set())
        self._depth += 1
        yield
        self._depth -= 1
        self._scopes.pop()
        inner = self._blocks.pop()
        if inner:
            self.line(f"{header} {{")
            self._blocks[-1].extend(inner)
            self.line("}")

    @contextmanager
    def indented(self) -> Iterator[None]:
        """One level deeper, without braces."""
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def loop(self, name: str, end: Index, *, start: Index = 0, step: int = 1) -> Iterator[Expr]:
        """A counting loop; yields the counter.

        A loop of one iteration yields its start and leaves only the body; one of none leaves
        nothing (what is written inside is dropped).
        """
        start, end = index(start), index(end)
        if start.value is not None and end.value is not None:
            count = len(range(start.value, end.value, step))
            if count <= 1:
                with self._kept(count == 1):
                    yield start
                return
        self._scopes.append(set())
        counter = self.name(name)
        advance = f"{counter}++" if step == 1 else f"{counter} += {step}"
        header = f"for (ptrdiff_t {counter} = {start}; {counter} < {end}; {advance})"
        with self.block(header):
            yield Expr(counter)
        self._scopes.pop()

    @contextmanager
    def when(self, condition: Expr) -> Iterator[None]:
        """``if (condition) { ... }``, decided now when the condition is known."""
        if condition.value is None:
            with self.block(f"if ({condition})"):
                yield
        else:
            with self._kept(bool(condition.value)):
                yield

    @contextmanager
    def branch(self, condition: Expr) -> Iterator[tuple[AbstractContextManager[None], ...]]:
        """Both sides of an if: ``with w.branch(c) as (yes, no): with yes: ...; with no: ...``."""
        if condition.value is not None:
            taken = bool(condition.value)
            yield self._kept(taken), self._kept(not taken)
            return
        mark = len(self._blocks[-1])
        yield self.block(f"if ({condition})"), self.block("else")
        lines = self._blocks[-1]
        pad = INDENT * self._depth
        starts = [i for i in range(mark, len(lines)) if lines[i] == f"{pad}else {{"]
        if starts and starts[-1] > mark:
            lines[starts[-1] - 1 : starts[-1] + 1] = [f"{pad}}} else {{"]
        elif starts:
            lines[mark] = f"{pad}if (!({condition})) {{"

    @contextmanager
    def _kept(self, keep: bool) -> Iterator[None]:
        mark = len(self._blocks[-1])
        yield
        if not keep:
            del self._blocks[-1][mark:]
