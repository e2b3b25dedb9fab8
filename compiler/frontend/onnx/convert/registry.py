"""The table of converters: which function turns which operator into IR ops.

    @converter("Relu", since=6)
    def relu(node: NodeContext) -> Value:
        return node.op("math.relu", node.input(0))

A converter holds from the version it names until the next one registered for that operator.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..context import NodeContext
from ..items import Item

Converter = Callable[[NodeContext], Item | Sequence[Item | None]]
"""Returns one item per output of the node, or the single one; None for outputs nobody reads."""

_ConverterT = TypeVar("_ConverterT", bound=Converter)
_TABLE: dict[tuple[str, str], list[tuple[int, Converter]]] = {}


def converter(
    *op_types: str, since: int = 1, domain: str = ""
) -> Callable[[_ConverterT], _ConverterT]:
    """Decorator: register a converter of one or several operators."""

    def register(function: _ConverterT) -> _ConverterT:
        for op_type in op_types:
            versions = _TABLE.setdefault((domain, op_type), [])
            if any(version == since for version, _ in versions):
                raise ValueError(f"{op_type} has two converters since version {since}")
            versions.append((since, function))
            versions.sort(key=lambda entry: entry[0])
        return function

    return register


def find_converter(domain: str, op_type: str, version: int) -> Converter | None:
    """The converter of that operator in that version of its operator set."""
    versions = _TABLE.get((domain, op_type), [])
    position = bisect_right([since for since, _ in versions], version)
    return versions[position - 1][1] if position else None


def converted_operators() -> list[tuple[str, str]]:
    """Domain and name of every operator that has a converter, sorted."""
    return sorted(_TABLE)
