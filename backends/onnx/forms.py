"""The table of forms: what takes several ops in the IR and is one operator of ONNX.

    @form("tensor.reshape")
    def _entry(c: Context) -> Edge | None:
        ...

A form starts at the last op and looks at what makes its operands; it returns None where it does
not fit, and then the op's exporter is asked.  Nodes of ops before it stay as far as others read
them, and are dropped with all that is unused otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from burnish.ir import Op, Value

from .context import Context
from .graph import Edge

Form = Callable[[Context], Edge | None]

_FormT = TypeVar("_FormT", bound=Form)
_TABLE: dict[str, list[Form]] = {}


def form(*names: str) -> Callable[[_FormT], _FormT]:
    """Decorator: register a form of which these ops are the last one."""

    def register(function: _FormT) -> _FormT:
        for name in names:
            _TABLE.setdefault(name, []).append(function)
        return function

    return register


def forms_of(name: str) -> Sequence[Form]:
    """The forms to be tried at an op, in order."""
    return _TABLE.get(name, ())


def producer(value: Value | None, name: str) -> Op | None:
    """The op that makes a value, when it is a ``name``."""
    op = None if value is None else value.op
    return op if op is not None and op.name == name else None
