"""What the names of a rule stand for, and where their values are kept while it runs.

A compiled rule keeps all it has found in one list of slots; which slot is whose is decided here,
once, when the rule is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from burnish.ir import OpDef

from .errors import did_you_mean, rule_error
from .functions import Sort
from .parser import DTYPES
from .syntax import Position

Slots = list[Any]

NO_OP = -1


@dataclass
class Symbol:
    """A name of a rule.

    Attributes:
        slot: where its value is kept.
        op_slot: where the op is kept that the name stands for too, or :data:`NO_OP`.
        opdefs: what that op may be.
        is_constant: the value is a constant.
        is_scalar: the value is a constant of one element.
        optional: the value may be absent.
        used: the name has been used since.
    """

    name: str
    slot: int
    sort: Sort
    at: Position
    op_slot: int = NO_OP
    opdefs: tuple[OpDef, ...] = ()
    is_constant: bool = False
    is_scalar: bool = False
    optional: bool = False
    used: bool = False


class Scope:
    """The names of one rule."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._symbols: dict[str, Symbol] = {}
        self.size = 0

    def slot(self, count: int = 1) -> int:
        """``count`` new slots in a row; the first."""
        first = self.size
        self.size += count
        return first

    def define(self, name: str, slot: int, sort: Sort, at: Position) -> Symbol:
        """Enter a name.

        Raises:
            RuleError: it is taken, or means something else everywhere.
        """
        if name in self._symbols:
            first = self._symbols[name].at
            self.fail(f"{name} is bound twice, first in line {first.line}", at)
        if name in DTYPES:
            self.fail(f"{name} is an element type, not a name", at, "choose another name")
        symbol = Symbol(name, slot, sort, at)
        self._symbols[name] = symbol
        return symbol

    def find(self, name: str) -> Symbol | None:
        """The symbol of a name, if it has been bound."""
        symbol = self._symbols.get(name)
        if symbol is not None:
            symbol.used = True
        return symbol

    def get(self, name: str, at: Position) -> Symbol:
        """The symbol of a name.

        Raises:
            RuleError: nothing has bound it.
        """
        symbol = self.find(name)
        if symbol is None:
            self.fail(f"{name} is not bound", at, did_you_mean(name, self._symbols))
        return symbol

    def peek(self, name: str) -> Symbol | None:
        """Like :meth:`find`, without using the name."""
        return self._symbols.get(name)

    @property
    def symbols(self) -> list[Symbol]:
        """All names, in the order they were bound."""
        return list(self._symbols.values())

    def check_all_used(self) -> None:
        """Raises a RuleError for a name that is bound and never used."""
        for symbol in self._symbols.values():
            if not symbol.used and not symbol.name.startswith("_"):
                self.fail(
                    f"{symbol.name} is never used",
                    symbol.at,
                    f"write _{symbol.name} for what may be anything",
                )

    def fail(self, message: str, at: Position, help: str = "") -> NoReturn:
        """Raise a RuleError at a place of the file."""
        raise rule_error(message, at, self._text, help)
