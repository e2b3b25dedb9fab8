"""Functions that rules may call, with the types that the loader checks.

A function is registered with its Python annotations::

    @rule_function
    def inverse(permutation: List) -> List:
        '''The permutation that undoes ``permutation``.'''

docs/rules.md lists them all; a test compares.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias, TypeVar, get_type_hints

from burnish.ir import Array, DType, Op, Value

Number: TypeAlias = Any
"""An integer, a float, or a dimension, which may be symbolic."""

List: TypeAlias = tuple[Any, ...]
"""A list: a shape, a permutation, sizes …"""

Values: TypeAlias = tuple[Value, ...]
"""The values of a rest variable (``xs...``)."""


class Sort(enum.Enum):
    """What an expression gives."""

    VALUE = "a value"
    VALUES = "a list of values"
    OP = "an op"
    NUMBER = "a number"
    TRUTH = "true or false"
    TEXT = "a string"
    DTYPE = "an element type"
    LIST = "a list"
    CONSTANT = "a constant"
    ANY = "anything"

    def accepts(self, other: Sort) -> bool:
        """Whether something of sort ``other`` may stand where this is wanted."""
        if Sort.ANY in (self, other) or self is other:
            return True
        return self is Sort.CONSTANT and other is Sort.VALUE


LIBRARIES = (".library", ".quantization", ".tables", ".taps")
"""The modules that define functions."""


class Undecided(Exception):
    """A question about symbolic dimensions that has no answer at compile time."""


@dataclass(frozen=True)
class RuleFunction:
    """A function of the library.

    Attributes:
        parameters: names and sorts, in order.
        may_be_absent: names of parameters that take an absent operand.
    """

    name: str
    doc: str
    parameters: tuple[tuple[str, Sort], ...]
    may_be_absent: frozenset[str]
    result: Sort
    call: Callable[..., Any]

    @property
    def signature(self) -> str:
        """Name and parameters, as documentation shows them."""
        return f"{self.name}({', '.join(name for name, _ in self.parameters)})"


_SORTS: Mapping[Any, Sort] = {
    Value: Sort.VALUE,
    Values: Sort.VALUES,
    Op: Sort.OP,
    bool: Sort.TRUTH,
    int: Sort.NUMBER,
    float: Sort.NUMBER,
    str: Sort.TEXT,
    DType: Sort.DTYPE,
    List: Sort.LIST,
    Array: Sort.CONSTANT,
    Any: Sort.NUMBER,
    object: Sort.ANY,
}

_FUNCTIONS: dict[str, RuleFunction] = {}

Function = TypeVar("Function", bound=Callable[..., Any])


def rule_function(function: Function) -> Function:
    """Decorator that lets rules call ``function``; its annotations say with what.

    A parameter ``Value | None`` takes absent operands too; one annotated ``Array`` takes a
    constant and gets its data.  The function may raise ``Refusal``.

    Raises:
        ValueError: the name is taken, or there is no docstring.
    """
    name = function.__name__.rstrip("_")
    if name in _FUNCTIONS:
        raise ValueError(f"rule function {name} is registered twice")
    doc = inspect.cleandoc(function.__doc__ or "")
    if not doc:
        raise ValueError(f"rule function {name} has no docstring")
    hints = get_type_hints(function)
    result = _SORTS[hints.pop("return")]
    optional = frozenset(key for key, hint in hints.items() if hint == Value | None)
    parameters = tuple(
        (key, Sort.VALUE if key in optional else _SORTS[hint]) for key, hint in hints.items()
    )
    _FUNCTIONS[name] = RuleFunction(name, doc, parameters, optional, result, function)
    return function


def rule_functions() -> Mapping[str, RuleFunction]:
    """All functions by name."""
    for module in LIBRARIES:  # importing one enters its functions
        import_module(module, __package__)

    return dict(sorted(_FUNCTIONS.items()))
