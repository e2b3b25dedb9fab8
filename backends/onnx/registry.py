"""The table of exporters: which function writes which op of the IR as ONNX nodes.

@exporter("nn.softmax")
def softmax(c: Context) -> Edge:
    return c.node("Softmax", c.input(0), axis=c.a.axis)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .context import Context
from .graph import Edge

Exporter = Callable[[Context], Edge | Sequence[Edge]]
"""Returns one edge per result of the op, or the single one."""

_ExporterT = TypeVar("_ExporterT", bound=Exporter)
_TABLE: dict[str, Exporter] = {}


def exporter(*names: str) -> Callable[[_ExporterT], _ExporterT]:
    """Decorator: register the exporter of one or several ops."""

    def register(function: _ExporterT) -> _ExporterT:
        for name in names:
            if name in _TABLE:
                raise ValueError(f"{name} has two exporters")
            _TABLE[name] = function
        return function

    return register


def find_exporter(name: str) -> Exporter | None:
    """The exporter of an op; None where it has none of its own."""
    return _TABLE.get(name)


def exported_ops() -> list[str]:
    """Names of all ops that have an exporter of their own, sorted."""
    return sorted(_TABLE)
