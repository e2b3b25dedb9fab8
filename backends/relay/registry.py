"""The table of lowerings: which function writes which op of the IR as Relay calls.

@lowering("nn.softmax")
def softmax(c: Context) -> Term:
    return c.call("nn.softmax", c.input(0), axis=c.a.axis)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .builder import Term
from .context import Context

Lowering = Callable[[Context], Term | Sequence[Term]]
"""Returns one term per result of the op, or the single one."""

_LoweringT = TypeVar("_LoweringT", bound=Lowering)
_TABLE: dict[str, Lowering] = {}
_ANY_LAYOUT: set[str] = set()


def lowering(*names: str, layouts: bool = False) -> Callable[[_LoweringT], _LoweringT]:
    """Decorator: register the lowering of one or several ops.

    With ``layouts`` it takes tensors that are stored in layouts, as they are stored.
    """

    def register(function: _LoweringT) -> _LoweringT:
        for name in names:
            if name in _TABLE:
                raise ValueError(f"{name} has two lowerings")
            _TABLE[name] = function
            if layouts:
                _ANY_LAYOUT.add(name)
        return function

    return register


def find_lowering(name: str) -> Lowering | None:
    """The lowering of an op; None where it has none of its own."""
    return _TABLE.get(name)


def takes_layouts(name: str) -> bool:
    """Whether the lowering of an op takes tensors in layouts."""
    return name in _ANY_LAYOUT


def lowered_ops() -> list[str]:
    """Names of all ops that have a lowering of their own, sorted."""
    return sorted(_TABLE)
