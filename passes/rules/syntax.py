"""The syntax tree of a rule file: what the parser makes, and everything else reads.

A rule is a tree of patterns, conditions on what they bound, and a tree of templates::

    rule subtract-negated {
      "x - -y is x + y."
      match   math.sub(x, math.neg(y))
      rewrite math.add(x, y)
    }

Every node knows where it was written, for error messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a rule file; line and column count from 1."""

    file: Path | None
    line: int
    column: int

    def __str__(self) -> str:
        name = self.file.name if self.file else "<rules>"
        return f"{name}:{self.line}:{self.column}"


# Expressions: attribute values, conditions, numbers computed while matching -----------------


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, truth value, string or element type."""

    value: object
    at: Position


@dataclass(frozen=True, slots=True)
class Name:
    """Whatever the match, a ``let`` or a ``for`` bound to the name."""

    name: str
    at: Position


@dataclass(frozen=True, slots=True)
class Member:
    """``x.shape``, ``c.value``, ``conv.pads``: a property of a value, an attribute of an op."""

    of: Expression
    name: str
    at: Position


@dataclass(frozen=True, slots=True)
class Index:
    """``x[i]`` or ``x[i:j]``."""

    of: Expression
    index: Expression | tuple[Expression | None, Expression | None]
    at: Position


@dataclass(frozen=True, slots=True)
class Call:
    """``broadcasts(x, y)``: a function of the library."""

    function: str
    arguments: tuple[Expression, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Operation:
    """``+ - * / // %``, comparisons, ``in``, ``and``, ``or``, ``not``, ``-`` (one operand)."""

    operator: str
    operands: tuple[Expression, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Sequence:
    """``[a, b, c]``."""

    items: tuple[Expression, ...]
    at: Position


Expression = Literal | Name | Member | Index | Call | Operation | Sequence


# Patterns --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variable:
    """Any value; the same one wherever the name stands.

    Attributes:
        kind: ``"value"``; ``"const"``: a constant; ``"scalar"``: a constant of one element.
        optional: the operand may be absent (``b?``).
        rest: all further operands (``xs...``).
    """

    name: str
    kind: str
    optional: bool
    rest: bool
    at: Position


@dataclass(frozen=True, slots=True)
class Number:
    """A constant, all elements of which are this number (-0.0 is not 0.0)."""

    value: float | int | bool
    at: Position


@dataclass(frozen=True, slots=True)
class Absent:
    """``_``: an optional operand that is not there."""

    at: Position


@dataclass(frozen=True, slots=True)
class AttributePattern:
    """``name = x`` binds an attribute, or compares it if ``x`` is bound; ``name = 3`` compares."""

    name: str
    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class OpPattern:
    """A value made by one of these ops.

    Attributes:
        ops: names of ops; empty if ``trait`` says which.
        trait: a trait's name in lower case, such as ``elementwise``, or "".
        operands: in order; further operands of the op must be absent, unless a rest variable
            takes them.  Patterns between two rest variables (``xs..., math.neg(y), zs...``) are
            looked for among the operands, first place first.
        bind: name of the op and of its result, or "".
        once: the result is used nowhere but where the pattern shows it (the root is never asked).
        ordered: operands of a commutative op are not tried in the other order.
        result: which result of the op the value is.
        each: matches every remaining operand, at least one (``once tensor.transpose(xs)...``);
            variables inside bind lists, attributes must be equal in all.
    """

    ops: tuple[str, ...]
    trait: str
    operands: tuple[Pattern, ...]
    attributes: tuple[AttributePattern, ...]
    bind: str
    once: bool
    ordered: bool
    result: int
    each: bool
    at: Position


Pattern = Variable | Number | Absent | OpPattern


# Templates -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ValueTemplate:
    """A bound value (or a ``let`` that picks one); ``rest``: all values of a list (``xs...``)."""

    name: str
    rest: bool
    at: Position


@dataclass(frozen=True, slots=True)
class NumberTemplate:
    """A new constant of one element; its element type is that of the other operands.

    As a whole replacement it has the element type of the root's result.
    """

    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class OpTemplate:
    """A new op; equal templates of a rule are one op.

    Attributes:
        op: an op's name, or the name of a bound op, whose attributes are kept.
        attributes: those that are set or changed.
        result: which result of the op the value is.
        fold: evaluate it now by the reference interpreter: the result is a constant.
        each: once per element of the lists among the operands (``math.neg(xs)...``).
    """

    op: str
    operands: tuple[Template, ...]
    attributes: tuple[tuple[str, Expression], ...]
    result: int
    fold: bool
    each: bool
    at: Position


Template = ValueTemplate | NumberTemplate | OpTemplate


# Rules -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Binding:
    """``let name = expression`` after the match, in order."""

    name: str
    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Condition:
    """Must hold; ``text`` as written is the reason of a refusal."""

    value: Expression
    text: str
    at: Position


@dataclass(frozen=True, slots=True)
class Rule:
    """One rewrite; a rule with a ``for`` table is one of these per row.

    A rule that assumes something is two: one that asks for it, among its conditions, and keeps
    its promise; and one that takes it for granted and promises ``fast-math``.

    Attributes:
        name: kebab-case; rows of a table share it.
        promise: ``exact``, ``rounding`` or ``fast-math``.
        columns: what the names of the ``for`` table stand for in this row (names of ops,
            numbers, strings, element types); they are already put in everywhere.
        granted: what is assumed and not asked for.
        steps: bindings and conditions in the order written.
        rewrite: one template per result of the root.
    """

    name: str
    doc: str
    pattern: OpPattern
    steps: tuple[Binding | Condition, ...]
    rewrite: tuple[Template, ...]
    benefit: int
    promise: str
    columns: tuple[tuple[str, object], ...]
    at: Position
    granted: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A parsed file.

    Attributes:
        text: the whole file as written, for error messages.
        set: the pattern set that the rules belong to (``set canonicalize``), or "".
    """

    path: Path | None
    text: str
    set: str
    doc: str
    rules: tuple[Rule, ...]
